//! Functions of loaded modules: addresses by name, and names by address.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::OnceLock;

use super::elf::{Elf, Kind, Symbol, Table};
use super::error::{ElfError, Error};
use super::file::Mapping;
use super::modules::{Held, Module};

/// A function of a loaded module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Function {
    /// Where it is in this process.
    pub address: usize,
    /// How many bytes it has; 0 where its symbol does not say.
    pub size: usize,
}

/// Functions by name.
pub type Functions = BTreeMap<String, Function>;

/// The addresses of the named functions: of those that the module exports from memory, of others from its file's
/// `.symtab`. Names that it does not have are left out.
///
/// # Errors
/// When a name was not exported and the file cannot be read. A file without `.symtab` is no error.
pub fn resolve(held: &Held<'_>, names: &[&str]) -> Result<Functions, Error> {
    let image = held.image();
    let dynamic = image.dynamic_table().ok();
    let mut functions = Functions::new();
    for name in names {
        let symbol = dynamic.and_then(|table| table.find(Kind::Function, name.as_bytes()));
        if let Some(function) = symbol.and_then(|symbol| loaded(held.module(), &symbol)) {
            functions.insert((*name).to_owned(), function);
        }
    }
    if functions.len() < names.len() {
        let missing = |name: &[u8]| {
            let name = names.iter().find(|known| known.as_bytes() == name)?;
            (!functions.contains_key(*name)).then(|| (*name).to_owned())
        };
        let prefix = common_prefix(names);
        let found = debug_functions(held, prefix.as_bytes(), missing)?;
        functions.extend(found.into_iter().flatten());
    }
    Ok(functions)
}

fn common_prefix<'n>(names: &[&'n str]) -> &'n str {
    let Some((first, rest)) = names.split_first() else { return "" };
    let len = rest.iter().fold(first.len(), |len, name| {
        first.bytes().zip(name.bytes()).take(len).take_while(|(left, right)| left == right).count()
    });
    first.get(..len).unwrap_or("")
}

/// The exported functions whose names begin with `prefix`.
///
/// # Errors
/// When the module's table of dynamic symbols cannot be read.
pub fn exported(held: &Held<'_>, prefix: &str) -> Result<Functions, Error> {
    let image = held.image();
    let table = image.dynamic_table().map_err(|source| held.module().broken(source))?.table();
    Ok(gather(held.module(), table, prefix.as_bytes(), whole_name))
}

/// The functions of the file's `.symtab` whose names begin with `prefix`; `None` for a stripped file.
///
/// # Errors
/// When the file cannot be read.
pub fn unexported(held: &Held<'_>, prefix: &str) -> Result<Option<Functions>, Error> {
    debug_functions(held, prefix.as_bytes(), whole_name)
}

/// Where the module's file has a piece of data, before the load bias is added.
pub(super) fn data(held: &Held<'_>, name: &str) -> Option<u64> {
    let exported =
        held.image().dynamic_table().ok().and_then(|table| table.find(Kind::Object, name.as_bytes()));
    if let Some(symbol) = exported {
        return Some(symbol.address);
    }
    let mapping = held.open().ok()?;
    let table = Elf::parse(&mapping).ok()?.symtab().ok()?;
    let mut symbols = table.with_prefix(Kind::Object, name.as_bytes());
    symbols.find(|symbol| symbol.name == name.as_bytes()).map(|symbol| symbol.address)
}

fn whole_name(name: &[u8]) -> Option<String> {
    String::from_utf8(name.to_vec()).ok()
}

fn debug_functions(
    held: &Held<'_>,
    prefix: &[u8],
    name: impl Fn(&[u8]) -> Option<String>,
) -> Result<Option<Functions>, Error> {
    let mapping = held.open()?;
    let elf = Elf::parse(&mapping).map_err(|source| held.module().broken(source))?;
    match elf.symtab() {
        Ok(table) => Ok(Some(gather(held.module(), table, prefix, name))),
        Err(ElfError::Missing(_)) => Ok(None),
        Err(source) => Err(held.module().broken(source)),
    }
}

fn gather(
    module: &Module,
    table: Table<'_>,
    prefix: &[u8],
    name: impl Fn(&[u8]) -> Option<String>,
) -> Functions {
    let mut functions = Functions::new();
    for symbol in table.with_prefix(Kind::Function, prefix) {
        let function = loaded(module, &symbol);
        if let (Some(function), Some(name)) = (function, name(symbol.name)) {
            // A file-local function of the same name is another one.
            if symbol.global || !functions.contains_key(&name) {
                functions.insert(name, function);
            }
        }
    }
    functions
}

/// Where a symbol is in this process; `None` where that is no code of its module.
fn loaded(module: &Module, symbol: &Symbol<'_>) -> Option<Function> {
    let address = module.address(symbol.address);
    let size = usize::try_from(symbol.size).ok()?;
    module.has_code(address).then_some(Function { address, size })
}

