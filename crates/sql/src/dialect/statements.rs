//! Statements.

use sqlparser::ast::{
    Assignment, AssignmentTarget, Delete, Expr, FromTable, Insert, JoinConstraint, JoinOperator, ObjectName,
    ObjectType, OnInsert, Query, SetExpr, ShowStatementFilter, ShowStatementFilterPosition,
    ShowStatementOptions, SqliteOnConflict, Statement, TableFactor, TableObject, TableWithJoins, Update,
};

use super::{Change, Plan, Show, last_name, quoted, rewrite, sums};
use crate::SqlError;

/// What is to be done for a statement.
///
/// # Errors
/// What of it is not understood.
pub(in super::super) fn plan(statement: Statement) -> Result<Plan, SqlError> {
    Ok(match statement {
        Statement::Query(query) => select(query)?,
        Statement::Insert(insert) => self::insert(insert)?,
        Statement::Update(update) => self::update(update)?,
        Statement::Delete(delete) => self::delete(delete)?,
        Statement::CreateTable(table) => Plan::Create(Box::new(table)),
        Statement::AlterTable(alter) => Plan::Alter(Box::new(alter)),
        Statement::Drop { object_type: ObjectType::Table, if_exists, names, .. } => {
            Plan::Drop { tables: names.iter().map(last_name).collect(), if_exists }
        }
        Statement::Drop { object_type: ObjectType::View, if_exists, names, .. } => {
            let if_exists = if if_exists { "IF EXISTS " } else { "" };
            let views: Vec<_> = names
                .iter()
                .map(|name| format!("DROP VIEW {if_exists}{};", quoted(&last_name(name))))
                .collect();
            Plan::Plain(views.join(" "))
        }
        Statement::Drop { object_type: ObjectType::Index, names, table: Some(table), .. } => {
            let table = last_name(&table);
            let drop =
                |name: &ObjectName| format!("DROP INDEX {};", quoted(&index_name(&table, &last_name(name))));
            Plan::Plain(names.iter().map(drop).collect())
        }
        Statement::Drop { object_type: ObjectType::Database | ObjectType::Schema, .. } => Plan::Nothing,
        Statement::RenameTable(renames) => Plan::Rename(
            renames.iter().map(|rename| (last_name(&rename.old_name), last_name(&rename.new_name))).collect(),
        ),
        Statement::Truncate(truncate) => {
            Plan::Truncate(truncate.table_names.iter().map(|target| last_name(&target.name)).collect())
        }
        Statement::CreateIndex(index) => {
            let table = last_name(&index.table_name);
            let columns: Vec<_> = index.columns.iter().filter_map(super::super::tables::indexed).collect();
            let given = index.name.as_ref().map_or_else(|| columns.join("_"), last_name);
            let name = index_name(&table, &given);
            let unique = if index.unique { "UNIQUE " } else { "" };
            let list: Vec<_> = columns.iter().map(|column| quoted(column)).collect();
            let sql =
                format!("CREATE {unique}INDEX {} ON {} ({})", quoted(&name), quoted(&table), list.join(", "));
            Plan::Index { table, sql, if_not_exists: index.if_not_exists, name }
        }
        Statement::CreateView(mut view) => {
            rewrite(&mut view, false, None)?;
            let (name, exists) =
                (last_name(&view.name), if view.if_not_exists { "IF NOT EXISTS " } else { "" });
            let replace = if view.or_replace {
                format!("DROP VIEW IF EXISTS {};", quoted(&name))
            } else {
                String::new()
            };
            Plan::Plain(format!("{replace}CREATE VIEW {exists}{} AS {}", quoted(&name), view.query))
        }
        Statement::StartTransaction { .. } => Plan::Plain("BEGIN".into()),
        Statement::Commit { .. } => Plan::Plain("COMMIT".into()),
        Statement::Rollback { savepoint: None, .. } => Plan::Plain("ROLLBACK".into()),
        Statement::Set(set) => self::set(&set.to_string())?,
        Statement::Use(_)
        | Statement::CreateDatabase { .. }
        | Statement::CreateSchema { .. }
        | Statement::LockTables { .. }
        | Statement::UnlockTables
        | Statement::Analyze(_)
        | Statement::Flush { .. }
        | Statement::Grant(_)
        | Statement::Revoke(_) => Plan::Nothing,
        Statement::ShowTables { show_options, .. } => Plan::Show(Show::Tables { like: like(&show_options) }),
        Statement::ShowColumns { show_options, .. } => {
            let table =
                show_options.show_in.as_ref().and_then(|within| within.parent_name.as_ref()).map(last_name);
            let like = like(&show_options);
            Plan::Show(Show::Columns { table: table.unwrap_or_default(), like })
        }
        Statement::ExplainTable { table_name, .. } => {
            Plan::Show(Show::Columns { table: last_name(&table_name), like: None })
        }
        Statement::ShowCreate { obj_name, .. } => Plan::Show(Show::Create { table: last_name(&obj_name) }),
        Statement::ShowDatabases { .. } | Statement::ShowSchemas { .. } => Plan::Show(Show::Databases),
        Statement::ShowVariables { .. } | Statement::ShowStatus { .. } | Statement::ShowVariable { .. } => {
            Plan::Show(Show::Variables)
        }
        other => {
            let text = other.to_string();
            let kind: Vec<_> = text.split_whitespace().take(2).collect();
            return Err(SqlError(format!(
                "{} statements are not understood by the embedded database; use a MySQL or MariaDB server for them (mysql_connection_string)",
                kind.join(" ")
            )));
        }
    })
}

