//! What goes ahead of samples: heads, descriptors, names, and the definitions our reader takes them from.

use std::sync::Arc;

use tickscope_core::{
    Batch, CategoryId, KeyId, Metadata, RingId, StackId, SymbolId, Track, TrackId, TrackKind, Weight,
};

use super::encoder::Encoder;
use super::schema::{
    FIRST_KEY, FIRST_NAME, FIRST_RUN_NAME, FIRST_TRACK, NAME_RECORDING, OWN_KEYS, OWN_NAMES, OWN_SEQUENCE,
    annotation, definition, event, head, interned, packet, record,
};
use super::sequence::CounterState;
use crate::wire::Mark;

/// `TrackEvent.source_location_iid` and `DebugAnnotation.string_value_iid`.
pub(super) const SOURCE_LOCATION_IID: u32 = 34;
pub(super) const STRING_VALUE_IID: u32 = 17;

/// The incremental clock of each sequence: 64 to 127 are local to one.
const CLOCK: u64 = 64;
const REALTIME: u64 = 1;
pub(super) const MONOTONIC: u64 = 3;

impl Encoder {
    /// The file's own sequence starts: metadata and the anchor between the clocks.
    pub(super) fn file_head(&mut self) {
        let mark = self.buf.open(1);
        self.buf.uint(packet::SEQUENCE, OWN_SEQUENCE);
        let metadata = self.buf.open(packet::HEAD);
        self.head_fields();
        self.buf.close(metadata);
        self.buf.close(mark);
        self.sequence_head(0);
    }

    fn head_fields(&mut self) {
        let Metadata {
            schema,
            producer,
            subject,
            budget_ns,
            depth,
            pid,
            start_ns,
            start_unix_ns,
            clock,
            facts,
        } = &self.metadata;
        let buf = &mut self.buf;
        buf.uint(head::SCHEMA, u64::from(*schema));
        buf.text(head::PRODUCER, producer);
        buf.text(head::SUBJECT, subject);
        buf.uint(head::BUDGET, *budget_ns);
        buf.text(head::DEPTH, depth.name());
        buf.uint(head::PID, u64::from(*pid));
        buf.uint(head::START, *start_ns);
        buf.uint(head::START_UNIX, *start_unix_ns);
        buf.text(head::CLOCK_SOURCE, &clock.source);
        buf.uint(head::CLOCK_ERROR, clock.error_ns);
        for (name, value) in facts {
            let mark = buf.open(head::FACT);
            buf.text(1, name);
            buf.text(2, value);
            buf.close(mark);
        }
        buf.uint(head::PART, u64::from(self.part));
    }

    /// The metadata again, where people see it: an instant on the process track.
    pub(super) fn banner(&mut self) {
        let pid = self.shown_pid();
        let mark = self.buf.open(1);
        self.buf.uint(packet::SEQUENCE, OWN_SEQUENCE);
        let descriptor = self.buf.open(packet::DESCRIPTOR);
        self.buf.uint(1, FIRST_TRACK);
        let process = self.buf.open(3);
        self.buf.uint(1, pid);
        self.buf.text(6, &self.metadata.subject);
        self.buf.close(process);
        self.buf.close(descriptor);
        self.buf.close(mark);

        let mark = self.buf.open(1);
        self.buf.uint(packet::TIMESTAMP, self.metadata.start_ns);
        self.buf.uint(packet::SEQUENCE, OWN_SEQUENCE);
        self.buf.uint(packet::FLAGS, 2);
        let event = self.buf.open(packet::TRACK_EVENT);
        self.buf.uint(event::TYPE, event::INSTANT);
        self.buf.uint(event::NAME, NAME_RECORDING);
        self.buf.uint(event::TRACK, FIRST_TRACK);
        let metadata = self.metadata.clone();
        for (name, value) in [
            ("producer", metadata.producer.as_str()),
            ("subject", &metadata.subject),
            ("depth", metadata.depth.name()),
            ("clock", &metadata.clock.source),
        ] {
            self.display_text(name, value);
        }
        for (name, value) in [
            ("schema", u64::from(metadata.schema)),
            ("budget_ns", metadata.budget_ns),
            ("clock_error_ns", metadata.clock.error_ns),
            ("file", u64::from(self.part)),
        ] {
            let mark = self.buf.open(event::ANNOTATION);
            self.buf.text(10, name);
            self.buf.uint(annotation::UINT, value);
            self.buf.close(mark);
        }
        for (name, value) in &metadata.facts {
            self.display_text(name, value);
        }
        self.buf.close(event);
        self.record(record::DISPLAY, &[]);
        self.buf.close(mark);
    }

