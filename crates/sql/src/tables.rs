//! Tables: what MySQL's definition of one is in SQLite, what its columns are, and how an `ALTER TABLE` changes it.

use std::fmt::Write;

use sqlparser::ast::{
    AlterTableOperation, ColumnDef, ColumnOption, ColumnOptionDef, CreateTable, CreateTableOptions, DataType,
    EnumMember, ExactNumberInfo, Expr, FunctionArg, FunctionArgExpr, FunctionArguments, Ident, IndexColumn,
    MySQLColumnPosition, RenameTableNameKind, SqlOption, TableConstraint,
};

use super::dialect::{expression, last_name, quoted};
use crate::{Kind, SqlError};

/// A column, as `SHOW COLUMNS` tells it.
pub(super) struct Column {
    pub(super) name: String,
    pub(super) declared: String,
    pub(super) nullable: bool,
    pub(super) key: &'static str,
    pub(super) default: Option<String>,
    pub(super) extra: &'static str,
}

/// The name of an indexed column, without the length of its prefix; `None` for an expression.
pub(super) fn indexed(column: &IndexColumn) -> Option<String> {
    match &column.column.expr {
        Expr::Identifier(name) => Some(name.value.clone()),
        Expr::Function(function) => Some(last_name(&function.name)), // `name(191)`
        _ => None,
    }
}

fn names(columns: &[IndexColumn]) -> Vec<String> {
    columns.iter().filter_map(indexed).collect()
}

fn list(names: &[String]) -> String {
    names.iter().map(|name| quoted(name)).collect::<Vec<_>>().join(", ")
}

fn is_auto_increment(column: &ColumnDef) -> bool {
    column.options.iter().any(|option| match &option.option {
        ColumnOption::DialectSpecific(tokens) => {
            tokens.iter().any(|token| token.to_string().eq_ignore_ascii_case("auto_increment"))
        }
        _ => false,
    })
}

/// The column that numbers the rows, if the table has one.
pub(super) fn auto_increment(table: &CreateTable) -> Option<&str> {
    table.columns.iter().find(|column| is_auto_increment(column)).map(|column| column.name.value.as_str())
}

/// SQLite's type, from which both its affinity and the kind of a result's column follow.
fn declared(data_type: &DataType) -> String {
    let text = data_type.to_string().to_ascii_uppercase();
    match data_type {
        DataType::Zerofill(inner) => declared(inner),
        DataType::Bool
        | DataType::Boolean
        | DataType::TinyInt(Some(1))
        | DataType::TinyIntUnsigned(Some(1)) => "TINYINT(1)".into(),
        DataType::Bit(None | Some(1)) => "BIT(1)".into(),
        DataType::Bit(_) => "BIT".into(),
        DataType::Decimal(info)
        | DataType::DecimalUnsigned(info)
        | DataType::Numeric(info)
        | DataType::Dec(info)
        | DataType::DecUnsigned(info) => {
            let places = match info {
                ExactNumberInfo::PrecisionAndScale(_, places) => *places,
                _ => 0,
            };
            format!("DECIMAL({places})")
        }
        DataType::Date => "DATE".into(),
        DataType::Datetime(_) => "DATETIME".into(),
        DataType::Timestamp(..) => "TIMESTAMP".into(),
        DataType::Time(..) => "TIME".into(),
        _ if text.contains("BLOB") || text.contains("BINARY") => "BLOB".into(),
        _ if text.contains("INT") => "BIGINT".into(),
        _ if text.contains("FLOAT") || text.contains("DOUBLE") || text.contains("REAL") => "DOUBLE".into(),
        DataType::Custom(name, _) if last_name(name).eq_ignore_ascii_case("year") => "INT".into(),
        _ => "TEXT".into(),
    }
}

/// The kind of a column that is declared so in SQLite.
pub(super) fn kind(declared: &str) -> Kind {
    match declared {
        "TINYINT(1)" | "BIT(1)" => Kind::Flag,
        "DATE" | "DATETIME" | "TIMESTAMP" => Kind::Moment,
        "BLOB" => Kind::Binary,
        _ => match declared.strip_prefix("DECIMAL(").and_then(|rest| rest.strip_suffix(')')) {
            Some(places) => Kind::Decimal(places.parse().unwrap_or(0)),
            None => Kind::Plain,
        },
    }
}

