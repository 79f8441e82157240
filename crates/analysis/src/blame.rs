//! From the call tree of a late tick to its causes.
//!
//! A part of a tick is *significant* when it alone would make a tick late, or when it is a quarter of this tick and
//! half of the budget, less its share of the time in which the machine kept the thread from running. The search goes down from the tick into every significant part and asks where its cost is made:
//!
//! - What natives, C functions and the collector take is the cost of the function that called them.
//! - A callee that is called very often and is cheap each time is part of its caller's cost: not the distance function
//!   is to blame but the loop that calls it a million times. Where calls were not counted but sampled, a callee whose
//!   samples come and go as if by chance is such a one.
//! - A function whose remaining cost is significant is a *culprit* and ends a chain. A function without, whose callees
//!   explain the time, is a link of their chains.

use std::cmp::{Ordering, Reverse};
use std::collections::HashMap;

use tickscope_core::{CategoryId, Runtime, Symbol, SymbolRef};

use crate::report::{Blame, CallNode, Cause, Chain};
use crate::stacks::gain;
use crate::symbols::{Slot, SymbolTable};
use crate::tree::{NONE, Tree};

/// A callee called at least so often per call of its caller may be cheap.
const MANY_CALLS: u64 = 8;

/// What a late tick's tree says.
pub(crate) struct Verdict {
    pub blame: Blame,
    pub script_ns: u64,
    pub chains: Vec<Chain>,
    pub tree: Vec<CallNode>,
}

/// How late a tick was.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lateness {
    pub budget_ns: u64,
    pub duration_ns: u64,
    pub run_delay_ns: u64,
    /// Events that were lost in it.
    pub lost: u64,
    /// Time to which open spans count.
    pub now: u64,
}

impl Lateness {
    /// `time` less its share of the run delay.
    fn own(&self, time: u64) -> u64 {
        let ran = u128::from(self.duration_ns.saturating_sub(self.run_delay_ns));
        (u128::from(time) * ran / u128::from(self.duration_ns.max(1))) as u64
    }

    /// Whether a part of the tick matters, taking its share of the time the thread was kept from running off it.
    fn significant(&self, time: u64) -> bool {
        let own = self.own(time);
        own >= self.budget_ns || (time >= self.duration_ns / 4 && own >= self.budget_ns / 2)
    }

    /// Whether it matters even if all of that time fell into it.
    fn certain(&self, time: u64) -> bool {
        self.significant(time) && time.saturating_sub(self.run_delay_ns) >= self.budget_ns / 2
    }

    /// Whether it would have been in time had the machine let it run, or nothing that ran explains it. Where events
    /// were lost, that nothing explains it says nothing.
    fn blames_the_machine(&self, script_ns: u64) -> bool {
        self.duration_ns.saturating_sub(self.run_delay_ns) <= self.budget_ns
            || (self.own(script_ns) <= self.budget_ns && self.lost == 0)
    }
}

/// Judges a late tick.
pub(crate) fn judge(
    tree: &Tree,
    table: &SymbolTable,
    late: Lateness,
    max_chains: usize,
    max_nodes: usize,
) -> Verdict {
    let view = View::new(tree, table, late);
    let mut script_ns = 0;
    for child in view.nodes.first().iter().flat_map(|tick| &tick.children) {
        gain(&mut script_ns, view.nodes[*child].total);
    }
    let machine = late.blames_the_machine(script_ns);
    let mut chains = Vec::new();
    if !machine {
        chains = view.chains();
        chains.sort_by(|a, b| {
            let (Some(a), Some(b)) = (a.end(), b.end()) else { return Ordering::Equal };
            b.total_ns.cmp(&a.total_ns).then_with(|| order(&a.symbol, &b.symbol))
        });
        chains.truncate(max_chains);
    }
    Verdict {
        blame: if machine { Blame::Machine } else { Blame::Script },
        script_ns,
        chains,
        tree: view.largest(max_nodes),
    }
}

