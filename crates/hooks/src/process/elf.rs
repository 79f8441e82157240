//! Symbols of an ELF image, in a file or in memory: pure functions over bytes that may be anything.

use object::elf::{self, FileHeader64, ProgramHeader64, Sym64};
use object::endian::LittleEndian;
use object::read::elf::{FileHeader as _, ProgramHeader as _, SectionHeader as _, Sym as _};

use super::error::ElfError;

const LE: LittleEndian = LittleEndian;

/// A part of the image that the loader maps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Where it begins, before the load bias is added.
    pub address: u64,
    /// Its size in memory.
    pub size: u64,
    /// Where it begins in the file.
    pub offset: u64,
    /// Its size in the file.
    pub file_size: u64,
    /// Whether it can be read.
    pub readable: bool,
    /// Whether it can be written.
    pub writable: bool,
    /// Whether it is code.
    pub executable: bool,
}

impl Segment {
    /// Whether an address before the load bias lies in it.
    pub fn contains(&self, address: u64) -> bool {
        address.checked_sub(self.address).is_some_and(|offset| offset < self.size)
    }
}

/// A symbol with its address before the load bias is added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Symbol<'a> {
    /// Its name, without a version.
    pub name: &'a [u8],
    /// Where it begins.
    pub address: u64,
    /// Its size, 0 where it is not known.
    pub size: u64,
    /// Whether other modules see it.
    pub global: bool,
}

/// What a symbol stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A function; not one that is chosen at load time (`IFUNC`).
    Function,
    /// Data.
    Object,
}

/// The headers of an ELF file.
#[derive(Clone, Copy, Debug)]
pub struct Elf<'a> {
    data: &'a [u8],
    header: &'a FileHeader64<LittleEndian>,
    programs: &'a [ProgramHeader64<LittleEndian>],
}

impl<'a> Elf<'a> {
    /// Reads the headers of an x86-64 file.
    ///
    /// # Errors
    /// When it is no such file, or its program headers are cut off.
    pub fn parse(data: &'a [u8]) -> Result<Self, ElfError> {
        if !data.starts_with(&elf::ELFMAG) {
            return Err(ElfError::NotElf);
        }
        let header =
            FileHeader64::<LittleEndian>::parse(data).map_err(|_| match data.get(elf::ELFMAG.len()) {
                Some(&class) if class != elf::ELFCLASS64.0 => ElfError::OtherMachine,
                _ => ElfError::Damaged("file header"),
            })?;
        if !header.is_little_endian() || header.e_machine(LE) != elf::EM_X86_64 {
            return Err(ElfError::OtherMachine);
        }
        let programs =
            header.program_headers(LE, data).map_err(|_| ElfError::Damaged("table of program headers"))?;
        Ok(Self { data, header, programs })
    }

    /// The loaded parts, in the order of the file.
    pub fn segments(&self) -> Vec<Segment> {
        self.programs.iter().filter_map(segment).collect()
    }