fn collation(column: &ColumnDef) -> &'static str {
    let named = |name: &dyn std::fmt::Display| {
        if name.to_string().to_ascii_lowercase().trim_matches('`').ends_with("bin") {
            "BINARY"
        } else {
            "NOCASE"
        }
    };
    let explicit = column.options.iter().find_map(|option| match &option.option {
        ColumnOption::Collation(name) => Some(named(name)),
        _ => None,
    });
    match (&column.data_type, explicit) {
        (_, Some(explicit)) => explicit,
        (DataType::Collate(_, name), None) => named(name),
        (DataType::JSON, None) => "BINARY",
        _ => "NOCASE",
    }
}

fn is_now(default: &Expr) -> bool {
    let text = default.to_string().to_ascii_lowercase();
    text.starts_with("current_timestamp") || text.starts_with("now(") || text.starts_with("localtime")
}

/// The SQLite statements that make a table: itself, its indices, its triggers. `name` is what it is called.
pub(super) fn create(table: &CreateTable, name: &str) -> Result<Vec<String>, SqlError> {
    if table.query.is_some() || table.like.is_some() {
        return Err(SqlError(
            "CREATE TABLE … LIKE and AS SELECT are not understood here; list its columns".into(),
        ));
    }
    let number = auto_increment(table).map(str::to_owned);
    let mut primary: Vec<String> = Vec::new();
    for column in &table.columns {
        if column.options.iter().any(|option| matches!(option.option, ColumnOption::PrimaryKey(_))) {
            primary.push(column.name.value.clone());
        }
    }
    for constraint in &table.constraints {
        if let TableConstraint::PrimaryKey(key) = constraint {
            primary = names(&key.columns);
        }
    }
    let is_primary = |column: &str| primary.iter().any(|name| name.eq_ignore_ascii_case(column));
    let mut parts = Vec::new();
    let mut after = Vec::new();
    for column in &table.columns {
        let column_name = &column.name.value;
        if number.as_deref().is_some_and(|number| number == column_name) {
            parts.push(format!("{} INTEGER PRIMARY KEY AUTOINCREMENT", quoted(column_name)));
            continue;
        }
        parts.push(self::column(column, is_primary(column_name))?);
        for option in &column.options {
            if let ColumnOption::OnUpdate(_) = option.option {
                let (of, changed) = (quoted(name), quoted(column_name));
                after.push(format!(
                    "CREATE TRIGGER {} AFTER UPDATE ON {of} FOR EACH ROW WHEN NEW.{changed} IS OLD.{changed} BEGIN \
                     UPDATE {of} SET {changed} = now() WHERE rowid = NEW.rowid; END",
                    quoted(&format!("{name}.{column_name}"))
                ));
            }
        }
    }
    match (&number, primary.as_slice()) {
        (_, []) => {}
        (Some(number), [only]) if number.eq_ignore_ascii_case(only) => {}
        (Some(_), _) => parts.push(format!("UNIQUE ({})", list(&primary))),
        (None, _) => parts.push(format!("PRIMARY KEY ({})", list(&primary))),
    }
    for constraint in &table.constraints {
        match constraint {
            TableConstraint::Unique(key) => parts.push(format!("UNIQUE ({})", list(&names(&key.columns)))),
            TableConstraint::ForeignKey(key) => {
                let mut text = format!(
                    "FOREIGN KEY ({}) REFERENCES {} ({})",
                    list(&key.columns.iter().map(|name| name.value.clone()).collect::<Vec<_>>()),
                    quoted(&last_name(&key.foreign_table)),
                    list(&key.referred_columns.iter().map(|name| name.value.clone()).collect::<Vec<_>>()),
                );
                if let Some(action) = &key.on_delete {
                    let _ = write!(text, " ON DELETE {action}");
                }
                if let Some(action) = &key.on_update {
                    let _ = write!(text, " ON UPDATE {action}");
                }
                parts.push(text);
            }
            TableConstraint::Check(check) => parts.push(format!("CHECK ({})", expression(&check.expr)?)),
            TableConstraint::Index(key) => {
                let columns = names(&key.columns);
                if columns.is_empty() {
                    continue;
                }
                let index = key.name.as_ref().map_or_else(|| columns.join("_"), |name| name.value.clone());
                let index = format!("{}.{index}", last_name(&table.name));
                after.push(format!(
                    "CREATE INDEX IF NOT EXISTS {} ON {} ({})",
                    quoted(&index),
                    quoted(name),
                    list(&columns)
                ));
            }
            _ => {}
        }
    }
    let temporary = if table.temporary { "TEMPORARY " } else { "" };
    let mut statements = vec![format!("CREATE {temporary}TABLE {} ({})", quoted(name), parts.join(", "))];
    statements.append(&mut after);
    if let (Some(_), Some(next)) = (&number, first_number(table)) {
        statements.push(format!(
            "INSERT INTO sqlite_sequence (name, seq) VALUES ({}, {})",
            super::dialect_literal(name),
            next - 1
        ));
    }
    Ok(statements)
}

