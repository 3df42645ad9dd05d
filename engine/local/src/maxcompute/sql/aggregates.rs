//! Sums and averages: exact for decimals, and right about NaN.

use std::panic::{RefUnwindSafe, UnwindSafe};

use rusqlite::functions::{Aggregate, Context, FunctionFlags};
use rusqlite::types::{Value, ValueRef};
use rusqlite::{Connection, Error, Result};

use super::natives::{decimal_value, double};
use super::value::as_f64;
use crate::maxcompute::decimal::Decimal;

/// Registers the sums and averages.
pub(super) fn register(connection: &Connection) -> Result<()> {
    let flags = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC;
    connection.create_aggregate_function(
        "mc_sum",
        1,
        flags,
        Fold {
            add: add_double,
            end: |total: f64, _count| double(total),
        },
    )?;
    connection.create_aggregate_function(
        "mc_avg",
        1,
        flags,
        Fold {
            add: add_double,
            #[expect(clippy::cast_precision_loss, reason = "an average is a rounded number")]
            end: |total: f64, count| double(total / count as f64),
        },
    )?;
    connection.create_aggregate_function(
        "mc_decimal_sum",
        1,
        flags,
        Fold {
            add: add_decimal,
            end: |total: Total, _count| decimal_value(Some(total.0)),
        },
    )?;
    connection.create_aggregate_function(
        "mc_decimal_avg",
        1,
        flags,
        Fold {
            add: add_decimal,
            end: |total: Total, count: i64| {
                decimal_value(
                    Decimal::parse(&count.to_string()).and_then(|count| total.0.divide(count)),
                )
            },
        },
    )
}

/// A sum of decimals.
struct Total(Decimal);

impl Default for Total {
    fn default() -> Self {
        Self(Decimal::ZERO)
    }
}

#[expect(clippy::unnecessary_wraps, reason = "the other sum can fail")]
fn add_double(total: &mut f64, value: ValueRef<'_>) -> Result<()> {
    *total += as_f64(value).unwrap_or(f64::NAN);
    Ok(())
}

fn add_decimal(total: &mut Total, value: ValueRef<'_>) -> Result<()> {
    let number = value.as_str().ok().and_then(Decimal::parse);
    let sum = number.and_then(|number| total.0.add(number));
    total.0 =
        sum.ok_or_else(|| Error::UserFunctionError("the sum of decimals overflows".into()))?;
    Ok(())
}

/// An aggregate of the values that aren't NULL: NULL when there are none.
struct Fold<A, E> {
    add: A,
    end: E,
}

impl<S, A, E> Aggregate<(S, i64), Value> for Fold<A, E>
where
    S: Default + RefUnwindSafe + UnwindSafe,
    A: Fn(&mut S, ValueRef<'_>) -> Result<()>,
    E: Fn(S, i64) -> Value,
{
    fn init(&self, _context: &mut Context<'_>) -> Result<(S, i64)> {
        Ok((S::default(), 0))
    }

    fn step(&self, context: &mut Context<'_>, (state, count): &mut (S, i64)) -> Result<()> {
        let value = context.get_raw(0);
        if !matches!(value, ValueRef::Null) {
            *count += 1;
            (self.add)(state, value)?;
        }
        Ok(())
    }

    fn finalize(&self, _context: &mut Context<'_>, folded: Option<(S, i64)>) -> Result<Value> {
        Ok(match folded {
            Some((state, count)) if count > 0 => (self.end)(state, count),
            _ => Value::Null,
        })
    }
}
