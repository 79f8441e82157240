//! One post, from text.
//!
//! Lines of words; the first four are the head, the last is `over`. Numbers are decimal and below 2⁶³, times are nanoseconds of
//! the server's clock. Bytes of names that are no plain ASCII, and `%`, are written as `%` and two hexadecimal digits; in names
//! of resources the space is one of them.

use std::str::{FromStr, SplitAsciiWhitespace};

use tickscope_core::escape;

use crate::MAX_POST;

/// The version of the format that is read.
pub const VERSION: u64 = 1;
/// Characters of a name.
const MAX_NAME: usize = 2_048;
/// Ticks in one post.
const MAX_TICKS: usize = 4_096;
/// Of a tick, and of the time that a flight covers: ten minutes.
const MAX_NS: u64 = 600_000_000_000;

/// Why bytes are no post.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PostError {
    /// Longer than [`MAX_POST`].
    #[error("the post has {bytes} bytes, and {MAX_POST} are taken")]
    TooLarge {
        /// How many there are.
        bytes: usize,
    },
    /// Another version.
    #[error(
        "the post is of version {found}, and this collector reads {VERSION}; install the resource that came with it"
    )]
    Version {
        /// What the first line says.
        found: u64,
    },
    /// A line that cannot be read.
    #[error("line {line}: {problem}; expected {expected}")]
    Malformed {
        /// From 1.
        line: usize,
        /// What is there.
        problem: String,
        /// What should be.
        expected: &'static str,
    },
    /// Its run was followed by another.
    #[error(
        "the run {run} of the server is over: another one posts here; give each server a collector of its own"
    )]
    Superseded {
        /// What calls itself so.
        run: String,
    },
}

/// What one post holds.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Post {
    /// Names the run of the resource: its numbers and its clock hold within it.
    pub run: String,
    /// Counts the posts of the run, from 1.
    pub number: u64,
    /// The server's clock when the post was made.
    pub now_ns: u64,
    /// Seconds since 1970 then.
    pub unix_s: u64,
    /// A tick that takes longer is late.
    pub late_ms: u64,
    /// Ticks that follow on those of the post before.
    pub ticks: Option<Ticks>,
    /// What the run did not send so far.
    pub lost: Lost,
    /// Bytes of Lua's heap, by resource.
    pub heaps: Vec<(String, u64)>,
    /// From when to when the totals count.
    pub period: (u64, u64),
    /// What each symbol took.
    pub totals: Vec<Total>,
    /// Slices around a late tick, or on demand.
    pub flight: Option<Part>,
}

/// Ticks one after the other.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ticks {
    /// The number of the first.
    pub first: u64,
    /// When it began.
    pub begin_ns: u64,
    /// How long each took until the next one began.
    pub took_ns: Vec<u64>,
}

/// What a run did not send so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lost {
    /// Posts that were given up.
    pub posts: u64,
    /// Late ticks whose slices were not sent.
    pub flights: u64,
}

/// What a symbol took in a period, with what ran within it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Total {
    /// How often.
    pub calls: u64,
    /// How long.
    pub took_ns: u64,
    /// The longest.
    pub longest_ns: u64,
    /// Of which resource.
    pub resource: String,
    /// As the probe names it.
    pub name: String,
}

/// A part of a flight: what ran between two moments.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Part {
    /// From when.
    pub from_ns: u64,
    /// Until when.
    pub to_ns: u64,
    /// By resource; one may come several times.
    pub pieces: Vec<Piece>,
    /// It was the last.
    pub over: bool,
}

/// Slices of one resource.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Piece {
    /// Which.
    pub resource: String,
    /// Slices that were overwritten before the first.
    pub overwritten: u64,
    /// Numbers of symbols, and how the probe names them.
    pub names: Vec<(u16, String)>,
    /// In the order in which they ended.
    pub slices: Vec<Slice>,
}

/// From where the server starts or resumes a piece of script until that waits or returns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Slice {
    /// When it began.
    pub start_ns: u64,
    /// How long it took.
    pub took_ns: u64,
    /// Its symbol's number in the resource.
    pub symbol: u16,
    /// What goes on after a wait has the same.
    pub life: u64,
    /// The life that made it; 0: none of this resource.
    pub cause: u64,
}

/// Reads lines and knows where.
struct Lines<'a> {
    rest: &'a str,
    number: usize,
}