/// Order of symbols wherever figures tie.
pub(crate) fn order(a: &Symbol, b: &Symbol) -> Ordering {
    let key = |s: &Symbol| (s.line, s.runtime);
    (&a.resource, &a.file, &a.name).cmp(&(&b.resource, &b.file, &b.name)).then_with(|| key(a).cmp(&key(b)))
}

impl Chain {
    /// Its culprit, or else its last link.
    fn end(&self) -> Option<&Cause> {
        self.culprit().or(self.causes.last())
    }
}

struct Part {
    slot: Slot,
    resource: u32,
    category: CategoryId,
    link: Slot,
    player: Option<u64>,
    sampled: bool,
    /// None: sampled.
    calls: Option<u64>,
    hits: u64,
    runs: u64,
    self_ns: u64,
    total: u64,
    estimated: bool,
    /// The largest first.
    children: Vec<usize>,
    parent: Option<usize>,
}

/// The tree as it is reported: sampled functions with the spans they called below them.
struct View<'a> {
    nodes: Vec<Part>,
    table: &'a SymbolTable,
    late: Lateness,
}

impl<'a> View<'a> {
    fn new(tree: &Tree, table: &'a SymbolTable, late: Lateness) -> Self {
        let parents = tree.parents();
        let mut nodes: Vec<Part> = tree
            .nodes
            .iter()
            .map(|node| {
                let has_samples = !node.sampled && node.samples > 0;
                let own =
                    if has_samples { node.self_ns.saturating_sub(node.assigned_ns) } else { node.self_ns };
                Part {
                    slot: node.slot,
                    resource: node.resource,
                    category: node.category,
                    link: node.link,
                    player: node.players.one(),
                    sampled: node.sampled,
                    calls: (!node.sampled).then_some(node.calls),
                    hits: if node.sampled { node.hits } else { node.samples },
                    runs: node.runs,
                    self_ns: own,
                    total: if node.sampled { 0 } else { node.total_at(late.now) },
                    estimated: node.sampled,
                    children: Vec::new(),
                    parent: None,
                }
            })
            .collect();
        for (index, parent) in parents.iter().enumerate() {
            if *parent != NONE {
                nodes[*parent as usize].children.push(index);
                nodes[index].parent = Some(*parent as usize);
            }
        }
        let mut view = Self { nodes, table, late };
        let preorder = view.preorder();
        for &index in preorder.iter().rev() {
            if view.nodes[index].sampled {
                let mut total = view.nodes[index].self_ns;
                for child in &view.nodes[index].children {
                    gain(&mut total, view.nodes[*child].total);
                }
                view.nodes[index].total = total;
            }
        }
        for index in preorder {
            let mut children = std::mem::take(&mut view.nodes[index].children);
            children.sort_by(|a, b| {
                let (a, b) = (&view.nodes[*a], &view.nodes[*b]);
                let names = || order(table.symbol(a.slot), table.symbol(b.slot));
                b.total.cmp(&a.total).then_with(names).then(a.category.cmp(&b.category))
            });
            view.nodes[index].children = children;
        }
        view
    }

    fn preorder(&self) -> Vec<usize> {
        let (mut order, mut stack) = (Vec::with_capacity(self.nodes.len()), vec![0]);
        while let Some(index) = stack.pop() {
            if let Some(node) = self.nodes.get(index) {
                order.push(index);
                stack.extend(node.children.iter().rev());
            }
        }
        order
    }

