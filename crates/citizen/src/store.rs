//! The key-value store of resources (`SetResourceKvp`): in memory, and in a file when the server has a data folder.
//!
//! The file is text, one value a line: kind, resource, key and value with tabs between, backslash escapes within. It is
//! written beside the old one and put in its place, so that a crash leaves one or the other.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};

/// The first line of the file.
const HEAD: &str = "tickscope key-value store 1";
/// The file in the data folder.
const FILE: &str = "kvp.txt";
/// Searches that may be open at a time, as on a server.
const MAX_FINDS: usize = 64;

/// A value.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Kept {
    Text(Vec<u8>),
    Integer(i64),
    Float(f64),
}

/// What resources keep, by resource and key.
#[derive(Debug, Default)]
pub(crate) struct Store {
    values: BTreeMap<String, BTreeMap<String, Kept>>,
    finds: HashMap<usize, std::vec::IntoIter<String>>,
    folder: Option<PathBuf>,
    is_dirty: bool,
}

impl Store {
    /// The store in a data folder, and what was wrong with its file, which is then set aside.
    pub(crate) fn open(folder: Option<&Path>) -> (Self, Option<String>) {
        let mut store = Self { folder: folder.map(Path::to_owned), ..Self::default() };
        let Some(path) = store.path() else { return (store, None) };
        let problem = match std::fs::read_to_string(&path) {
            Ok(text) => match parse(&text) {
                Ok(values) => {
                    store.values = values;
                    return (store, None);
                }
                Err((line, problem)) => format!("{}:{line}: {problem}", path.display()),
            },
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return (store, None),
            Err(error) => format!("{}: {error}", path.display()),
        };
        let aside = path.with_extension("txt.broken");
        let aside = match std::fs::rename(&path, &aside) {
            Ok(()) => format!("it is kept as {}", aside.display()),
            Err(error) => format!("it cannot be set aside: {error}"),
        };
        (store, Some(format!("the key-value store cannot be read, and is empty now: {problem}; {aside}")))
    }

    fn path(&self) -> Option<PathBuf> {
        Some(self.folder.as_ref()?.join(FILE))
    }

    pub(crate) fn get(&self, resource: &str, key: &str) -> Option<&Kept> {
        self.values.get(resource)?.get(key)
    }

    pub(crate) fn set(&mut self, resource: &str, key: String, value: Kept) {
        self.is_dirty = true;
        self.values.entry(resource.to_owned()).or_default().insert(key, value);
    }

    pub(crate) fn delete(&mut self, resource: &str, key: &str) {
        let gone = self.values.get_mut(resource).and_then(|values| values.remove(key));
        self.is_dirty |= gone.is_some();
    }

    /// Begins a search for keys; −1 when too many are open.
    pub(crate) fn find(&mut self, resource: &str, prefix: &str) -> i64 {
        let Some(handle) = (0..MAX_FINDS).find(|handle| !self.finds.contains_key(handle)) else { return -1 };
        let keys = self.values.get(resource).into_iter().flat_map(BTreeMap::keys);
        let keys: Vec<_> = keys.filter(|key| key.starts_with(prefix)).cloned().collect();
        self.finds.insert(handle, keys.into_iter());
        handle as i64
    }

    pub(crate) fn next(&mut self, handle: i64) -> Option<String> {
        self.finds.get_mut(&usize::try_from(handle).ok()?)?.next()
    }

    pub(crate) fn end_find(&mut self, handle: i64) {
        if let Ok(handle) = usize::try_from(handle) {
            self.finds.remove(&handle);
        }
    }

    /// Writes what changed.
    ///
    /// # Errors
    /// A sentence: why the file is as it was.
    pub(crate) fn save(&mut self) -> Result<(), String> {
        let Some(path) = self.path().filter(|_| self.is_dirty) else { return Ok(()) };
        self.is_dirty = false;
        let write = || -> std::io::Result<()> {
            if let Some(folder) = &self.folder {
                std::fs::create_dir_all(folder)?;
            }
            let new = path.with_extension("txt.new");
            let mut file = std::fs::File::create(&new)?;
            file.write_all(format(&self.values).as_bytes())?;
            file.sync_all()?;
            std::fs::rename(new, &path)
        };
        write()
            .map_err(|error| format!("the key-value store cannot be written to {}: {error}", path.display()))
    }
}

