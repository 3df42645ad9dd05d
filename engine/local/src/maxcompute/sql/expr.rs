//! Translates expressions.

use engine_model::ColumnType;

use super::ast::{Expr, ExprKind, Query};
use super::error::{Position, SqlError};
use super::lower::Lowering;
use super::scope::{Mode, Scope, collation};
use super::types::{Class, DECIMAL, Meeting, Typed, common, meeting};
use super::value::hex;

impl Lowering<'_> {
    /// Translates an expression that stands for a row of `scope`, or for a group of rows.
    pub(super) fn expr(
        &mut self,
        expr: &Expr,
        scope: &Scope,
        mode: Mode,
    ) -> Result<Typed, SqlError> {
        if mode == Mode::Group && scope.groups_by(expr) {
            return self.expr(expr, scope, Mode::Row);
        }
        let at = expr.at;
        match &expr.kind {
            ExprKind::Null => Ok(Typed::null()),
            ExprKind::Bool(flag) => {
                Ok(Typed::new(u8::from(*flag).to_string(), ColumnType::Boolean))
            }
            ExprKind::Integer(number) => {
                Ok(Typed::new(integer_literal(*number), ColumnType::BigInt))
            }
            ExprKind::Double(number) => Ok(Typed::new(format!("{number:e}"), ColumnType::Double)),
            ExprKind::Decimal(digits) => Ok(Typed::new(literal(digits), DECIMAL)),
            ExprKind::Text(text) => Ok(Typed::new(literal(text), ColumnType::String)),
            ExprKind::Column(table, name) => Self::column(table.as_deref(), name, at, scope, mode),
            ExprKind::Negate(inner) => {
                let zero = Typed::new("0", ColumnType::BigInt);
                let inner = self.expr(inner, scope, mode)?;
                self.arithmetic("-", &zero, &inner, at)
            }
            ExprKind::Arithmetic(operator, left, right) => {
                let left = self.expr(left, scope, mode)?;
                let right = self.expr(right, scope, mode)?;
                self.arithmetic(operator, &left, &right, at)
            }
            ExprKind::Case {
                operand,
                whens,
                otherwise,
            } => self.case(
                operand.as_deref(),
                whens,
                otherwise.as_deref(),
                at,
                (scope, mode),
            ),
            ExprKind::Cast(inner, to) => {
                let inner = self.expr(inner, scope, mode)?;
                self.explicit_cast(&inner, to, at)
            }
            ExprKind::Call(call) => self.call(call, at, scope, mode),
            ExprKind::Scalar(query) => {
                let query = self.subquery(query, at)?;
                Ok(Typed {
                    sql: format!("({})", query.sql),
                    ..query
                })
            }
            ExprKind::Logic(..)
            | ExprKind::Not(_)
            | ExprKind::Compare(..)
            | ExprKind::IsNull(..)
            | ExprKind::In(..)
            | ExprKind::InQuery(..)
            | ExprKind::Between(..)
            | ExprKind::Like(..) => Ok(Typed::new(
                self.predicate(expr, scope, mode)?,
                ColumnType::Boolean,
            )),
        }
    }

    /// Translates an operator that yields true or false.
    fn predicate(&mut self, expr: &Expr, scope: &Scope, mode: Mode) -> Result<String, SqlError> {
        let at = expr.at;
        let mut typed = |expr: &Expr| self.expr(expr, scope, mode);
        match &expr.kind {
            ExprKind::Logic(operator, terms) => {
                let terms = terms.iter().map(|term| self.condition(term, scope, mode));
                let terms: Vec<String> = terms.collect::<Result<_, _>>()?;
                Ok(balanced(&terms, operator))
            }
            ExprKind::Not(inner) => Ok(format!("(NOT {})", self.condition(inner, scope, mode)?)),
            ExprKind::Compare(operator, left, right) => {
                let (left, right) = (typed(left)?, typed(right)?);
                self.compare(operator, &left, &right, at)
            }
            ExprKind::IsNull(inner, negated) => {
                Ok(format!("({} IS {}NULL)", typed(inner)?.sql, not(*negated)))
            }
            ExprKind::In(inner, list, negated) => {
                let inner = typed(inner)?;
                let list: Vec<Typed> = list.iter().map(typed).collect::<Result<_, _>>()?;
                self.in_list(&inner, &list, *negated, at)
            }
            ExprKind::InQuery(inner, query, negated) => {
                let inner = typed(inner)?;
                self.in_query(&inner, query, *negated, at)
            }
            ExprKind::Between(inner, low, high, negated) => {
                let (inner, low, high) = (typed(inner)?, typed(low)?, typed(high)?);
                let low = self.compare(">=", &inner, &low, at)?;
                let high = self.compare("<=", &inner, &high, at)?;
                Ok(format!("({}({low} AND {high}))", not(*negated)))
            }
            ExprKind::Like(text, pattern, negated) => {
                let (text, pattern) = (typed(text)?, typed(pattern)?);
                let text = self.cast(&text, &ColumnType::String);
                let pattern = self.cast(&pattern, &ColumnType::String);
                Ok(format!("({}mc_like({text}, {pattern}))", not(*negated)))
            }
            _ => self.condition(expr, scope, mode),
        }
    }

    /// Translates what must be true or false.
    pub(super) fn condition(
        &mut self,
        expr: &Expr,
        scope: &Scope,
        mode: Mode,
    ) -> Result<String, SqlError> {
        let typed = self.expr(expr, scope, mode)?;
        match typed.class() {
            Class::Boolean | Class::Null => Ok(typed.sql),
            _ => {
                let text = format!("expect a BOOLEAN, found {}", typed.type_name());
                Err(SqlError::semantic(expr.at, text))
            }
        }
    }

    /// Brings both sides to types that SQLite compares as the service does.
    fn meet(
        &mut self,
        left: &Typed,
        right: &Typed,
        at: Position,
    ) -> Result<(String, String, &'static str), SqlError> {
        let meeting = meeting(left.class(), right.class()).ok_or_else(|| {
            let (left, right) = (left.type_name(), right.type_name());
            SqlError::semantic(at, format!("{left} and {right} can't be compared"))
        })?;
        Ok(match meeting {
            Meeting::AsIs => (left.sql.clone(), right.sql.clone(), ""),
            Meeting::Numbers => (number(left), number(right), ""),
            Meeting::Decimals => (
                self.decimal(left),
                self.decimal(right),
                " COLLATE mc_decimal",
            ),
            Meeting::As(common) => (self.cast(left, &common), self.cast(right, &common), ""),
        })
    }

    /// A decimal, or an integer as the text that compares with decimals.
    fn decimal(&mut self, typed: &Typed) -> String {
        match typed.class() {
            Class::Decimal => typed.sql.clone(),
            Class::Integer => format!("CAST({} AS TEXT)", typed.sql),
            _ => self.cast(typed, &DECIMAL),
        }
    }

    fn compare(
        &mut self,
        operator: &str,
        left: &Typed,
        right: &Typed,
        at: Position,
    ) -> Result<String, SqlError> {
        let (left, right, collation) = self.meet(left, right, at)?;
        Ok(format!("({left} {operator} {right}{collation})"))
    }

    fn in_list(
        &mut self,
        inner: &Typed,
        list: &[Typed],
        negated: bool,
        at: Position,
    ) -> Result<String, SqlError> {
        let met = list.iter().map(|entry| self.meet(inner, entry, at));
        let met: Vec<(String, String, &str)> = met.collect::<Result<_, _>>()?;
        let alike = met.iter().all(|(left, _, collation)| {
            collation.is_empty() && met.first().is_some_and(|(first, ..)| first == left)
        });
        let not = not(negated);
        if let (true, Some((left, ..))) = (alike, met.first()) {
            let entries: Vec<&str> = met.iter().map(|(_, right, _)| right.as_str()).collect();
            return Ok(format!("({left} {not}IN ({}))", entries.join(", ")));
        }
        let entries = met
            .iter()
            .map(|(left, right, collation)| format!("{left} = {right}{collation}"));
        let entries: Vec<String> = entries.collect();
        Ok(format!("({not}({}))", entries.join(" OR ")))
    }

    fn in_query(
        &mut self,
        inner: &Typed,
        query: &Query,
        negated: bool,
        at: Position,
    ) -> Result<String, SqlError> {
        let rows = self.subquery(query, at)?;
        let column = Typed {
            sql: "c0".to_owned(),
            ..rows.clone()
        };
        let (left, right, collation) = self.meet(inner, &column, at)?;
        let rows = rows.sql;
        Ok(format!(
            "({left}{collation} {}IN (SELECT {right} FROM ({rows})))",
            not(negated)
        ))
    }

    fn case(
        &mut self,
        operand: Option<&Expr>,
        whens: &[(Expr, Expr)],
        otherwise: Option<&Expr>,
        at: Position,
        (scope, mode): (&Scope, Mode),
    ) -> Result<Typed, SqlError> {
        let operand = operand
            .map(|operand| self.expr(operand, scope, mode))
            .transpose()?;
        let mut conditions = Vec::new();
        let mut values = Vec::new();
        for (when, then) in whens {
            conditions.push(match &operand {
                Some(operand) => {
                    let when = self.expr(when, scope, mode)?;
                    self.compare("=", operand, &when, at)?
                }
                None => self.condition(when, scope, mode)?,
            });
            values.push(self.expr(then, scope, mode)?);
        }
        if let Some(otherwise) = otherwise {
            values.push(self.expr(otherwise, scope, mode)?);
        }
        let (texts, column_type) = self.unify(&values, at)?;
        let mut texts = texts.into_iter();
        let mut sql = "(CASE".to_owned();
        for (condition, value) in conditions.iter().zip(texts.by_ref()) {
            sql.push_str(" WHEN ");
            sql.push_str(condition);
            sql.push_str(" THEN ");
            sql.push_str(&value);
        }
        if let Some(value) = texts.next() {
            sql.push_str(" ELSE ");
            sql.push_str(&value);
        }
        sql.push_str(" END)");
        Ok(Typed {
            sql,
            column_type,
            number: None,
        })
    }

    /// Brings values to the one type that holds them all.
    pub(super) fn unify(
        &mut self,
        values: &[Typed],
        at: Position,
    ) -> Result<(Vec<String>, Option<ColumnType>), SqlError> {
        let types: Vec<&ColumnType> = values
            .iter()
            .filter_map(|value| value.column_type.as_ref())
            .collect();
        let unified = common(types.iter().copied());
        if !types.is_empty() && unified.is_none() {
            let names: Vec<String> = values.iter().map(Typed::type_name).collect();
            let text = format!("{} have no common type", names.join(" and "));
            return Err(SqlError::semantic(at, text));
        }
        let texts = values.iter().map(|value| match &unified {
            Some(unified) => self.cast(value, unified),
            None => value.sql.clone(),
        });
        Ok((texts.collect(), unified))
    }

    fn explicit_cast(
        &mut self,
        inner: &Typed,
        to: &ColumnType,
        at: Position,
    ) -> Result<Typed, SqlError> {
        let nested = inner.class() == Class::Nested || Class::of(to) == Class::Nested;
        if nested && inner.column_type.as_ref() != Some(to) {
            let text = format!("can't cast {} to {to}", inner.type_name());
            return Err(SqlError::semantic(at, text));
        }
        Ok(Typed::new(self.cast(inner, to), to.clone()))
    }

    pub(super) fn arithmetic(
        &mut self,
        operator: &str,
        left: &Typed,
        right: &Typed,
        at: Position,
    ) -> Result<Typed, SqlError> {
        if operator == "||" {
            let left = self.cast(left, &ColumnType::String);
            let right = self.cast(right, &ColumnType::String);
            return Ok(Typed::new(
                format!("({left} || {right})"),
                ColumnType::String,
            ));
        }
        for side in [left, right] {
            let computes = matches!(
                side.class(),
                Class::Null | Class::Integer | Class::Real | Class::Decimal | Class::Text
            );
            if !computes {
                let text = format!("can't compute with {}", side.type_name());
                return Err(SqlError::semantic(at, text));
            }
        }
        let is = |class: Class| left.class() == class || right.class() == class;
        let name = match operator {
            "+" => "add",
            "-" => "subtract",
            "*" => "multiply",
            "/" => "divide",
            _ => "remainder",
        };
        if is(Class::Decimal) && !is(Class::Real) && operator != "div" {
            let (left, right) = (self.decimal(left), self.decimal(right));
            return Ok(Typed::new(
                format!("mc_decimal_{name}({left}, {right})"),
                DECIMAL,
            ));
        }
        let whole = !is(Class::Decimal) && !is(Class::Real) && !is(Class::Text);
        if (whole && operator != "/") || operator == "div" {
            let symbol = if operator == "div" { "/" } else { operator };
            let left = self.cast(left, &ColumnType::BigInt);
            let right = self.cast(right, &ColumnType::BigInt);
            return Ok(Typed::new(
                format!("({left} {symbol} {right})"),
                ColumnType::BigInt,
            ));
        }
        // SQLite's own operators would read the text that stands for NaN as zero.
        let (left, right) = (self.double(left), self.double(right));
        Ok(Typed::new(
            format!("mc_{name}({left}, {right})"),
            ColumnType::Double,
        ))
    }

    /// A value as DOUBLE.
    pub(super) fn double(&mut self, typed: &Typed) -> String {
        match typed.class() {
            Class::Real | Class::Integer => typed.sql.clone(),
            _ => self.cast(typed, &ColumnType::Double),
        }
    }

    /// What MIN, MAX and ORDER BY compare.
    pub(super) fn collated(typed: &Typed) -> String {
        format!("{}{}", typed.sql, collation(typed))
    }
}