    fn display_text(&mut self, name: &str, value: &str) {
        let mark = self.buf.open(event::ANNOTATION);
        self.buf.text(10, name);
        self.buf.text(annotation::STRING, value);
        self.buf.close(mark);
    }

    /// A sequence starts, or starts afresh: clock, defaults, and the names the writer itself uses.
    ///
    /// Every sequence counts from the same anchor, the machine's start, so that anchors never contradict each other.
    pub(super) fn sequence_head(&mut self, at: usize) {
        let id = self.sequences[at].id;
        let Metadata { start_ns, start_unix_ns, .. } = self.metadata;
        let mark = self.buf.open(1);
        self.buf.uint(packet::SEQUENCE, id);
        self.buf.uint(packet::FLAGS, 1);
        let snapshot = self.buf.open(packet::CLOCK_SNAPSHOT);
        let mut clocks = vec![(MONOTONIC, 0, false), (CLOCK, 0, true)];
        if let Some(boot) = start_unix_ns.checked_sub(start_ns).filter(|_| start_unix_ns != 0) {
            clocks.push((REALTIME, boot, false));
        }
        for (clock, nanos, incremental) in clocks {
            let mark = self.buf.open(1);
            self.buf.uint(1, clock);
            self.buf.uint(2, nanos);
            if incremental {
                self.buf.uint(3, 1);
            }
            self.buf.close(mark);
        }
        self.buf.uint(2, MONOTONIC);
        self.buf.close(snapshot);

        let defaults = self.buf.open(packet::DEFAULTS);
        self.buf.uint(58, CLOCK);
        if self.compatible() {
            let perf = self.buf.open(12);
            let timebase = self.buf.open(1);
            self.buf.uint(2, 1_000);
            self.buf.uint(4, 1); // SW_CPU_CLOCK
            self.buf.text(10, "wall-time");
            self.buf.close(timebase);
            self.buf.close(perf);
        } else {
            let stacks = self.buf.open(100);
            self.buf.text(1, "tickscope");
            let primary = self.buf.open(2);
            self.buf.text(2, "wall-time");
            self.buf.uint(3, 1); // nanoseconds
            self.buf.close(primary);
            let follower = self.buf.open(3);
            self.buf.text(2, "allocated");
            self.buf.uint(3, 4); // bytes
            self.buf.close(follower);
            self.buf.close(stacks);
        }
        self.buf.close(defaults);

        let names = self.buf.open(packet::INTERNED);
        for (at, name) in OWN_KEYS.iter().enumerate() {
            self.interned(interned::ANNOTATION_NAMES, at as u64 + 1, name);
        }
        for (at, name) in OWN_NAMES.iter().enumerate() {
            self.interned(interned::EVENT_NAMES, at as u64 + 1, name);
        }
        self.buf.close(names);
        self.buf.close(mark);
    }

    fn interned(&mut self, field: u32, iid: u64, text: &str) {
        let mark = self.buf.open(field);
        self.buf.uint(1, iid);
        self.buf.text(2, text);
        self.buf.close(mark);
    }

    /// A packet that only carries names of a sequence; close both marks, the second first.
    fn start_names(&mut self, sequence: usize) -> (Mark, Mark) {
        let id = self.sequences[sequence].id;
        let mark = self.buf.open(1);
        self.buf.uint(packet::SEQUENCE, id);
        self.buf.uint(packet::FLAGS, 2);
        (mark, self.buf.open(packet::INTERNED))
    }