    /// Chains of the tick, by way of the resources its boundaries belong to.
    fn chains(&self) -> Vec<Chain> {
        let Some(tick) = self.nodes.first() else { return Vec::new() };
        let mut resources: Vec<(u32, u64, Vec<usize>)> = Vec::new();
        for &child in &tick.children {
            let part = &self.nodes[child];
            match resources.iter_mut().find(|resource| resource.0 == part.resource) {
                Some(resource) => {
                    gain(&mut resource.1, part.total);
                    resource.2.push(child);
                }
                None => resources.push((part.resource, part.total, vec![child])),
            }
        }
        // A short preemption makes any piece look long. What is certain to matter goes before what may.
        let totals = || tick.children.iter().map(|child| self.nodes[*child].total);
        let matters: fn(&Lateness, u64) -> bool = if totals().any(|total| self.late.certain(total)) {
            Lateness::certain
        } else {
            Lateness::significant
        };
        let mut chains = Vec::new();
        for (_, total, children) in resources.iter().filter(|resource| matters(&self.late, resource.1)) {
            let before = chains.len();
            for child in children.iter().filter(|child| matters(&self.late, self.nodes[**child].total)) {
                let mut blamed = Vec::new();
                let rest = self.visit(*child, &mut blamed);
                if blamed.is_empty() || self.late.significant(rest) {
                    blamed.push(*child);
                }
                chains.extend(blamed.iter().map(|culprit| self.chain(*culprit, &blamed, *total)));
            }
            if chains.len() == before {
                chains
                    .push(Chain { causes: vec![self.cause(0, 0), self.resource_cause(children[0], *total)] });
            }
        }
        chains
    }

    /// Looks for culprits in a significant node; returns the part of its time that none of them explains.
    ///
    /// Iterative, because a script decides how deep the tree is.
    fn visit(&self, root: usize, blamed: &mut Vec<usize>) -> u64 {
        let mut post: Vec<usize> = Vec::new();
        let mut stack = vec![root];
        while let Some(index) = stack.pop() {
            post.push(index);
            stack
                .extend(self.nodes[index].children.iter().filter(|child| self.worth_a_visit(index, **child)));
        }
        let mut left: HashMap<usize, u64> = HashMap::new();
        // How many culprits each visited node has below it.
        let mut below: HashMap<usize, usize> = HashMap::new();
        for &index in post.iter().rev() {
            let part = &self.nodes[index];
            let mut rest = part.self_ns;
            let mut culprits = 0;
            for child in &part.children {
                gain(&mut rest, left.get(child).copied().unwrap_or(self.nodes[*child].total));
                culprits += below.get(child).copied().unwrap_or(0);
            }
            // Children of a span that ran concurrently or overlapped cannot cost more than the whole.
            rest = rest.min(part.total);
            if index != root && self.can_be_changed(index) && (culprits == 0 || self.late.significant(rest)) {
                blamed.push(index);
                culprits += 1;
                rest = 0;
            }
            left.insert(index, rest);
            below.insert(index, culprits);
        }
        blamed.sort_by_key(|index| (Reverse(self.nodes[*index].total), *index));
        left.get(&root).copied().unwrap_or(0)
    }

    fn worth_a_visit(&self, parent: usize, child: usize) -> bool {
        self.late.significant(self.nodes[child].total) && !self.cheap(parent, child)
    }

    /// Called so often, and so cheap each time, that its cost is its caller's.
    fn cheap(&self, parent: usize, child: usize) -> bool {
        let (caller, callee) = (&self.nodes[parent], &self.nodes[child]);
        match callee.calls {
            Some(calls) => {
                let per_caller = calls / caller.calls.unwrap_or(1).max(1);
                per_caller >= MANY_CALLS && callee.total / calls.max(1) < self.late.budget_ns / 100
            }
            None => {
                // Were each sample's place a matter of chance, a share p of n samples would fall into n·p·(1−p) runs.
                // Below a handful nothing can be told, and the callee has nearly all of the cost anyway.
                let by_chance = callee.hits * caller.hits.saturating_sub(callee.hits) / caller.hits.max(1);
                // A caller that is itself called often comes and goes, and its callees with it.
                let by_caller = caller.calls.is_some_and(|calls| callee.runs <= calls);
                by_chance >= 6 && 3 * callee.runs >= 2 * by_chance && !by_caller
            }
        }
    }

