//! Translates queries to SQLite's SQL, with the types of MaxCompute.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::Arc;

use engine_model::{Column, ColumnType};

use super::Engine;
use super::ast::{Expr, ExprKind, Item, Order, Query, Select, Source};
use super::error::{Position, SqlError};
use super::expr::literal;
use super::scope::{
    Group, Mode, Output, Scope, ScopeSource, aliased, collation, expand, has_aggregate,
    output_columns, positioned, table_columns,
};
use super::tokens::TableRef;
use super::types::{Class, Typed, assignable, common};
use super::vtab::TableData;

/// Tables and subqueries of one statement. SQLite joins at most 64, and named queries may multiply.
const SOURCES_MAX: usize = 64;

/// A query that SQLite can run.
#[derive(Debug)]
pub(crate) struct Prepared {
    pub(crate) sql: String,
    /// Names and types of the result.
    pub(crate) columns: Vec<Column>,
    /// Conversions that the text calls as `mc_cast_0`, ….
    pub(crate) casts: Vec<Cast>,
    /// Tables that the text calls `v0`, ….
    pub(crate) tables: Vec<Arc<TableData>>,
}

/// A conversion between types.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Cast {
    pub(crate) from: ColumnType,
    pub(crate) to: ColumnType,
    /// Whether a value that can't be converted is an error; else it becomes NULL.
    pub(crate) strict: bool,
}

/// Translates `query`.
pub(crate) fn prepare(engine: &Engine, query: &Query) -> Result<Prepared, SqlError> {
    let mut lowering = Lowering::new(engine);
    let rows = lowering.query(query)?;
    let column = |output: Output| {
        Column::new(
            output.name,
            output.column_type.unwrap_or(ColumnType::String),
        )
    };
    let columns = rows.columns.into_iter().map(column).collect();
    Ok(Prepared {
        sql: rows.sql,
        columns,
        casts: lowering.casts,
        tables: lowering.tables,
    })
}

/// A column that rows of a query are stored in.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    pub(crate) column: Column,
    pub(crate) value: TargetValue,
}

/// What a column is given.
#[derive(Clone, Debug)]
pub(crate) enum TargetValue {
    /// The query's column of this position.
    Selected(usize),
    /// The text of a default; NULL without one.
    Default(Option<String>),
}

/// Translates `query` for rows of `targets`, ordered by those from `order_from` on.
pub(crate) fn prepare_insert(
    engine: &Engine,
    query: &Query,
    targets: &[Target],
    order_from: usize,
) -> Result<Prepared, SqlError> {
    let mut lowering = Lowering::new(engine);
    let rows = lowering.query(query)?;
    let dynamic = order_from < targets.len();
    let selected = targets
        .iter()
        .filter(|target| matches!(target.value, TargetValue::Selected(_)))
        .count();
    if rows.columns.len() != selected {
        let text = format!(
            "wrong columns count {} in data source, requires {selected} columns \
             (includes dynamic partitions if any)",
            rows.columns.len()
        );
        return Err(SqlError::semantic(query_position(query), text));
    }
    let texts = targets.iter().enumerate().map(|(position, target)| {
        let sql = lowering.target(target, &rows.columns, query)?;
        Ok(format!("{sql} AS t{position}"))
    });
    let texts: Vec<String> = texts.collect::<Result<_, SqlError>>()?;
    let keys: Vec<String> = (order_from..targets.len())
        .map(|position| format!("t{position}"))
        .collect();
    let order_by = if dynamic {
        format!(" ORDER BY {}", keys.join(", "))
    } else {
        String::new()
    };
    let sql = format!("SELECT {} FROM ({}){order_by}", texts.join(", "), rows.sql);
    Ok(Prepared {
        sql,
        columns: targets.iter().map(|target| target.column.clone()).collect(),
        casts: lowering.casts,
        tables: lowering.tables,
    })
}

pub(super) struct Lowering<'a> {
    pub(super) engine: &'a Engine,
    tables: Vec<Arc<TableData>>,
    by_name: HashMap<String, usize>,
    casts: Vec<Cast>,
    sources: usize,
    /// Named queries in sight, the nearest last.
    with: Vec<(String, Query)>,
}