    pub(super) fn intern_symbol(
        &mut self,
        batch: &Batch<'_>,
        at: usize,
        symbol: SymbolId,
        resource: Option<u32>,
    ) {
        if !self.sequences[at].names.insert(symbol.0) {
            return;
        }
        let known = batch.dictionary.symbol(symbol);
        let marks = self.start_names(at);
        let shown = if known.name.is_empty() { "(no name)" } else { &known.name };
        self.interned(interned::EVENT_NAMES, u64::from(symbol.0) + FIRST_NAME, shown);
        if !known.file.is_empty() {
            let location = self.buf.open(interned::SOURCE_LOCATIONS);
            self.buf.uint(1, u64::from(symbol.0) + 1);
            self.buf.text(2, &known.file);
            self.buf.text(3, shown);
            self.buf.uint(4, u64::from(known.line));
            self.buf.close(location);
        }
        if let Some(number) = resource.filter(|number| self.sequences[at].resources.insert(*number)) {
            self.interned(interned::STRING_VALUES, u64::from(number) + 1, &known.resource);
        }
        self.buf.close(marks.1);
        self.define_symbol(batch, symbol);
        self.buf.close(marks.0);
    }

    /// Adds the symbol's definition to the packet being written, unless this generation has it.
    fn define_symbol(&mut self, batch: &Batch<'_>, symbol: SymbolId) {
        if !self.defined.symbols.insert(symbol.0) {
            return;
        }
        let known = batch.dictionary.symbol(symbol);
        let definitions = self.buf.open(packet::DEFINITIONS);
        let mark = self.buf.open(definition::SYMBOL);
        self.buf.uint(1, u64::from(symbol.0));
        self.buf.text(2, known.runtime.name());
        self.buf.text(3, &known.resource);
        self.buf.text(4, &known.name);
        self.buf.text(5, &known.file);
        self.buf.uint(6, u64::from(known.line));
        self.buf.close(mark);
        self.buf.close(definitions);
    }

    pub(super) fn intern_category(&mut self, batch: &Batch<'_>, at: usize, category: CategoryId) {
        if !self.sequences[at].categories.insert(u32::from(category.0)) {
            return;
        }
        let known = batch.dictionary.category(category);
        let marks = self.start_names(at);
        self.interned(interned::CATEGORIES, u64::from(category.0) + 1, &known.name);
        self.buf.close(marks.1);
        if self.defined.categories.insert(u32::from(category.0)) {
            let definitions = self.buf.open(packet::DEFINITIONS);
            let mark = self.buf.open(definition::CATEGORY);
            self.buf.uint(1, u64::from(category.0));
            self.buf.text(2, &known.name);
            self.buf.text(3, &known.description);
            self.buf.close(mark);
            self.buf.close(definitions);
        }
        self.buf.close(marks.0);
    }

    pub(super) fn intern_key(&mut self, batch: &Batch<'_>, at: usize, key: KeyId) {
        if !self.sequences[at].keys.insert(key.0) {
            return;
        }
        let name = batch.dictionary.key(key);
        let marks = self.start_names(at);
        let shown = if name.is_empty() { "(no name)" } else { name };
        self.interned(interned::ANNOTATION_NAMES, u64::from(key.0) + FIRST_KEY, shown);
        self.buf.close(marks.1);
        if self.defined.keys.insert(key.0) {
            let definitions = self.buf.open(packet::DEFINITIONS);
            self.interned(definition::KEY, u64::from(key.0), name);
            self.buf.close(definitions);
        }
        self.buf.close(marks.0);
    }

    /// The number of the name that run slices of `track` have.
    pub(super) fn run_name(&mut self, batch: &Batch<'_>, ring: RingId, track: TrackId) -> u32 {
        let name = &batch.dictionary.track(track).name;
        let number = match self.run_names.get(name) {
            Some(number) => *number,
            None => {
                let next = self.run_names.len() as u32;
                self.run_names.insert(Arc::clone(name), next);
                next
            }
        };
        let at = self.sequence(ring);
        if self.sequences[at].run_names.insert(number) {
            let marks = self.start_names(at);
            let shown = if name.is_empty() { "(no name)" } else { name };
            self.interned(interned::EVENT_NAMES, FIRST_RUN_NAME + u64::from(number), shown);
            self.buf.close(marks.1);
            self.buf.close(marks.0);
        }
        number
    }

