//! Random programs: at each entry of a Lua function the recorded stack is the one that the same program finds with
//! `debug.getinfo`, by calls written into its source and without a tracer.

use std::collections::HashMap;
use std::fmt::Write;

use mlua::Lua;
use proptest::prelude::*;
use tickscope_core::{CategoryId, Depth, Runtime, TrackId};

use tickscope_hooks::lua::TracerOptions;

use crate::lab::Lab;
use crate::memory::{Memory, Record};

/// The program that `choices` stand for, in the Lua of a version before 5.4 where `old`.
pub(crate) fn program(choices: &[u8], old: bool) -> String {
    let text = Writer { choices: choices.iter(), out: String::new(), functions: 5 }.program();
    if !old {
        return text;
    }
    text.replace("local c <close> =", "local c =").replace("coroutine.close(co)", "pcall(1)")
}

/// Turns a stream of bytes into a program. Each function starts on a line of its own; `enter` is what it does first.
struct Writer<'a> {
    choices: std::slice::Iter<'a, u8>,
    out: String,
    functions: u8,
}

impl Writer<'_> {
    fn choose(&mut self, below: u8) -> u8 {
        self.choices.next().copied().unwrap_or(0) % below
    }

    fn function(&mut self) -> String {
        format!("f[{}]", self.choose(self.functions) + 1)
    }

    fn program(mut self) -> String {
        self.out += "local f, fuel = {}, 40 local obj = {} ENTER()\n";
        for index in 1..=self.functions {
            writeln!(
                self.out,
                "f[{index}] = function(...)\n ENTER() fuel = fuel - 1 if fuel < 0 then return 0 end"
            )
            .unwrap();
            let statements = self.choose(5) + 1;
            for _ in 0..statements {
                self.statement(0);
            }
            self.ending();
            self.out += "end\n";
        }
        self.out += "function obj:method(...)\n ENTER() return f[1](...) end\n";
        for _ in 0..3 {
            fuel(&mut self.out);
            let target = self.function();
            match self.choose(3) {
                0 => writeln!(self.out, "pcall({target}, 1)").unwrap(),
                1 => writeln!(self.out, "pcall(function(...)\n ENTER() {target}() end)").unwrap(),
                _ => {
                    self.out += "pcall(function(...)\n ENTER()\n";
                    self.coroutine(&target);
                    self.out += "end)\n";
                }
            }
        }
        self.out += "return 'done'";
        self.out
    }

    fn statement(&mut self, nested: u8) {
        let target = self.function();
        match self.choose(if nested > 1 { 8 } else { 17 }) {
            0 | 1 => writeln!(self.out, "local v = {target}(...)").unwrap(),
            2 => writeln!(self.out, "pcall({target}, fuel, nil)").unwrap(),
            3 => self.out += "if fuel % 3 == 0 then error('text') end\n",
            4 => self.out += "if fuel % 4 == 1 then error({}) end\n",
            5 => self.out += "if coroutine.isyieldable() then coroutine.yield(fuel, nil) end\n",
            6 => self.out += "local n = select('#', ...) local s = ('x'):rep(n)\n",
            7 => self.out += "collectgarbage('step') setmetatable({}, { __gc = function() return 1 end })\n",
            8 => self.coroutine(&target),
            9 => {
                self.out += "local c <close> = setmetatable({}, { __close = function(_, e, ...)\n ENTER()\n";
                self.statement(nested + 1);
                self.out += "end })\n";
            }
            10 => {
                self.out += "string.gsub('ab', '.', function(c, ...)\n ENTER()\n";
                self.statement(nested + 1);
                self.out += "return c end)\n";
            }
            11 => {
                self.out += "table.sort({ 3, 1, 2 }, function(a, b, ...)\n ENTER()\n";
                self.statement(nested + 1);
                self.out += "return a < b end)\n";
            }
            12 => {
                // A handler that raises is called again until C's stack is full: where that is, depends on the
                // reference's own calls.
                writeln!(
                    self.out,
                    "xpcall({target}, function(e, ...)\n ENTER() pcall({target}) return e end)"
                )
                .unwrap();
            }
            13 => self.out += "obj:method(1, nil)\n",
            14 => {
                self.out += "pcall(function(...)\n ENTER()\n";
                self.statement(nested + 1);
                self.statement(nested + 1);
                self.out += "end)\n";
            }
            15 => {
                self.out += "local t = setmetatable({}, { __index = function(_, k, ...)\n ENTER()\n";
                self.statement(nested + 1);
                self.out += "return k end }) local v = t.x\n";
            }
            _ => {
                writeln!(
                    self.out,
                    "for x in (function(...)\n ENTER() return {target}(...) end) do break end"
                )
                .unwrap();
            }
        }
    }

    fn coroutine(&mut self, target: &str) {
        let times = self.choose(4) + 1;
        match self.choose(4) {
            0 => writeln!(
                self.out,
                "do local co = coroutine.create({target}) for i = 1, {times} do coroutine.resume(co, i) end end"
            ),
            1 => writeln!(
                self.out,
                "do local w = coroutine.wrap({target}) for i = 1, {times} do pcall(w, i) end end"
            ),
            2 => writeln!(
                self.out,
                "do local co = coroutine.create({target}) coroutine.resume(co) coroutine.close(co) coroutine.resume(co) end"
            ),
            // The coroutine's error, if any, goes through.
            _ => writeln!(self.out, "coroutine.wrap({target})()"),
        }
        .unwrap();
    }

    fn ending(&mut self) {
        let target = self.function();
        match self.choose(4) {
            0 | 1 => writeln!(self.out, "return {target}(...)").unwrap(),
            2 => self.out += "return ...\n",
            _ => {}
        }
    }
}