/// `AUTO_INCREMENT=100`.
fn first_number(table: &CreateTable) -> Option<i64> {
    let CreateTableOptions::Plain(options) = &table.table_options else { return None };
    options.iter().find_map(|option| match option {
        SqlOption::KeyValue { key, value } if key.to_string().eq_ignore_ascii_case("auto_increment") => {
            value.to_string().parse().ok()
        }
        _ => None,
    })
}

fn column(column: &ColumnDef, is_primary: bool) -> Result<String, SqlError> {
    let declared = declared(&column.data_type);
    let mut text = format!("{} {declared}", quoted(&column.name.value));
    if declared == "TEXT" {
        let _ = write!(text, " COLLATE {}", collation(column));
    }
    let (mut not_null, mut default, mut nullable) = (is_primary, None, false);
    for ColumnOptionDef { option, .. } in &column.options {
        match option {
            ColumnOption::NotNull => not_null = true,
            ColumnOption::Null => nullable = true,
            ColumnOption::Default(value) => default = Some(value),
            ColumnOption::Unique(_) => text.push_str(" UNIQUE"),
            ColumnOption::Check(check) => {
                let _ = write!(text, " CHECK ({})", expression(&check.expr)?);
            }
            ColumnOption::Generated { generation_expr: Some(generation), .. } => {
                let _ = write!(text, " GENERATED ALWAYS AS ({})", expression(generation)?);
            }
            _ => {}
        }
    }
    let not_null = not_null && (is_primary || !nullable);
    if not_null {
        text.push_str(" NOT NULL");
    }
    match (default, &column.data_type) {
        (Some(value), _) if is_now(value) => text.push_str(" DEFAULT (now())"),
        (Some(value), _) => {
            let _ = write!(text, " DEFAULT ({})", expression(value)?);
        }
        // without a default of its own, an ENUM has its first member
        (None, DataType::Enum(members, _)) if not_null => {
            if let Some(EnumMember::Name(first) | EnumMember::NamedValue(first, _)) = members.first() {
                let _ = write!(text, " DEFAULT {}", super::dialect_literal(first));
            }
        }
        _ => {}
    }
    Ok(text)
}

/// The columns of a table.
pub(super) fn columns(table: &CreateTable) -> Vec<Column> {
    let of_key = |wanted: &str| {
        let mut key = "";
        for constraint in &table.constraints {
            let (columns, kind) = match constraint {
                TableConstraint::PrimaryKey(key) => (names(&key.columns), "PRI"),
                TableConstraint::Unique(key) if key.columns.len() == 1 => (names(&key.columns), "UNI"),
                TableConstraint::Unique(key) => (names(&key.columns), "MUL"),
                TableConstraint::Index(key) => (names(&key.columns), "MUL"),
                _ => continue,
            };
            let counts = if kind == "PRI" { columns.len() } else { 1 };
            let is_in = columns.iter().take(counts).any(|column| column.eq_ignore_ascii_case(wanted));
            if is_in && (key.is_empty() || kind == "PRI" || (kind == "UNI" && key == "MUL")) {
                key = kind;
            }
        }
        key
    };
    table
        .columns
        .iter()
        .map(|column| {
            let mut described = Column {
                name: column.name.value.clone(),
                declared: column.data_type.to_string().to_ascii_lowercase(),
                nullable: true,
                key: of_key(&column.name.value),
                default: None,
                extra: if is_auto_increment(column) { "auto_increment" } else { "" },
            };
            for option in &column.options {
                match &option.option {
                    ColumnOption::NotNull => described.nullable = false,
                    ColumnOption::PrimaryKey(_) => described.key = "PRI",
                    ColumnOption::Unique(_) => described.key = "UNI",
                    ColumnOption::Default(value) => {
                        let text = value.to_string();
                        let plain = text.strip_prefix('\'').and_then(|rest| rest.strip_suffix('\''));
                        described.default = if text.eq_ignore_ascii_case("null") {
                            None
                        } else {
                            Some(plain.map_or_else(|| text.to_ascii_lowercase(), str::to_owned))
                        };
                    }
                    ColumnOption::OnUpdate(_) => described.extra = "on update current_timestamp()",
                    _ => {}
                }
            }
            described.nullable &= described.key != "PRI";
            described
        })
        .collect()
}

