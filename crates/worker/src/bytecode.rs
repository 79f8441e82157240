//! What a function asks of its environment, read from its dump.
//!
//! Lua keeps a function's use of globals nowhere but in its code: `f(x)` is an access to the upvalue `_ENV` with the constant
//! `"f"`. The layout is that of `ldump.c` and `lopcodes.h` of Lua 5.4. Dumps come from the Lua of this process; what does not
//! read as one is an error, never a panic.

/// Globals that a function and those within it name, each with a line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Uses {
    pub(crate) reads: Vec<(Box<[u8]>, u32)>,
    pub(crate) writes: Vec<(Box<[u8]>, u32)>,
    /// Where the environment is used as a value: any global may be read or written through it.
    pub(crate) whole: Option<u32>,
}

/// The dump is not what Lua 5.4 writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Unreadable;

/// What the function of a dump asks of its upvalue `environment`, counted from 0.
pub(crate) fn uses(dump: &[u8], environment: u8) -> Result<Uses, Unreadable> {
    let mut reader = Reader { rest: dump };
    reader.take(HEADER)?;
    reader.byte()?; // how many upvalues
    let function = reader.function(0)?;
    let mut uses = Uses::default();
    function.look_for(environment, &mut uses);
    Ok(uses)
}

/// Signature, version, format, data, three sizes, an integer and a number.
const HEADER: usize = 4 + 1 + 1 + 6 + 3 + 8 + 8;
/// Functions within functions: as deep as C calls in Lua go.
const DEEPEST: u32 = 200;

const GETUPVAL: u32 = 9;
const GETTABUP: u32 = 11;
const GETTABLE: u32 = 12;
const SETTABUP: u32 = 15;
const SETTABLE: u32 = 16;
const LOADK: u32 = 3;

struct Function<'d> {
    code: &'d [u8],
    /// Strings; `None` for other constants.
    constants: Vec<Option<&'d [u8]>>,
    upvalues: Vec<Upvalue>,
    functions: Vec<Self>,
    first_line: u32,
    lines: &'d [u8],
    absolute: Vec<(u32, u32)>,
}

struct Upvalue {
    in_stack: bool,
    index: u8,
}

/// An instruction's fields, as `lopcodes.h` lays them out.
#[derive(Clone, Copy)]
struct Instruction(u32);

impl Instruction {
    fn code(self) -> u32 {
        self.0 & 0x7f
    }
    fn a(self) -> u32 {
        self.0 >> 7 & 0xff
    }
    fn b(self) -> u32 {
        self.0 >> 16 & 0xff
    }
    fn c(self) -> u32 {
        self.0 >> 24
    }
    fn bx(self) -> u32 {
        self.0 >> 15
    }
}

impl Function<'_> {
    fn look_for(&self, environment: u8, uses: &mut Uses) {
        let of = u32::from(environment);
        let lines = self.line_numbers();
        let code: Vec<Instruction> = self
            .code
            .chunks_exact(4)
            .map(|word| Instruction(u32::from_le_bytes([word[0], word[1], word[2], word[3]])))
            .collect();
        for (at, here) in code.iter().enumerate() {
            let line = lines.get(at).copied().unwrap_or(self.first_line);
            let constant = |index: u32| self.constants.get(index as usize).copied().flatten();
            match here.code() {
                GETTABUP if here.b() == of => match constant(here.c()) {
                    Some(name) => uses.reads.push((name.into(), line)),
                    None => uses.whole = uses.whole.or(Some(line)),
                },
                SETTABUP if here.a() == of => match constant(here.b()) {
                    Some(name) => uses.writes.push((name.into(), line)),
                    None => uses.whole = uses.whole.or(Some(line)),
                },
                GETUPVAL if here.b() == of => {
                    // A function of many constants, or a long name: the environment and the name are put in registers.
                    let key = code.get(at + 1).filter(|next| next.code() == LOADK);
                    let key = key.and_then(|next| Some((next.a(), constant(next.bx())?)));
                    let reads = |register| {
                        code.get(at + 2).is_some_and(|access| {
                            access.code() == GETTABLE && access.b() == here.a() && access.c() == register
                        })
                    };
                    // What is written is worked out in between.
                    let writes = |register| {
                        code[at..].iter().any(|access| {
                            access.code() == SETTABLE && access.a() == here.a() && access.b() == register
                        })
                    };
                    match key {
                        Some((register, name)) if reads(register) => uses.reads.push((name.into(), line)),
                        Some((register, name)) if writes(register) => uses.writes.push((name.into(), line)),
                        _ => uses.whole = uses.whole.or(Some(line)),
                    }
                }
                _ => {}
            }
        }
        for function in &self.functions {
            for (index, upvalue) in function.upvalues.iter().enumerate() {
                if !upvalue.in_stack && upvalue.index == environment && index <= usize::from(u8::MAX) {
                    function.look_for(index as u8, uses);
                }
            }
        }
    }

    /// Of each instruction: a difference to the one before, or, where that does not fit in a byte, an absolute number.
    fn line_numbers(&self) -> Vec<u32> {
        const ABSOLUTE: u8 = 0x80;
        let mut line = self.first_line;
        let number = |(at, difference): (usize, &u8)| {
            line = match *difference {
                ABSOLUTE => {
                    self.absolute.iter().find(|(pc, _)| *pc as usize == at).map_or(line, |found| found.1)
                }
                difference => line.wrapping_add_signed(i32::from(difference as i8)),
            };
            line
        };
        self.lines.iter().enumerate().map(number).collect()
    }
}

