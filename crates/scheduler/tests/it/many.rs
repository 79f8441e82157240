//! Random task graphs: the pool's answer is that of one thread.

use std::sync::Arc;

use proptest::prelude::*;
use tickscope_scheduler::{Pool, Priority, Spawner, Stop, TaskOptions};

use crate::support::balanced;

/// What a task does: it computes something, and may leave parts of it to others.
#[derive(Clone, Debug)]
enum Work {
    Number(u64),
    /// The children's sum, in order, by tasks that the parent joins.
    Join {
        kind: Kind,
        children: Vec<Arc<Work>>,
    },
    /// As a scope.
    Scope(Vec<Arc<Work>>),
    /// As a batch.
    Batch(Vec<Arc<Work>>),
    Panic,
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    Plain(Priority),
    Fiber,
    Future,
}

/// Wrapping, and not commutative: the order matters.
fn fold(values: impl Iterator<Item = u64>) -> u64 {
    values.fold(7, |sum, value| sum.wrapping_mul(31).wrapping_add(value))
}

/// What a task's error counts as.
const FAILED: u64 = 0xbad;

fn alone(work: &Work) -> Result<u64, ()> {
    match work {
        Work::Number(n) => Ok(*n),
        Work::Panic => Err(()),
        Work::Join { children, .. } | Work::Scope(children) | Work::Batch(children) => {
            Ok(fold(children.iter().map(|child| alone(child).unwrap_or(FAILED))))
        }
    }
}

fn together(spawner: &Spawner, work: &Arc<Work>) -> u64 {
    let child = |work: &Arc<Work>| {
        let (spawner, work) = (spawner.clone(), Arc::clone(work));
        move || together(&spawner, &work)
    };
    match &**work {
        Work::Number(n) => *n,
        Work::Panic => std::panic::resume_unwind(Box::new("meant")),
        Work::Join { kind, children } => {
            let handles: Vec<_> = children
                .iter()
                .map(|work| match kind {
                    Kind::Plain(priority) => spawner.spawn_with(
                        TaskOptions { priority: *priority, ..TaskOptions::default() },
                        child(work),
                    ),
                    Kind::Fiber => spawner.spawn_fiber(child(work)),
                    Kind::Future => {
                        let inner = spawner.spawn(child(work));
                        spawner.spawn_future(async move { inner.await.unwrap_or(FAILED) })
                    }
                })
                .collect();
            fold(handles.into_iter().map(|handle| handle.join().unwrap_or(FAILED)))
        }
        Work::Scope(children) => {
            let values = spawner.scope(|scope| {
                let handles: Vec<_> =
                    children.iter().map(|work| scope.spawn(move || together(spawner, work))).collect();
                handles.into_iter().map(|handle| handle.join().unwrap_or(FAILED)).collect::<Vec<_>>()
            });
            fold(values.unwrap().into_iter())
        }
        Work::Batch(children) => {
            let results = spawner.spawn_batch(children.iter().map(child)).join();
            fold(results.into_iter().map(|result| result.unwrap_or(FAILED)))
        }
    }
}

fn graphs() -> impl Strategy<Value = Arc<Work>> {
    let leaf = prop_oneof![
        8 => any::<u64>().prop_map(Work::Number),
        1 => Just(Work::Panic),
    ];
    let kind = prop_oneof![
        Just(Kind::Plain(Priority::High)),
        Just(Kind::Plain(Priority::Normal)),
        Just(Kind::Plain(Priority::Low)),
        Just(Kind::Fiber),
        Just(Kind::Future),
    ];
    leaf.prop_map(Arc::new).prop_recursive(5, 64, 6, move |inner| {
        let children = prop::collection::vec(inner, 0..6);
        prop_oneof![
            3 => (kind.clone(), children.clone())
                .prop_map(|(kind, children)| Arc::new(Work::Join { kind, children })),
            1 => children.clone().prop_map(|children| Arc::new(Work::Scope(children))),
            1 => children.prop_map(|children| Arc::new(Work::Batch(children))),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn a_graph_gives_what_one_thread_gives(
        graphs in prop::collection::vec(graphs(), 1..4),
        workers in 1usize..4,
        capacity in prop_oneof![Just(1usize), Just(3), Just(1000)],
    ) {
        let pool = Pool::builder().workers(workers).capacity(capacity).fiber_stack(256 << 10).build().unwrap();
        let handles: Vec<_> = graphs
            .iter()
            .map(|work| {
                let (spawner, work) = (pool.spawner(), Arc::clone(work));
                pool.spawn(move || together(&spawner, &work))
            })
            .collect();
        for (handle, work) in handles.into_iter().zip(&graphs) {
            prop_assert_eq!(handle.join().map_err(drop), alone(work));
        }
        balanced(pool.stop(Stop::Drain));
    }
}
