//! The natives that FXServer has on a server: names, hashes, parameters, results. `table.tsv` is made by
//! `cargo xtask natives` from its published type definitions.

use std::collections::HashMap;
use std::sync::LazyLock;

/// A type in the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Int,
    Float,
    Bool,
    /// Text; numbers are taken too.
    String,
    /// A number, or text that is hashed.
    Hash,
    /// A player, by number or text.
    Player,
    Vector3,
    Function,
    List,
    Any,
}

impl Kind {
    fn parse(word: &str) -> Option<Self> {
        Some(match word {
            "int" => Self::Int,
            "float" => Self::Float,
            "bool" => Self::Bool,
            "string" => Self::String,
            "hash" => Self::Hash,
            "player" => Self::Player,
            "vector3" => Self::Vector3,
            "function" => Self::Function,
            "list" => Self::List,
            "any" => Self::Any,
            _ => return None,
        })
    }
}

/// A native.
#[derive(Debug)]
pub(crate) struct Row {
    /// As Lua calls it: `GetPlayerPed`.
    pub(crate) name: &'static str,
    /// Whether a server has a client run it.
    pub(crate) is_rpc: bool,
    /// By which `Citizen.InvokeNative` finds it.
    pub(crate) hash: u64,
    pub(crate) parameters: Vec<(&'static str, Kind)>,
    /// Empty when it gives nothing.
    pub(crate) results: Vec<Kind>,
}

/// All rows, in the order of their names.
pub(crate) struct Table {
    rows: Vec<Row>,
    by_name: HashMap<&'static str, usize>,
    by_hash: HashMap<u64, usize>,
}

/// What older versions had, and scripts still call by hash.
const OLD: &str =
    "CreateAutomobile\tcfx\t0x0722A2CA\tmodelHash:hash x:float y:float z:float heading:float\tint";

static TABLE: LazyLock<Table> = LazyLock::new(|| {
    let lines = include_str!("table.tsv").lines().filter(|line| !line.starts_with('#'));
    let rows: Vec<Row> = lines.chain([OLD]).filter_map(row).collect();
    let mut table = Table { by_name: HashMap::new(), by_hash: HashMap::new(), rows };
    for (index, row) in table.rows.iter().enumerate() {
        table.by_name.insert(row.name, index);
        // aliases share a hash; the first name stands for it
        table.by_hash.entry(row.hash).or_insert(index);
        table.by_hash.entry(joaat(&snake(row.name)).into()).or_insert(index);
    }
    table
});

impl Table {
    /// The table, read once.
    pub(crate) fn get() -> &'static Self {
        &TABLE
    }

    pub(crate) fn rows(&self) -> &[Row] {
        &self.rows
    }

    pub(crate) fn named(&self, name: &str) -> Option<&Row> {
        self.rows.get(*self.by_name.get(name)?)
    }

    pub(crate) fn hashed(&self, hash: u64) -> Option<&Row> {
        self.rows.get(*self.by_hash.get(&hash)?)
    }
}

fn row(line: &'static str) -> Option<Row> {
    let mut columns = line.split('\t');
    let mut next = || columns.next();
    let (name, kind, hash, parameters, results) = (next()?, next()?, next()?, next()?, next()?);
    let parameter = |text: &'static str| -> Option<(&'static str, Kind)> {
        let (name, kind) = text.split_once(':')?;
        Some((name, Kind::parse(kind)?))
    };
    Some(Row {
        name,
        is_rpc: kind == "rpc",
        hash: u64::from_str_radix(hash.strip_prefix("0x")?, 16).ok()?,
        parameters: parameters.split_whitespace().map(parameter).collect::<Option<_>>()?,
        results: results.split(',').filter(|word| *word != "void").map(Kind::parse).collect::<Option<_>>()?,
    })
}

/// `GetPlayerPed` as `get_player_ped`: the name its hash is made of.
pub(crate) fn snake(name: &str) -> String {
    let mut out = String::with_capacity(name.len() + 8);
    for letter in name.chars() {
        if letter.is_ascii_uppercase() && !out.is_empty() {
            out.push('_');
        }
        out.push(letter.to_ascii_lowercase());
    }
    out
}

/// Jenkins' one-at-a-time hash of the text in lower case, as `GetHashKey` gives it.
pub(crate) fn joaat(text: &str) -> u32 {
    crate::values::hash::joaat(text.as_bytes()).cast_unsigned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_of_the_table_is_a_row() {
        let lines = include_str!("table.tsv").lines().filter(|line| !line.starts_with('#')).count();
        assert_eq!(Table::get().rows().len(), lines + 1);
        assert_eq!(Table::get().by_name.len(), lines + 1, "a name is there twice");
    }

    #[test]
    fn natives_are_found_by_name_and_hash() {
        let row = Table::get().named("GetEntityCoords").unwrap();
        assert_eq!((row.hash, &row.results[..]), (0x1647_f1cb, &[Kind::Vector3][..]));
        let check = |hash, name| assert_eq!(Table::get().hashed(hash).unwrap().name, name);
        check(0x1647_f1cb, "GetEntityCoords");
        check(0xaf35_d0d2_5830_51b0, "CreateVehicle");
        check(joaat("CREATE_AUTOMOBILE").into(), "CreateAutomobile");
        check(joaat("create_vehicle").into(), "CreateVehicle");
        assert!(Table::get().hashed(1).is_none());
        for row in Table::get().rows().iter().filter(|row| !row.is_rpc) {
            assert_eq!(row.hash, u64::from(joaat(&snake(row.name))), "{}", row.name);
        }
    }
}