impl<'a> Lines<'a> {
    fn next(&mut self, expected: &'static str) -> Result<Words<'a>, PostError> {
        self.number += 1;
        let Some((line, rest)) = self.rest.split_once('\n') else {
            let problem = if self.rest.is_empty() { "the post ends" } else { "the post ends in a line" };
            return Err(self.wrong(problem, expected));
        };
        self.rest = rest;
        Ok(Words { all: line, words: line.split_ascii_whitespace(), line: self.number, expected })
    }

    /// The line that begins with `key`.
    fn keyed(&mut self, key: &str, expected: &'static str) -> Result<Words<'a>, PostError> {
        let mut words = self.next(expected)?;
        match words.word()? {
            word if word == key => Ok(words),
            word => Err(words.wrong(format!("{:?}", shortened(word)))),
        }
    }

    fn wrong(&self, problem: impl Into<String>, expected: &'static str) -> PostError {
        PostError::Malformed { line: self.number, problem: problem.into(), expected }
    }
}

/// The words of a line.
struct Words<'a> {
    all: &'a str,
    words: SplitAsciiWhitespace<'a>,
    line: usize,
    expected: &'static str,
}

impl<'a> Words<'a> {
    fn wrong(&self, problem: impl Into<String>) -> PostError {
        PostError::Malformed { line: self.line, problem: problem.into(), expected: self.expected }
    }

    fn word(&mut self) -> Result<&'a str, PostError> {
        self.words.next().ok_or_else(|| self.wrong("the line ends"))
    }

    fn parsed<T: FromStr>(&self, word: &str) -> Result<T, PostError> {
        let digits = word.bytes().all(|byte| byte.is_ascii_digit());
        let number = if digits { word.parse().ok() } else { None };
        number.ok_or_else(|| self.wrong(format!("{:?}", shortened(word))))
    }

    fn number(&mut self) -> Result<u64, PostError> {
        let word = self.word()?;
        self.within(word, i64::MAX as u64)
    }

    fn within(&self, word: &str, most: u64) -> Result<u64, PostError> {
        match self.parsed(word)? {
            number if number <= most => Ok(number),
            number => Err(self.wrong(format!("{number}, above {most}"))),
        }
    }

    /// What is left of the line after `words` words: a name.
    fn name(&self, words: usize) -> Result<String, PostError> {
        let mut rest = self.all;
        for _ in 0..words {
            rest = rest.split_once(' ').map_or("", |(_, rest)| rest);
        }
        self.unwritten(rest)
    }

    fn resource(&mut self) -> Result<String, PostError> {
        let word = self.word()?;
        self.unwritten(word)
    }

    fn unwritten(&self, text: &str) -> Result<String, PostError> {
        if text.is_empty() || text.len() > MAX_NAME {
            return Err(self.wrong(format!("a name of {} characters", text.len())));
        }
        let mut bytes = Vec::with_capacity(text.len());
        let mut rest = text.as_bytes();
        while let Some((&byte, after)) = rest.split_first() {
            rest = after;
            if byte != b'%' {
                bytes.push(byte);
                continue;
            }
            let code = rest.get(..2).and_then(|code| std::str::from_utf8(code).ok());
            let code = code.filter(|code| code.bytes().all(|digit| digit.is_ascii_hexdigit()));
            let Some(byte) = code.and_then(|code| u8::from_str_radix(code, 16).ok()) else {
                return Err(self.wrong(format!("{:?}", shortened(text))));
            };
            bytes.push(byte);
            rest = &rest[2..];
        }
        Ok(escape(&bytes).into_owned())
    }

    fn end(&mut self) -> Result<(), PostError> {
        match self.words.next() {
            None => Ok(()),
            Some(word) => Err(self.wrong(format!("{:?} behind it", shortened(word)))),
        }
    }
}

fn shortened(word: &str) -> &str {
    let end = (0..=word.len().min(40)).rev().find(|end| word.is_char_boundary(*end)).unwrap_or(0);
    &word[..end]
}

impl Post {
    /// Reads a post.
    ///
    /// # Errors
    /// When it is none, or not a whole one; nothing of it is to be used then.
    pub fn read(bytes: &[u8]) -> Result<Self, PostError> {
        if bytes.len() > MAX_POST {
            return Err(PostError::TooLarge { bytes: bytes.len() });
        }
        let text = std::str::from_utf8(bytes).map_err(|error| PostError::Malformed {
            line: 1 + bytes[..error.valid_up_to()].iter().filter(|byte| **byte == b'\n').count(),
            problem: "bytes that are no text".into(),
            expected: "ASCII",
        })?;
        let mut lines = Lines { rest: text, number: 0 };
        let mut post = Self::head(&mut lines)?;
        loop {
            let mut words = lines.next("`over` at the end of the post")?;
            match words.word()? {
                "over" => break words.end()?,
                "ticks" => post.read_ticks(&mut words)?,
                "lost" => {
                    words.expected = "`lost POSTS FLIGHTS`";
                    post.lost = Lost { posts: words.number()?, flights: words.number()? };
                    words.end()?;
                }
                "heap" => {
                    words.expected = "`heap BYTES RESOURCE`";
                    let bytes = words.number()?;
                    post.heaps.push((words.resource()?, bytes));
                    words.end()?;
                }
                "period" => {
                    words.expected = "`period FROM TO`";
                    post.period = (words.number()?, words.number()?);
                    words.end()?;
                }
                "total" => {
                    words.expected = "`total CALLS NS LONGEST RESOURCE NAME`";
                    let (calls, took_ns, longest_ns) = (words.number()?, words.number()?, words.number()?);
                    let (resource, name) = (words.resource()?, words.name(5)?);
                    post.totals.push(Total { calls, took_ns, longest_ns, resource, name });
                }
                "flight" if post.flight.is_none() => {
                    words.expected = "`flight FROM TO` of ten minutes at most";
                    let (from_ns, to_ns) = (words.number()?, words.number()?);
                    if to_ns.checked_sub(from_ns).is_none_or(|length| length > MAX_NS) {
                        return Err(words.wrong(format!("{from_ns} to {to_ns}")));
                    }
                    words.end()?;
                    post.flight = Some(Part { from_ns, to_ns, ..Part::default() });
                }
                word => match &mut post.flight {
                    Some(part) if !part.over => part.read(word, &mut words, &mut lines)?,
                    _ => return Err(words.wrong(format!("{:?}", shortened(word)))),
                },
            }
        }
        if !lines.rest.is_empty() {
            lines.number += 1;
            return Err(lines.wrong("more behind `over`", "the end of the post"));
        }
        Ok(post)
    }