/// What an `ALTER TABLE` makes of a table: its new definition is in `table`; these are the columns whose names changed,
/// old and new.
pub(super) fn alter(
    table: &mut CreateTable,
    operations: &[AlterTableOperation],
) -> Result<Vec<(String, String)>, SqlError> {
    let mut renamed = Vec::new();
    for operation in operations {
        match operation {
            AlterTableOperation::AddColumn { if_not_exists, column_def, column_position, .. } => {
                if position(table, &column_def.name).is_some() {
                    if *if_not_exists {
                        continue;
                    }
                    return Err(SqlError(format!("Duplicate column name '{}'", column_def.name.value)));
                }
                place(table, column_def.clone(), column_position.as_ref())?;
            }
            AlterTableOperation::ModifyColumn { col_name, data_type, options, column_position } => {
                let column = definition(col_name, data_type, options);
                change(table, col_name, column, column_position.as_ref())?;
            }
            AlterTableOperation::ChangeColumn { old_name, new_name, data_type, options, column_position } => {
                let column = definition(new_name, data_type, options);
                change(table, old_name, column, column_position.as_ref())?;
                renamed.push((old_name.value.clone(), new_name.value.clone()));
                rename_in_keys(table, &old_name.value, new_name);
            }
            AlterTableOperation::RenameColumn { old_column_name, new_column_name } => {
                let at = known(table, old_column_name)?;
                table.columns[at].name = new_column_name.clone();
                renamed.push((old_column_name.value.clone(), new_column_name.value.clone()));
                rename_in_keys(table, &old_column_name.value, new_column_name);
            }
            AlterTableOperation::DropColumn { column_names, if_exists, .. } => {
                for name in column_names {
                    match position(table, name) {
                        Some(at) => {
                            table.columns.remove(at);
                            drop_from_keys(table, &name.value);
                        }
                        None if *if_exists => {}
                        None => {
                            return Err(SqlError(format!(
                                "Can't DROP '{}'; check that column/key exists",
                                name.value
                            )));
                        }
                    }
                }
            }
            AlterTableOperation::AddConstraint { constraint, .. } => {
                if !table.constraints.contains(constraint) {
                    table.constraints.push(constraint.clone());
                }
            }
            AlterTableOperation::DropPrimaryKey { .. } => {
                table.constraints.retain(|constraint| !matches!(constraint, TableConstraint::PrimaryKey(_)));
                for column in &mut table.columns {
                    column.options.retain(|option| !matches!(option.option, ColumnOption::PrimaryKey(_)));
                }
            }
            AlterTableOperation::DropForeignKey { name, .. }
            | AlterTableOperation::DropIndex { name }
            | AlterTableOperation::DropConstraint { name, .. } => {
                table.constraints.retain(|constraint| name_of(constraint) != Some(name.value.as_str()));
            }
            AlterTableOperation::RenameTable {
                table_name: RenameTableNameKind::As(name) | RenameTableNameKind::To(name),
            } => table.name = name.clone(),
            AlterTableOperation::Algorithm { .. }
            | AlterTableOperation::Lock { .. }
            | AlterTableOperation::AutoIncrement { .. } => {}
            other => return Err(SqlError(format!("ALTER TABLE … {other} is not understood here"))),
        }
    }
    Ok(renamed)
}

fn name_of(constraint: &TableConstraint) -> Option<&str> {
    let name = match constraint {
        TableConstraint::Unique(key) => key.name.as_ref().or(key.index_name.as_ref()),
        TableConstraint::ForeignKey(key) => key.name.as_ref(),
        TableConstraint::Check(check) => check.name.as_ref(),
        TableConstraint::Index(key) => key.name.as_ref(),
        _ => None,
    };
    name.map(|name| name.value.as_str())
}

fn position(table: &CreateTable, name: &Ident) -> Option<usize> {
    table.columns.iter().position(|column| column.name.value.eq_ignore_ascii_case(&name.value))
}

