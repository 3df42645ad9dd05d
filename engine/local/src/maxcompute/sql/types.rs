//! Types of expressions, and which type two of them meet in.

use engine_model::ColumnType;
use engine_model::limits::{DECIMAL_PRECISION_MAX, DECIMAL_SCALE_MAX};

use super::value::{integer_range, scale_of};

/// A translated expression.
#[derive(Clone, Debug)]
pub(crate) struct Typed {
    /// SQLite's text of it.
    pub(crate) sql: String,
    /// `None` for a bare NULL.
    pub(crate) column_type: Option<ColumnType>,
    /// The same value as a number, for the STRING partition keys that have one.
    pub(crate) number: Option<String>,
}

impl Typed {
    pub(crate) fn new(sql: impl Into<String>, column_type: ColumnType) -> Self {
        Self {
            sql: sql.into(),
            column_type: Some(column_type),
            number: None,
        }
    }

    pub(crate) fn null() -> Self {
        Self {
            sql: "NULL".to_owned(),
            column_type: None,
            number: None,
        }
    }

    pub(crate) fn class(&self) -> Class {
        self.column_type.as_ref().map_or(Class::Null, Class::of)
    }

    /// The type's name for messages.
    pub(crate) fn type_name(&self) -> String {
        self.column_type
            .as_ref()
            .map_or_else(|| "VOID".to_owned(), ToString::to_string)
    }
}

/// Types that compare and compute alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    Null,
    Boolean,
    Integer,
    Real,
    Decimal,
    Text,
    Binary,
    Date,
    DateTime,
    Timestamp,
    TimestampNtz,
    Nested,
}

impl Class {
    pub(crate) fn of(column_type: &ColumnType) -> Self {
        match column_type {
            ColumnType::TinyInt | ColumnType::SmallInt | ColumnType::Int | ColumnType::BigInt => {
                Self::Integer
            }
            ColumnType::Float | ColumnType::Double => Self::Real,
            ColumnType::Decimal { .. } => Self::Decimal,
            ColumnType::String
            | ColumnType::VarChar(_)
            | ColumnType::Char(_)
            | ColumnType::Json => Self::Text,
            ColumnType::Binary => Self::Binary,
            ColumnType::Boolean => Self::Boolean,
            ColumnType::Date => Self::Date,
            ColumnType::DateTime => Self::DateTime,
            ColumnType::Timestamp => Self::Timestamp,
            ColumnType::TimestampNtz => Self::TimestampNtz,
            ColumnType::Array(_) | ColumnType::Map(..) | ColumnType::Struct(_) => Self::Nested,
        }
    }
}

/// How two operands of a comparison are brought together.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Meeting {
    /// SQLite compares them as they are.
    AsIs,
    /// Text is read as a number.
    Numbers,
    /// Both as decimals, by value.
    Decimals,
    /// Both as this type.
    As(ColumnType),
}

/// The widest DECIMAL.
pub(crate) const DECIMAL: ColumnType = ColumnType::Decimal {
    precision: DECIMAL_PRECISION_MAX,
    scale: DECIMAL_SCALE_MAX,
};

/// How values of two classes compare; `None` where they don't.
pub(crate) fn meeting(left: Class, right: Class) -> Option<Meeting> {
    use Class::{
        Boolean, Date, DateTime, Decimal, Integer, Nested, Null, Real, Text, Timestamp,
        TimestampNtz,
    };
    Some(match (left, right) {
        (Nested, _) | (_, Nested) => return None,
        (Decimal, Decimal | Integer | Text) | (Integer | Text, Decimal) => Meeting::Decimals,
        (Decimal, Real) | (Real, Decimal) => Meeting::As(ColumnType::Double),
        (Null, _) | (_, Null) | (Integer, Real) | (Real, Integer) => Meeting::AsIs,
        (a, b) if a == b => Meeting::AsIs,
        (Text, Integer | Real) | (Integer | Real, Text) => Meeting::Numbers,
        (Text, Boolean) | (Boolean, Text) => Meeting::As(ColumnType::Boolean),
        (Timestamp, Date | DateTime | Text) | (Date | DateTime | Text, Timestamp) => {
            Meeting::As(ColumnType::Timestamp)
        }
        (TimestampNtz, Date | Text) | (Date | Text, TimestampNtz) => {
            Meeting::As(ColumnType::TimestampNtz)
        }
        (DateTime, Date | Text) | (Date | Text, DateTime) => Meeting::As(ColumnType::DateTime),
        (Date, Text) | (Text, Date) => Meeting::As(ColumnType::Date),
        _ => return None,
    })
}