/// A translated query and its columns, which its text calls `c0`, ….
struct Rows {
    sql: String,
    columns: Vec<Output>,
}

impl<'a> Lowering<'a> {
    fn new(engine: &'a Engine) -> Self {
        Self {
            engine,
            tables: Vec::new(),
            by_name: HashMap::new(),
            casts: Vec::new(),
            sources: 0,
            with: Vec::new(),
        }
    }
}

impl Lowering<'_> {
    /// What a column is given, converted as an INSERT converts.
    fn target(
        &mut self,
        target: &Target,
        selected: &[Output],
        query: &Query,
    ) -> Result<String, SqlError> {
        let to = &target.column.column_type;
        let position = match &target.value {
            TargetValue::Default(None) => return Ok("NULL".to_owned()),
            TargetValue::Default(Some(text)) => {
                let typed = Typed::new(literal(text), ColumnType::String);
                return Ok(self.convert(&typed, to, true));
            }
            TargetValue::Selected(position) => *position,
        };
        let Some(output) = selected.get(position) else {
            return Ok("NULL".to_owned());
        };
        let typed = Typed {
            sql: format!("c{position}"),
            column_type: output.column_type.clone(),
            number: None,
        };
        let fits = output.column_type.as_ref().is_none_or(|from| {
            assignable(from, to) || (is_integer(to) && literals_at(query, position))
        });
        if !fits {
            let text = format!(
                "column {} in source has incompatible type {} with destination column {}, which has type {to}",
                output.name,
                typed.type_name(),
                target.column.name
            );
            return Err(SqlError::semantic(query_position(query), text));
        }
        Ok(self.convert(&typed, to, true))
    }

    fn query(&mut self, query: &Query) -> Result<Rows, SqlError> {
        let outer = self.with.len();
        for (name, named) in &query.with {
            self.with.push((name.to_lowercase(), named.clone()));
        }
        let rows = match query.selects.as_slice() {
            [select] => self.select(select, &query.order_by),
            selects => self.union(selects, query),
        };
        self.with.truncate(outer);
        let mut rows = rows?;
        if let Some(limit) = query.limit {
            // SQLite's own text for it; both are plain numbers.
            write!(rows.sql, " LIMIT {limit} OFFSET {}", query.offset).unwrap_or_default();
        }
        Ok(rows)
    }

    fn union(&mut self, selects: &[Select], query: &Query) -> Result<Rows, SqlError> {
        let mut parts = Vec::new();
        for select in selects {
            parts.push((self.select(select, &[])?, select.at));
        }
        let width = parts.first().map_or(0, |(rows, _)| rows.columns.len());
        if let Some((rows, at)) = parts.iter().find(|(rows, _)| rows.columns.len() != width) {
            let text = format!("UNION of {width} and {} columns", rows.columns.len());
            return Err(SqlError::semantic(*at, text));
        }
        let columns = union_columns(&parts, width)?;
        let texts = parts
            .iter()
            .map(|(rows, _)| self.union_part(rows, &columns));
        let texts: Vec<String> = texts.collect();
        let operator = if query.union_all {
            " UNION ALL "
        } else {
            " UNION "
        };
        let source = ScopeSource {
            name: String::new(),
            columns: output_columns("", &columns),
        };
        let scope = Scope {
            sources: vec![source],
            group: None,
        };
        let mut sql = format!("SELECT * FROM ({})", texts.join(operator));
        let at = query_position(query);
        let item = |column: &Output| {
            (
                Expr {
                    kind: ExprKind::Column(None, column.name.clone()),
                    at,
                },
                Some(column.name.clone()),
            )
        };
        let items: Vec<_> = columns.iter().map(item).collect();
        let order_by = self.order_by(&query.order_by, &items, &scope, Mode::Row)?;
        sql.push_str(&order_by);
        Ok(Rows { sql, columns })
    }

    /// One select of a union, brought to the types of the whole.
    fn union_part(&mut self, rows: &Rows, columns: &[Output]) -> String {
        let casts = rows.columns.iter().zip(columns).enumerate();
        let casts = casts.map(|(position, (from, to))| {
            let sql = format!("c{position}");
            let typed = Typed {
                sql,
                column_type: from.column_type.clone(),
                number: None,
            };
            let sql = match &to.column_type {
                Some(to) => self.cast(&typed, to),
                None => typed.sql,
            };
            format!("{sql} AS c{position}")
        });
        let casts: Vec<String> = casts.collect();
        format!("SELECT {} FROM ({})", casts.join(", "), rows.sql)
    }

    fn select(&mut self, select: &Select, order_by: &[Order]) -> Result<Rows, SqlError> {
        let (from, mut scope) = self.from(select)?;
        let items = expand(&select.items, &scope)?;
        let grouped = !select.group_by.is_empty()
            || select.having.is_some()
            || items.iter().any(|(expr, _)| has_aggregate(expr))
            || order_by.iter().any(|order| has_aggregate(&order.expr));
        let filter = match &select.filter {
            Some(filter) => format!(" WHERE {}", self.condition(filter, &scope, Mode::Row)?),
            None => String::new(),
        };
        let mut group_by = String::new();
        if grouped {
            let (sql, group) = self.group_by(&select.group_by, &items, &scope)?;
            group_by = sql;
            scope.group = Some(group);
        }
        let mode = if grouped { Mode::Group } else { Mode::Row };
        let mut columns = Vec::new();
        let mut texts = Vec::new();
        for (position, (expr, name)) in items.iter().enumerate() {
            let typed = self.expr(expr, &scope, mode)?;
            texts.push(format!("{} AS c{position}", typed.sql));
            let name = name.clone().unwrap_or_else(|| format!("_c{position}"));
            columns.push(Output {
                name,
                column_type: typed.column_type,
            });
        }
        let having = match &select.having {
            Some(having) => format!(" HAVING {}", self.condition(having, &scope, mode)?),
            None => String::new(),
        };
        let order_by = self.order_by(order_by, &items, &scope, mode)?;
        let distinct = if select.distinct { "DISTINCT " } else { "" };
        let items = texts.join(", ");
        let sql = format!("SELECT {distinct}{items}{from}{filter}{group_by}{having}{order_by}");
        Ok(Rows { sql, columns })
    }

    fn from(&mut self, select: &Select) -> Result<(String, Scope), SqlError> {
        let mut scope = Scope::default();
        let Some(from) = &select.from else {
            return Ok((String::new(), scope));
        };
        let mut sql = format!(" FROM {}", self.source(&from.first, &mut scope)?);
        for join in &from.joins {
            let source = self.source(&join.source, &mut scope)?;
            sql.push_str(&[" ", join.kind, " ", &source].concat());
            if let Some(on) = &join.on {
                sql.push_str(" ON ");
                sql.push_str(&self.condition(on, &scope, Mode::Row)?);
            }
        }
        Ok((sql, scope))
    }

    fn source(&mut self, source: &Source, scope: &mut Scope) -> Result<String, SqlError> {
        self.sources += 1;
        let sql_name = format!("s{}", self.sources);
        match source {
            Source::Query(query, alias, at) => {
                self.count_source(*at)?;
                let rows = self.query(query)?;
                let name = alias.clone().unwrap_or_default().to_lowercase();
                scope.sources.push(ScopeSource {
                    name,
                    columns: output_columns(&sql_name, &rows.columns),
                });
                Ok(format!("({}) AS {sql_name}", rows.sql))
            }
            Source::Table(table, alias) => {
                self.count_source(table.at)?;
                let name = alias.as_ref().unwrap_or(&table.table).to_lowercase();
                if let Some(rows) = self.named_query(table)? {
                    scope.sources.push(ScopeSource {
                        name,
                        columns: output_columns(&sql_name, &rows.columns),
                    });
                    return Ok(format!("({}) AS {sql_name}", rows.sql));
                }
                let position = self.table(table)?;
                let columns = table_columns(&sql_name, &self.tables[position]);
                scope.sources.push(ScopeSource { name, columns });
                Ok(format!("temp.v{position} AS {sql_name}"))
            }
        }
    }

    fn count_source(&self, at: Position) -> Result<(), SqlError> {
        if self.sources <= SOURCES_MAX {
            return Ok(());
        }
        Err(SqlError::semantic(
            at,
            format!("more than {SOURCES_MAX} tables and subqueries"),
        ))
    }

    /// The rows of a query from WITH, where `table` names one.
    fn named_query(&mut self, table: &TableRef) -> Result<Option<Rows>, SqlError> {
        if table.project.is_some() {
            return Ok(None);
        }
        let folded = table.table.to_lowercase();
        let Some(position) = self.with.iter().rposition(|(name, _)| *name == folded) else {
            return Ok(None);
        };
        // A named query sees only those before it, so it can't name itself.
        let later = self.with.split_off(position);
        let rows = match later.first() {
            Some((_, query)) => self.query(query).map(Some),
            None => Ok(None),
        };
        self.with.extend(later);
        rows
    }

    fn table(&mut self, table: &TableRef) -> Result<usize, SqlError> {
        let found = self.engine.table(table)?;
        let folded = found.name.to_lowercase();
        if let Some(position) = self.by_name.get(&folded) {
            return Ok(*position);
        }
        let snapshot = self.engine.catalog.snapshot(found.id)?;
        let position = self.tables.len();
        self.tables.push(Arc::new(TableData {
            table: found,
            snapshot,
        }));
        self.by_name.insert(folded, position);
        Ok(position)
    }

    fn group_by(
        &mut self,
        exprs: &[Expr],
        items: &[(Expr, Option<String>)],
        scope: &Scope,
    ) -> Result<(String, Group), SqlError> {
        let mut group = Group::default();
        let mut texts = Vec::new();
        for expr in exprs {
            let expr = match &expr.kind {
                ExprKind::Column(None, name) if scope.find(None, name).is_empty() => {
                    aliased(items, name).unwrap_or(expr)
                }
                _ => positioned(expr, items)?.unwrap_or(expr),
            };
            let typed = self.expr(expr, scope, Mode::Row)?;
            if typed.class() == Class::Nested {
                return Err(SqlError::semantic(expr.at, "can't group by a nested type"));
            }
            if matches!(expr.kind, ExprKind::Column(..)) {
                group.columns.insert(typed.sql.clone());
            }
            texts.push(typed.sql);
            group.exprs.push(expr.clone());
        }
        let sql = if texts.is_empty() {
            String::new()
        } else {
            format!(" GROUP BY {}", texts.join(", "))
        };
        Ok((sql, group))
    }

    pub(super) fn order_by(
        &mut self,
        orders: &[Order],
        items: &[(Expr, Option<String>)],
        scope: &Scope,
        mode: Mode,
    ) -> Result<String, SqlError> {
        let mut texts = Vec::new();
        for order in orders {
            let expr = match &order.expr.kind {
                ExprKind::Column(None, name) => aliased(items, name).unwrap_or(&order.expr),
                _ => positioned(&order.expr, items)?.unwrap_or(&order.expr),
            };
            let typed = self.expr(expr, scope, mode)?;
            let collation = collation(&typed);
            let direction = if order.descending { " DESC" } else { "" };
            let nulls = match order.nulls_first {
                Some(true) => " NULLS FIRST",
                Some(false) => " NULLS LAST",
                None => "",
            };
            texts.push(format!("{}{collation}{direction}{nulls}", typed.sql));
        }
        Ok(if texts.is_empty() {
            String::new()
        } else {
            format!(" ORDER BY {}", texts.join(", "))
        })
    }

    /// A query in an expression: its text and the type of its only column.
    pub(super) fn subquery(&mut self, query: &Query, at: Position) -> Result<Typed, SqlError> {
        self.sources += 1;
        self.count_source(at)?;
        let rows = self.query(query)?;
        match rows.columns.as_slice() {
            [column] => Ok(Typed {
                sql: rows.sql,
                column_type: column.column_type.clone(),
                number: None,
            }),
            columns => {
                let text = format!("the subquery has {} columns, expect one", columns.len());
                Err(SqlError::semantic(at, text))
            }
        }
    }

    /// A column by its name.
    pub(super) fn column(
        qualifier: Option<&str>,
        name: &str,
        at: Position,
        scope: &Scope,
        mode: Mode,
    ) -> Result<Typed, SqlError> {
        let typed = match scope.find(qualifier, name).as_slice() {
            [typed] => (*typed).clone(),
            [] => {
                let text = format!("column {name} cannot be resolved");
                return Err(SqlError::semantic(at, text));
            }
            _ => {
                let text = format!("column {name} is ambiguous; name its table");
                return Err(SqlError::semantic(at, text));
            }
        };
        let group = scope.group.as_ref().filter(|_| mode == Mode::Group);
        if group.is_some_and(|group| !group.columns.contains(&typed.sql)) {
            let text = format!("column reference {name} should appear in GROUP BY key");
            return Err(SqlError::semantic(at, text));
        }
        Ok(typed)
    }

    /// A conversion that makes NULL of what has no value of the type.
    pub(super) fn cast(&mut self, typed: &Typed, to: &ColumnType) -> String {
        self.convert(typed, to, false)
    }

    /// A conversion, registered where SQLite has none of its own.
    fn convert(&mut self, typed: &Typed, to: &ColumnType, strict: bool) -> String {
        let Some(from) = &typed.column_type else {
            return typed.sql.clone();
        };
        let same_text = Class::of(from) == Class::Text && *to == ColumnType::String;
        if from == to || same_text {
            return typed.sql.clone();
        }
        if Class::of(from) == Class::Integer && *to == ColumnType::BigInt {
            return typed.sql.clone();
        }
        let wanted = Cast {
            from: from.clone(),
            to: to.clone(),
            strict,
        };
        let position = self
            .casts
            .iter()
            .position(|known| *known == wanted)
            .unwrap_or_else(|| {
                self.casts.push(wanted);
                self.casts.len() - 1
            });
        format!("mc_cast_{position}({})", typed.sql)
    }
}

