//! Queries as they were written.

use engine_model::ColumnType;

use super::error::Position;
use super::tokens::TableRef;

/// `[WITH …] SELECT … [UNION ALL SELECT …] [ORDER BY …] [LIMIT …]`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Query {
    /// Named queries that the rest may read from.
    pub(crate) with: Vec<(String, Query)>,
    pub(crate) selects: Vec<Select>,
    /// Whether all rows of the selects count (`UNION ALL`) or equal ones once (`UNION`).
    pub(crate) union_all: bool,
    pub(crate) order_by: Vec<Order>,
    pub(crate) limit: Option<u64>,
    pub(crate) offset: u64,
}

/// `INSERT INTO|OVERWRITE [TABLE] t [PARTITION (k='v', k2)] [(columns)]` and the query whose rows are stored.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Insert {
    pub(crate) table: TableRef,
    pub(crate) overwrite: bool,
    /// Partition keys with their values; without one, the query's last columns give it.
    pub(crate) partition: Vec<(String, Option<String>)>,
    /// The columns that the query's stand for, in order; all of the table's where none are named.
    pub(crate) columns: Vec<String>,
    pub(crate) query: Query,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Select {
    pub(crate) at: Position,
    pub(crate) distinct: bool,
    pub(crate) items: Vec<Item>,
    pub(crate) from: Option<From>,
    pub(crate) filter: Option<Expr>,
    pub(crate) group_by: Vec<Expr>,
    pub(crate) having: Option<Expr>,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Item {
    /// `*` or `t.*`.
    Star(Option<String>, Position),
    Expr(Expr, Option<String>),
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct From {
    pub(crate) first: Source,
    pub(crate) joins: Vec<Join>,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Join {
    /// As SQLite spells it: `JOIN`, `LEFT JOIN`, …
    pub(crate) kind: &'static str,
    pub(crate) source: Source,
    pub(crate) on: Option<Expr>,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Source {
    Table(TableRef, Option<String>),
    Query(Box<Query>, Option<String>, Position),
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Order {
    pub(crate) expr: Expr,
    pub(crate) descending: bool,
    /// `NULLS FIRST` or `NULLS LAST`, where it is said.
    pub(crate) nulls_first: Option<bool>,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Expr {
    pub(crate) kind: ExprKind,
    pub(crate) at: Position,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum ExprKind {
    Null,
    Bool(bool),
    Integer(i64),
    /// A number with point or exponent.
    Double(f64),
    /// A number with the suffix `BD`.
    Decimal(String),
    Text(String),
    Column(Option<String>, String),
    /// `AND` or `OR` of two and more.
    Logic(&'static str, Vec<Expr>),
    Not(Box<Expr>),
    Negate(Box<Expr>),
    /// `+ - * / % ||` and `DIV`.
    Arithmetic(&'static str, Box<Expr>, Box<Expr>),
    /// `= <> < <= > >=` and `IS` for `<=>`.
    Compare(&'static str, Box<Expr>, Box<Expr>),
    IsNull(Box<Expr>, bool),
    In(Box<Expr>, Vec<Expr>, bool),
    InQuery(Box<Expr>, Box<Query>, bool),
    Between(Box<Expr>, Box<Expr>, Box<Expr>, bool),
    Like(Box<Expr>, Box<Expr>, bool),
    Case {
        operand: Option<Box<Expr>>,
        whens: Vec<(Expr, Expr)>,
        otherwise: Option<Box<Expr>>,
    },
    Cast(Box<Expr>, ColumnType),
    Call(Call),
    /// A query that yields one value.
    Scalar(Box<Query>),
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Call {
    /// In lower case.
    pub(crate) name: String,
    pub(crate) distinct: bool,
    /// `count(*)`.
    pub(crate) star: bool,
    pub(crate) args: Vec<Expr>,
    pub(crate) over: Option<Over>,
}

/// `OVER (PARTITION BY … ORDER BY …)`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Over {
    pub(crate) partition_by: Vec<Expr>,
    pub(crate) order_by: Vec<Order>,
}