/// A function by address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place<'a> {
    /// The function's name as the linker knows it.
    pub function: &'a str,
    /// How far behind its beginning.
    pub offset: usize,
    /// The file of its module.
    pub module: &'a Path,
}

/// Names of the functions of all modules that were loaded when it was made.
///
/// A module's table is made and sorted when first asked for. Names stay in the mapped file.
#[derive(Debug)]
pub struct FunctionNames {
    modules: Vec<(Module, OnceLock<Option<Names>>)>,
}

impl FunctionNames {
    /// Names for addresses in `modules`.
    pub fn new(modules: Vec<Module>) -> Self {
        Self { modules: modules.into_iter().map(|module| (module, OnceLock::new())).collect() }
    }

    /// The function that contains an address; `None` where no symbol says.
    ///
    /// The first look-up in a module reads its file, so a path that must be quick comes here once per address.
    pub fn name(&self, address: usize) -> Option<Place<'_>> {
        let (module, names) = self.modules.iter().find(|(module, _)| module.has_code(address))?;
        let names = names.get_or_init(|| Names::of(module)).as_ref()?;
        let (function, offset) = names.find(module.inner(address))?;
        Some(Place { function, offset, module: &module.path })
    }
}

/// One module's functions by address.
#[derive(Debug)]
struct Names {
    file: Mapping,
    /// Sorted: address, size (0 for one that reaches to the next), and where in the file its name is.
    entries: Vec<Entry>,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    address: u64,
    size: u32,
    len: u32,
    name: usize,
}

impl Names {
    /// Both tables, for `.symtab` may lack what is exported (stripped to a "mini debug info"), and the other way round.
    fn of(module: &Module) -> Option<Self> {
        let held = module.hold().ok()?;
        let file = held.open().ok()?;
        let entries = entries(&file)?;
        Some(Self { file, entries })
    }

    fn find(&self, address: u64) -> Option<(&str, usize)> {
        let entry = find(&self.entries, address)?;
        let name = self.file.get(entry.name..entry.name.checked_add(entry.len as usize)?)?;
        Some((std::str::from_utf8(name).ok()?, usize::try_from(address - entry.address).ok()?))
    }
}

/// The function whose bytes contain `address`.
fn find(entries: &[Entry], address: u64) -> Option<&Entry> {
    let after = entries.partition_point(|entry| entry.address <= address);
    let entry = entries.get(after.checked_sub(1)?)?;
    let inside = entry.size == 0 || address - entry.address < u64::from(entry.size);
    inside.then_some(entry)
}