/// So little that the calls of the reference stay below the limit of nested C calls.
fn fuel(out: &mut String) {
    out.push_str("fuel = 40 ");
}

/// The program, and the stack at each entry as the program itself sees it.
fn reference(source: &str) -> (String, Vec<String>) {
    // SAFETY: all libraries are wanted; the program is our own.
    let lua = unsafe { Lua::unsafe_new() };
    let preface = "LOG = {}
        function ENTER()
            local stack, level = {}, 2
            while true do
                local info = debug.getinfo(level, 'S')
                if not info then break end
                if info.what ~= 'C' then stack[#stack + 1] = info.linedefined end
                level = level + 1
            end
            LOG[#LOG + 1] = table.concat(stack, ' ')
        end";
    lua.load(preface).exec().unwrap();
    let result: Result<String, mlua::Error> = lua.load(source).set_name("=test").call(());
    let result = match result {
        Ok(text) => text,
        Err(error) => panic!("the generated program failed: {error}\n{source}"),
    };
    (result, lua.globals().get("LOG").unwrap())
}

/// The stack at each entry as it was recorded.
fn recorded(lab: &Lab) -> Vec<String> {
    entries(&lab.recorder)
}

pub(crate) fn entries(recorder: &Memory) -> Vec<String> {
    let mut stacks: HashMap<TrackId, Vec<Option<u32>>> = HashMap::new();
    let mut entries = Vec::new();
    for record in recorder.records() {
        match record {
            Record::Enter { track, symbol, category } => {
                let symbol = recorder.symbol(symbol);
                let stack = stacks.entry(track).or_default();
                let is_lua = symbol.runtime == Runtime::Lua
                    && category == CategoryId::FUNCTION
                    && &*symbol.file == "test";
                stack.push(is_lua.then_some(symbol.line));
                if is_lua {
                    let lines: Vec<String> = stack.iter().rev().flatten().map(u32::to_string).collect();
                    entries.push(lines.join(" "));
                }
            }
            Record::Exit { track, .. } => {
                stacks.get_mut(&track).unwrap().pop();
            }
            _ => {}
        }
    }
    entries
}

fn check(choices: &[u8]) {
    let source = program(choices, false);
    let (expected_result, expected) = reference(&source);
    let plain = source.replace("ENTER()", "");
    for round in 0..3 {
        let options = TracerOptions { depth: Depth::Trace, direct: round != 2, ..TracerOptions::default() };
        let lab = Lab::with(options, None);
        if round == 1 {
            // With a hook of the program's own, calls take the other way through the tracer.
            lab.run("debug.sethook(function() end, 'crl', 7)").unwrap();
        }
        let skip = recorded(&lab).len();
        let result = lab.run(&plain);
        assert_eq!(result.as_deref(), Ok(&*expected_result), "{plain}");
        assert_eq!(lab.recorder.resumed(), 0, "{plain}");
        let entries = recorded(&lab);
        for (index, (found, wanted)) in entries[skip..].iter().zip(&expected).enumerate() {
            assert_eq!(found, wanted, "entry {index} of\n{plain}");
        }
        assert_eq!(entries.len() - skip, expected.len(), "{plain}");
    }
    // Whatever the depth, a program does the same.
    for depth in [Depth::Boundary, Depth::Sample] {
        let lab = Lab::new(depth);
        assert_eq!(lab.run(&plain).as_deref(), Ok(&*expected_result));
        assert_eq!((lab.recorder.open(), lab.recorder.resumed()), (0, 0));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn stacks_are_those_the_program_sees(choices in proptest::collection::vec(any::<u8>(), 0..160)) {
        check(&choices);
    }
}