/// Terms joined pairwise: SQLite bounds how deep an expression is, not how long.
fn balanced(terms: &[String], operator: &str) -> String {
    match terms {
        [] => String::new(),
        [term] => term.clone(),
        _ => {
            let (left, right) = terms.split_at(terms.len() / 2);
            let (left, right) = (balanced(left, operator), balanced(right, operator));
            format!("({left} {operator} {right})")
        }
    }
}

/// Text as SQLite's literal.
pub(super) fn literal(text: &str) -> String {
    if text.contains('\0') {
        // A literal can't hold NUL.
        let hex = hex(text.as_bytes());
        return format!("CAST(x'{hex}' AS TEXT)");
    }
    format!("'{}'", text.replace('\'', "''"))
}

fn integer_literal(number: i64) -> String {
    // SQLite reads the digits of the least integer as a real number.
    if number == i64::MIN {
        "(-9223372036854775807 - 1)".to_owned()
    } else {
        number.to_string()
    }
}

fn number(typed: &Typed) -> String {
    match (typed.class(), &typed.number) {
        (Class::Text, Some(number)) => number.clone(),
        (Class::Text, None) => format!("mc_number({})", typed.sql),
        _ => typed.sql.clone(),
    }
}

fn not(negated: bool) -> &'static str {
    if negated { "NOT " } else { "" }
}
