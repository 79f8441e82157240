//! MySQL's dialect as SQLite takes it: a statement is parsed, its tree is rewritten, and written out again.

mod expressions;
mod statements;

use std::ops::ControlFlow;

use sqlparser::ast::{
    AlterTable, AlterTableOperation, CreateTable, Expr, Ident, ObjectName, ObjectNamePart, Query, Select,
    SelectItem, SetExpr, SqliteOnConflict, Statement, TableFactor, VisitMut, VisitorMut,
};
use sqlparser::dialect::MySqlDialect;
use sqlparser::keywords::Keyword;
use sqlparser::parser::Parser;
use sqlparser::tokenizer::{Token, TokenWithSpan, Tokenizer};

use crate::SqlError;

pub(super) use statements::plan;

/// What is to be done for a statement.
#[derive(Debug)]
pub(super) enum Plan {
    /// Rows come of it. For each column of the first level, how its value is given.
    Select {
        sql: String,
        sums: Vec<bool>,
    },
    /// Rows are changed, of this table.
    Change {
        sql: String,
        table: String,
        kind: Change,
    },
    /// Nothing comes of it.
    Plain(String),
    Create(Box<CreateTable>),
    Alter(Box<AlterTable>),
    Drop {
        tables: Vec<String>,
        if_exists: bool,
    },
    Rename(Vec<(String, String)>),
    Truncate(Vec<String>),
    Index {
        table: String,
        sql: String,
        if_not_exists: bool,
        name: String,
    },
    ForeignKeys(bool),
    /// Understood, and without meaning here: `SET NAMES`, `USE`, `LOCK TABLES`.
    Nothing,
    Show(Show),
}

/// How rows are changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    Insert,
    /// With `ON DUPLICATE KEY UPDATE`: a row that was there counts twice.
    Upsert,
    Replace,
    Other,
}

/// What a `SHOW` statement asks for.
#[derive(Debug)]
pub(super) enum Show {
    Tables { like: Option<String> },
    Columns { table: String, like: Option<String> },
    Create { table: String },
    Databases,
    Variables,
}

/// Parses one statement.
///
/// # Errors
/// In MySQL's words, with what was expected and where.
pub(super) fn parse(text: &str) -> Result<Statement, SqlError> {
    let syntax = |problem: &dyn std::fmt::Display| {
        SqlError(format!("You have an error in your SQL syntax (or it is not understood here): {problem}"))
    };
    let dialect = MySqlDialect {};
    let mut tokens =
        Tokenizer::new(&dialect, text).tokenize_with_location().map_err(|error| syntax(&error))?;
    let taken = prepare(&mut tokens);
    let mut parser = Parser::new(&dialect).with_tokens_with_locations(tokens);
    let mut statement = parser.parse_statement().map_err(|error| syntax(&error))?;
    while parser.consume_token(&Token::SemiColon) {}
    let rest = parser.peek_token();
    if rest.token != Token::EOF {
        return Err(syntax(&format!("Expected: end of statement, found: {rest}")));
    }
    match &mut statement {
        Statement::Update(update) if taken.ignore => update.or = Some(SqliteOnConflict::Ignore),
        Statement::AlterTable(alter) if taken.existence => {
            for operation in &mut alter.operations {
                match operation {
                    AlterTableOperation::AddColumn { if_not_exists, .. } => *if_not_exists = true,
                    AlterTableOperation::DropColumn { if_exists, .. } => *if_exists = true,
                    _ => {}
                }
            }
        }
        _ => {}
    }
    Ok(statement)
}

/// What [`prepare`] took out of a statement, because the parser does not know it there.
#[derive(Default)]
struct Taken {
    /// The `IGNORE` of an `UPDATE`.
    ignore: bool,
    /// An `IF EXISTS` or `IF NOT EXISTS` of a column in an `ALTER TABLE`.
    existence: bool,
}

/// Numbers the placeholders, whose order may change, and takes out what the parser does not know.
fn prepare(tokens: &mut Vec<TokenWithSpan>) -> Taken {
    let mut placeholders = 0;
    for token in tokens.iter_mut() {
        match &mut token.token {
            Token::Placeholder(text) if text == "?" => {
                placeholders += 1;
                *text = format!("?{placeholders}");
            }
            // `!x` is NOT x
            Token::ExclamationMark => token.token = Token::make_keyword("NOT"),
            _ => {}
        }
    }
    let words: Vec<(usize, Keyword)> = tokens
        .iter()
        .enumerate()
        .filter(|(_, token)| !matches!(token.token, Token::Whitespace(_)))
        .map(|(at, token)| match &token.token {
            Token::Word(word) => (at, word.keyword),
            _ => (at, Keyword::NoKeyword),
        })
        .collect();
    let mut taken = Taken::default();
    let mut gone = Vec::new();
    match words.as_slice() {
        [(_, Keyword::UPDATE), (at, Keyword::IGNORE), ..] => {
            gone.push(*at);
            taken.ignore = true;
        }
        [(_, Keyword::ALTER), (_, Keyword::TABLE), rest @ ..] => {
            for (start, window) in rest.windows(3).enumerate().skip(1) {
                match window {
                    [(first, Keyword::IF), (second, Keyword::NOT), (third, Keyword::EXISTS)] => {
                        gone.extend([*first, *second, *third]);
                    }
                    [(first, Keyword::IF), (second, Keyword::EXISTS), _] if start > 0 => {
                        gone.extend([*first, *second])
                    }
                    _ => {}
                }
            }
            taken.existence = !gone.is_empty();
        }
        _ => {}
    }
    for at in gone.into_iter().rev() {
        tokens.remove(at);
    }
    taken
}

