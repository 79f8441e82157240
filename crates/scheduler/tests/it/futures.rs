//! Futures on the pool, and handles as futures.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use tickscope_scheduler::{Pool, Stop, TaskError, fiber};

use crate::support::{balanced, line, locked, pool, until};

/// A gate that many futures wait at.
#[derive(Clone, Default)]
pub(crate) struct Bell(Arc<Mutex<(bool, Vec<Waker>)>>);

impl Bell {
    pub(crate) fn ring(&self) {
        let wakers = {
            let mut state = locked(&self.0);
            state.0 = true;
            std::mem::take(&mut state.1)
        };
        wakers.into_iter().for_each(Waker::wake);
    }

    pub(crate) fn waiting(&self) -> usize {
        locked(&self.0).1.len()
    }
}

impl Future for Bell {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let mut state = locked(&self.0);
        if state.0 {
            return Poll::Ready(());
        }
        state.1.push(context.waker().clone());
        Poll::Pending
    }
}

#[test]
fn a_future_awaits_tasks_and_futures() {
    let pool = pool(2);
    let spawner = pool.spawner();
    let sum = pool.spawn_future(async move {
        let one = spawner.spawn(|| 1);
        let two = spawner.spawn_future(async { 2 });
        one.await.unwrap() + two.await.unwrap()
    });
    assert_eq!(sum.join(), Ok(3));
    balanced(pool.stop(Stop::Drain));
}

#[test]
fn a_future_that_panics_is_an_error() {
    let pool = pool(1);
    let result = pool.spawn_future(async { panic!("in a future") }).join();
    assert_eq!(result, Err::<(), _>(TaskError::Panicked { message: "in a future".into() }));
}

#[test]
fn a_future_that_wakes_itself_lets_others_in() {
    struct Again(u32);
    impl Future for Again {
        type Output = u32;
        fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<u32> {
            self.0 += 1;
            context.waker().wake_by_ref();
            if self.0 == 1000 { Poll::Ready(self.0) } else { Poll::Pending }
        }
    }
    let pool = pool(1);
    assert_eq!(pool.spawn_future(Again(0)).join(), Ok(1000));
}

#[test]
fn a_waker_may_outlive_its_task_and_its_pool() {
    let pool = pool(1);
    let kept: Arc<Mutex<Option<Waker>>> = Arc::default();
    let keep = Arc::clone(&kept);
    let handle = pool.spawn_future(std::future::poll_fn(move |context| {
        *locked(&keep) = Some(context.waker().clone());
        Poll::Ready(4)
    }));
    assert_eq!(handle.join(), Ok(4));
    balanced(pool.stop(Stop::Drain));
    let waker = locked(&kept).take().unwrap();
    waker.wake_by_ref();
    waker.wake();
}

#[test]
fn a_handle_is_polled_by_another_executor() {
    let pool = pool(1);
    let handle = pool.spawn(|| 7);
    assert_eq!(fiber::block_on(async { handle.await.unwrap() + 1 }), 8);
}

#[test]
fn a_waker_is_exchanged() {
    let pool = pool(1);
    let bell = Bell::default();
    let waits = bell.clone();
    let mut handle = pool.spawn_future(waits);
    let (told, came) = line();
    let tell = |number| {
        struct Tell(Mutex<std::sync::mpsc::Sender<u8>>, u8);
        impl std::task::Wake for Tell {
            fn wake(self: Arc<Self>) {
                locked(&self.0).send(self.1).unwrap();
            }
        }
        Waker::from(Arc::new(Tell(Mutex::new(told.clone()), number)))
    };
    for number in [1, 1, 2] {
        assert!(Pin::new(&mut handle).poll(&mut Context::from_waker(&tell(number))).is_pending());
    }
    until("the future", || bell.waiting() == 1);
    bell.ring();
    assert_eq!(came.next(), 2, "the last one is told");
    assert_eq!(handle.join(), Ok(()));
}

#[test]
fn a_hundred_thousand_futures_wait_and_go_on() {
    let pool = Pool::builder().workers(2).build().unwrap();
    let bell = Bell::default();
    let handles: Vec<_> = (0..100_000u64)
        .map(|n| {
            let bell = bell.clone();
            pool.spawn_future(async move {
                bell.await;
                n
            })
        })
        .collect();
    until("all to wait", || bell.waiting() == 100_000);
    assert_eq!(pool.counters().live(), 100_000);
    assert!(handles.iter().all(|handle| !handle.is_finished()));
    bell.ring();
    let sum: u64 = handles.into_iter().map(|handle| handle.join().unwrap()).sum();
    assert_eq!(sum, 99_999 * 100_000 / 2);
    let counters = pool.stop(Stop::Drain);
    balanced(counters);
    assert_eq!(counters.finished, 100_000);
}