fn format(values: &BTreeMap<String, BTreeMap<String, Kept>>) -> String {
    let mut text = format!("{HEAD}\n");
    for (resource, values) in values {
        for (key, value) in values {
            let (kind, value) = match value {
                Kept::Text(bytes) => ('s', escape(bytes)),
                Kept::Integer(value) => ('i', value.to_string()),
                Kept::Float(value) => ('f', format!("{value:?}")),
            };
            let (resource, key) = (escape(resource.as_bytes()), escape(key.as_bytes()));
            let _ = writeln!(text, "{kind}\t{resource}\t{key}\t{value}"); // a string takes everything
        }
    }
    text
}

type Problem = (usize, String);

fn parse(text: &str) -> Result<BTreeMap<String, BTreeMap<String, Kept>>, Problem> {
    let mut lines = text.split('\n');
    if lines.next() != Some(HEAD) {
        return Err((1, format!("expected {HEAD:?}")));
    }
    let mut all = BTreeMap::<String, BTreeMap<String, Kept>>::new();
    for (index, line) in lines.enumerate().filter(|(_, line)| !line.is_empty()) {
        let wrong = |what: &str| (index + 2, format!("expected {what}"));
        let fields: Vec<&str> = line.split('\t').collect();
        let [kind, resource, key, value] = fields[..] else {
            return Err(wrong("kind, resource, key and value with tabs between"));
        };
        let value = match kind {
            "s" => unescape(value).map(Kept::Text),
            "i" => value.parse().ok().map(Kept::Integer),
            "f" => value.parse().ok().map(Kept::Float),
            _ => return Err(wrong("s, i or f in front")),
        };
        let value = value.ok_or_else(|| wrong("a value of the kind told in front"))?;
        let text = |field| unescape(field).and_then(|bytes| String::from_utf8(bytes).ok());
        let (Some(resource), Some(key)) = (text(resource), text(key)) else {
            return Err(wrong("names that are text"));
        };
        all.entry(resource).or_default().insert(key, value);
    }
    Ok(all)
}

fn escape(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for byte in bytes {
        match byte {
            b' '..=b'[' | b']'..=b'~' => text.push(char::from(*byte)),
            _ => {
                let _ = write!(text, "\\{byte:02x}");
            }
        }
    }
    text
}

fn unescape(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'\\' {
            bytes.push(byte);
            continue;
        }
        let digit = |byte: Option<u8>| char::from(byte?).to_digit(16);
        bytes.push((digit(rest.next())? * 16 + digit(rest.next())?) as u8);
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn kept() -> impl Strategy<Value = Kept> {
        prop_oneof![
            proptest::collection::vec(any::<u8>(), 0..20).prop_map(Kept::Text),
            any::<i64>().prop_map(Kept::Integer),
            any::<f64>().prop_filter("equal to itself", |value| !value.is_nan()).prop_map(Kept::Float),
        ]
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(
            values in proptest::collection::btree_map(
                ".*", proptest::collection::btree_map(".*", kept(), 1..4), 0..4)
        ) {
            prop_assert_eq!(parse(&format(&values)), Ok(values));
        }

        #[test]
        fn any_text_is_read_or_refused(text in ".*") {
            let _ = parse(&text);
            let _ = parse(&format!("{HEAD}\n{text}"));
        }
    }

    #[test]
    fn a_broken_file_is_set_aside() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(FILE), format!("{HEAD}\ns\ta\tk\tv\nx\n")).unwrap();
        let (store, problem) = Store::open(Some(folder.path()));
        let problem = problem.unwrap();
        assert!(problem.contains("kvp.txt:3: expected kind, resource, key and value"), "{problem}");
        assert_eq!(store.get("a", "k"), None);
        assert!(folder.path().join("kvp.txt.broken").exists() && !folder.path().join(FILE).exists());
    }
}