fn known(table: &CreateTable, name: &Ident) -> Result<usize, SqlError> {
    position(table, name)
        .ok_or_else(|| SqlError(format!("Unknown column '{}' in '{}'", name.value, last_name(&table.name))))
}

fn definition(name: &Ident, data_type: &DataType, options: &[ColumnOption]) -> ColumnDef {
    let options =
        options.iter().map(|option| ColumnOptionDef { name: None, option: option.clone() }).collect();
    ColumnDef { name: name.clone(), data_type: data_type.clone(), options }
}

fn place(
    table: &mut CreateTable,
    column: ColumnDef,
    at: Option<&MySQLColumnPosition>,
) -> Result<(), SqlError> {
    let at = match at {
        Some(MySQLColumnPosition::First) => 0,
        Some(MySQLColumnPosition::After(name)) => known(table, name)? + 1,
        None => table.columns.len(),
    };
    table.columns.insert(at, column);
    Ok(())
}

fn change(
    table: &mut CreateTable,
    old: &Ident,
    mut column: ColumnDef,
    position: Option<&MySQLColumnPosition>,
) -> Result<(), SqlError> {
    let at = known(table, old)?;
    let before = table.columns.remove(at);
    // keys of the column stay, whatever its new definition says of them
    column.options.extend(
        before
            .options
            .into_iter()
            .filter(|option| matches!(option.option, ColumnOption::PrimaryKey(_) | ColumnOption::Unique(_))),
    );
    match position {
        Some(_) => place(table, column, position)?,
        None => table.columns.insert(at, column),
    }
    Ok(())
}

fn each_key(table: &mut CreateTable, mut each: impl FnMut(&mut Vec<IndexColumn>)) {
    for constraint in &mut table.constraints {
        match constraint {
            TableConstraint::Unique(key) => each(&mut key.columns),
            TableConstraint::PrimaryKey(key) => each(&mut key.columns),
            TableConstraint::Index(key) => each(&mut key.columns),
            _ => {}
        }
    }
}

fn rename_in_keys(table: &mut CreateTable, old: &str, new: &Ident) {
    each_key(table, |columns| {
        for column in columns {
            if indexed(column).is_some_and(|name| name.eq_ignore_ascii_case(old)) {
                column.column.expr = Expr::Identifier(new.clone());
            }
        }
    });
    for constraint in &mut table.constraints {
        if let TableConstraint::ForeignKey(key) = constraint {
            for column in &mut key.columns {
                if column.value.eq_ignore_ascii_case(old) {
                    *column = new.clone();
                }
            }
        }
    }
}

fn drop_from_keys(table: &mut CreateTable, name: &str) {
    each_key(table, |columns| {
        columns.retain(|column| !indexed(column).is_some_and(|indexed| indexed.eq_ignore_ascii_case(name)));
    });
    table.constraints.retain(|constraint| match constraint {
        TableConstraint::Unique(key) => !key.columns.is_empty(),
        TableConstraint::PrimaryKey(key) => !key.columns.is_empty(),
        TableConstraint::Index(key) => !key.columns.is_empty(),
        TableConstraint::ForeignKey(key) => {
            !key.columns.iter().any(|column| column.value.eq_ignore_ascii_case(name))
        }
        _ => true,
    });
}

/// Takes out of a definition what would not survive being written and read again, and says nothing here.
pub(super) fn tidy(table: &mut CreateTable) {
    table.if_not_exists = false;
    table.comment = None;
    if !matches!(table.table_options, CreateTableOptions::Plain(_)) || first_number(table).is_none() {
        table.table_options = CreateTableOptions::None;
    } else if let CreateTableOptions::Plain(options) = &mut table.table_options {
        options.retain(|option| matches!(option, SqlOption::KeyValue { key, .. } if key.to_string().eq_ignore_ascii_case("auto_increment")));
    }
    for column in &mut table.columns {
        column.options.retain(|option| {
            !matches!(option.option, ColumnOption::Comment(_) | ColumnOption::CharacterSet(_))
        });
    }
    each_key(table, |columns| {
        for column in columns {
            // `name(191)`: the length says nothing here
            if let Expr::Function(function) = &column.column.expr
                && let FunctionArguments::List(arguments) = &function.args
                && matches!(
                    arguments.args.as_slice(),
                    [FunctionArg::Unnamed(FunctionArgExpr::Expr(Expr::Value(_)))]
                )
            {
                column.column.expr = Expr::Identifier(Ident::with_quote('`', last_name(&function.name)));
            }
        }
    });
}