/// The name of an index: SQLite's are one for all tables.
pub(in super::super) fn index_name(table: &str, index: &str) -> String {
    format!("{table}.{index}")
}

fn like(options: &ShowStatementOptions) -> Option<String> {
    match options.filter_position.as_ref()? {
        ShowStatementFilterPosition::Infix(filter) | ShowStatementFilterPosition::Suffix(filter) => {
            match filter {
                ShowStatementFilter::Like(pattern) | ShowStatementFilter::NoKeyword(pattern) => {
                    Some(pattern.clone())
                }
                _ => None,
            }
        }
    }
}

fn set(text: &str) -> Result<Plan, SqlError> {
    let compact: String = text.to_ascii_lowercase().chars().filter(|c| !c.is_whitespace()).collect();
    if let Some(value) = compact.split("foreign_key_checks=").nth(1) {
        return Ok(Plan::ForeignKeys(!value.starts_with(['0', 'o']) || value.starts_with("on")));
    }
    let variable = compact.strip_prefix("set").unwrap_or(&compact);
    if variable.starts_with('@') && !variable.starts_with("@@") && !variable.contains("=@@") {
        return Err(SqlError(format!("user variables are not understood here: {text}")));
    }
    Ok(Plan::Nothing)
}

fn select(mut query: Box<Query>) -> Result<Plan, SqlError> {
    let sums = sums(&query);
    if let Some(text) = system_variables(&query) {
        return Ok(Plan::Select { sql: text, sums: Vec::new() });
    }
    rewrite(&mut query, true, None)?;
    Ok(Plan::Select { sql: query.to_string(), sums })
}

/// `SELECT @@version` and its like: null.
fn system_variables(query: &Query) -> Option<String> {
    let text = query.to_string();
    text.starts_with("SELECT @@")
        .then(|| format!("SELECT NULL AS `{}`", text["SELECT ".len()..].replace('`', "``")))
}

/// `SET a = 1, b = 2` and `VALUES` with `DEFAULT` in them, as columns and values.
fn columns_and_values(insert: &mut Insert) -> Result<(), SqlError> {
    if !insert.assignments.is_empty() {
        let mut columns = Vec::new();
        let mut values = Vec::new();
        for Assignment { target, value } in std::mem::take(&mut insert.assignments) {
            let AssignmentTarget::ColumnName(name) = target else {
                return Err(SqlError("INSERT … SET with a list of columns is not understood here".into()));
            };
            columns.push(name);
            values.push(value.to_string());
        }
        // parsed again, as a list of values
        let text = format!("INSERT INTO t VALUES ({})", values.join(", "));
        let Statement::Insert(parsed) = super::parse(&text)? else { return Ok(()) };
        insert.columns = columns;
        insert.source = parsed.source;
    }
    let Some(source) = &mut insert.source else { return Ok(()) };
    let SetExpr::Values(values) = &mut *source.body else { return Ok(()) };
    let is_default = |value: &Expr| matches!(value, Expr::Identifier(name) if name.quote_style.is_none() && name.value.eq_ignore_ascii_case("default"));
    let width = insert.columns.len();
    let mut defaults = Vec::new();
    for column in 0..width {
        let mut cells = values.rows.iter().filter_map(|row| row.content.get(column));
        if cells.clone().any(is_default) {
            if !cells.all(is_default) {
                return Err(SqlError(
                    "DEFAULT for some rows of an INSERT and not for others is not understood here".into(),
                ));
            }
            defaults.push(column);
        }
    }
    for column in defaults.into_iter().rev() {
        insert.columns.remove(column);
        for row in &mut values.rows {
            row.content.remove(column);
        }
    }
    Ok(())
}

