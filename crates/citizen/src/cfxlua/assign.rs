//! Assignments: `op=`, and `in`, which unpacks a table by the names of what it is assigned to.

use super::chain::{Chain, Link, Place};
use super::lexer::{Kind, Token};
use super::parser::{Parser, Stop, Walk};

/// More names than this, or longer ones, are not repeated: it would make the text much longer.
const MAX_REPEATED: usize = 64;

impl<'s> Parser<'s> {
    /// A call or an assignment.
    pub(super) fn expression_statement(&mut self) -> Walk {
        let mut chain = self.chain(Place::Statement)?;
        match self.token.kind {
            Kind::Equals => {
                self.meet_assignment(chain.met);
                self.advance();
                self.expressions()?;
            }
            Kind::Comma | Kind::In => {
                self.meet_assignment(chain.met);
                let mut targets = vec![chain.last];
                let mut names = vec![chain.start];
                while self.take(Kind::Comma) {
                    names.push(self.token.start);
                    let target = self.chain(Place::Expression)?;
                    self.meet_assignment(target.met);
                    targets.push(target.last);
                }
                if self.token.kind == Kind::In {
                    self.unpack(&targets, &names)?;
                } else {
                    self.expect(Kind::Equals)?;
                    self.expressions()?;
                }
            }
            Kind::Compound => self.compound(&mut chain)?,
            _ if matches!(chain.last, Link::Call) => {}
            _ => return Err(Stop::Syntax),
        }
        self.close_statement(&chain);
        Ok(())
    }

    /// `left op= expression`: the left side is evaluated once.
    fn compound(&mut self, chain: &mut Chain<'s>) -> Walk {
        let token = self.token;
        let operator = match self.text(token) {
            b"^=" => b"~",
            text => &text[..text.len() - 1],
        };
        let (value, key) = (self.value.clone(), self.key.clone());
        let left = match chain.last {
            Link::Name => self.plain(chain, 0).ok_or(Stop::Syntax)?,
            Link::Field { dot, name } => {
                let base = match self.plain(chain, 1) {
                    Some(base) => base,
                    None => {
                        self.open_block(chain, &[b"do local ", &value[..], b"="].concat());
                        self.edits().insert(dot, &[b" ", &value]);
                        value
                    }
                };
                [&base, &b"."[..], self.text(name)].concat()
            }
            Link::Index { open, close, key: name } => match (self.plain(chain, 1), name) {
                (Some(base), Some(name)) => [&base, &b"[ "[..], self.text(name), b" ]"].concat(),
                _ => {
                    self.open_block(chain, &[b"do local ", &value[..], b",", &key, b"="].concat());
                    let left = [&value, &b"["[..], &key, b"]"].concat();
                    self.edits().replace(open.start..open.end, &[b","]);
                    self.edits().replace(close.start..close.end, &[b" ", &left]);
                    left
                }
            },
            Link::Brackets | Link::Call => return Err(Stop::Syntax),
        };
        self.edits().replace(token.start..token.end, &[b"=", &left, operator, b"("]);
        self.advance();
        self.expression()?;
        let end = self.last_end;
        self.edits().insert(end, &[b")"]);
        Ok(())
    }

    /// `targets in chain`, at the `in`. `starts` are where the targets begin.
    fn unpack(&mut self, targets: &[Link], starts: &[usize]) -> Walk {
        let keys = targets.iter().zip(starts).map(|(target, start)| self.unpack_key(target, *start));
        let keys = keys.collect::<Walk<Vec<_>>>()?;
        self.unpack_into(&keys)
    }

    fn unpack_key(&self, target: &Link, start: usize) -> Walk<Vec<u8>> {
        match target {
            Link::Name => {
                let rest = &self.source[start..];
                let len =
                    rest.iter().take_while(|byte| byte.is_ascii_alphanumeric() || **byte == b'_').count();
                Ok([b".", &rest[..len]].concat())
            }
            Link::Field { name, .. } => Ok([b".", self.text(*name)].concat()),
            Link::Index { key: Some(key), .. }
                if key.kind == Kind::Text || self.text(*key).iter().all(u8::is_ascii_digit) =>
            {
                Ok([b"[ ", self.text(*key), b" ]"].concat())
            }
            Link::Index { .. } => {
                self.refuse("unexpected assignment key: 'in' needs names, fields or constant keys before it,")
            }
            Link::Brackets | Link::Call => Err(Stop::Syntax),
        }
    }

    /// The `in`, if a chain follows.
    fn unpack_word(&mut self) -> Walk<Token> {
        let word = self.advance();
        match self.token.kind {
            Kind::Name | Kind::OpenParen => Ok(word),
            _ => self.refuse("expected a name, a call or an expression in brackets after 'in'"),
        }
    }

    /// Assigns what is found under `keys` in the value of the chain behind `in`.
    fn unpack_into(&mut self, keys: &[Vec<u8>]) -> Walk {
        let word = self.unpack_word()?;
        if let [key] = keys {
            self.edits().replace(word.start..word.end, &[b"="]);
            self.chain_expression()?;
            let end = self.last_end;
            self.edits().insert(end, &[key]);
            return Ok(());
        }
        let value = self.value.clone();
        let found: Vec<_> = keys.iter().map(|key| [&value, &key[..]].concat()).collect();
        self.edits().replace(
            word.start..word.end,
            &[b"=(function(", &value, b") return ", &found.join(&b","[..]), b" end)("],
        );
        self.chain_expression()?;
        let end = self.last_end;
        self.edits().insert(end, &[b")"]);
        Ok(())
    }

    /// Behind `local`: names, and what they get.
    pub(super) fn local_statement(&mut self) -> Walk {
        let mut names = Vec::new();
        let mut attributes = false;
        loop {
            let name = self.expect(Kind::Name)?;
            names.push(self.text(name));
            if self.take(Kind::Less) {
                attributes = true;
                self.expect(Kind::Name)?;
                self.expect(Kind::Greater)?;
            }
            if !self.take(Kind::Comma) {
                break;
            }
        }
        match self.token.kind {
            Kind::Equals => {
                self.advance();
                self.expressions()?;
            }
            Kind::In => self.unpack_locals(&names, attributes)?,
            _ => {}
        }
        self.declare(u32::try_from(names.len()).unwrap_or(u32::MAX));
        self.name_locals(&names);
        Ok(())
    }

    /// `local a, b in chain`: the first variable holds the table for a moment, so that no other is needed.
    fn unpack_locals(&mut self, names: &[&'s [u8]], attributes: bool) -> Walk {
        let first = names[0];
        let small = names.len() <= MAX_REPEATED && first.len() <= MAX_REPEATED;
        if names.len() == 1 || attributes || !small || has_twice(names) {
            let keys: Vec<_> = names.iter().map(|name| [b".", *name].concat()).collect();
            return self.unpack_into(&keys);
        }
        let word = self.unpack_word()?;
        self.edits().replace(word.start..word.end, &[b"="]);
        self.chain_expression()?;
        let found: Vec<_> = names.iter().map(|name| [first, b".", name].concat()).collect();
        let end = self.last_end;
        self.edits().insert(end, &[b";", &names.join(&b","[..]), b"=", &found.join(&b","[..])]);
        Ok(())
    }
}

fn has_twice(names: &[&[u8]]) -> bool {
    names.iter().enumerate().any(|(index, name)| names[..index].contains(name))
}
