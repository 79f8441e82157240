//! Random CfxLua programs, and what each of them means in plain Lua, spelled out the long way.

/// Decides by bytes, which proptest makes and shrinks. Where they end, programs end.
pub(super) struct Tape<'a>(std::slice::Iter<'a, u8>);

/// Writes a statement about what stands before some links, and the links.
type Statement<'a> = &'a dyn Fn(String, &[(bool, &Link)]) -> String;

impl<'a> Tape<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes.iter())
    }

    pub(super) fn pick(&mut self, count: usize) -> usize {
        usize::from(self.0.next().copied().unwrap_or(0)) % count
    }

    fn one_of<T: Copy>(&mut self, list: &[T]) -> T {
        list[self.pick(list.len())]
    }
}

enum Expr {
    Word(&'static str),
    Seen(u8, Box<Expr>),
    Chain(Box<Chain>),
    Binary(Box<Expr>, &'static str, Box<Expr>),
    Not(Box<Expr>),
    /// Names, and expressions in square brackets.
    Set(Vec<&'static str>, Vec<Expr>),
    Function(Vec<Stat>, Box<Expr>),
}

struct Chain {
    head: Head,
    /// Whether a `?` is in front, and the link.
    links: Vec<(bool, Link)>,
}

enum Head {
    Name(&'static str),
    Brackets(Expr),
}

enum Link {
    Field(&'static str),
    Index(Expr),
    Call(Vec<Expr>),
    Method(&'static str, Vec<Expr>),
}

enum Stat {
    Out(Expr),
    Assign(Chain, Expr),
    Compound(Chain, &'static str, Expr),
    Call(Chain),
    UnpackLocals(Vec<&'static str>, Chain, Vec<Stat>),
    Unpack(Vec<Chain>, Chain),
    If(Expr, Vec<Stat>),
    Loop(Vec<Stat>),
}

const NAMES: [&str; 3] = ["a", "b", "c"];
const FIELDS: [&str; 4] = ["x", "n", "f", "y"];

pub(super) struct Program(Vec<Stat>);

impl Program {
    pub(super) fn new(tape: &mut Tape<'_>) -> Self {
        Self(stats(tape, 4))
    }

    /// Its tokens as CfxLua.
    pub(super) fn tokens(&self) -> Vec<String> {
        let mut out = Vec::new();
        self.0.iter().for_each(|stat| stat.write(&mut out));
        out
    }

    /// What it means.
    pub(super) fn plain(&self) -> String {
        plain_all(&self.0)
    }
}

fn stats(tape: &mut Tape<'_>, depth: usize) -> Vec<Stat> {
    let count = tape.pick(depth + 1);
    (0..count).map(|_| stat(tape, depth - 1)).collect()
}

fn stat(tape: &mut Tape<'_>, depth: usize) -> Stat {
    match tape.pick(9) {
        0 | 1 => Stat::Out(expr(tape, depth)),
        2 => Stat::Assign(target(tape, depth, true), expr(tape, depth)),
        3 | 4 => Stat::Compound(
            target(tape, depth, true),
            tape.one_of(&["+", "-", "..", "&", "^"]),
            expr(tape, depth),
        ),
        5 => {
            let mut called = chain(tape, depth, true);
            let guarded = tape.pick(2) == 1;
            called.links.push((guarded, call(tape, depth)));
            Stat::Call(called)
        }
        6 => {
            let names = (0..=tape.pick(3)).map(|_| tape.one_of(&NAMES)).collect();
            Stat::UnpackLocals(names, chain(tape, depth, true), stats(tape, depth))
        }
        7 => {
            let mut targets: Vec<_> = (0..=tape.pick(2)).map(|_| target(tape, depth, false)).collect();
            for (_, link) in targets.iter_mut().filter_map(|target| target.links.last_mut()) {
                if matches!(link, Link::Index(_)) {
                    *link = Link::Index(Expr::Word("'n'"));
                }
            }
            Stat::Unpack(targets, chain(tape, depth, true))
        }
        _ if tape.pick(2) == 0 => Stat::If(expr(tape, depth), stats(tape, depth)),
        _ => Stat::Loop(stats(tape, depth)),
    }
}

fn expr(tape: &mut Tape<'_>, depth: usize) -> Expr {
    if depth == 0 {
        return Expr::Word(tape.one_of(&["1", "nil", "false", "'s'", "a", "b", "c", "`h`"]));
    }
    let inner = |tape: &mut _| Box::new(expr(tape, depth - 1));
    match tape.pick(10) {
        0 | 1 => Expr::Word(tape.one_of(&["1", "nil", "false", "a", "b", "c"])),
        2 => Expr::Seen(tape.pick(250) as u8, inner(tape)),
        3 => {
            let left = inner(tape);
            Expr::Binary(left, tape.one_of(&["+", "and", "or", ".."]), inner(tape))
        }
        4 => Expr::Not(inner(tape)),
        5 => {
            let names = (0..tape.pick(3)).map(|_| tape.one_of(&FIELDS)).collect();
            Expr::Set(names, (0..tape.pick(2)).map(|_| *inner(tape)).collect())
        }
        6 => {
            let mut body = stats(tape, depth - 1);
            // In `c.x = f()` Lua leaves it open whether a new `c` of f's is taken.
            body.retain(|stat| !sets_a_variable(stat));
            Expr::Function(body, inner(tape))
        }
        _ => Expr::Chain(Box::new(chain(tape, depth, true))),
    }
}

fn sets_a_variable(stat: &Stat) -> bool {
    let variable = |chain: &Chain| chain.links.is_empty() && matches!(chain.head, Head::Name(_));
    match stat {
        Stat::Assign(target, _) | Stat::Compound(target, ..) => variable(target),
        Stat::Unpack(targets, _) => targets.iter().any(variable),
        Stat::UnpackLocals(_, _, inner) | Stat::If(_, inner) | Stat::Loop(inner) => {
            inner.iter().any(sets_a_variable)
        }
        Stat::Out(_) | Stat::Call(_) => false,
    }
}

fn call(tape: &mut Tape<'_>, depth: usize) -> Link {
    let depth = depth.saturating_sub(1);
    let arguments = |tape: &mut Tape<'_>| (0..tape.pick(3)).map(|_| expr(tape, depth)).collect();
    match tape.pick(2) {
        0 => Link::Call(arguments(tape)),
        _ => Link::Method("f", arguments(tape)),
    }
}

/// A chain, with `?` or without.
fn chain(tape: &mut Tape<'_>, depth: usize, guards: bool) -> Chain {
    let head = match tape.pick(4) {
        0 if depth > 0 => Head::Brackets(expr(tape, depth - 1)),
        _ => Head::Name(tape.one_of(&NAMES)),
    };
    let mut chain = Chain { head, links: Vec::new() };
    for _ in 0..tape.pick(4) {
        let link = match tape.pick(6) {
            0..=2 => Link::Field(tape.one_of(&FIELDS)),
            3 => Link::Index(expr(tape, depth.saturating_sub(1))),
            4 => Link::Field("x"),
            _ => call(tape, depth),
        };
        chain.links.push((guards && tape.pick(2) == 0, link));
    }
    chain
}

/// What can be assigned to.
fn target(tape: &mut Tape<'_>, depth: usize, guards: bool) -> Chain {
    let mut chain = chain(tape, depth, guards);
    let callable = matches!(chain.links.last(), Some((_, Link::Call(_) | Link::Method(..))));
    if callable || (chain.links.is_empty() && matches!(chain.head, Head::Brackets(_))) {
        chain.links.push((guards && tape.pick(2) == 1, Link::Field(tape.one_of(&FIELDS))));
    }
    chain
}

fn push(out: &mut Vec<String>, words: &[&str]) {
    out.extend(words.iter().map(ToString::to_string));
}

fn write_list(out: &mut Vec<String>, list: &[Expr]) {
    for (index, expr) in list.iter().enumerate() {
        if index > 0 {
            push(out, &[","]);
        }
        expr.write(out);
    }
}

fn plain_list(list: &[Expr]) -> String {
    list.iter().map(Expr::plain).collect::<Vec<_>>().join(", ")
}

fn plain_all(stats: &[Stat]) -> String {
    stats.iter().map(Stat::plain).collect::<Vec<_>>().join(" ")
}

impl Expr {
    fn write(&self, out: &mut Vec<String>) {
        match self {
            Self::Word(word) => push(out, &[word]),
            Self::Seen(id, inner) => {
                push(out, &["seen", "(", &id.to_string(), ","]);
                inner.write(out);
                push(out, &[")"]);
            }
            Self::Chain(chain) => chain.write(out),
            Self::Binary(left, operator, right) => {
                push(out, &["("]);
                left.write(out);
                push(out, &[operator]);
                right.write(out);
                push(out, &[")"]);
            }
            Self::Not(inner) => {
                push(out, &["not"]);
                inner.write(out);
            }
            Self::Set(names, keys) => {
                push(out, &["{"]);
                for name in names {
                    push(out, &[".", name, ","]);
                }
                for key in keys {
                    push(out, &["["]);
                    key.write(out);
                    push(out, &["]", ";"]);
                }
                push(out, &["}"]);
            }
            Self::Function(stats, result) => {
                push(out, &["(", "function", "(", "...", ")"]);
                stats.iter().for_each(|stat| stat.write(out));
                push(out, &["return", "select", "(", "'#'", ",", "...", ")", ","]);
                result.write(out);
                push(out, &["end", ")", "(", "1", ",", "2", ")"]);
            }
        }
    }

    fn plain(&self) -> String {
        match self {
            Self::Word("`h`") => crate::values::hash::joaat(b"h").to_string(),
            Self::Word(word) => word.to_string(),
            Self::Seen(id, inner) => format!("seen({id}, {})", inner.plain()),
            Self::Chain(chain) => chain.plain(),
            Self::Binary(left, operator, right) => format!("({} {operator} {})", left.plain(), right.plain()),
            Self::Not(inner) => format!("not {}", inner.plain()),
            Self::Set(names, keys) => {
                let names = names.iter().map(|name| format!("{name} = true, "));
                let keys = keys.iter().map(|key| format!("[{}] = true, ", key.plain()));
                format!("{{ {} }}", names.chain(keys).collect::<String>())
            }
            Self::Function(stats, result) => {
                format!(
                    "(function(...) {} return select('#', ...), {} end)(1, 2)",
                    plain_all(stats),
                    result.plain()
                )
            }
        }
    }
}

impl Link {
    fn write(&self, out: &mut Vec<String>) {
        match self {
            Self::Field(name) => push(out, &[".", name]),
            Self::Index(key) => {
                push(out, &["["]);
                key.write(out);
                push(out, &["]"]);
            }
            Self::Call(list) => {
                push(out, &["("]);
                write_list(out, list);
                push(out, &[")"]);
            }
            Self::Method(name, list) => {
                push(out, &[":", name, "("]);
                write_list(out, list);
                push(out, &[")"]);
            }
        }
    }

    fn plain(&self) -> String {
        match self {
            Self::Field(name) => format!(".{name}"),
            Self::Index(key) => format!("[ {} ]", key.plain()),
            Self::Call(list) => format!("({})", plain_list(list)),
            Self::Method(name, list) => format!(":{name}({})", plain_list(list)),
        }
    }
}

impl Chain {
    fn write(&self, out: &mut Vec<String>) {
        match &self.head {
            Head::Name(name) => push(out, &[name]),
            Head::Brackets(inner) => {
                push(out, &["("]);
                inner.write(out);
                push(out, &[")"]);
            }
        }
        for (guarded, link) in &self.links {
            if *guarded {
                push(out, &["?"]);
            }
            link.write(out);
        }
    }

    fn head(&self) -> String {
        match &self.head {
            Head::Name(name) => name.to_string(),
            Head::Brackets(inner) => format!("({})", inner.plain()),
        }
    }

    fn plain(&self) -> String {
        plain_links(self.head(), &self.links)
    }

    /// A statement about the chain: `of` gets what stands before its last links without a `?`, and those.
    fn statement(&self, of: Statement<'_>) -> String {
        let links: Vec<_> = self.links.iter().map(|(guarded, link)| (*guarded, link)).collect();
        guarded_statement(self.head(), links, of)
    }
}

fn guarded_statement(head: String, mut links: Vec<(bool, &Link)>, of: Statement<'_>) -> String {
    let Some(at) = links.iter().position(|(guarded, _)| *guarded) else { return of(head, &links) };
    let rest = links.split_off(at);
    let rest = rest.into_iter().enumerate().map(|(index, (guarded, link))| (index > 0 && guarded, link));
    let inner = guarded_statement("r".into(), rest.collect(), of);
    format!("do local r = {} if r then {inner} end end", joined(head, &links))
}

fn joined(head: String, links: &[(bool, &Link)]) -> String {
    head + &links.iter().map(|(_, link)| link.plain()).collect::<String>()
}

/// An expression: the value of the chain, or what a `?` stopped at.
fn plain_links(head: String, links: &[(bool, Link)]) -> String {
    match links.iter().position(|(guarded, _)| *guarded) {
        None => head + &links.iter().map(|(_, link)| link.plain()).collect::<String>(),
        Some(at) => {
            let before: String = links[..at].iter().map(|(_, link)| link.plain()).collect();
            let first = links[at].1.plain();
            let rest = plain_links(format!("r{first}"), &links[at + 1..]);
            format!("(function() local r = {head}{before} if not r then return r end return ({rest}) end)()")
        }
    }
}

impl Stat {
    fn write(&self, out: &mut Vec<String>) {
        // what begins with a bracket would go on with the statement before
        push(out, &[";"]);
        match self {
            Self::Out(value) => {
                push(out, &["out", "("]);
                value.write(out);
                push(out, &[")"]);
            }
            Self::Assign(target, value) => {
                target.write(out);
                push(out, &["="]);
                value.write(out);
            }
            Self::Compound(target, operator, value) => {
                target.write(out);
                push(out, &[&format!("{operator}=")]);
                value.write(out);
            }
            Self::Call(chain) => chain.write(out),
            Self::UnpackLocals(names, chain, stats) => {
                push(out, &["do", "local"]);
                for (index, name) in names.iter().enumerate() {
                    if index > 0 {
                        push(out, &[","]);
                    }
                    push(out, &[name]);
                }
                push(out, &["in"]);
                chain.write(out);
                stats.iter().for_each(|stat| stat.write(out));
                push(out, &["end"]);
            }
            Self::Unpack(targets, chain) => {
                for (index, target) in targets.iter().enumerate() {
                    if index > 0 {
                        push(out, &[","]);
                    }
                    target.write(out);
                }
                push(out, &["in"]);
                chain.write(out);
            }
            Self::If(condition, stats) => {
                push(out, &["if"]);
                condition.write(out);
                push(out, &["then"]);
                stats.iter().for_each(|stat| stat.write(out));
                push(out, &["end"]);
            }
            Self::Loop(stats) => {
                push(out, &["for", "i", "=", "1", ",", "2", "do"]);
                stats.iter().for_each(|stat| stat.write(out));
                push(out, &["end"]);
            }
        }
    }

    fn plain(&self) -> String {
        let text = match self {
            Self::Out(value) => format!("out({})", value.plain()),
            Self::Assign(target, value) => {
                target.statement(&|head, links| format!("; {} = {}", joined(head, links), value.plain()))
            }
            Self::Compound(target, operator, value) => {
                let operator = if *operator == "^" { "~" } else { operator };
                target.statement(&|head, links| match links {
                    [] => format!("{head} = {head} {operator} ({})", value.plain()),
                    [before @ .., (_, last)] => {
                        let key = match last {
                            Link::Field(name) => format!("'{name}'"),
                            Link::Index(key) => key.plain(),
                            Link::Call(_) | Link::Method(..) => unreachable!("no target"),
                        };
                        let before = joined(head, before);
                        format!(
                            "do local p, k = {before}, {key} local old = p[k] local new = {} p[k] = old {operator} new end",
                            value.plain()
                        )
                    }
                })
            }
            Self::Call(chain) => chain.statement(&|head, links| format!("; {}", joined(head, links))),
            Self::UnpackLocals(names, chain, stats) => {
                let found: Vec<_> = names.iter().map(|name| format!("r.{name}")).collect();
                format!(
                    "do local {} = (function(r) return {} end)({}) {} end",
                    names.join(", "),
                    found.join(", "),
                    chain.plain(),
                    plain_all(stats)
                )
            }
            Self::Unpack(targets, chain) => {
                let found = targets.iter().map(|target| match (target.links.last(), &target.head) {
                    (Some((_, Link::Field(name))), _) | (None, Head::Name(name)) => format!("r.{name}"),
                    (Some((_, Link::Index(key))), _) => format!("r[ {} ]", key.plain()),
                    _ => unreachable!("no target"),
                });
                let found = found.collect::<Vec<_>>().join(", ");
                let targets = targets.iter().map(Chain::plain).collect::<Vec<_>>().join(", ");
                format!("; {targets} = (function(r) return {found} end)({})", chain.plain())
            }
            Self::If(condition, stats) => format!("if {} then {} end", condition.plain(), plain_all(stats)),
            Self::Loop(stats) => format!("for i = 1, 2 do {} end", plain_all(stats)),
        };
        format!("; {text}")
    }
}