fn insert(mut insert: Insert) -> Result<Plan, SqlError> {
    let TableObject::TableName(name) = &insert.table else {
        return Err(SqlError("INSERT into something that is no table is not understood here".into()));
    };
    let table = last_name(name);
    columns_and_values(&mut insert)?;
    if insert.ignore {
        insert.ignore = false;
        insert.or = Some(SqliteOnConflict::Ignore);
    }
    insert.into = true;
    insert.priority = None;
    insert.optimizer_hints.clear();
    let mut kind = if insert.replace_into { Change::Replace } else { Change::Insert };
    let on = insert.on.take();
    let alias = insert.insert_alias.take().map(|alias| last_name(&alias.row_alias));
    rewrite(&mut insert, false, None)?;
    // `INSERT INTO t () VALUES ()`
    if let Some(source) = &insert.source
        && let SetExpr::Values(values) = &*source.body
        && values.rows.iter().all(|row| row.content.is_empty())
    {
        let or = if insert.or.is_some() { "OR IGNORE " } else { "" };
        let sql = format!("INSERT {or}INTO {} DEFAULT VALUES", quoted(&table));
        return Ok(Plan::Change { sql, table, kind });
    }
    let mut conflict = String::new();
    if let Some(OnInsert::DuplicateKeyUpdate(assignments)) = on {
        kind = Change::Upsert;
        let mut parts = Vec::new();
        for Assignment { target, mut value } in assignments {
            rewrite(&mut value, false, Some(alias.clone().unwrap_or_else(|| "\u{0}".into())))?;
            parts.push(format!("{} = {value}", column_of(&target)?));
        }
        // SQLite cannot tell ON CONFLICT from the ON of a join without a WHERE before it
        let selects = insert.source.as_ref().is_some_and(|source| {
            matches!(&*source.body, SetExpr::Select(select) if select.selection.is_none() && select.having.is_none())
                && source.limit_clause.is_none()
                && source.order_by.is_none()
        });
        let filter = if selects { " WHERE true" } else { "" };
        conflict = format!("{filter} ON CONFLICT DO UPDATE SET {}", parts.join(", "));
    }
    Ok(Plan::Change { sql: format!("{insert}{conflict}"), table, kind })
}

/// The column an assignment is to, without its table.
fn column_of(target: &AssignmentTarget) -> Result<String, SqlError> {
    match target {
        AssignmentTarget::ColumnName(name) => Ok(quoted(&last_name(name))),
        AssignmentTarget::Tuple(_) => {
            Err(SqlError("assignments to a list of columns are not understood here".into()))
        }
    }
}

/// The table at the head of a `FROM`, with its alias.
fn table_of(table: &TableFactor) -> Result<(String, String), SqlError> {
    match table {
        TableFactor::Table { name, alias, .. } => {
            let name = last_name(name);
            let alias = alias.as_ref().map_or_else(|| name.clone(), |alias| alias.name.value.clone());
            Ok((name, alias))
        }
        _ => Err(SqlError("changes of something that is no table are not understood here".into())),
    }
}

