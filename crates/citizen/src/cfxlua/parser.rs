//! A walk over the grammar of Lua 5.4 and what CfxLua adds, which keeps nothing of it but the changes to make.
//!
//! Operators need no precedence here: only where an expression ends matters.

use super::lexer::{Kind, Lexer, Token, line_of, shortened};
use super::names::Observer;
use super::{Edits, Error};

/// Why a walk ends early.
#[derive(Debug)]
pub(super) enum Stop {
    /// This is no Lua: what follows stays as it is, and Lua says so.
    Syntax,
    /// Nor is it CfxLua.
    Refused(Error),
}

pub(super) type Walk<T = ()> = Result<T, Stop>;

/// Nesting that Lua still takes is less than this.
const MAX_DEPTH: u32 = 200;

/// A function that is being walked through.
#[derive(Default)]
struct Function {
    /// Local variables in scope, with the hidden ones of loops.
    locals: u32,
    /// How often it said `...`.
    dots: u32,
}

pub(super) struct Parser<'s> {
    pub(super) source: &'s [u8],
    lexer: Lexer<'s>,
    pub(super) token: Token,
    ahead: Option<Token>,
    /// Where the token before the current one ends.
    pub(super) last_end: usize,
    functions: Vec<Function>,
    depth: u32,
    /// Names of our own variables, which the source does not use.
    pub(super) value: Vec<u8>,
    pub(super) key: Vec<u8>,
    /// Who wants to know the names in the source, if anybody does.
    pub(super) observer: Option<Box<Observer<'s>>>,
}

/// The source as plain Lua.
pub(super) fn rewrite(source: &[u8]) -> Result<Vec<u8>, Error> {
    let mut parser = Parser::new(source);
    match parser.chunk() {
        Err(Stop::Refused(error)) => return Err(error),
        Err(Stop::Syntax) if parser.token.kind == Kind::Bad => {
            if let Some(error) = parser.lexer.error {
                return Err(error);
            }
        }
        Err(Stop::Syntax) | Ok(()) => {}
    }
    Ok(parser.lexer.edits.apply(source))
}

/// Whether the walk comes to the end.
#[cfg(test)]
pub(super) fn is_whole(source: &[u8]) -> bool {
    Parser::new(source).chunk().is_ok()
}

impl<'s> Parser<'s> {
    pub(super) fn new(source: &'s [u8]) -> Self {
        let mut lexer = Lexer::new(source);
        let token = lexer.next();
        let value = fresh_name(source);
        let key = [&value[..], b"k"].concat();
        Self {
            source,
            lexer,
            token,
            ahead: None,
            last_end: 0,
            functions: vec![Function::default()],
            depth: 0,
            value,
            key,
            observer: None,
        }
    }

    pub(super) fn edits(&mut self) -> &mut Edits {
        &mut self.lexer.edits
    }