    fn head(lines: &mut Lines<'_>) -> Result<Self, PostError> {
        let mut post = Self::default();
        let mut words = lines.next("`tickscope 1`")?;
        if words.word()? != "tickscope" {
            return Err(words.wrong("something else"));
        }
        match words.number()? {
            VERSION => words.end()?,
            found => return Err(PostError::Version { found }),
        }
        let mut words = lines.keyed("from", "`from RUN NUMBER`")?;
        let run = words.word()?;
        if run.len() > 32 || !run.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(words.wrong(format!("{:?}", shortened(run))));
        }
        (post.run, post.number) = (run.to_owned(), words.number()?);
        words.end()?;
        let mut words = lines.keyed("clock", "`clock NOW SECONDS`")?;
        (post.now_ns, post.unix_s) = (words.number()?, words.number()?);
        words.end()?;
        let mut words = lines.keyed("late", "`late MILLISECONDS`")?;
        let word = words.word()?;
        post.late_ms = words.within(word, MAX_NS / 1_000_000)?;
        words.end()?;
        Ok(post)
    }

    fn read_ticks(&mut self, words: &mut Words<'_>) -> Result<(), PostError> {
        words.expected = "`ticks FIRST BEGIN NS …`, once, 4,096 ticks of ten minutes at most";
        let (first, begin_ns) = (words.number()?, words.number()?);
        let mut took_ns = Vec::new();
        while let Some(word) = words.words.next() {
            if took_ns.len() >= MAX_TICKS {
                return Err(words.wrong("more ticks"));
            }
            took_ns.push(words.within(word, MAX_NS)?);
        }
        if self.ticks.is_some() {
            return Err(words.wrong("ticks again"));
        }
        self.ticks = Some(Ticks { first, begin_ns, took_ns });
        Ok(())
    }
}

impl Part {
    fn read(&mut self, word: &str, words: &mut Words<'_>, lines: &mut Lines<'_>) -> Result<(), PostError> {
        match word {
            "of" => {
                words.expected = "`of RESOURCE OVERWRITTEN`";
                let resource = words.resource()?;
                let overwritten = words.number()?;
                self.pieces.push(Piece { resource, overwritten, ..Piece::default() });
                words.end()
            }
            "name" => {
                words.expected = "`name NUMBER NAME` below `of`, the number below 65,536";
                let number = words.word()?;
                let number = words.parsed(number)?;
                let name = words.name(2)?;
                let Some(piece) = self.pieces.last_mut() else { return Err(words.wrong("no `of`")) };
                piece.names.push((number, name));
                Ok(())
            }
            "slices" => {
                words.end()?;
                let Some(piece) = self.pieces.last_mut() else { return Err(words.wrong("no `of`")) };
                piece.read_slices(lines)
            }
            "landed" => {
                self.over = true;
                words.end()
            }
            word => Err(words.wrong(format!("{:?}", shortened(word)))),
        }
    }
}

impl Piece {
    /// Four lines: when each began, how long it took, its life and symbol, what caused it.
    fn read_slices(&mut self, lines: &mut Lines<'_>) -> Result<(), PostError> {
        const EXPECTED: &str = "four lines of equally many numbers";
        let from = self.slices.len();
        let mut starts = lines.next(EXPECTED)?;
        while let Some(word) = starts.words.next() {
            let start_ns = starts.within(word, i64::MAX as u64)?;
            self.slices.push(Slice { start_ns, ..Slice::default() });
        }
        let columns: [fn(&mut Slice, u64); 3] = [
            |slice, took_ns| slice.took_ns = took_ns,
            |slice, life| (slice.life, slice.symbol) = (life >> 16, life as u16),
            |slice, cause| slice.cause = cause,
        ];
        for put in columns {
            let mut words = lines.next(EXPECTED)?;
            for slice in self.slices.iter_mut().skip(from) {
                put(slice, words.number()?);
            }
            words.end()?;
        }
        Ok(())
    }
}