    /// Script code, as opposed to the host's, C code and the collector.
    fn can_be_changed(&self, index: usize) -> bool {
        let part = &self.nodes[index];
        let runtime = self.table.symbol(part.slot).runtime;
        runtime != Runtime::Native
            && !matches!(part.category, CategoryId::GC | CategoryId::NATIVE | CategoryId::TICK)
    }

    /// The chain from the tick through `culprit` to what it spends its time on, leaving out what others are blamed for.
    fn chain(&self, culprit: usize, blamed: &[usize], resource_total: u64) -> Chain {
        let mut path = vec![culprit];
        while let Some(parent) = self.nodes[path[path.len() - 1]].parent.filter(|parent| *parent != 0) {
            path.push(parent);
        }
        path.reverse();
        let enough = self.nodes[culprit].total / 4;
        let mut tail = culprit;
        while let Some(child) = self.nodes[tail]
            .children
            .iter()
            .find(|child| self.nodes[**child].total >= enough.max(1) && !self.explains(**child, blamed))
        {
            path.push(*child);
            tail = *child;
        }
        let mut causes = vec![self.cause(0, 0), self.resource_cause(path[0], resource_total)];
        for node in path {
            let mut cause = self.cause(node, causes.len());
            cause.culprit = node == culprit;
            causes.push(cause);
        }
        Chain { causes }
    }

    /// Whether one of the blamed is `node` or below it.
    fn explains(&self, node: usize, blamed: &[usize]) -> bool {
        blamed.iter().any(|culprit| {
            let mut at = Some(*culprit);
            while let Some(index) = at {
                if index == node {
                    return true;
                }
                at = self.nodes[index].parent;
            }
            false
        })
    }

    fn cause(&self, index: usize, depth: usize) -> Cause {
        let part = &self.nodes[index];
        Cause {
            kind: self.table.kind(part.category),
            symbol: self.table.symbol(part.slot).clone(),
            self_ns: part.self_ns,
            total_ns: part.total,
            calls: part.calls,
            estimated: part.estimated,
            depth,
            culprit: false,
            player: part.player,
            started_by: (part.link != 0).then(|| self.table.symbol(part.link).clone()),
        }
    }

    /// The resource that the boundary `child` belongs to, as a link of a chain.
    fn resource_cause(&self, child: usize, total_ns: u64) -> Cause {
        let name = &self.table.resources[self.nodes[child].resource as usize].name;
        let mut symbol: Symbol = SymbolRef::default().into();
        symbol.resource = name.clone();
        Cause {
            kind: self.table.kind(CategoryId::RESOURCE),
            symbol,
            self_ns: 0,
            total_ns,
            calls: None,
            estimated: false,
            depth: 1,
            culprit: false,
            player: None,
            started_by: None,
        }
    }

    /// The `limit` largest nodes that hold a hundredth of the tick or more, in pre-order.
    fn largest(&self, limit: usize) -> Vec<CallNode> {
        let least = (self.late.duration_ns / 100).max(1);
        let mut totals: Vec<u64> = self.nodes.iter().map(|part| part.total).filter(|t| *t >= least).collect();
        totals.sort_unstable_by_key(|total| Reverse(*total));
        let least = totals.get(limit.saturating_sub(1)).copied().unwrap_or(0).max(least);
        let mut out = Vec::new();
        let mut stack = vec![(0, 0)];
        while let Some((index, depth)) = stack.pop() {
            let Some(part) = self.nodes.get(index).filter(|part| part.total >= least) else { continue };
            if out.len() >= limit {
                break;
            }
            out.push(CallNode {
                depth,
                kind: self.table.kind(part.category),
                symbol: self.table.symbol(part.slot).clone(),
                self_ns: part.self_ns,
                total_ns: part.total,
                calls: part.calls,
                estimated: part.estimated,
            });
            stack.extend(part.children.iter().rev().map(|child| (*child, depth + 1)));
        }
        out
    }
}
