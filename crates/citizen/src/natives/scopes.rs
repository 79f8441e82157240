//! What scripts tell a profiler.

use tickscope_core::Recorder;

use super::Definer;
use crate::host::{Calls, nothing, one};

pub(super) fn install<R: Recorder + 'static>(define: &Definer<'_, R>) -> mlua::Result<()> {
    define.global("ProfilerEnterScope", Calls::Silent, |host, resource, _, args| {
        host.probe.enter_scope(resource, &args.text_or(0, "")?, &[]);
        nothing()
    })?;
    define.global("ProfilerExitScope", Calls::Silent, |host, _, _, _| {
        host.probe.exit_scope();
        nothing()
    })?;
    define.global("ProfilerIsRecording", Calls::Silent, |host, _, lua, _| one(lua, host.probe.is_recording()))
}
