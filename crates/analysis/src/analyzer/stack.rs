//! Stack samples: which functions the exact time of a boundary was spent in.

use tickscope_core::{CategoryId, Sample};

use super::Analyzer;
use crate::stacks::gain;
use crate::tree::{NONE, OpenNode};

impl Analyzer {
    /// Takes the stack sample in `self.frames`, innermost first.
    pub(super) fn stack(&mut self, sample: &Sample, time_ns: u64, bytes: u64) {
        self.stacks += 1;
        let Some(innermost) = self.frames.first().copied() else { return };
        let Some(thread) = self.thread(sample.ring) else { return };
        let running = self.threads.slab[thread]
            .chain
            .last()
            .is_some_and(|top| self.tracks.slab[*top].id == sample.track);
        let (mut own, mut covered) = (time_ns, false);
        if running {
            self.advance(thread, sample.time_ns);
            if let Some((track, frame)) = self.threads.slab[thread].top(&self.tracks) {
                let frame = &mut self.tracks.slab[track].frames[frame];
                if frame.category == CategoryId::FUNCTION {
                    return; // every call is recorded: nothing to estimate
                }
                // The boundary's own time is exact; the sample says which function it was spent in.
                (own, covered) = (0, true);
                if hosts_scripts(frame.category) && frame.slot != innermost.slot {
                    let stat = self.table.stat(frame.slot);
                    own = frame.self_ns - frame.assigned_ns;
                    gain(&mut own, std::mem::take(&mut stat.unassigned_ns));
                    frame.assigned_ns = frame.self_ns;
                    gain(&mut stat.assigned_ns, own);
                    stat.self_bytes = stat.self_bytes.saturating_sub_unsigned(bytes);
                }
            }
        }
        let stat = self.table.stat(innermost.slot);
        stat.sampled_self_ns = stat.sampled_self_ns.saturating_add(own);
        stat.sampled_bytes = stat.sampled_bytes.saturating_add(bytes);
        if !covered {
            let resource = self.table.res(innermost.resource);
            gain(&mut resource.sampled_ns, time_ns);
            gain(&mut resource.sampled_bytes, bytes);
        }
        for frame in &self.frames {
            let stat = &mut self.table.stats[frame.slot as usize];
            if stat.last_stack != self.stacks {
                stat.last_stack = self.stacks;
                stat.sampled += 1;
                stat.sampled_total_ns = stat.sampled_total_ns.saturating_add(time_ns);
            }
        }
        if running && time_ns > 0 {
            self.stack_into_tree(thread, time_ns);
        }
    }

    fn stack_into_tree(&mut self, thread: usize, time_ns: u64) {
        let state = &mut self.threads.slab[thread];
        if state.root == NONE {
            return;
        }
        let Some(tree) = &mut state.tree else { return };
        self.spans.clear();
        for track in &state.chain {
            let frames = self.tracks.slab[*track].frames.iter();
            self.spans.extend(frames.filter(|frame| frame.node != NONE && frame.node != state.root).map(
                |frame| OpenNode {
                    slot: frame.slot,
                    node: frame.node,
                    boundary: hosts_scripts(frame.category),
                },
            ));
        }
        self.frames.reverse();
        tree.sample(&self.spans, &self.frames, time_ns);
    }
}

/// Spans within which script functions run that are not spans themselves.
fn hosts_scripts(category: CategoryId) -> bool {
    !matches!(
        category,
        CategoryId::NATIVE
            | CategoryId::GC
            | CategoryId::FUNCTION
            | CategoryId::SQL
            | CategoryId::IO
            | CategoryId::TICK
    )
}