struct Reader<'d> {
    rest: &'d [u8],
}

impl<'d> Reader<'d> {
    fn take(&mut self, bytes: usize) -> Result<&'d [u8], Unreadable> {
        let (taken, rest) = self.rest.split_at_checked(bytes).ok_or(Unreadable)?;
        self.rest = rest;
        Ok(taken)
    }

    fn byte(&mut self) -> Result<u8, Unreadable> {
        Ok(self.take(1)?[0])
    }

    /// Groups of seven bits, the largest first; the last one has the high bit set.
    fn size(&mut self) -> Result<usize, Unreadable> {
        let mut size = 0_usize;
        loop {
            let byte = self.byte()?;
            size = size.checked_mul(128).ok_or(Unreadable)? | usize::from(byte & 0x7f);
            if byte & 0x80 != 0 {
                return Ok(size);
            }
        }
    }

    fn int(&mut self) -> Result<u32, Unreadable> {
        u32::try_from(self.size()?).map_err(|_| Unreadable)
    }

    /// A length of which each element takes at least a byte.
    fn length(&mut self) -> Result<usize, Unreadable> {
        let length = self.size()?;
        if length > self.rest.len() { Err(Unreadable) } else { Ok(length) }
    }

    fn string(&mut self) -> Result<Option<&'d [u8]>, Unreadable> {
        match self.size()? {
            0 => Ok(None),
            size => self.take(size - 1).map(Some),
        }
    }

    fn list<T>(
        &mut self,
        mut read: impl FnMut(&mut Self) -> Result<T, Unreadable>,
    ) -> Result<Vec<T>, Unreadable> {
        let length = self.length()?;
        (0..length).map(|_| read(self)).collect()
    }

    fn function(&mut self, depth: u32) -> Result<Function<'d>, Unreadable> {
        if depth > DEEPEST {
            return Err(Unreadable);
        }
        self.string()?; // its file
        let first_line = self.int()?;
        self.int()?;
        self.take(3)?; // parameters, varargs, stack
        let instructions = self.length()?;
        let code = self.take(instructions.checked_mul(4).ok_or(Unreadable)?)?;
        let constants = self.list(Self::constant)?;
        let upvalues = self.list(|reader| {
            let fields = reader.take(3)?;
            Ok(Upvalue { in_stack: fields[0] != 0, index: fields[1] })
        })?;
        let functions = self.list(|reader| reader.function(depth + 1))?;
        let lines = self.length()?;
        let lines = self.take(lines)?;
        let absolute = self.list(|reader| Ok((reader.int()?, reader.int()?)))?;
        self.list(|reader| {
            reader.string()?; // a local variable
            reader.int()?;
            reader.int()
        })?;
        self.list(Self::string)?; // names of upvalues
        Ok(Function { code, constants, upvalues, functions, first_line, lines, absolute })
    }

    fn constant(&mut self) -> Result<Option<&'d [u8]>, Unreadable> {
        match self.byte()? {
            // nil and the booleans
            0x00 | 0x01 | 0x11 => Ok(None),
            // integers and floats
            0x03 | 0x13 => self.take(8).map(|_| None),
            // short and long strings
            0x04 | 0x14 => self.string(),
            _ => Err(Unreadable),
        }
    }
}

#[cfg(test)]
mod tests {
    use mlua::Lua;
    use proptest::prelude::*;

    use super::*;

    fn dump(source: &str) -> Vec<u8> {
        Lua::new().load(source).into_function().expect("it compiles").dump(false)
    }

    fn names(uses: &[(Box<[u8]>, u32)]) -> Vec<(String, u32)> {
        uses.iter().map(|(name, line)| (String::from_utf8_lossy(name).into_owned(), *line)).collect()
    }

    #[test]
    fn globals_are_found_with_their_lines() {
        let found = uses(
            &dump("local a = print\n\nfunction Set()\n  return function() total = Rate end\nend\nreturn a.field"),
            0,
        )
        .expect("a dump");
        assert_eq!(names(&found.reads), [("print".into(), 1), ("Rate".into(), 4)]);
        assert_eq!(names(&found.writes), [("Set".into(), 3), ("total".into(), 4)]);
        assert_eq!(found.whole, None);
    }

    #[test]
    fn lines_that_are_far_apart_are_found() {
        let source = format!("local a = one{}local b = two\nlocal c = three", "\n".repeat(1_000));
        let found = uses(&dump(&source), 0).expect("a dump");
        assert_eq!(names(&found.reads), [("one".into(), 1), ("two".into(), 1_001), ("three".into(), 1_002)]);
    }

    #[test]
    fn the_environment_as_a_value_is_found() {
        assert_eq!(uses(&dump("local name\nreturn _ENV[name]"), 0).expect("a dump").whole, Some(2));
        let found = uses(&dump("local _ENV = { x = 1 }\nreturn x"), 0).expect("a dump");
        assert_eq!(found, Uses::default());
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(at in any::<prop::sample::Index>(), byte in any::<u8>(), cut in any::<bool>()) {
            let mut code = dump("local t = { f = function(x) return x + y end }\nfunction g() return t.f(print) end");
            let at = at.index(code.len());
            match cut {
                true => code.truncate(at),
                false => code[at] = byte,
            }
            let _ = uses(&code, 0);
        }
    }
}