    pub(super) fn text(&self, token: Token) -> &'s [u8] {
        &self.source[token.start..token.end]
    }

    /// Goes on to the next token; gives the one it leaves.
    pub(super) fn advance(&mut self) -> Token {
        let left = self.token;
        self.last_end = left.end;
        self.token = match self.ahead.take() {
            Some(token) => token,
            None => self.lexer.next(),
        };
        left
    }

    fn peek(&mut self) -> Kind {
        self.peek_token().kind
    }

    pub(super) fn peek_token(&mut self) -> Token {
        let Self { ahead, lexer, .. } = self;
        *ahead.get_or_insert_with(|| lexer.next())
    }

    pub(super) fn take(&mut self, kind: Kind) -> bool {
        let there = self.token.kind == kind;
        if there {
            self.advance();
        }
        there
    }

    pub(super) fn expect(&mut self, kind: Kind) -> Walk<Token> {
        if self.token.kind == kind { Ok(self.advance()) } else { Err(Stop::Syntax) }
    }

    /// An error at the current token.
    pub(super) fn refuse<T>(&self, expected: &str) -> Walk<T> {
        let near = match self.token.kind {
            Kind::Eof => "<eof>".into(),
            _ => format!("'{}'", shortened(self.text(self.token))),
        };
        let line = line_of(self.source, self.token.start);
        Err(Stop::Refused(Error { line, message: format!("{expected} near {near}") }))
    }

    fn deeper<T>(&mut self, walk: impl FnOnce(&mut Self) -> Walk<T>) -> Walk<T> {
        if self.depth >= MAX_DEPTH {
            return Err(Stop::Syntax);
        }
        self.depth += 1;
        let result = walk(self);
        self.depth -= 1;
        result
    }

    fn function(&mut self) -> &mut Function {
        if self.functions.is_empty() {
            self.functions.push(Function::default());
        }
        let last = self.functions.len() - 1;
        &mut self.functions[last]
    }

    /// How often the current function said `...`.
    pub(super) fn dots(&mut self) -> u32 {
        self.function().dots
    }

    /// How many local variables are in scope.
    pub(super) fn locals(&mut self) -> u32 {
        self.function().locals
    }

    pub(super) fn declare(&mut self, count: u32) {
        let function = self.function();
        function.locals = function.locals.saturating_add(count);
    }

    pub(super) fn chunk(&mut self) -> Walk {
        self.block()?;
        self.expect(Kind::Eof).map(drop)
    }

    /// A block with a scope of its own.
    fn scope(&mut self) -> Walk {
        let (locals, named) = (self.locals(), self.named_locals());
        self.block()?;
        self.function().locals = locals;
        self.forget_locals(named);
        Ok(())
    }

    fn block(&mut self) -> Walk {
        loop {
            match self.token.kind {
                Kind::Else | Kind::Elseif | Kind::End | Kind::Until | Kind::Eof => return Ok(()),
                Kind::Return => return self.deeper(Self::return_statement),
                _ => self.deeper(Self::statement)?,
            }
        }
    }

    fn return_statement(&mut self) -> Walk {
        self.advance();
        match self.token.kind {
            Kind::Else | Kind::Elseif | Kind::End | Kind::Until | Kind::Eof | Kind::Semicolon => {}
            _ => self.expressions()?,
        }
        self.take(Kind::Semicolon);
        Ok(())
    }

    fn statement(&mut self) -> Walk {
        match self.token.kind {
            Kind::Semicolon | Kind::Break => {
                self.advance();
            }
            Kind::If => {
                while matches!(self.token.kind, Kind::If | Kind::Elseif) {
                    self.advance();
                    self.expression()?;
                    self.expect(Kind::Then)?;
                    self.scope()?;
                }
                if self.take(Kind::Else) {
                    self.scope()?;
                }
                self.expect(Kind::End)?;
            }
            Kind::While => {
                self.advance();
                self.expression()?;
                self.expect(Kind::Do)?;
                self.scope()?;
                self.expect(Kind::End)?;
            }
            Kind::Do => {
                self.advance();
                self.scope()?;
                self.expect(Kind::End)?;
            }
            Kind::For => self.for_statement()?,
            Kind::Repeat => {
                self.advance();
                let (locals, named) = (self.locals(), self.named_locals());
                self.block()?;
                self.expect(Kind::Until)?;
                self.expression()?;
                self.function().locals = locals;
                self.forget_locals(named);
            }
            Kind::Function => {
                self.advance();
                let name = self.expect(Kind::Name)?;
                let met = self.meet(name);
                while self.take(Kind::Dot) {
                    let field = self.expect(Kind::Name)?;
                    self.meet_field(met, Some(field));
                }
                let method = self.take(Kind::Colon);
                if method {
                    let field = self.expect(Kind::Name)?;
                    self.meet_field(met, Some(field));
                }
                self.meet_assignment(met);
                self.body(if method { &[b"self"] } else { &[] })?;
            }
            Kind::Local => {
                self.advance();
                if self.take(Kind::Function) {
                    let name = self.expect(Kind::Name)?;
                    self.declare(1);
                    self.name_locals(&[self.text(name)]);
                    self.body(&[])?;
                } else {
                    self.local_statement()?;
                }
            }
            Kind::DoubleColon => {
                self.advance();
                self.expect(Kind::Name)?;
                self.expect(Kind::DoubleColon)?;
            }
            Kind::Goto => {
                self.advance();
                self.expect(Kind::Name)?;
            }
            _ => self.expression_statement()?,
        }
        Ok(())
    }

    fn for_statement(&mut self) -> Walk {
        self.advance();
        let first = self.expect(Kind::Name)?;
        let mut names = vec![self.text(first)];
        let (outside, named) = (self.locals(), self.named_locals());
        if self.take(Kind::Equals) {
            self.expressions()?;
            self.declare(4);
        } else {
            while self.take(Kind::Comma) {
                let name = self.expect(Kind::Name)?;
                names.push(self.text(name));
            }
            self.expect(Kind::In)?;
            self.expressions()?;
            self.declare(4 + u32::try_from(names.len()).unwrap_or(u32::MAX - 4));
        }
        self.name_locals(&names);
        self.expect(Kind::Do)?;
        self.block()?;
        self.expect(Kind::End)?;
        self.function().locals = outside;
        self.forget_locals(named);
        Ok(())
    }

    /// Parameters and body of a function that has these parameters before those that are written.
    fn body(&mut self, hidden: &[&'s [u8]]) -> Walk {
        self.expect(Kind::OpenParen)?;
        self.functions.push(Function { locals: hidden.len() as u32, dots: 0 });
        let named = self.named_locals();
        self.name_locals(hidden);
        while self.token.kind != Kind::CloseParen {
            if self.take(Kind::Dots) {
                break;
            }
            let name = self.expect(Kind::Name)?;
            self.declare(1);
            self.name_locals(&[self.text(name)]);
            if !self.take(Kind::Comma) {
                break;
            }
        }
        self.expect(Kind::CloseParen)?;
        self.block()?;
        self.functions.pop();
        self.forget_locals(named);
        self.expect(Kind::End).map(drop)
    }

    pub(super) fn expressions(&mut self) -> Walk {
        self.expression()?;
        while self.take(Kind::Comma) {
            self.expression()?;
        }
        Ok(())
    }

    pub(super) fn expression(&mut self) -> Walk {
        self.deeper(|parser| {
            loop {
                while matches!(parser.token.kind, Kind::Not | Kind::Minus | Kind::Tilde | Kind::Length) {
                    parser.advance();
                }
                parser.operand()?;
                match parser.token.kind {
                    Kind::Binary | Kind::Minus | Kind::Tilde | Kind::Concat | Kind::Less | Kind::Greater => {}
                    _ => return Ok(()),
                }
                parser.advance();
            }
        })
    }

    fn operand(&mut self) -> Walk {
        match self.token.kind {
            Kind::Number | Kind::Text | Kind::Hash | Kind::Constant => {
                self.advance();
            }
            Kind::Dots => {
                self.advance();
                self.function().dots += 1;
            }
            Kind::OpenBrace => self.constructor()?,
            Kind::Function => {
                self.advance();
                self.body(&[])?;
            }
            _ => self.chain_expression()?,
        }
        Ok(())
    }

    /// What is called with: `(…)`, a table, a string, a hash.
    pub(super) fn arguments(&mut self) -> Walk {
        match self.token.kind {
            Kind::Text | Kind::Hash => {
                self.advance();
            }
            Kind::OpenBrace => self.constructor()?,
            _ => {
                self.expect(Kind::OpenParen)?;
                if self.token.kind != Kind::CloseParen {
                    self.expressions()?;
                }
                self.expect(Kind::CloseParen)?;
            }
        }
        Ok(())
    }

    /// `{ … }`; a field `.name` or `[key]` without a value is true.
    fn constructor(&mut self) -> Walk {
        self.expect(Kind::OpenBrace)?;
        while self.token.kind != Kind::CloseBrace {
            let next = match self.token.kind {
                Kind::Name | Kind::Dot => self.peek(),
                _ => Kind::Eof,
            };
            match self.token.kind {
                Kind::Name if next == Kind::Equals => {
                    self.advance();
                    self.advance();
                    self.expression()?;
                }
                Kind::Dot if next == Kind::Name => {
                    let dot = self.advance();
                    self.edits().replace(dot.start..dot.end, &[]);
                    self.advance();
                    self.field_value()?;
                }
                Kind::OpenBracket => {
                    self.advance();
                    self.expression()?;
                    self.expect(Kind::CloseBracket)?;
                    self.field_value()?;
                }
                _ => self.expression()?,
            }
            if !self.take(Kind::Comma) && !self.take(Kind::Semicolon) {
                break;
            }
        }
        self.expect(Kind::CloseBrace).map(drop)
    }

    fn field_value(&mut self) -> Walk {
        if self.take(Kind::Equals) {
            return self.expression();
        }
        let end = self.last_end;
        self.edits().insert(end, &[b"=true"]);
        Ok(())
    }
}

/// A name that is not in the source.
fn fresh_name(source: &[u8]) -> Vec<u8> {
    const STEM: &[u8] = b"__cfx";
    let mut longest = 0;
    let mut rest = source;
    while let Some(at) = rest.windows(STEM.len()).position(|text| text == STEM) {
        rest = &rest[at + STEM.len()..];
        longest = longest.max(1 + rest.iter().take_while(|byte| **byte == b'_').count());
    }
    [STEM, &b"_".repeat(longest)].concat()
}
