//! What the expressions of a SELECT may name, and what its items stand for.

use std::collections::HashSet;

use engine_model::{Column, ColumnType};

use super::ast::{Expr, ExprKind, Item};
use super::error::SqlError;
use super::functions;
use super::types::{Class, Typed};
use super::vtab::TableData;

/// A column of a translated query.
#[derive(Clone)]
pub(super) struct Output {
    pub(super) name: String,
    pub(super) column_type: Option<ColumnType>,
}

/// What the expressions of one SELECT may name.
#[derive(Default)]
pub(super) struct Scope {
    pub(super) sources: Vec<ScopeSource>,
    /// In a grouped select: what is grouped by.
    pub(super) group: Option<Group>,
}

/// The keys of a grouped select.
#[derive(Default)]
pub(super) struct Group {
    pub(super) exprs: Vec<Expr>,
    /// Translations of those that are columns.
    pub(super) columns: HashSet<String>,
}

/// A table or subquery in sight.
pub(super) struct ScopeSource {
    /// Alias or table name, folded.
    pub(super) name: String,
    pub(super) columns: Vec<(String, Typed)>,
}

/// Whether an expression stands for one row or for a group of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    Row,
    Group,
}

impl Scope {
    /// Columns of that name.
    pub(super) fn find(&self, qualifier: Option<&str>, name: &str) -> Vec<&Typed> {
        let sources = self.sources.iter().filter(|source| {
            qualifier.is_none_or(|qualifier| source.name.eq_ignore_ascii_case(qualifier))
        });
        let columns = sources.flat_map(|source| &source.columns);
        columns
            .filter(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, typed)| typed)
            .collect()
    }

    /// Whether rows are grouped by this very expression.
    pub(super) fn groups_by(&self, expr: &Expr) -> bool {
        self.group
            .as_ref()
            .is_some_and(|group| group.exprs.contains(expr))
    }
}

/// The collation that orders values of the type.
pub(super) fn collation(typed: &Typed) -> &'static str {
    if typed.class() == Class::Decimal {
        " COLLATE mc_decimal"
    } else {
        ""
    }
}

pub(super) fn output_columns(source: &str, outputs: &[Output]) -> Vec<(String, Typed)> {
    let prefix = if source.is_empty() {
        String::new()
    } else {
        format!("{source}.")
    };
    let column = |(position, output): (usize, &Output)| {
        let sql = format!("{prefix}c{position}");
        let typed = Typed {
            sql,
            column_type: output.column_type.clone(),
            number: None,
        };
        (output.name.clone(), typed)
    };
    outputs.iter().enumerate().map(column).collect()
}

pub(super) fn table_columns(source: &str, data: &TableData) -> Vec<(String, Typed)> {
    let columns = &data.table.columns;
    let width = columns.columns.len();
    let column = |(position, column): (usize, &Column)| {
        let number = position
            .checked_sub(width)
            .map(|key| format!("{source}.n{key}"));
        let typed = Typed {
            sql: format!("{source}.c{position}"),
            column_type: Some(column.column_type.clone()),
            number,
        };
        (column.name.clone(), typed)
    };
    columns
        .columns
        .iter()
        .chain(&columns.partition_keys)
        .enumerate()
        .map(column)
        .collect()
}

/// The items of a select, stars spelled out.
pub(super) fn expand(
    items: &[Item],
    scope: &Scope,
) -> Result<Vec<(Expr, Option<String>)>, SqlError> {
    let mut expanded = Vec::new();
    for item in items {
        match item {
            Item::Expr(expr, alias) => {
                let name = alias.clone().or_else(|| match &expr.kind {
                    ExprKind::Column(_, name) => Some(name.clone()),
                    _ => None,
                });
                expanded.push((expr.clone(), name.map(|name| name.to_lowercase())));
            }
            Item::Star(qualifier, at) => {
                let before = expanded.len();
                for source in &scope.sources {
                    if qualifier
                        .as_ref()
                        .is_some_and(|name| !source.name.eq_ignore_ascii_case(name))
                    {
                        continue;
                    }
                    let table = (!source.name.is_empty()).then(|| source.name.clone());
                    for (name, _) in &source.columns {
                        let kind = ExprKind::Column(table.clone(), name.clone());
                        expanded.push((Expr { kind, at: *at }, Some(name.clone())));
                    }
                }
                if expanded.len() == before {
                    return Err(SqlError::semantic(
                        *at,
                        "* has no table to take columns from",
                    ));
                }
            }
        }
    }
    Ok(expanded)
}

pub(super) fn aliased<'a>(items: &'a [(Expr, Option<String>)], name: &str) -> Option<&'a Expr> {
    let named = |alias: &String| alias.eq_ignore_ascii_case(name);
    items
        .iter()
        .find(|(_, alias)| alias.as_ref().is_some_and(named))
        .map(|(expr, _)| expr)
}

/// The item that a plain number in ORDER BY or GROUP BY points at, from 1.
pub(super) fn positioned<'a>(
    expr: &Expr,
    items: &'a [(Expr, Option<String>)],
) -> Result<Option<&'a Expr>, SqlError> {
    let ExprKind::Integer(position) = expr.kind else {
        return Ok(None);
    };
    let index = usize::try_from(position)
        .ok()
        .and_then(|position| position.checked_sub(1));
    match index.and_then(|index| items.get(index)) {
        Some((item, _)) => Ok(Some(item)),
        None => Err(SqlError::semantic(
            expr.at,
            format!("there is no column {position}"),
        )),
    }
}

/// Whether the expression folds many rows to one, outside of subqueries.
pub(super) fn has_aggregate(expr: &Expr) -> bool {
    let any = |exprs: &[Expr]| exprs.iter().any(has_aggregate);
    match &expr.kind {
        ExprKind::Null
        | ExprKind::Bool(_)
        | ExprKind::Integer(_)
        | ExprKind::Double(_)
        | ExprKind::Decimal(_)
        | ExprKind::Text(_)
        | ExprKind::Column(..)
        | ExprKind::Scalar(_) => false,
        ExprKind::Logic(_, terms) => any(terms),
        ExprKind::Not(inner)
        | ExprKind::Negate(inner)
        | ExprKind::IsNull(inner, _)
        | ExprKind::InQuery(inner, ..)
        | ExprKind::Cast(inner, _) => has_aggregate(inner),
        ExprKind::Arithmetic(_, left, right)
        | ExprKind::Compare(_, left, right)
        | ExprKind::Like(left, right, _) => has_aggregate(left) || has_aggregate(right),
        ExprKind::In(inner, list, _) => has_aggregate(inner) || any(list),
        ExprKind::Between(inner, low, high, _) => {
            has_aggregate(inner) || has_aggregate(low) || has_aggregate(high)
        }
        ExprKind::Case {
            operand,
            whens,
            otherwise,
        } => {
            operand.as_deref().is_some_and(has_aggregate)
                || whens
                    .iter()
                    .any(|(when, then)| has_aggregate(when) || has_aggregate(then))
                || otherwise.as_deref().is_some_and(has_aggregate)
        }
        ExprKind::Call(call) => {
            (call.over.is_none() && functions::is_aggregate(&call.name)) || any(&call.args)
        }
    }
}