    /// The dynamic loader that it asks for. Without one, nothing can be preloaded into it.
    pub fn loader(&self) -> Option<&'a [u8]> {
        let program = self.programs.iter().find(|program| program.p_type(LE) == elf::PT_INTERP)?;
        text(slice(self.data, program.p_offset(LE), program.p_filesz(LE))?, 0)
    }

    /// The bytes at an address before the load bias.
    pub fn bytes_at(&self, address: u64, len: usize) -> Option<&'a [u8]> {
        let segment = self.programs.iter().filter_map(segment).find(|segment| segment.contains(address))?;
        let inner = address - segment.address;
        let len = u64::try_from(len).ok()?;
        if inner.checked_add(len)? > segment.file_size {
            return None;
        }
        slice(self.data, segment.offset.checked_add(inner)?, len)
    }

    /// Whether the file is the one whose program headers and notes (among them the build's id) are in `memory`.
    pub fn is_loaded_as(&self, headers: &[u8], memory: &Image<'_>) -> bool {
        if object::pod::bytes_of_slice(self.programs) != headers {
            return false;
        }
        self.programs.iter().filter(|program| program.p_type(LE) == elf::PT_NOTE).all(|note| {
            let here = slice(self.data, note.p_offset(LE), note.p_filesz(LE));
            let there = memory.at(note.p_vaddr(LE)).map(|bytes| {
                let len = usize::try_from(note.p_filesz(LE)).unwrap_or(usize::MAX);
                &bytes[..len.min(bytes.len())]
            });
            // A note in a part that is not mapped read-only cannot be compared.
            there.is_none() || here == there
        })
    }

    /// The table that a debugger reads, `.symtab`.
    ///
    /// # Errors
    /// [`ElfError::Missing`] for a stripped file.
    pub fn symtab(&self) -> Result<Table<'a>, ElfError> {
        let damaged = |_| ElfError::Damaged("table of sections");
        let sections = self.header.section_headers(LE, self.data).map_err(damaged)?;
        let (_, section) = sections
            .iter()
            .enumerate()
            .find(|(_, section)| section.sh_type(LE) == elf::SHT_SYMTAB)
            .ok_or(ElfError::Missing(".symtab"))?;
        let damaged = |_| ElfError::Damaged(".symtab");
        let symbols = section.data_as_array(LE, self.data).map_err(damaged)?;
        let link = usize::try_from(section.sh_link(LE)).map_err(|_| ElfError::Damaged(".symtab"))?;
        let strings = sections.get(link).ok_or(ElfError::Damaged(".symtab"))?;
        let strings = strings.data(LE, self.data).map_err(|_| ElfError::Damaged(".strtab"))?;
        Ok(Table { symbols, strings })
    }

    /// The file as an image, with the dynamic section's entries.
    pub fn image(&self) -> Image<'a> {
        let mut image = Image::default();
        for segment in self.segments() {
            if let Some(bytes) = slice(self.data, segment.offset, segment.file_size.min(segment.size)) {
                image.parts.push((segment.address, bytes));
            }
        }
        let dynamic = self
            .programs
            .iter()
            .find(|program| program.p_type(LE) == elf::PT_DYNAMIC)
            .and_then(|program| slice(self.data, program.p_offset(LE), program.p_filesz(LE)));
        for entry in dynamic.unwrap_or_default().chunks_exact(16) {
            let (tag, value) = entry.split_at(8);
            image.push_dynamic(word(tag), word(value));
        }
        image
    }
}

fn segment(program: &ProgramHeader64<LittleEndian>) -> Option<Segment> {
    (program.p_type(LE) == elf::PT_LOAD).then(|| Segment {
        address: program.p_vaddr(LE),
        size: program.p_memsz(LE),
        offset: program.p_offset(LE),
        file_size: program.p_filesz(LE),
        readable: program.p_flags(LE).contains(elf::PF_R),
        writable: program.p_flags(LE).contains(elf::PF_W),
        executable: program.p_flags(LE).contains(elf::PF_X),
    })
}

fn slice(data: &[u8], offset: u64, len: u64) -> Option<&[u8]> {
    let offset = usize::try_from(offset).ok()?;
    let end = offset.checked_add(usize::try_from(len).ok()?)?;
    data.get(offset..end)
}

fn word(bytes: &[u8]) -> u64 {
    bytes.try_into().map_or(0, u64::from_le_bytes)
}

/// Bytes by address, and the dynamic section: what a loader sees.
#[derive(Clone, Debug, Default)]
pub struct Image<'a> {
    parts: Vec<(u64, &'a [u8])>,
    dynamic: Vec<(u64, u64)>,
    bias: u64,
}

impl<'a> Image<'a> {
    /// An image whose dynamic section may hold addresses with the load bias already added, as glibc does it.
    pub fn loaded(bias: u64, parts: Vec<(u64, &'a [u8])>) -> Self {
        Self { parts, dynamic: Vec::new(), bias }
    }

    /// Adds an entry of the dynamic section; `false` at its end.
    pub fn push_dynamic(&mut self, tag: u64, value: u64) -> bool {
        let more = tag != 0 && self.dynamic.len() < 1024;
        if more {
            self.dynamic.push((tag, value));
        }
        more
    }

    /// The bytes from an address to the end of its part.
    pub fn at(&self, address: u64) -> Option<&'a [u8]> {
        self.parts.iter().find_map(|(start, bytes)| {
            let offset = usize::try_from(address.checked_sub(*start)?).ok()?;
            bytes.get(offset..).filter(|rest| !rest.is_empty())
        })
    }