/// The type that holds values of all of `types`, as CASE, COALESCE and UNION need it. `None` where there is none;
/// bare NULLs take part in none.
pub(crate) fn common<'a>(types: impl IntoIterator<Item = &'a ColumnType>) -> Option<ColumnType> {
    let mut types = types.into_iter();
    let first = types.next()?.clone();
    types.try_fold(first, |left, right| common_of_two(&left, right))
}

/// Whether an INSERT converts values of one type to another by itself, as of edition 2.0: where nothing can be lost, from
/// text to numbers, and from almost everything to text.
pub(crate) fn assignable(from: &ColumnType, to: &ColumnType) -> bool {
    use Class::{Binary, Date, DateTime, Decimal, Integer, Nested, Real, Text, Timestamp};
    if from == to {
        return true;
    }
    match (Class::of(from), Class::of(to)) {
        _ if *to == ColumnType::Json => false,
        (Integer, Integer) => match (integer_range(from), integer_range(to)) {
            (Some((low, high)), Some((least, greatest))) => low >= least && high <= greatest,
            _ => false,
        },
        (Real, Real) => *to == ColumnType::Double,
        (_, Text) if !matches!(Class::of(from), Nested | Binary | Class::Boolean) => true,
        (Integer | Real | Text, Real | Decimal)
        | (Decimal, Decimal)
        | (Text, Binary)
        | (Date, DateTime | Timestamp)
        | (DateTime, Timestamp) => true,
        _ => false,
    }
}

fn common_of_two(left: &ColumnType, right: &ColumnType) -> Option<ColumnType> {
    if left == right {
        return Some(left.clone());
    }
    let (a, b) = (Class::of(left), Class::of(right));
    match (a, b) {
        (Class::Integer, Class::Integer) => {
            let wider = if integer_range(left)? > integer_range(right)? {
                right
            } else {
                left
            };
            Some(wider.clone())
        }
        (Class::Real, Class::Integer | Class::Real | Class::Decimal)
        | (Class::Integer | Class::Decimal, Class::Real) => Some(ColumnType::Double),
        (Class::Decimal, Class::Integer | Class::Decimal) | (Class::Integer, Class::Decimal) => {
            Some(DECIMAL)
        }
        (Class::Text, Class::Nested | Class::Binary)
        | (Class::Nested | Class::Binary, Class::Text) => None,
        (Class::Text, _) | (_, Class::Text) => Some(ColumnType::String),
        _ if scale_of(left).is_some() && scale_of(right).is_some() => Some(ColumnType::Timestamp),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inserts_convert_what_loses_nothing() {
        let fits = |from: &str, to: &str| assignable(&from.parse().unwrap(), &to.parse().unwrap());
        for (from, to) in [
            ("int", "bigint"),
            ("bigint", "double"),
            ("bigint", "decimal(10,2)"),
            ("float", "double"),
            ("double", "decimal(10,2)"),
            ("decimal(38,18)", "decimal(10,2)"),
            ("string", "double"),
            ("string", "varchar(5)"),
            ("string", "binary"),
            ("datetime", "string"),
            ("date", "datetime"),
            ("array<int>", "array<int>"),
        ] {
            assert!(fits(from, to), "{from} to {to}");
        }
        for (from, to) in [
            ("bigint", "int"),
            ("double", "float"),
            ("double", "bigint"),
            ("decimal(10,2)", "double"),
            ("string", "bigint"),
            ("string", "datetime"),
            ("timestamp", "date"),
            ("boolean", "bigint"),
            ("bigint", "boolean"),
            ("string", "json"),
            ("array<int>", "string"),
            ("array<int>", "array<bigint>"),
        ] {
            assert!(!fits(from, to), "{from} to {to}");
        }
    }

    #[test]
    fn types_meet() {
        let of = |left: &str, right: &str| {
            let (left, right): (ColumnType, ColumnType) =
                (left.parse().unwrap(), right.parse().unwrap());
            common([&left, &right]).map(|common| common.to_string())
        };
        assert_eq!(of("int", "bigint").as_deref(), Some("BIGINT"));
        assert_eq!(of("bigint", "tinyint").as_deref(), Some("BIGINT"));
        assert_eq!(of("int", "float").as_deref(), Some("DOUBLE"));
        assert_eq!(of("decimal(5,2)", "int").as_deref(), Some("DECIMAL(38,18)"));
        assert_eq!(of("string", "date").as_deref(), Some("STRING"));
        assert_eq!(of("array<int>", "string"), None);
        assert_eq!(meeting(Class::Text, Class::Integer), Some(Meeting::Numbers));
        assert_eq!(meeting(Class::Boolean, Class::Integer), None);
    }
}
