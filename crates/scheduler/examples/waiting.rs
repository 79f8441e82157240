//! What tasks that wait cost in memory: 10,000 fibers, then 100,000 futures.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use tickscope_scheduler::{Handle, Pool, TaskError, fiber};

/// Something that all of them wait for.
#[derive(Clone, Default)]
struct Bell(Arc<Mutex<(bool, Vec<Waker>)>>);

impl Bell {
    fn waiting(&self) -> usize {
        self.0.lock().map_or(0, |state| state.1.len())
    }

    fn ring(&self) {
        let wakers = self.0.lock().map(|mut state| {
            state.0 = true;
            std::mem::take(&mut state.1)
        });
        wakers.into_iter().flatten().for_each(Waker::wake);
    }
}

impl Future for Bell {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if let Ok(mut state) = self.0.lock() {
            if state.0 {
                return Poll::Ready(());
            }
            state.1.push(context.waker().clone());
        }
        Poll::Pending
    }
}

/// Resident memory of this process, in bytes.
fn resident() -> Result<u64, Box<dyn std::error::Error>> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("no VmRSS")?;
    Ok(line.trim().trim_end_matches(" kB").trim().parse::<u64>()? * 1024)
}

fn measure(
    what: &str,
    count: usize,
    spawn: impl Fn(Bell) -> Handle<()>,
) -> Result<(), Box<dyn std::error::Error>> {
    let bell = Bell::default();
    let before = resident()?;
    let handles: Vec<_> = (0..count).map(|_| spawn(bell.clone())).collect();
    while bell.waiting() < count {
        std::thread::yield_now();
    }
    let each = resident()?.saturating_sub(before) / count as u64;
    println!("{count} {what} that wait: {each} bytes each, their handles and wakers included");
    bell.ring();
    handles.into_iter().try_for_each(Handle::join).map_err(|error: TaskError| error.into())
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let pool = Pool::builder().workers(2).build()?;
    pool.spawn(|| ()).join()?;
    measure("fibers", 10_000, |bell| pool.spawn_fiber(|| fiber::block_on(bell)))?;
    measure("futures", 100_000, |bell| pool.spawn_future(bell))
}