    /// Writes the descriptors of `track` and of what it stands under, as far as this generation lacks them.
    pub(super) fn describe(&mut self, batch: &Batch<'_>, track: TrackId) {
        let mut chain = std::mem::take(&mut self.scratch);
        chain.clear();
        let mut next = track;
        loop {
            chain.push(next.0);
            let parent = batch.dictionary.track(next).parent;
            // A parent is older than its child; anything else is not a tree.
            let older = parent < next && parent.index() < self.tracks.len();
            next = if older { parent } else { TrackId::PROCESS };
            let state = &self.tracks[next.index()];
            if next.0 == chain[chain.len() - 1] || state.generation == self.generation {
                break;
            }
        }
        for number in chain.iter().rev() {
            let id = TrackId(*number);
            let known = batch.dictionary.track(id).clone();
            self.descriptor(id, &known);
            let state = &mut self.tracks[id.index()];
            state.generation = self.generation;
            state.track = Some(known);
        }
        self.scratch = chain;
    }

    fn descriptor(&mut self, id: TrackId, track: &Track) {
        let pid = self.shown_pid();
        let mark = self.buf.open(1);
        self.buf.uint(packet::SEQUENCE, OWN_SEQUENCE);
        let descriptor = self.buf.open(packet::DESCRIPTOR);
        self.buf.uint(1, u64::from(id.0) + FIRST_TRACK);
        if id == TrackId::PROCESS {
            let process = self.buf.open(3);
            self.buf.uint(1, pid);
            let name = if track.name.is_empty() { self.metadata.subject.as_str() } else { &track.name };
            self.buf.text(6, name);
            self.buf.close(process);
        } else if track.kind == TrackKind::Thread && track.os_id != 0 {
            let thread = self.buf.open(4);
            self.buf.uint(1, pid);
            self.buf.uint(2, u64::from(track.os_id));
            self.buf.text(5, &track.name);
            self.buf.close(thread);
        } else {
            let parent = if track.parent < id { track.parent } else { TrackId::PROCESS };
            self.buf.uint(5, u64::from(parent.0) + FIRST_TRACK);
            self.buf.text(2, if track.name.is_empty() { track.kind.name() } else { &track.name });
            if matches!(track.kind, TrackKind::Coroutine | TrackKind::Fiber | TrackKind::Task) {
                self.buf.uint(15, 3); // by key: thousands of coroutines share a few rows
                self.buf.text(16, &format!("{}/{}", track.resource, track.kind.name()));
            } else {
                self.buf.uint(15, 2); // none: equal names are different tracks
            }
        }
        self.buf.close(descriptor);
        let definitions = self.buf.open(packet::DEFINITIONS);
        let definition = self.buf.open(definition::TRACK);
        self.buf.uint(1, u64::from(id.0));
        self.buf.text(2, track.kind.name());
        self.buf.uint(3, u64::from(track.parent.0));
        self.buf.uint(4, u64::from(track.os_id));
        self.buf.text(5, &track.name);
        self.buf.text(6, &track.resource);
        self.buf.close(definition);
        self.buf.close(definitions);
        self.buf.close(mark);
    }

    fn shown_pid(&self) -> u64 {
        u64::from(self.metadata.pid.max(1))
    }

    /// The uuid of a track's counter; its descriptor is written first.
    pub(super) fn counter_track(&mut self, batch: &Batch<'_>, track: TrackId, symbol: SymbolId) -> u64 {
        let key = (track.0, symbol.0);
        if let Some(state) = self.counters.get(&key).filter(|state| state.generation == self.generation) {
            return state.uuid;
        }
        let uuid = match self.counters.get(&key) {
            Some(state) => state.uuid,
            None => self.new_counter(),
        };
        self.counters.insert(key, CounterState { uuid, generation: self.generation });
        let known = batch.dictionary.symbol(symbol);
        let name = match &*known.resource {
            "" => known.name.to_string(),
            resource => format!("{} ({resource})", known.name),
        };
        let mark = self.buf.open(1);
        self.buf.uint(packet::SEQUENCE, OWN_SEQUENCE);
        self.counter_descriptor(uuid, track, &name);
        self.define_symbol(batch, symbol);
        let definitions = self.buf.open(packet::DEFINITIONS);
        let definition = self.buf.open(definition::COUNTER);
        self.buf.uint(1, uuid);
        self.buf.uint(2, u64::from(track.0));
        self.buf.uint(3, u64::from(symbol.0));
        self.buf.close(definition);
        self.buf.close(definitions);
        self.buf.close(mark);
        uuid
    }