    /// Every part's bytes.
    pub fn parts(&self) -> impl Iterator<Item = &'a [u8]> {
        self.parts.iter().map(|(_, bytes)| *bytes)
    }

    fn value(&self, tag: elf::DynamicTag) -> Option<u64> {
        self.dynamic.iter().find(|(known, _)| u64::try_from(tag.0) == Ok(*known)).map(|(_, value)| *value)
    }

    fn pointed(&self, tag: elf::DynamicTag) -> Option<&'a [u8]> {
        let value = self.value(tag)?;
        self.at(value.wrapping_sub(self.bias)).or_else(|| self.at(value))
    }

    /// Names of the libraries it asks for.
    pub fn needed(&self) -> Vec<&'a [u8]> {
        let Some(strings) = self.pointed(elf::DT_STRTAB) else { return Vec::new() };
        let wanted = self.dynamic.iter().filter(|(tag, _)| u64::try_from(elf::DT_NEEDED.0) == Ok(*tag));
        wanted.filter_map(|(_, offset)| text(strings, usize::try_from(*offset).ok()?)).collect()
    }

    /// The table that the loader resolves names with.
    ///
    /// # Errors
    /// When there is none, or a part of it lies outside of the image.
    pub fn dynamic_table(&self) -> Result<DynamicTable<'a>, ElfError> {
        if self.dynamic.is_empty() {
            return Err(ElfError::Missing("dynamic section"));
        }
        let damaged = || ElfError::Damaged("dynamic section");
        let strings = self.pointed(elf::DT_STRTAB).ok_or_else(damaged)?;
        let len = self.value(elf::DT_STRSZ).and_then(|len| usize::try_from(len).ok()).ok_or_else(damaged)?;
        let strings = strings.get(..len).ok_or_else(damaged)?;
        let symbols = self.pointed(elf::DT_SYMTAB).ok_or_else(damaged)?;
        let hash = match (self.pointed(elf::DT_GNU_HASH), self.pointed(elf::DT_HASH)) {
            (Some(bytes), _) => Hash::Gnu(GnuHash::parse(bytes).ok_or(ElfError::Damaged("hash table"))?),
            (None, Some(bytes)) => Hash::Plain(bytes),
            (None, None) => return Err(ElfError::Missing("hash table of symbols")),
        };
        let count = hash.count().ok_or(ElfError::Damaged("hash table"))?;
        let symbols =
            object::pod::slice_from_bytes(symbols, count).map_err(|()| ElfError::Damaged("symbol table"))?.0;
        Ok(DynamicTable { table: Table { symbols, strings }, hash })
    }
}

/// Symbols and their names.
#[derive(Clone, Copy, Debug)]
pub struct Table<'a> {
    symbols: &'a [Sym64<LittleEndian>],
    strings: &'a [u8],
}

impl<'a> Table<'a> {
    /// The defined symbols of a kind whose names begin with `prefix`.
    pub fn with_prefix(self, kind: Kind, prefix: &[u8]) -> impl Iterator<Item = Symbol<'a>> {
        self.symbols.iter().filter_map(move |symbol| {
            let offset = usize::try_from(symbol.st_name(LE)).ok()?;
            // The names' first bytes decide for most symbols of a large table.
            if !self.strings.get(offset..)?.starts_with(prefix) {
                return None;
            }
            self.read(symbol, kind)
        })
    }

    fn read(&self, symbol: &'a Sym64<LittleEndian>, kind: Kind) -> Option<Symbol<'a>> {
        let wanted = match kind {
            Kind::Function => elf::STT_FUNC,
            Kind::Object => elf::STT_OBJECT,
        };
        if symbol.st_type() != wanted || symbol.st_value(LE) == 0 || symbol.is_undefined(LE) {
            return None;
        }
        Some(Symbol {
            name: text(self.strings, usize::try_from(symbol.st_name(LE)).ok()?)?,
            address: symbol.st_value(LE),
            size: symbol.st_size(LE),
            global: !symbol.is_local(),
        })
    }
}

/// The dynamic symbols, found by name through the loader's hash table.
#[derive(Clone, Copy, Debug)]
pub struct DynamicTable<'a> {
    table: Table<'a>,
    hash: Hash<'a>,
}

impl<'a> DynamicTable<'a> {
    /// All of it.
    pub fn table(&self) -> Table<'a> {
        self.table
    }

    /// The defined symbol of that name, of whatever version.
    pub fn find(&self, kind: Kind, name: &[u8]) -> Option<Symbol<'a>> {
        let matches = |index: u32| {
            let symbol = self.table.symbols.get(usize::try_from(index).ok()?)?;
            self.table.read(symbol, kind).filter(|symbol| symbol.name == name)
        };
        match self.hash {
            Hash::Gnu(hash) => hash.candidates(name).find_map(matches),
            Hash::Plain(_) => (0..u32::try_from(self.table.symbols.len()).ok()?).find_map(matches),
        }
    }
}

