//! Expressions.

use sqlparser::ast::{
    BinaryOperator, CastKind, DataType, DateTimeField, Expr, Function, FunctionArg, FunctionArgExpr,
    FunctionArgumentClause, FunctionArguments, Ident, Interval, TrimWhereField, UnaryOperator, Value,
    ValueWithSpan,
};

use super::{last_name, raw};

fn text_value(text: &str) -> Expr {
    raw(literal(text))
}

/// A string as SQLite writes it.
pub(super) fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// Rewrites an expression whose parts are rewritten. `new_row` is the name of the row to be inserted, in an update of
/// the one that was there.
///
/// # Errors
/// What is not understood.
pub(super) fn rewrite(expression: &mut Expr, new_row: Option<&str>) -> Result<(), String> {
    let changed = match expression {
        Expr::Value(value) => literal_value(value)?,
        Expr::CompoundIdentifier(parts) => {
            if parts.len() > 2 {
                parts.drain(..parts.len() - 2);
            }
            if let (Some(new_row), [table, _]) = (new_row, parts.as_mut_slice())
                && table.value.eq_ignore_ascii_case(new_row)
            {
                *table = Ident::new("excluded");
            }
            None
        }
        Expr::Identifier(name) if name.quote_style.is_none() && name.value.starts_with('@') => {
            return Err(format!("user variables ({name}) are not understood here"));
        }
        Expr::BinaryOp { left, op, right } => binary(left, op, right)?,
        Expr::UnaryOp { op: op @ UnaryOperator::BangNot, .. } => {
            *op = UnaryOperator::Not;
            None
        }
        Expr::Like { escape_char, .. } => {
            if escape_char.is_none() {
                *escape_char = Some(Box::new(text_value("\\")));
            }
            None
        }
        Expr::RLike { .. } => return Err("REGEXP and RLIKE are not understood here; use LIKE".into()),
        Expr::MatchAgainst { .. } => return Err("MATCH … AGAINST is not understood here; use LIKE".into()),
        Expr::Cast { kind: CastKind::Cast, expr, data_type, .. } => Some(cast(expr, data_type)),
        Expr::Convert { expr, data_type, .. } => Some(match data_type {
            Some(data_type) => cast(expr, data_type),
            None => raw(format!("({expr})")),
        }),
        Expr::Collate { collation, expr } => {
            let name = collation.to_string().to_ascii_lowercase();
            let binary = name.trim_matches('`').ends_with("bin") || name.ends_with("binary");
            Some(raw(format!("{expr} COLLATE {}", if binary { "BINARY" } else { "NOCASE" })))
        }
        Expr::Prefixed { value, prefix } if prefix.value.starts_with('_') => Some(raw(value.to_string())),
        Expr::Prefixed { value, prefix } if prefix.value.eq_ignore_ascii_case("binary") => {
            Some(raw(format!("{value} COLLATE BINARY")))
        }
        Expr::Ceil { expr, .. } => Some(raw(format!("mysql_ceil({expr})"))),
        Expr::Floor { expr, .. } => Some(raw(format!("mysql_floor({expr})"))),
        Expr::Substring { expr, substring_from, substring_for, .. } => {
            let from = substring_from.as_ref().map_or_else(|| "1".to_owned(), |from| from.to_string());
            let length = substring_for.as_ref().map_or_else(String::new, |length| format!(", {length}"));
            Some(raw(format!("substr({expr}, {from}{length})")))
        }
        Expr::Position { expr, r#in } => Some(raw(format!("locate({expr}, {in})", in = r#in))),
        Expr::Trim { expr, trim_where, trim_what, .. } => {
            let function = match trim_where {
                Some(TrimWhereField::Leading) => "ltrim",
                Some(TrimWhereField::Trailing) => "rtrim",
                _ => "trim",
            };
            let what = trim_what.as_ref().map_or_else(String::new, |what| format!(", {what}"));
            Some(raw(format!("{function}({expr}{what})")))
        }
        Expr::Extract { field, expr, .. } => {
            Some(raw(format!("{}({expr})", field.to_string().to_ascii_lowercase())))
        }
        Expr::Function(function) => call(function, new_row.is_some())?,
        _ => None,
    };
    if let Some(changed) = changed {
        *expression = changed;
    }
    Ok(())
}

fn literal_value(value: &ValueWithSpan) -> Result<Option<Expr>, String> {
    Ok(match &value.value {
        Value::SingleQuotedString(text)
        | Value::DoubleQuotedString(text)
        | Value::NationalStringLiteral(text) => Some(text_value(text)),
        Value::SingleQuotedByteStringLiteral(bits) | Value::DoubleQuotedByteStringLiteral(bits) => {
            let number =
                u64::from_str_radix(bits, 2).map_err(|_| format!("b'{bits}': expected zeros and ones"))?;
            Some(raw(number.to_string()))
        }
        Value::Placeholder(name) if name.starts_with('@') => {
            return Err(format!("user variables ({name}) are not understood here"));
        }
        Value::Placeholder(name) if name.starts_with(':') => {
            return Err(format!("no value was given for {name}"));
        }
        _ => None,
    })
}

fn interval_of(expression: &Expr) -> Option<&Interval> {
    match expression {
        Expr::Interval(interval) => Some(interval),
        Expr::Nested(inner) => interval_of(inner),
        _ => None,
    }
}

fn unit(field: Option<&DateTimeField>) -> Result<String, String> {
    let name = field.map_or_else(|| "DAY".to_owned(), |field| field.to_string().to_ascii_uppercase());
    if name.contains('_') {
        return Err(format!("INTERVAL … {name} is not understood here; use a unit without `_`"));
    }
    Ok(name)
}

fn date_add(sign: &str, date: &str, interval: &Interval) -> Result<Expr, String> {
    let unit = unit(interval.leading_field.as_ref())?;
    Ok(raw(format!("mysql_date_{sign}({date}, {}, '{unit}')", interval.value)))
}

fn binary(left: &mut Expr, op: &mut BinaryOperator, right: &mut Expr) -> Result<Option<Expr>, String> {
    if let BinaryOperator::Plus | BinaryOperator::Minus = op {
        let sign = if *op == BinaryOperator::Plus { "add" } else { "sub" };
        if let Some(interval) = interval_of(right) {
            return date_add(sign, &left.to_string(), interval).map(Some);
        }
        if let Some(interval) = interval_of(left) {
            return date_add(sign, &right.to_string(), interval).map(Some);
        }
    }
    Ok(match op {
        BinaryOperator::Spaceship => Some(raw(format!("({left} IS {right})"))),
        BinaryOperator::StringConcat => Some(raw(format!("({left} OR {right})"))),
        BinaryOperator::PGOverlap => Some(raw(format!("({left} AND {right})"))),
        BinaryOperator::Xor => Some(raw(format!("((NOT ({left})) <> (NOT ({right})))"))),
        BinaryOperator::MyIntegerDivide => Some(raw(format!("CAST({left} / {right} AS INTEGER)"))),
        BinaryOperator::Divide => Some(raw(format!("({left} * 1.0 / {right})"))),
        BinaryOperator::Regexp => return Err("REGEXP is not understood here; use LIKE".into()),
        _ => None,
    })
}

fn cast(expression: &Expr, to: &DataType) -> Expr {
    let plain = |to: &str| raw(format!("CAST({expression} AS {to})"));
    match to {
        DataType::Unsigned
        | DataType::UnsignedInteger
        | DataType::Signed
        | DataType::SignedInteger
        | DataType::Int(_)
        | DataType::Integer(_)
        | DataType::BigInt(_) => raw(format!("mysql_signed({expression})")),
        DataType::Decimal(info) | DataType::Numeric(info) | DataType::Dec(info) => {
            let places = match info {
                sqlparser::ast::ExactNumberInfo::PrecisionAndScale(_, scale) => *scale,
                _ => 0,
            };
            raw(format!("round(CAST({expression} AS REAL), {places})"))
        }
        DataType::Float(_) | DataType::Double(_) | DataType::DoublePrecision | DataType::Real => {
            plain("REAL")
        }
        DataType::Date => raw(format!("mysql_date({expression})")),
        DataType::Datetime(_) | DataType::Timestamp(..) => raw(format!("mysql_datetime({expression})")),
        DataType::Time(..) => raw(format!("mysql_time({expression})")),
        DataType::JSON => raw(format!("({expression})")),
        _ => plain("TEXT"),
    }
}

/// The arguments of a call, as texts.
fn arguments(function: &Function) -> Vec<String> {
    match &function.args {
        FunctionArguments::List(list) => list.args.iter().map(ToString::to_string).collect(),
        _ => Vec::new(),
    }
}

fn argument(function: &Function, index: usize) -> Option<&Expr> {
    let FunctionArguments::List(list) = &function.args else { return None };
    match list.args.get(index)? {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(expression)) => Some(expression),
        _ => None,
    }
}