/// Names of the first select, and types that hold the values of all.
fn union_columns(parts: &[(Rows, Position)], width: usize) -> Result<Vec<Output>, SqlError> {
    let column = |position: usize| {
        let outputs = parts
            .iter()
            .filter_map(|(rows, at)| Some((rows.columns.get(position)?, *at)));
        let types = outputs
            .clone()
            .filter_map(|(output, _)| output.column_type.as_ref());
        let untyped = types.clone().next().is_none();
        let column_type = common(types);
        if let (None, false, Some((_, at))) = (&column_type, untyped, outputs.clone().next_back()) {
            let text = format!(
                "the types of column {} of the UNION don't meet",
                position + 1
            );
            return Err(SqlError::semantic(at, text));
        }
        let name = outputs
            .map(|(output, _)| output.name.clone())
            .next()
            .unwrap_or_default();
        Ok(Output { name, column_type })
    };
    (0..width).map(column).collect()
}

fn is_integer(column: &ColumnType) -> bool {
    Class::of(column) == Class::Integer
}

/// Whether a column of the query is a literal integer in every row: such a one takes the type that it is stored as.
fn literals_at(query: &Query, position: usize) -> bool {
    query.selects.iter().all(|select| {
        let stars = select
            .items
            .iter()
            .any(|item| matches!(item, Item::Star(..)));
        let literal = |expr: &Expr| match &expr.kind {
            ExprKind::Integer(_) | ExprKind::Null => true,
            ExprKind::Negate(inner) => matches!(inner.kind, ExprKind::Integer(_)),
            _ => false,
        };
        let item = select.items.get(position);
        !stars && matches!(item, Some(Item::Expr(expr, _)) if literal(expr))
    })
}

fn query_position(query: &Query) -> Position {
    query
        .selects
        .first()
        .map_or(Position { line: 1, column: 1 }, |select| select.at)
}