/// An expression that is already SQLite's.
fn raw(text: String) -> Expr {
    Expr::Identifier(Ident::new(text))
}

/// The last part of a name, without quotes.
pub(super) fn last_name(name: &ObjectName) -> String {
    match name.0.last() {
        Some(ObjectNamePart::Identifier(ident)) => ident.value.clone(),
        Some(other) => other.to_string(),
        None => String::new(),
    }
}

/// A name in quotes.
pub(super) fn quoted(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}

/// Words that SQLite keeps for itself and MySQL does not.
const RESERVED: &[&str] =
    &["autoincrement", "commit", "deferrable", "escape", "nothing", "notnull", "returning", "transaction"];

/// Rewrites what stands inside of statements: expressions, names of tables, clauses that say nothing here.
struct Rewriter {
    /// Names of the columns as MySQL gives them are wanted for this select: the outermost one.
    named: bool,
    /// The name of the new row in `ON DUPLICATE KEY UPDATE`.
    new_row: Option<String>,
}

impl Rewriter {
    fn relation(name: &mut ObjectName) {
        if name.0.len() < 2 {
            return;
        }
        let schema = name.0[name.0.len() - 2].to_string().to_ascii_lowercase();
        if schema.trim_matches('`') == "information_schema" {
            let table = format!("information_schema_{}", last_name(name).to_ascii_lowercase());
            name.0 = vec![ObjectNamePart::Identifier(Ident::new(table))];
        } else {
            name.0.drain(..name.0.len() - 1);
        }
    }
}

impl VisitorMut for Rewriter {
    type Break = String;

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<String> {
        if std::mem::take(&mut self.named) {
            name_columns(select);
        }
        select.select_modifiers = None;
        select.optimizer_hints.clear();
        select.from.retain(|from| {
            !matches!(&from.relation, TableFactor::Table { name, .. }
            if name.0.len() == 1 && last_name(name).eq_ignore_ascii_case("dual"))
        });
        ControlFlow::Continue(())
    }

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<String> {
        query.locks.clear();
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<String> {
        if let TableFactor::Table { index_directives, partitions, with_hints, .. } = factor {
            index_directives.clear();
            partitions.clear();
            with_hints.clear();
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_ident(&mut self, name: &mut Ident) -> ControlFlow<String> {
        if name.quote_style.is_none() && RESERVED.iter().any(|word| name.value.eq_ignore_ascii_case(word)) {
            name.quote_style = Some('`');
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_relation(&mut self, name: &mut ObjectName) -> ControlFlow<String> {
        Self::relation(name);
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expression: &mut Expr) -> ControlFlow<String> {
        match expressions::rewrite(expression, self.new_row.as_deref()) {
            Ok(()) => ControlFlow::Continue(()),
            Err(problem) => ControlFlow::Break(problem),
        }
    }
}

/// Rewrites everything below `node`.
fn rewrite(node: &mut impl VisitMut, named: bool, new_row: Option<String>) -> Result<(), SqlError> {
    match node.visit(&mut Rewriter { named, new_row }) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(problem) => Err(SqlError(problem)),
    }
}

/// The SQLite text of an expression, in a definition of a table for example.
pub(super) fn expression(expression: &Expr) -> Result<String, SqlError> {
    let mut expression = expression.clone();
    rewrite(&mut expression, false, None)?;
    Ok(expression.to_string())
}

/// Gives each column that is no plain one the name MySQL gives it: the text of its expression.
fn name_columns(select: &mut Select) {
    for item in &mut select.projection {
        let SelectItem::UnnamedExpr(expression) = item else { continue };
        let alias = match &*expression {
            Expr::Identifier(_) => continue,
            Expr::CompoundIdentifier(parts) => {
                parts.last().map(|part| part.value.clone()).unwrap_or_default()
            }
            Expr::Value(value) => match &value.value {
                sqlparser::ast::Value::SingleQuotedString(text)
                | sqlparser::ast::Value::DoubleQuotedString(text) => text.clone(),
                sqlparser::ast::Value::Placeholder(_) => "?".into(),
                other => other.to_string(),
            },
            other => other.to_string(),
        };
        let expr = std::mem::replace(expression, raw(String::new()));
        *item = SelectItem::ExprWithAlias { expr, alias: Ident::with_quote('`', alias.replace('`', "``")) };
    }
}

/// Which columns of a query are sums or averages: exact numbers, which MySQL gives as text.
fn sums(query: &Query) -> Vec<bool> {
    let mut body = &*query.body;
    while let SetExpr::SetOperation { left, .. } = body {
        body = left;
    }
    let SetExpr::Select(select) = body else { return Vec::new() };
    let is_sum = |item: &SelectItem| match item {
        SelectItem::UnnamedExpr(Expr::Function(function))
        | SelectItem::ExprWithAlias { expr: Expr::Function(function), .. } => {
            let name = last_name(&function.name);
            name.eq_ignore_ascii_case("sum") || name.eq_ignore_ascii_case("avg")
        }
        _ => false,
    };
    // a `*` stands for any number of columns: what follows cannot be told
    let plain =
        |item: &&SelectItem| matches!(item, SelectItem::UnnamedExpr(_) | SelectItem::ExprWithAlias { .. });
    select.projection.iter().take_while(plain).map(is_sum).collect()
}