    /// The uuid of the counter that shows what a ring dropped.
    pub(super) fn ring_counter(&mut self, ring: RingId) -> u64 {
        if let Some(state) =
            self.ring_counters.get(&ring.0).filter(|state| state.generation == self.generation)
        {
            return state.uuid;
        }
        let uuid = match self.ring_counters.get(&ring.0) {
            Some(state) => state.uuid,
            None => self.new_counter(),
        };
        self.ring_counters.insert(ring.0, CounterState { uuid, generation: self.generation });
        let mark = self.buf.open(1);
        self.buf.uint(packet::SEQUENCE, OWN_SEQUENCE);
        self.counter_descriptor(uuid, TrackId::PROCESS, &format!("dropped events, ring {}", ring.0));
        self.buf.close(mark);
        uuid
    }

    fn counter_descriptor(&mut self, uuid: u64, track: TrackId, name: &str) {
        let descriptor = self.buf.open(packet::DESCRIPTOR);
        self.buf.uint(1, uuid);
        self.buf.uint(5, u64::from(track.0) + FIRST_TRACK);
        self.buf.text(2, if name.is_empty() { "(no name)" } else { name });
        let counter = self.buf.open(8);
        let unit = match name.split(' ').next().unwrap_or_default() {
            name if name.ends_with("_ns") => Some(1),
            name if name.ends_with("_bytes") => Some(3),
            _ => None,
        };
        if let Some(unit) = unit {
            self.buf.uint(3, unit);
        }
        self.buf.close(counter);
        self.buf.uint(15, 2);
        self.buf.close(descriptor);
    }

    pub(super) fn stack_sample(
        &mut self,
        batch: &Batch<'_>,
        time_ns: u64,
        ring: RingId,
        track: TrackId,
        stack: StackId,
        weight: Weight,
    ) {
        let stack = if stack.index() < batch.dictionary.stacks().len() { stack } else { StackId::ROOT };
        let at = self.sequence(ring);
        self.intern_stack(batch, at, stack);
        let (pid, tid) = (self.shown_pid(), self.thread_of(batch, track));
        let compatible = self.compatible();
        if !compatible {
            self.async_context(batch, at, track);
        }
        self.sequences[at].sampled_ns = self.sequences[at].sampled_ns.saturating_add(weight.time_ns);
        let sampled_ns = self.sequences[at].sampled_ns;
        let mark = self.start_packet(time_ns, at);
        // An empty stack has no call stack to name; the sample is kept for the reader all the same.
        if stack != StackId::ROOT && compatible {
            let sample = self.buf.open(packet::PERF_SAMPLE);
            self.buf.uint(1, 0);
            self.buf.uint(2, pid);
            self.buf.uint(3, tid);
            self.buf.uint(4, u64::from(stack.0));
            self.buf.uint(6, sampled_ns);
            self.buf.close(sample);
        } else if stack != StackId::ROOT {
            let sample = self.buf.open(packet::STACK_SAMPLE);
            let task = self.buf.open(1);
            self.buf.uint(2, pid);
            self.buf.uint(3, tid);
            self.buf.uint(4, u64::from(track.0) + FIRST_TRACK);
            self.buf.close(task);
            self.buf.uint(6, u64::from(stack.0));
            self.buf.uint(11, weight.time_ns);
            self.buf.uint(14, weight.bytes);
            self.buf.close(sample);
        }
        let numbers = [u64::from(stack.0), weight.time_ns, weight.bytes, u64::from(track.0)];
        self.record(record::STACK, &numbers);
        self.buf.close(mark);
    }

