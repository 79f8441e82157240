//! Ticks: a tree for each, and a judgement for each late one.

use tickscope_core::{Arg, Batch, Begin};

use super::{Analyzer, KeyRole, argument};
use crate::blame::{self, Lateness};
use crate::report::LateTick;
use crate::stacks::OpenTick;
use crate::symbols::Place;
use crate::tree::{NONE, Tree};

/// How many threads can have a call tree for their ticks.
const MAX_TREES: usize = 4;

impl Analyzer {
    pub(super) fn tick_begins(
        &mut self,
        thread: usize,
        begin: &Begin,
        place: Place,
        now: u64,
        batch: &Batch<'_>,
    ) {
        let state = &mut self.threads.slab[thread];
        state.ticks_begun += 1;
        let number = self.keys.as_slice();
        let number = argument(number, batch.args(begin.args), KeyRole::Tick).unwrap_or(state.ticks_begun);
        state.tick = Some(OpenTick { span: begin.span, number, begin_ns: now, lost: 0 });
        state.forget_nodes(&mut self.tracks);
        if state.tree.is_none() && self.trees < MAX_TREES {
            self.trees += 1;
            state.tree = Some(Box::new(Tree::new(self.options.paths)));
        }
        if let Some(tree) = &mut state.tree {
            state.root = tree.start(place, now);
        }
    }

    pub(super) fn tick_ends(&mut self, thread: usize, tick: OpenTick, now: u64, args: &[Arg], open: bool) {
        let duration = now.saturating_sub(tick.begin_ns);
        let run_delay = argument(&self.keys, args, KeyRole::RunDelay).unwrap_or(0).min(duration);
        self.machine.run_delay_ns = self.machine.run_delay_ns.saturating_add(run_delay);
        let involuntary = argument(&self.keys, args, KeyRole::Involuntary).unwrap_or(0);
        self.machine.involuntary = self.machine.involuntary.saturating_add(involuntary);
        self.judge(thread, tick, now, run_delay, open);
        let state = &mut self.threads.slab[thread];
        state.overrun_ns = state.overrun(now, self.budget_ns);
        state.tick = None;
        state.forget_nodes(&mut self.tracks);
        if let Some(tree) = &mut state.tree {
            self.overflow.paths += std::mem::take(&mut tree.overflow);
        }
    }

    /// Counts a tick, and explains it when it is late. An open tick counts only when it is late.
    pub(crate) fn judge(&mut self, thread: usize, tick: OpenTick, now: u64, run_delay_ns: u64, open: bool) {
        let duration_ns = now.saturating_sub(tick.begin_ns);
        let late = self.budget_ns > 0 && duration_ns > self.budget_ns;
        if open && !late {
            return;
        }
        self.ticks.take(tick.number, tick.begin_ns, duration_ns, &self.options);
        if !late {
            return;
        }
        let lateness =
            Lateness { budget_ns: self.budget_ns, duration_ns, run_delay_ns, lost: tick.lost, now };
        let (chains, nodes) = (self.options.chains, self.options.tree_nodes);
        let empty = Tree::new(0);
        let state = &self.threads.slab[thread];
        let tree = state.tree.as_deref().filter(|_| state.root != NONE).unwrap_or(&empty);
        let verdict = blame::judge(tree, &self.table, lateness, chains, nodes);
        self.ticks.late(
            LateTick {
                tick: tick.number,
                begin_ns: tick.begin_ns,
                duration_ns,
                blame: verdict.blame,
                open,
                run_delay_ns,
                lost_events: tick.lost,
                script_ns: verdict.script_ns,
                chains: verdict.chains,
                tree: verdict.tree,
            },
            &self.options,
        );
    }
}