/// The functions of a file, sorted, one name per address.
fn entries(file: &[u8]) -> Option<Vec<Entry>> {
    let elf = Elf::parse(file).ok()?;
    let image = elf.image();
    let tables = [elf.symtab().ok(), image.dynamic_table().ok().map(|table| table.table())];
    let mut entries = Vec::new();
    for symbol in tables.iter().flatten().flat_map(|table| table.with_prefix(Kind::Function, b"")) {
        // Names are slices of the file, so they are kept as places in it.
        let name = (symbol.name.as_ptr() as usize).wrapping_sub(file.as_ptr() as usize);
        entries.push((
            Entry {
                address: symbol.address,
                size: u32::try_from(symbol.size).unwrap_or(u32::MAX),
                len: u32::try_from(symbol.name.len()).ok()?,
                name,
            },
            symbol.global,
        ));
    }
    // Of several names, the one that a manual would use: without leading underscores, exported, short.
    let underscores = |entry: &Entry| {
        let name = file.get(entry.name..).unwrap_or_default();
        name.iter().take_while(|byte| **byte == b'_').count()
    };
    entries.sort_unstable_by_key(|(entry, global)| {
        (entry.address, underscores(entry), Reverse(*global), entry.len, entry.name)
    });
    entries.dedup_by_key(|(entry, _)| entry.address);
    Some(entries.into_iter().map(|(entry, _)| entry).collect())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[derive(Clone, Debug)]
    enum Damage {
        Set(usize, u8),
        Word(usize, u64),
        Cut(usize),
    }

    fn damage() -> impl Strategy<Value = Vec<Damage>> {
        // Headers are small and lie at the beginning or the end: most changes go there.
        let place = prop_oneof![0..1024_usize, any::<usize>()];
        let word = prop_oneof![Just(0), Just(u64::MAX), 0..4096_u64, any::<u64>()];
        let one = prop_oneof![
            (place.clone(), any::<u8>()).prop_map(|(at, byte)| Damage::Set(at, byte)),
            (place, word).prop_map(|(at, word)| Damage::Word(at, word)),
            any::<usize>().prop_map(Damage::Cut),
        ];
        proptest::collection::vec(one, 1..6)
    }

    fn apply(bytes: &mut Vec<u8>, damage: &[Damage], pieces: &[std::ops::Range<usize>]) {
        for damage in damage {
            if bytes.is_empty() {
                return;
            }
            let len = bytes.len();
            // Every third place is in one of the tables that are read.
            let aim = |at: usize| match pieces.get(at % (pieces.len() * 3 + 1)) {
                Some(piece) if !piece.is_empty() => (piece.start + at / 7 % piece.len()) % len,
                _ => at % len,
            };
            match *damage {
                Damage::Set(at, byte) => bytes[aim(at)] = byte,
                Damage::Word(at, word) => {
                    let at = aim(at) & !7;
                    let end = (at + 8).min(len);
                    bytes[at..end].copy_from_slice(&word.to_le_bytes()[..end - at]);
                }
                Damage::Cut(at) => bytes.truncate(at % len),
            }
        }
    }

    /// Everything that is parsed from a file, one after the other.
    fn read_all(bytes: &[u8]) -> usize {
        let Ok(elf) = Elf::parse(bytes) else { return 0 };
        let image = elf.image();
        let mut seen = elf.segments().len() + image.needed().len();
        if let Ok(table) = image.dynamic_table() {
            seen += table.table().with_prefix(Kind::Function, b"").count();
            seen += usize::from(table.find(Kind::Function, b"main").is_some());
            seen += usize::from(table.find(Kind::Object, b"environ").is_some());
        }
        if let Ok(table) = elf.symtab() {
            seen += table.with_prefix(Kind::Function, b"").count();
        }
        let entries = entries(bytes).unwrap_or_default();
        for entry in entries.iter().take(100) {
            seen += usize::from(find(&entries, entry.address).is_some());
        }
        for (index, segment) in elf.segments().iter().enumerate() {
            seen += usize::from(elf.bytes_at(segment.address, index * 16).is_some());
        }
        seen + usize::from(elf.is_loaded_as(&[], &image))
    }

    /// Where in the file its tables lie, so that damage finds them.
    fn pieces(bytes: &[u8]) -> Vec<std::ops::Range<usize>> {
        let elf = Elf::parse(bytes).unwrap();
        let place = |slice: &[u8]| {
            let start = slice.as_ptr() as usize - bytes.as_ptr() as usize;
            start..start + slice.len().min(2048)
        };
        let image = elf.image();
        let mut pieces: Vec<_> = image.parts().map(place).collect();
        let section_headers = u64::from_le_bytes(bytes[40..48].try_into().unwrap()) as usize;
        pieces.push(section_headers..bytes.len());
        pieces
    }

    /// A library with dynamic symbols, and an object file with a `.symtab`: both are there where Rust links with gcc.
    fn samples() -> [Vec<u8>; 2] {
        let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
        let path = maps.lines().filter_map(|line| line.split_whitespace().nth(5));
        let library = path.filter(|path| path.contains("libgcc_s")).min().unwrap();
        let cc = std::process::Command::new("cc").arg("-print-file-name=Scrt1.o").output().unwrap();
        let object = String::from_utf8(cc.stdout).unwrap();
        [std::fs::read(library).unwrap(), std::fs::read(object.trim()).unwrap()]
    }

    #[test]
    fn undamaged_files_are_read() {
        let [library, object] = samples();
        assert!(read_all(&library) > 100);
        assert!(read_all(&object) > 0);
    }

    #[test]
    fn damaged_files_give_errors_and_no_panic() {
        for bytes in samples() {
            let pieces = pieces(&bytes);
            proptest!(ProptestConfig::with_cases(512), |(damage in damage())| {
                let mut bytes = bytes.clone();
                apply(&mut bytes, &damage, &pieces);
                read_all(&bytes);
            });
        }
    }

    #[test]
    fn every_cut_is_survived() {
        for bytes in samples() {
            for len in (0..bytes.len().min(4096)).chain((4096..bytes.len()).step_by(4093)) {
                read_all(&bytes[..len]);
            }
        }
    }

    fn check_find(functions: &[(u64, u32)], address: u64, expected: Option<u64>) {
        let entries: Vec<Entry> =
            functions.iter().map(|&(address, size)| Entry { address, size, len: 0, name: 0 }).collect();
        assert_eq!(find(&entries, address).map(|entry| entry.address), expected, "{functions:?} {address}");
    }

    #[test]
    fn an_address_belongs_to_the_function_around_it() {
        check_find(&[], 5, None);
        check_find(&[(10, 4), (20, 0), (30, 2)], 9, None);
        check_find(&[(10, 4), (20, 0), (30, 2)], 10, Some(10));
        check_find(&[(10, 4), (20, 0), (30, 2)], 13, Some(10));
        check_find(&[(10, 4), (20, 0), (30, 2)], 14, None);
        check_find(&[(10, 4), (20, 0), (30, 2)], 29, Some(20));
        check_find(&[(10, 4), (20, 0), (30, 2)], 32, None);
    }

    #[test]
    fn names_share_a_beginning() {
        assert_eq!(common_prefix(&["lua_call", "lua_close", "luaL_error"]), "lua");
        assert_eq!(common_prefix(&["a", "b"]), "");
        assert_eq!(common_prefix(&[]), "");
    }
}
