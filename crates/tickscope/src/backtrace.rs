//! The stack of the caller, bounded in depth and time, without our own frames.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex};
use std::time::{Duration, Instant};

use crate::recording::lock;

/// Frames beyond this depth are left out, the outermost first.
const MAX_FRAMES: usize = 64;
/// Return addresses whose names are remembered.
const MAX_KNOWN: usize = 1 << 14;
/// No more addresses are looked up after this; they stay numbers. The first look-up of a process reads its debug
/// information and may take longer by itself.
const BUDGET: Duration = Duration::from_millis(50);

/// One function of a stack.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Frame {
    pub(crate) function: String,
    pub(crate) file: String,
    pub(crate) line: u32,
}

/// The functions at one address: one, and those the compiler put into it.
type Frames = Arc<[Frame]>;

static KNOWN: LazyLock<Mutex<HashMap<usize, Frames>>> = LazyLock::new(Mutex::default);

/// The caller's stack, innermost function first.
pub(crate) fn capture() -> Vec<Frame> {
    let mut addresses = Vec::with_capacity(MAX_FRAMES);
    // Ours are on top and do not count.
    let most = MAX_FRAMES + 16;
    ::backtrace::trace(|frame| {
        addresses.push(frame.ip() as usize);
        addresses.len() < most
    });
    let start = Instant::now();
    let mut frames: Vec<Frame> = Vec::new();
    for address in addresses {
        for frame in look_up(address, start).iter() {
            if is_runtime(&frame.function) {
                return frames;
            }
            // Whatever is above the last of our own frames is ours too.
            if is_ours(frame) {
                frames.clear();
            } else if frames.len() < MAX_FRAMES {
                frames.push(Frame { file: shortened(&frame.file).to_owned(), ..frame.clone() });
            }
        }
    }
    frames
}

fn look_up(address: usize, start: Instant) -> Frames {
    if let Some(known) = lock(&KNOWN).get(&address) {
        return known.clone();
    }
    if start.elapsed() > BUDGET {
        return Arc::new([unknown(address)]);
    }
    let mut found = Vec::new();
    // A return address is behind its call.
    ::backtrace::resolve(address.saturating_sub(1) as *mut _, |symbol| {
        let function = symbol.name().map_or_else(|| unknown(address).function, |name| format!("{name:#}"));
        let file = symbol.filename().map_or(String::new(), |file| file.to_string_lossy().into_owned());
        found.push(Frame { function, file, line: symbol.lineno().unwrap_or(0) });
    });
    if found.is_empty() {
        found.push(unknown(address));
    }
    let found: Frames = found.into();
    let mut known = lock(&KNOWN);
    if known.len() < MAX_KNOWN {
        known.insert(address, found.clone());
    }
    found
}

fn unknown(address: usize) -> Frame {
    Frame { function: format!("{address:#x}"), file: String::new(), line: 0 }
}

/// Paths of other machines and home directories tell nothing: from the package on.
fn shortened(path: &str) -> &str {
    match path.rfind("/src/") {
        Some(at) => &path[path[..at].rfind('/').map_or(0, |slash| slash + 1)..],
        None => path,
    }
}

/// By its file: names of inlined functions come without their module.
fn is_ours(frame: &Frame) -> bool {
    const DIRECTORY: &str = file!().split_at(file!().len() - "backtrace.rs".len()).0;
    const FILES: [&str; 3] = ["backtrace.rs", "callsite.rs", "moment.rs"];
    let inside = frame.file.rfind(DIRECTORY).map(|at| &frame.file[at + DIRECTORY.len()..]);
    inside.is_some_and(|file| FILES.contains(&file))
}

fn is_runtime(function: &str) -> bool {
    function.contains("__rust_begin_short_backtrace")
        || function == "_start"
        || function == "__libc_start_main"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[inline(never)]
    fn below(depth: usize) -> Vec<Frame> {
        let frames = if depth == 0 { capture() } else { below(depth - 1) };
        std::hint::black_box(frames)
    }

    #[test]
    fn deep_recursion_is_cut_and_our_frames_are_left_out() {
        // These tests lie in a file that is left out: what remains are the frames around them.
        let mut known: Vec<Frame> = Vec::new();
        // On a busy machine the time for looking up is over early; what it was enough for is remembered.
        for _ in 0..100 {
            let frames = below(500);
            assert!(frames.len() <= MAX_FRAMES);
            assert!(!frames.iter().any(|frame| frame.function.contains("below")));
            known = lock(&KNOWN).values().flat_map(|frames| frames.iter().cloned()).collect();
            if known.iter().any(|frame| frame.function.ends_with("below")) {
                return;
            }
        }
        panic!("the test's own function got no name: {known:?}");
    }

    #[test]
    fn paths_begin_at_their_package() {
        assert_eq!(shortened("/build/of/mine/city/src/main.rs"), "city/src/main.rs");
        assert_eq!(shortened("main.rs"), "main.rs");
    }
}