#[derive(Clone, Copy, Debug)]
enum Hash<'a> {
    Gnu(GnuHash<'a>),
    /// The old table: rare, so only its count is used.
    Plain(&'a [u8]),
}

impl Hash<'_> {
    fn count(&self) -> Option<usize> {
        match self {
            Self::Gnu(hash) => hash.count(),
            Self::Plain(bytes) => usize::try_from(half(bytes, 1)?).ok(),
        }
    }
}

fn half(bytes: &[u8], index: usize) -> Option<u32> {
    let start = index.checked_mul(4)?;
    bytes.get(start..start.checked_add(4)?)?.try_into().ok().map(u32::from_le_bytes)
}

/// `.gnu.hash`: a Bloom filter, buckets, and chains of hashes whose last one is odd.
///
/// ```text
/// buckets, base, words, shift | words × u64 | buckets × u32 | chains …
/// ```
#[derive(Clone, Copy, Debug)]
struct GnuHash<'a> {
    base: u32,
    shift: u32,
    bloom: &'a [u8],
    buckets: &'a [u8],
    chains: &'a [u8],
}

impl<'a> GnuHash<'a> {
    fn parse(bytes: &'a [u8]) -> Option<Self> {
        let size = |index: usize, unit: usize| {
            half(bytes, index).and_then(|count| usize::try_from(count).ok()?.checked_mul(unit))
        };
        let (buckets, bloom) = (size(0, 4)?, size(2, 8)?);
        let (bloom, rest) = bytes.get(16..)?.split_at_checked(bloom)?;
        let (buckets, chains) = rest.split_at_checked(buckets)?;
        Some(Self { base: half(bytes, 1)?, shift: half(bytes, 3)?, bloom, buckets, chains })
    }

    /// How many symbols there are: one more than the last of the chain that begins last.
    fn count(&self) -> Option<usize> {
        let last = self.buckets.chunks_exact(4).filter_map(|bucket| half(bucket, 0)).max().unwrap_or(0);
        let Some(mut link) = last.checked_sub(self.base) else { return usize::try_from(self.base).ok() };
        while half(self.chains, usize::try_from(link).ok()?)? & 1 == 0 {
            link = link.checked_add(1)?;
        }
        usize::try_from(self.base.checked_add(link)?.checked_add(1)?).ok()
    }

    /// Indices of the symbols that have the hash of `name`.
    fn candidates(self, name: &[u8]) -> impl Iterator<Item = u32> + use<'a> {
        let hash =
            name.iter().fold(5381_u32, |hash, byte| hash.wrapping_mul(33).wrapping_add(u32::from(*byte)));
        let mut next = if self.may_have(hash) { self.bucket(hash) } else { None };
        std::iter::from_fn(move || {
            while let Some(index) = next {
                let link = half(self.chains, usize::try_from(index.checked_sub(self.base)?).ok()?)?;
                next = if link & 1 == 0 { index.checked_add(1) } else { None };
                if link | 1 == hash | 1 {
                    return Some(index);
                }
            }
            None
        })
    }

    fn may_have(&self, hash: u32) -> bool {
        let words = self.bloom.len() / 8;
        let Some(index) = usize::try_from(hash / 64).ok().and_then(|word| word.checked_rem(words)) else {
            return false;
        };
        let filter = self.bloom.get(index * 8..index * 8 + 8).map_or(0, word);
        let bit = |hash: u32| filter >> (hash % 64) & 1 == 1;
        bit(hash) && bit(hash.checked_shr(self.shift).unwrap_or(0))
    }

    fn bucket(&self, hash: u32) -> Option<u32> {
        let count = u32::try_from(self.buckets.len() / 4).ok()?;
        let index = half(self.buckets, usize::try_from(hash.checked_rem(count)?).ok()?)?;
        (index >= self.base && index != 0).then_some(index)
    }
}

/// Longer names are no functions one would look for; without a limit a table without an end would be read over and over.
const MAX_NAME: usize = 8192;

fn text(strings: &[u8], offset: usize) -> Option<&[u8]> {
    let rest = strings.get(offset..)?;
    let end = rest.iter().take(MAX_NAME).position(|byte| *byte == 0)?;
    Some(&rest[..end])
}
