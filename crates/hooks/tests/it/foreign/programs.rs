//! Random programs in each version: the same output with and without us, and the stacks that the program finds itself.

use proptest::prelude::*;
use tickscope_core::Depth;
use tickscope_hooks::lua::Version;

use super::{Foreign, Raw, Setting, VERSIONS, plain, raw};
use crate::programs::{entries, program};

/// Before every program: what versions lack, and what notes the stack. A tail call that 5.1 tells
/// of is no function.
const PREFACE: &str = "LOG = {}
if not coroutine.isyieldable then
    local running = coroutine.running
    coroutine.isyieldable = function() local co, main = running() return co and not main end
end
function ENTER()
    local stack, level = {}, 2
    while true do
        local info = debug.getinfo(level, 'S')
        if not info then break end
        if info.what ~= 'C' and info.what ~= 'tail' then stack[#stack + 1] = info.linedefined end
        level = level + 1
    end
    LOG[#LOG + 1] = table.concat(stack, ' ')
end ";

fn check(raw: Raw, choices: &[u8]) {
    let source = program(choices, raw.api.version != Version::Lua54);
    let chunks = [(c"=preface", PREFACE), (c"=test", &*source), (c"=log", "return table.concat(LOG, '\\n')")];
    let log = plain(raw, &[], &chunks).unwrap();
    let expected: Vec<&str> = log.lines().collect();
    let without = source.replace("ENTER()", "");
    let result = plain(raw, &[], &[(c"=preface", PREFACE), (c"=test", &without)]);
    for (direct, resumes) in [(true, true), (false, true), (true, false)] {
        let mut lab = Foreign::new(raw, Setting { direct, resumes, ..Depth::Trace.into() });
        lab.run_as(c"=preface", PREFACE).unwrap();
        assert_eq!(lab.run(&without), result, "{}\n{without}", raw.api.version);
        assert_eq!(lab.recorder.resumed(), 0, "{without}");
        let found = entries(&lab.recorder);
        let innermost = |entry: &str| entry.split(' ').next().unwrap_or("").to_owned();
        for (index, (found, wanted)) in found.iter().zip(&expected).enumerate() {
            if raw.api.version == Version::Lua51 {
                // Its tail calls nest in their callers.
                assert_eq!(innermost(found), innermost(wanted), "entry {index} of\n{without}");
            } else {
                assert_eq!(found, wanted, "{}: entry {index} of\n{without}", raw.api.version);
            }
        }
        assert_eq!(found.len(), expected.len(), "{}\n{without}", raw.api.version);
        lab.close();
        assert_eq!(lab.recorder.open(), 0, "{without}");
    }
    for depth in [Depth::Boundary, Depth::Sample] {
        let mut lab = Foreign::new(raw, depth);
        lab.run_as(c"=preface", PREFACE).unwrap();
        assert_eq!(lab.run(&without), result, "{without}");
        lab.close();
        assert_eq!((lab.recorder.open(), lab.recorder.resumed()), (0, 0));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn programs_do_the_same_and_stacks_are_those_they_see(
        choices in proptest::collection::vec(any::<u8>(), 0..160)
    ) {
        for raw in VERSIONS.into_iter().filter_map(raw) {
            check(raw, &choices);
        }
    }
}