fn update(mut update: Update) -> Result<Plan, SqlError> {
    rewrite(&mut update, false, None)?;
    let (table, alias) = table_of(&update.table.relation)?;
    let mut assignments = Vec::new();
    for Assignment { target, value } in &update.assignments {
        assignments.push(format!("{} = {value}", column_of(target)?));
    }
    let or = if update.or.is_some() { " OR IGNORE" } else { "" };
    let mut conditions: Vec<String> =
        update.selection.iter().map(|condition| format!("({condition})")).collect();
    let mut from = Vec::new();
    for join in &update.table.joins {
        let constraint = match &join.join_operator {
            JoinOperator::Join(on) | JoinOperator::Inner(on) | JoinOperator::CrossJoin(on) => on,
            _ => {
                return Err(SqlError(
                    "UPDATE with an outer join is not understood here; use a join or a subquery".into(),
                ));
            }
        };
        match constraint {
            JoinConstraint::On(condition) => conditions.push(format!("({condition})")),
            JoinConstraint::None => {}
            _ => return Err(SqlError("UPDATE with JOIN … USING is not understood here; use ON".into())),
        }
        from.push(join.relation.to_string());
    }
    let filter =
        if conditions.is_empty() { String::new() } else { format!(" WHERE {}", conditions.join(" AND ")) };
    let from = if from.is_empty() { String::new() } else { format!(" FROM {}", from.join(", ")) };
    let filter = limited(&table, &alias, filter, &update.order_by, update.limit.as_ref());
    let sql = format!(
        "UPDATE{or} {} AS {} SET {}{from}{filter}",
        quoted(&table),
        quoted(&alias),
        assignments.join(", ")
    );
    Ok(Plan::Change { sql, table, kind: Change::Other })
}

/// A filter with `ORDER BY` and `LIMIT`, which SQLite takes in a select only.
fn limited(
    table: &str,
    alias: &str,
    filter: String,
    order_by: &[sqlparser::ast::OrderByExpr],
    limit: Option<&Expr>,
) -> String {
    let Some(limit) = limit else { return filter };
    let order: Vec<_> = order_by.iter().map(ToString::to_string).collect();
    let order = if order.is_empty() { String::new() } else { format!(" ORDER BY {}", order.join(", ")) };
    let (table, alias) = (quoted(table), quoted(alias));
    format!(
        " WHERE {alias}.rowid IN (SELECT {alias}.rowid FROM {table} AS {alias}{filter}{order} LIMIT {limit})"
    )
}

fn delete(mut delete: Delete) -> Result<Plan, SqlError> {
    rewrite(&mut delete, false, None)?;
    let (FromTable::WithFromKeyword(from) | FromTable::WithoutKeyword(from)) = &delete.from;
    let Some(first) = from.first() else {
        return Err(SqlError("DELETE without a table is not understood here".into()));
    };
    let filter =
        delete.selection.as_ref().map_or_else(String::new, |condition| format!(" WHERE {condition}"));
    if from.len() == 1 && first.joins.is_empty() {
        let (table, alias) = table_of(&first.relation)?;
        let filter = limited(&table, &alias, filter, &delete.order_by, delete.limit.as_ref());
        let sql = format!("DELETE FROM {} AS {}{filter}", quoted(&table), quoted(&alias));
        return Ok(Plan::Change { sql, table, kind: Change::Other });
    }
    let [wanted] = delete.tables.as_slice() else {
        return Err(SqlError("DELETE from several tables at once is not understood here".into()));
    };
    let wanted = last_name(wanted);
    let named = |from: &TableWithJoins| {
        let mut factors = std::iter::once(&from.relation).chain(from.joins.iter().map(|join| &join.relation));
        factors.find_map(|factor| {
            let (table, alias) = table_of(factor).ok()?;
            (alias.eq_ignore_ascii_case(&wanted) || table.eq_ignore_ascii_case(&wanted))
                .then_some((table, alias))
        })
    };
    let Some((table, alias)) = from.iter().find_map(named) else {
        return Err(SqlError(format!("Unknown table '{wanted}' in MULTI DELETE")));
    };
    let from: Vec<_> = from.iter().map(ToString::to_string).collect();
    let (from, alias) = (from.join(", "), quoted(&alias));
    let sql =
        format!("DELETE FROM {} WHERE rowid IN (SELECT {alias}.rowid FROM {from}{filter})", quoted(&table));
    Ok(Plan::Change { sql, table, kind: Change::Other })
}