    /// The system's id of the thread a track runs on, as far as its ancestors tell.
    fn thread_of(&self, batch: &Batch<'_>, mut track: TrackId) -> u64 {
        loop {
            let known = batch.dictionary.track(track);
            if known.kind == TrackKind::Thread || known.parent >= track {
                return u64::from(if known.os_id == 0 { self.metadata.pid.max(1) } else { known.os_id });
            }
            track = known.parent;
        }
    }

    fn async_context(&mut self, batch: &Batch<'_>, at: usize, track: TrackId) {
        if !self.sequences[at].contexts.insert(track.0) {
            return;
        }
        let known = batch.dictionary.track(track);
        let marks = self.start_names(at);
        let context = self.buf.open(interned::ASYNC_CONTEXTS);
        self.buf.uint(1, u64::from(track.0) + FIRST_TRACK);
        self.buf.text(2, &known.name);
        self.buf.text(3, known.kind.name());
        self.buf.close(context);
        self.buf.close(marks.1);
        self.buf.close(marks.0);
    }

    /// Defines a stack's nodes, and its frames and call stack for Perfetto.
    fn intern_stack(&mut self, batch: &Batch<'_>, at: usize, stack: StackId) {
        if stack == StackId::ROOT || self.sequences[at].stacks.contains(stack.0) {
            return;
        }
        let nodes = batch.dictionary.stacks();
        let mut chain = std::mem::take(&mut self.scratch);
        chain.clear();
        let mut next = stack;
        while next != StackId::ROOT {
            chain.push(next.0);
            let parent = nodes[next.index()].parent;
            next = if parent < next { parent } else { StackId::ROOT };
        }
        chain.reverse();
        for id in &chain {
            self.intern_frame(batch, at, StackId(*id));
        }
        let marks = self.start_names(at);
        let callstack = self.buf.open(interned::CALLSTACKS);
        self.buf.uint(1, u64::from(stack.0));
        for id in &chain {
            self.buf.uint(2, u64::from(*id));
        }
        self.buf.close(callstack);
        self.buf.close(marks.1);
        self.buf.close(marks.0);
        self.sequences[at].stacks.insert(stack.0);
        self.scratch = chain;
    }

    fn intern_frame(&mut self, batch: &Batch<'_>, at: usize, id: StackId) {
        if !self.sequences[at].frames.insert(id.0) {
            return;
        }
        let node = batch.dictionary.stacks()[id.index()];
        let symbol = super::encoder::known_symbol(batch, node.symbol);
        let known = batch.dictionary.symbol(symbol);
        let marks = self.start_names(at);
        if self.sequences[at].functions.insert(symbol.0) {
            let shown = if known.name.is_empty() { "(no name)" } else { &known.name };
            self.interned(interned::FUNCTION_NAMES, u64::from(symbol.0) + 1, shown);
            if !known.file.is_empty() {
                let path = match &*known.resource {
                    resource if resource.is_empty() || known.file.starts_with('@') => known.file.to_string(),
                    resource => format!("@{resource}/{}", known.file),
                };
                self.interned(interned::SOURCE_PATHS, u64::from(symbol.0) + 1, &path);
            }
        }
        let frame = self.buf.open(interned::FRAMES);
        self.buf.uint(1, u64::from(id.0));
        self.buf.uint(2, u64::from(symbol.0) + 1);
        if !known.file.is_empty() {
            self.buf.uint(5, u64::from(symbol.0) + 1);
        }
        self.buf.uint(6, u64::from(if node.line == 0 { known.line } else { node.line }));
        self.buf.close(frame);
        self.buf.close(marks.1);
        self.define_symbol(batch, symbol);
        if self.defined.stacks.insert(id.0) {
            let definitions = self.buf.open(packet::DEFINITIONS);
            let definition = self.buf.open(definition::STACK);
            self.buf.uint(1, u64::from(id.0));
            let parent = if node.parent < id { node.parent.0 } else { 0 };
            self.buf.uint(2, u64::from(parent));
            self.buf.uint(3, u64::from(symbol.0));
            self.buf.uint(4, u64::from(node.line));
            self.buf.close(definition);
            self.buf.close(definitions);
        }
        self.buf.close(marks.0);
    }
}