fn call(function: &mut Function, in_update: bool) -> Result<Option<Expr>, String> {
    let name = last_name(&function.name).to_ascii_lowercase();
    let texts = arguments(function);
    let all = texts.join(", ");
    let renamed = |to: &str| Some(raw(format!("{to}({all})")));
    Ok(match (name.as_str(), texts.as_slice()) {
        ("current_timestamp" | "localtime" | "localtimestamp" | "now", _) => Some(raw("now()".into())),
        ("current_date", _) => Some(raw("curdate()".into())),
        ("current_time", _) => Some(raw("curtime()".into())),
        ("values" | "value", [column]) if in_update => {
            let column = column.rsplit('.').next().unwrap_or(column);
            Some(raw(format!("excluded.{column}")))
        }
        ("if", [_, _, _]) => renamed("iif"),
        ("isnull", [value]) => Some(raw(format!("(({value}) IS NULL)"))),
        ("nvl", [_, _]) => renamed("ifnull"),
        ("date_add" | "adddate" | "date_sub" | "subdate", [date, amount]) => {
            let sign = if name.contains("add") { "add" } else { "sub" };
            match argument(function, 1).and_then(interval_of) {
                Some(interval) => Some(date_add(sign, date, interval)?),
                None => Some(raw(format!("mysql_date_{sign}({date}, {amount}, 'DAY')"))),
            }
        }
        ("timestampdiff", [unit, from, to]) => {
            Some(raw(format!("timestampdiff('{}', {from}, {to})", unit.trim_matches('`'))))
        }
        ("timestampadd", [unit, amount, date]) => {
            Some(raw(format!("mysql_date_add({date}, {amount}, '{}')", unit.trim_matches('`'))))
        }
        ("date", [_]) => renamed("mysql_date"),
        ("time", [_]) => renamed("mysql_time"),
        ("timestamp", [_]) => renamed("mysql_datetime"),
        ("substring" | "mid", [_, _] | [_, _, _]) => renamed("substr"),
        ("greatest", _) => renamed("max"),
        ("least", _) => renamed("min"),
        ("length" | "octet_length", [_]) => renamed("mysql_length"),
        ("ceil" | "ceiling", [_]) => renamed("mysql_ceil"),
        ("floor", [_]) => renamed("mysql_floor"),
        ("truncate", [_, _]) => renamed("mysql_truncate"),
        ("mod", [left, right]) => Some(raw(format!("({left} % {right})"))),
        ("ascii" | "ord", [_]) => renamed("unicode"),
        ("any_value", [value]) => Some(raw(format!("({value})"))),
        ("json_value", [_, _]) => Some(raw(format!("CAST(json_extract({all}) AS TEXT)"))),
        ("json_length", [_] | [_, _]) => Some(raw(format!("(SELECT count(*) FROM json_each({all}))"))),
        ("json_keys", [_] | [_, _]) => {
            Some(raw(format!("(SELECT json_group_array(key) FROM json_each({all}))")))
        }
        ("json_contains", [within, wanted, path @ ..]) => {
            let path = path.first().map_or_else(String::new, |path| format!(", {path}"));
            Some(raw(format!(
                "EXISTS (SELECT 1 FROM json_each({within}{path}) AS part WHERE part.value = json_extract({wanted}, '$'))"
            )))
        }
        ("json_arrayagg", [_]) => renamed("json_group_array"),
        ("json_objectagg", [_, _]) => renamed("json_group_object"),
        ("group_concat", [_, ..]) => Some(group_concat(function, &all)),
        _ => None,
    })
}

fn group_concat(function: &Function, all: &str) -> Expr {
    let FunctionArguments::List(list) = &function.args else { return raw("NULL".into()) };
    let (mut separator, mut order) = (None, String::new());
    for clause in &list.clauses {
        match clause {
            FunctionArgumentClause::Separator(value) => {
                separator = Some(match &value.value {
                    Value::SingleQuotedString(text) | Value::DoubleQuotedString(text) => literal(text),
                    other => other.to_string(),
                });
            }
            FunctionArgumentClause::OrderBy(by) => {
                let by: Vec<_> = by.iter().map(ToString::to_string).collect();
                order = format!(" ORDER BY {}", by.join(", "));
            }
            _ => {}
        }
    }
    // SQLite takes one argument only with DISTINCT: the comma is its separator too
    let distinct = if list.duplicate_treatment.is_some() { "DISTINCT " } else { "" };
    let separator = match separator {
        Some(separator) if distinct.is_empty() => format!(", {separator}"),
        _ => String::new(),
    };
    raw(format!("group_concat({distinct}{all}{separator}{order})"))
}
