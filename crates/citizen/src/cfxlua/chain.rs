//! Chains: a name or an expression in brackets, and what is looked up in it and called. `?` in them is navigation that
//! ends where there is nothing.
//!
//! In an expression, `a?.b` is `(a and a.b)`. What is not a plain name is looked up once, so it goes into a variable,
//! and that takes a function: `(function() local v=f() return v and v.b end)()`, with the `?`s before the last as
//! `v=v and v…`. A statement needs no function: `do local v=f() if v then v.b(x) end end`.

use super::edits::EditId;
use super::lexer::{Kind, Token};
use super::names::Met;
use super::parser::{Parser, Stop, Walk};

/// What a chain is part of.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    Expression,
    /// It begins a statement: a call, or what is assigned to.
    Statement,
}

/// The last link of a chain.
#[derive(Clone, Copy)]
pub(super) enum Link {
    /// There is only the name.
    Name,
    /// There is only an expression in brackets.
    Brackets,
    Field {
        dot: usize,
        name: Token,
    },
    Index {
        open: Token,
        close: Token,
        key: Option<Token>,
    },
    Call,
}

pub(super) struct Chain<'s> {
    pub(super) start: usize,
    /// The name its links follow, if it is one: its own, or that of our variable since the last `?`.
    base: Option<Base<'s>>,
    /// Links since the base.
    links: u32,
    pub(super) last: Link,
    /// How often the function had said `...` before.
    dots: u32,
    /// The edit that opens what the chain is put into.
    open: Option<EditId>,
    /// The last `?`, and the copy of the base behind it.
    guard: Option<(EditId, EditId)>,
    guards: u32,
    /// Whether our variable is declared.
    declared: bool,
    /// How many `end`s close what was opened.
    ends: u32,
    /// What is known of it to who observes names.
    pub(super) met: Met,
}

#[derive(Clone, Copy)]
enum Base<'s> {
    Name(&'s [u8]),
    Variable,
}

impl<'s> Parser<'s> {
    pub(super) fn chain_expression(&mut self) -> Walk {
        let chain = self.chain(Place::Expression)?;
        if chain.guards == 0 {
            return Ok(());
        }
        let end = self.last_end;
        if !chain.declared {
            self.edits().insert(end, &[b")"]);
        } else if self.dots() == chain.dots {
            self.edits().insert(end, &[b" end)()"]);
        } else {
            // its `...` is that of the function around
            self.edits().insert(end, &[b" end)(...)"]);
            let value = self.value.clone();
            if let Some(open) = chain.open {
                self.edits().reword(open, &[b"(function(...) local ", &value, b"="]);
            }
        }
        Ok(())
    }

