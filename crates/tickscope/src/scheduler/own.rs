//! What macros on a worker's thread go by, and is a task's: the trace contexts it has entered, and what head sampling
//! decided about it. A worker runs other tasks while one waits, on the same stack or while it is suspended.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;

use tickscope_scheduler::{Moment, TaskId, TaskKind};

use crate::attachment::{self, Head};
use crate::context::{self, Contexts};
use crate::recording::Inner;

/// One task's, or that of the thread itself.
struct Own {
    /// `None` where no recording samples.
    head: Option<Head>,
    contexts: Contexts,
}

#[derive(Default)]
struct Owns {
    /// What was in force when each of the tasks on this thread's stack began or went on, the innermost last; without
    /// those that need nothing put back.
    outer: Vec<(TaskId, Own)>,
    /// Of fibers that wait. What a closure or future has entered is left when it returns.
    waiting: HashMap<TaskId, Own>,
}

thread_local! {
    static OWNS: RefCell<Owns> = RefCell::default();
}

/// A task begins or goes on: what is its own takes the place of what was in force. One that begins has `head` and no
/// context.
#[inline]
pub(super) fn begin(inner: &Arc<Inner>, moment: &Moment, head: Option<Head>) {
    // Most tasks.
    if head.is_none() && moment.kind != TaskKind::Fiber && context::is_none() {
        return;
    }
    with(|owns| {
        let own = if moment.kind == TaskKind::Fiber { owns.waiting.remove(&moment.task) } else { None };
        let own = own.unwrap_or(Own { head, contexts: Contexts::default() });
        let outer = Own {
            head: own.head.and_then(|head| attachment::exchange_head(inner, head)),
            contexts: context::exchange(own.contexts),
        };
        owns.outer.push((moment.task, outer));
    });
}

/// A task stops in the middle: what was in force before is again.
pub(super) fn suspend(inner: &Arc<Inner>, moment: &Moment) {
    with(|owns| {
        let own = owns.put_back(inner, moment.task);
        if let Some(own) = own.filter(|_| moment.kind == TaskKind::Fiber) {
            owns.waiting.insert(moment.task, own);
        }
    });
}

/// A task is over, whether it ran or not.
#[inline]
pub(super) fn end(inner: &Arc<Inner>, moment: &Moment) {
    with(|owns| {
        if owns.put_back(inner, moment.task).is_none() && moment.kind == TaskKind::Fiber {
            owns.waiting.remove(&moment.task);
        }
    });
}

impl Owns {
    /// Ends the innermost task, if it is this one, and gives what was its own.
    #[inline]
    fn put_back(&mut self, inner: &Arc<Inner>, task: TaskId) -> Option<Own> {
        let (_, outer) = self.outer.pop_if(|(running, _)| *running == task)?;
        Some(Own {
            head: outer.head.and_then(|head| attachment::exchange_head(inner, head)),
            contexts: context::exchange(outer.contexts),
        })
    }
}

#[inline]
fn with(change: impl FnOnce(&mut Owns)) {
    let _ = OWNS.try_with(|owns| {
        if let Ok(mut owns) = owns.try_borrow_mut() {
            change(&mut owns);
        }
    });
}
