//! What an observer is told.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use tickscope_scheduler::{End, Moment, Observer, Pool, Stop, TaskId, fiber};

use crate::support::{balanced, locked, occupy};

#[derive(Clone, Default)]
struct Diary(Arc<Mutex<BTreeMap<TaskId, Vec<String>>>>);

impl Diary {
    fn note(&self, task: TaskId, what: String) {
        locked(&self.0).entry(task).or_default().push(what);
    }
}

impl Observer for Diary {
    fn queued(&self, task: TaskId, worker: Option<usize>, _at: u64) -> u64 {
        self.note(task, format!("queued by {worker:?}"));
        task.get() + 1000
    }

    fn started(&self, moment: &Moment) {
        assert_eq!(moment.tag, moment.task.get() + 1000);
        self.note(moment.task, "started".into());
    }

    fn suspended(&self, moment: &Moment) -> u64 {
        self.note(moment.task, "suspended".into());
        moment.tag + 1
    }

    fn resumed(&self, moment: &Moment) {
        assert_eq!(moment.tag, moment.task.get() + 1001);
        self.note(moment.task, "resumed".into());
    }

    fn ended(&self, moment: &Moment, end: End) {
        assert!(moment.tag >= moment.task.get() + 1000);
        self.note(moment.task, format!("{end:?} on {}", moment.worker));
        // It may do what it likes.
        panic!("an observer's own affair");
    }
}

#[test]
fn every_task_is_told_of_from_queue_to_end() {
    let diary = Diary::default();
    let pool = Pool::builder().workers(1).observer(diary.clone()).build().unwrap();
    let door = occupy(&pool);
    let (spawner, inner) = (pool.spawner(), Arc::new(Mutex::new(None)));
    let found = Arc::clone(&inner);
    let outer = pool.spawn(move || {
        let handle = spawner.spawn(|| ());
        *locked(&found) = handle.id();
        handle.join()
    });
    let yields = pool.spawn_fiber(fiber::yield_now);
    let fails = pool.spawn(|| panic!("it does"));
    let dropped = pool.spawn(|| ());
    assert!(dropped.cancel());
    let batch = pool.spawn_batch((0..3).map(|n| move || n));
    let ids = [outer.id(), yields.id(), fails.id(), dropped.id()].map(Option::unwrap);
    door.open();
    outer.join().unwrap().unwrap();
    batch.join();
    let counters = pool.stop(Stop::Drain);
    balanced(counters);
    let diary = locked(&diary.0);
    let of = |id: &TaskId| diary[id].iter().map(String::as_str).collect::<Vec<_>>();
    assert_eq!(of(&ids[0]), ["queued by None", "started", "Finished on 0"]);
    assert_eq!(of(&ids[1]), ["queued by None", "started", "suspended", "resumed", "Finished on 0"]);
    assert_eq!(of(&ids[2]), ["queued by None", "started", "Panicked on 0"]);
    assert_eq!(of(&ids[3]), ["queued by None", "Cancelled on 0"]);
    let inner = locked(&inner).unwrap();
    assert_eq!(of(&inner), ["queued by Some(0)", "started", "Finished on 0"]);
    assert_eq!(diary.len() as u64, counters.spawned, "the batch's three are among them, its entries are not");
}

#[test]
fn waiting_and_running_are_apart() {
    #[derive(Clone, Default)]
    struct Times(Arc<Mutex<Vec<(u64, u64)>>>);
    impl Observer for Times {
        fn started(&self, moment: &Moment) {
            locked(&self.0).push((moment.waited, moment.ran));
        }
        fn ended(&self, moment: &Moment, _end: End) {
            locked(&self.0).push((moment.waited, moment.ran));
        }
    }
    let times = Times::default();
    let pool = Pool::builder().workers(1).observer(times.clone()).build().unwrap();
    drop(pool.spawn(|| std::thread::sleep(std::time::Duration::from_millis(3))));
    drop(pool.spawn(|| ()));
    drop(pool);
    let times = locked(&times.0);
    let [_, (first_waited, first_ran), (second_waited, second_ran), _] = times[..] else {
        panic!("two tasks, two ends: {times:?}")
    };
    assert_eq!((first_waited, second_ran), (0, 0));
    assert!(first_ran >= 3_000_000);
    // The second was queued while the first slept, or before.
    assert!(second_waited > 0);
}