    /// Walks to the end of a chain.
    pub(super) fn chain(&mut self, place: Place) -> Walk<Chain<'s>> {
        let mut chain = Chain {
            start: self.token.start,
            base: None,
            links: 0,
            last: Link::Name,
            dots: self.dots(),
            open: None,
            guard: None,
            guards: 0,
            declared: false,
            ends: 0,
            met: None,
        };
        match self.token.kind {
            Kind::Name => {
                let name = self.advance();
                chain.base = Some(Base::Name(self.text(name)));
                chain.met = self.meet(name);
            }
            Kind::OpenParen => {
                self.advance();
                self.expression()?;
                self.expect(Kind::CloseParen)?;
                chain.last = Link::Brackets;
            }
            _ => return Err(Stop::Syntax),
        }
        loop {
            if self.token.kind == Kind::Question {
                match place {
                    Place::Expression => self.guard_expression(&mut chain),
                    Place::Statement => self.guard_statement(&mut chain),
                }
                if !is_link(self.token.kind) {
                    return self.refuse("expected a field, an index, a method or a call after '?'");
                }
            }
            chain.last = match self.token.kind {
                Kind::Dot => {
                    let dot = self.advance().start;
                    let name = self.expect(Kind::Name)?;
                    self.meet_field(chain.met, Some(name));
                    Link::Field { dot, name }
                }
                Kind::OpenBracket => {
                    let open = self.advance();
                    let first = self.token;
                    self.expression()?;
                    let alone = first.end == self.last_end && first.kind != Kind::Hash;
                    let close = self.expect(Kind::CloseBracket)?;
                    let text = alone && first.kind == Kind::Text;
                    self.meet_field(chain.met, text.then_some(first));
                    let key = (alone && !self.text(first).iter().any(|byte| matches!(byte, b'\n' | b'\r')))
                        .then_some(first);
                    Link::Index { open, close, key }
                }
                Kind::Colon => {
                    self.advance();
                    let name = self.expect(Kind::Name)?;
                    self.meet_field(chain.met, Some(name));
                    self.meet_call(chain.met);
                    self.arguments()?;
                    Link::Call
                }
                Kind::OpenParen | Kind::Text | Kind::OpenBrace | Kind::Hash => {
                    self.meet_call(chain.met);
                    self.arguments()?;
                    Link::Call
                }
                _ => return Ok(chain),
            };
            chain.links += 1;
        }
    }

    /// The name all of the chain but `links` links is, if it is one.
    pub(super) fn plain(&self, chain: &Chain<'s>, links: u32) -> Option<Vec<u8>> {
        match chain.base {
            Some(Base::Name(name)) if chain.links == links => Some(name.to_vec()),
            Some(Base::Variable) if chain.links == links => Some(self.value.clone()),
            _ => None,
        }
    }

    fn guard_expression(&mut self, chain: &mut Chain<'s>) {
        let value = self.value.clone();
        let plain = self.plain(chain, 0);
        let question = self.advance();
        if chain.guards == 0 && plain.is_some() {
            chain.open = Some(self.edits().insert(chain.start, &[b"("]));
        } else {
            let opening: [&[u8]; 3] = [b"(function() local ", &value, b"="];
            match chain.open {
                None => chain.open = Some(self.edits().insert(chain.start, &opening)),
                Some(open) if !chain.declared => self.edits().reword(open, &opening),
                Some(_) => {
                    if let Some((guard, _)) = chain.guard {
                        self.edits().reword(guard, &[b" ", &value, b"=", &value, b" and "]);
                    }
                }
            }
            chain.declared = true;
        }
        let guard = match chain.declared {
            true => self.edits().replace(question.start..question.end, &[b" return ", &value, b" and "]),
            false => self.edits().replace(question.start..question.end, &[b" and "]),
        };
        self.rebase(chain, guard, question, plain);
    }

    fn guard_statement(&mut self, chain: &mut Chain<'s>) {
        let value = self.value.clone();
        let plain = self.plain(chain, 0);
        let question = self.advance();
        let place = question.start..question.end;
        let guard = if chain.guards == 0 && plain.is_some() {
            chain.open = Some(self.edits().insert(chain.start, &[b"if "]));
            self.edits().replace(place, &[b" then "])
        } else {
            let declaration: [&[u8]; 3] = [if chain.declared { b"" } else { b"local " }, &value, b"="];
            let declaration = declaration.concat();
            match chain.guard {
                Some((_, base)) => self.edits().lead(base, &declaration),
                None => {
                    chain.open = Some(self.edits().insert(chain.start, &[b"do ", &declaration]));
                    chain.ends += 1;
                }
            }
            chain.declared = true;
            self.edits().replace(place, &[b" if ", &value, b" then "])
        };
        chain.ends += 1;
        self.rebase(chain, guard, question, plain);
    }

    /// Behind a `?`, the links go on from a plain name.
    fn rebase(&mut self, chain: &mut Chain<'s>, guard: EditId, question: Token, plain: Option<Vec<u8>>) {
        let own = chain.guards == 0;
        let value = self.value.clone();
        match plain {
            Some(name) if own => {
                chain.guard = Some((guard, self.edits().insert(question.end, &[&name])));
            }
            _ => {
                chain.guard = Some((guard, self.edits().insert(question.end, &[&value])));
                chain.base = Some(Base::Variable);
            }
        }
        chain.guards += 1;
        chain.links = 0;
    }

    /// Puts `text` in front of what follows the last `?`, or of the whole chain, in a block of its own.
    pub(super) fn open_block(&mut self, chain: &mut Chain<'s>, text: &[u8]) {
        match chain.guard {
            Some((_, base)) => self.edits().lead(base, text),
            None => chain.open = Some(self.edits().insert(chain.start, &[text])),
        }
        chain.ends += 1;
        chain.declared = true;
    }

    /// Closes what a statement's chain opened, at the end of the statement.
    pub(super) fn close_statement(&mut self, chain: &Chain<'s>) {
        /// Lua's limit of local variables, less those that a statement's chain may take.
        const MAX_LOCALS: u32 = 200 - 4;
        if chain.ends == 0 {
            return;
        }
        let end = self.last_end;
        let mut closing = b" end".repeat(chain.ends as usize);
        // where no variable is left, the statement gets a function
        if let Some(open) = chain.open
            && chain.declared
            && self.locals() > MAX_LOCALS
        {
            let dots: &[u8] = if self.dots() == chain.dots { b"" } else { b"..." };
            let opening = [b";(function(", dots, b") "].concat();
            self.edits().lead(open, &opening);
            closing.extend_from_slice(&[b" end)(", dots, b")"].concat());
        }
        self.edits().insert(end, &[&closing]);
    }
}

fn is_link(kind: Kind) -> bool {
    matches!(
        kind,
        Kind::Dot
            | Kind::OpenBracket
            | Kind::Colon
            | Kind::OpenParen
            | Kind::Text
            | Kind::OpenBrace
            | Kind::Hash
    )
}
