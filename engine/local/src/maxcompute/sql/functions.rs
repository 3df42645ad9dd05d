//! The functions that queries may call: their types, and how SQLite computes them.

use engine_model::ColumnType;

use super::ast::{Call, Expr, ExprKind};
use super::calendar::Part;
use super::error::{Position, SqlError};
use super::expr::literal;
use super::lower::Lowering;
use super::scope::{Mode, Scope};
use super::types::{Class, DECIMAL, Typed};

/// A function that takes and returns fixed types.
struct Plain {
    name: &'static str,
    /// What SQLite calls; `{}` stands for the arguments.
    call: &'static str,
    args: &'static [Arg],
    /// Arguments that must be given; the rest may be left out from the end.
    needed: usize,
    result: ColumnType,
}

#[derive(Clone, Copy)]
enum Arg {
    Text,
    Whole,
    Double,
    Time,
}

impl Arg {
    fn column_type(self) -> ColumnType {
        match self {
            Self::Text => ColumnType::String,
            Self::Whole => ColumnType::BigInt,
            Self::Double => ColumnType::Double,
            Self::Time => ColumnType::DateTime,
        }
    }
}

const fn plain(
    name: &'static str,
    call: &'static str,
    args: &'static [Arg],
    needed: usize,
    result: ColumnType,
) -> Plain {
    Plain {
        name,
        call,
        args,
        needed,
        result,
    }
}

const TEXT: ColumnType = ColumnType::String;
const WHOLE: ColumnType = ColumnType::BigInt;
const DOUBLE: ColumnType = ColumnType::Double;
const TIME: ColumnType = ColumnType::DateTime;

const PLAIN: &[Plain] = &[
    plain(
        "substr",
        "mc_substr({})",
        &[Arg::Text, Arg::Whole, Arg::Whole],
        2,
        TEXT,
    ),
    plain(
        "substring",
        "mc_substr({})",
        &[Arg::Text, Arg::Whole, Arg::Whole],
        2,
        TEXT,
    ),
    plain("length", "mc_length({})", &[Arg::Text], 1, WHOLE),
    plain(
        "lengthb",
        "length(CAST({} AS BLOB))",
        &[Arg::Text],
        1,
        WHOLE,
    ),
    plain("lower", "mc_lower({})", &[Arg::Text], 1, TEXT),
    plain("tolower", "mc_lower({})", &[Arg::Text], 1, TEXT),
    plain("upper", "mc_upper({})", &[Arg::Text], 1, TEXT),
    plain("toupper", "mc_upper({})", &[Arg::Text], 1, TEXT),
    plain("trim", "trim({})", &[Arg::Text], 1, TEXT),
    plain("ltrim", "ltrim({})", &[Arg::Text], 1, TEXT),
    plain("rtrim", "rtrim({})", &[Arg::Text], 1, TEXT),
    plain(
        "replace",
        "replace({})",
        &[Arg::Text, Arg::Text, Arg::Text],
        3,
        TEXT,
    ),
    plain("instr", "instr({})", &[Arg::Text, Arg::Text], 2, WHOLE),
    plain("reverse", "mc_reverse({})", &[Arg::Text], 1, TEXT),
    plain(
        "split_part",
        "mc_split_part({})",
        &[Arg::Text, Arg::Text, Arg::Whole],
        3,
        TEXT,
    ),
    plain(
        "get_json_object",
        "mc_json({})",
        &[Arg::Text, Arg::Text],
        2,
        TEXT,
    ),
    plain("to_char", "mc_format({})", &[Arg::Time, Arg::Text], 2, TEXT),
    plain(
        "to_date",
        "mc_parse_time({})",
        &[Arg::Text, Arg::Text],
        2,
        TIME,
    ),
    plain("from_unixtime", "(({}) * 1000)", &[Arg::Whole], 1, TIME),
    plain("unix_timestamp", "mc_seconds({})", &[Arg::Time], 1, WHOLE),
    plain("weekday", "mc_weekday({})", &[Arg::Time], 1, WHOLE),
    plain("lastday", "mc_last_day({})", &[Arg::Time], 1, TIME),
    plain("year", "mc_part('yyyy', {})", &[Arg::Time], 1, WHOLE),
    plain("month", "mc_part('mm', {})", &[Arg::Time], 1, WHOLE),
    plain("day", "mc_part('dd', {})", &[Arg::Time], 1, WHOLE),
    plain("dayofmonth", "mc_part('dd', {})", &[Arg::Time], 1, WHOLE),
    plain("hour", "mc_part('hh', {})", &[Arg::Time], 1, WHOLE),
    plain("minute", "mc_part('mi', {})", &[Arg::Time], 1, WHOLE),
    plain("second", "mc_part('ss', {})", &[Arg::Time], 1, WHOLE),
    plain("sqrt", "mc_sqrt({})", &[Arg::Double], 1, DOUBLE),
    plain("pow", "mc_pow({})", &[Arg::Double, Arg::Double], 2, DOUBLE),
    plain(
        "power",
        "mc_pow({})",
        &[Arg::Double, Arg::Double],
        2,
        DOUBLE,
    ),
    plain("floor", "mc_floor({})", &[Arg::Double], 1, WHOLE),
    plain("ceil", "mc_ceil({})", &[Arg::Double], 1, WHOLE),
    plain("ceiling", "mc_ceil({})", &[Arg::Double], 1, WHOLE),
];

const AGGREGATES: [&str; 8] = [
    "count",
    "sum",
    "avg",
    "min",
    "max",
    "any_value",
    "count_if",
    "wm_concat",
];
/// Functions that are only computed over a window.
const RANKS: [&str; 3] = ["row_number", "rank", "dense_rank"];

/// Whether the function folds many rows to one.
pub(super) fn is_aggregate(name: &str) -> bool {
    AGGREGATES.contains(&name)
}

impl Lowering<'_> {
    /// Translates a call.
    pub(super) fn call(
        &mut self,
        call: &Call,
        at: Position,
        scope: &Scope,
        mode: Mode,
    ) -> Result<Typed, SqlError> {
        let ranks = RANKS.contains(&call.name.as_str());
        if ranks || is_aggregate(&call.name) {
            return self.folding(call, at, scope, mode);
        }
        if call.over.is_some() || call.distinct || call.star {
            let text = format!("function {} takes no *, DISTINCT or OVER", call.name);
            return Err(SqlError::semantic(at, text));
        }
        if let Some(typed) = self.literal_call(call, at)? {
            return Ok(typed);
        }
        let args = call.args.iter().map(|arg| self.expr(arg, scope, mode));
        let args: Vec<Typed> = args.collect::<Result<_, _>>()?;
        let found = PLAIN.iter().find(|plain| {
            plain.name == call.name && (plain.needed..=plain.args.len()).contains(&args.len())
        });
        match found {
            Some(plain) => Ok(self.plain(plain, &args)),
            None => self.special(call, &args, at),
        }
    }

    fn plain(&mut self, plain: &Plain, args: &[Typed]) -> Typed {
        let args = args.iter().zip(plain.args).map(|(typed, arg)| match arg {
            Arg::Double => self.double(typed),
            arg => self.cast(typed, &arg.column_type()),
        });
        let args: Vec<String> = args.collect();
        Typed::new(
            plain.call.replace("{}", &args.join(", ")),
            plain.result.clone(),
        )
    }

    /// Functions whose value is known before the query runs.
    fn literal_call(&mut self, call: &Call, at: Position) -> Result<Option<Typed>, SqlError> {
        let now = self.engine.now;
        Ok(Some(match (call.name.as_str(), call.args.as_slice()) {
            ("getdate" | "now", []) => {
                Typed::new(now.as_millisecond().to_string(), ColumnType::DateTime)
            }
            ("unix_timestamp", []) => Typed::new(now.as_second().to_string(), ColumnType::BigInt),
            ("current_timestamp", []) => {
                Typed::new(now.as_nanosecond().to_string(), ColumnType::Timestamp)
            }
            (
                "max_pt",
                [
                    Expr {
                        kind: ExprKind::Text(table),
                        ..
                    },
                ],
            ) => match self.engine.max_partition(table, at)? {
                Some(value) => Typed::new(literal(&value), ColumnType::String),
                None => Typed::null(),
            },
            _ => return Ok(None),
        }))
    }

    /// Functions whose types follow from their arguments.
    fn special(&mut self, call: &Call, args: &[Typed], at: Position) -> Result<Typed, SqlError> {
        match (call.name.as_str(), args) {
            ("concat", [_, ..]) => {
                let texts = args.iter().map(|arg| self.cast(arg, &ColumnType::String));
                let texts: Vec<String> = texts.collect();
                Ok(Typed::new(
                    format!("({})", texts.join(" || ")),
                    ColumnType::String,
                ))
            }
            ("concat_ws", [_, _, ..]) => {
                let texts = args.iter().map(|arg| self.cast(arg, &ColumnType::String));
                let texts: Vec<String> = texts.collect();
                Ok(Typed::new(
                    format!("mc_concat_ws({})", texts.join(", ")),
                    ColumnType::String,
                ))
            }
            ("coalesce" | "nvl", [only]) => Ok(only.clone()),
            ("coalesce" | "nvl", [_, _, ..]) => self.unified("coalesce", args, at),
            ("greatest", [_, _, ..]) => self.unified("max", args, at),
            ("least", [_, _, ..]) => self.unified("min", args, at),
            ("if", [condition, yes, no]) => {
                if !matches!(condition.class(), Class::Boolean | Class::Null) {
                    return Err(SqlError::semantic(at, "IF expects a BOOLEAN"));
                }
                let unified = self.unified("", &[yes.clone(), no.clone()], at)?;
                let sql = format!("iif({}, {})", condition.sql, unified.sql);
                Ok(Typed { sql, ..unified })
            }
            ("nullif", [left, right]) => {
                let (texts, _) = self.unify(args, at)?;
                let texts = texts.join(" = ");
                let collation = if left.class() == Class::Decimal || right.class() == Class::Decimal
                {
                    " COLLATE mc_decimal"
                } else {
                    ""
                };
                let sql = format!("iif({texts}{collation}, NULL, {})", left.sql);
                Ok(Typed {
                    sql,
                    column_type: left.column_type.clone(),
                    number: None,
                })
            }
            ("abs", [arg]) => Ok(self.rounding("mc_abs", arg, "")),
            ("round", [arg]) => Ok(self.rounding("mc_round", arg, ", 0")),
            ("round", [arg, digits]) => {
                let digits = self.cast(digits, &ColumnType::BigInt);
                Ok(self.rounding("mc_round", arg, &format!(", {digits}")))
            }
            ("mod", [left, right]) => self.arithmetic("%", left, right, at),
            ("to_date", [arg]) => Ok(Typed::new(
                self.cast(arg, &ColumnType::Date),
                ColumnType::Date,
            )),
            ("to_char", [arg]) => Ok(Typed::new(
                self.cast(arg, &ColumnType::String),
                ColumnType::String,
            )),
            ("dateadd" | "datetrunc" | "datediff" | "datepart", _) => self.dates(call, args, at),
            _ => Err(SqlError::semantic(
                at,
                format!("function {} cannot be resolved", call.name),
            )),
        }
    }

    /// A call on values of one type, which the result has too. Without a name, only the arguments.
    fn unified(&mut self, name: &str, args: &[Typed], at: Position) -> Result<Typed, SqlError> {
        let (mut texts, column_type) = self.unify(args, at)?;
        let decimal = matches!(column_type, Some(ColumnType::Decimal { .. }));
        if let (true, Some(first)) = (decimal && !name.is_empty(), texts.first_mut()) {
            // SQLite's min() and max() take the collation of their first argument.
            first.push_str(" COLLATE mc_decimal");
        }
        let texts = texts.join(", ");
        let sql = if name.is_empty() {
            texts
        } else {
            format!("{name}({texts})")
        };
        Ok(Typed {
            sql,
            column_type,
            number: None,
        })
    }

    fn rounding(&mut self, name: &str, arg: &Typed, rest: &str) -> Typed {
        let (sql, column_type) = match arg.class() {
            Class::Integer => (arg.sql.clone(), ColumnType::BigInt),
            Class::Decimal => (arg.sql.clone(), DECIMAL),
            _ => (self.double(arg), ColumnType::Double),
        };
        Typed::new(format!("{name}({sql}{rest})"), column_type)
    }

    /// Functions that take the name of a date part last.
    fn dates(&mut self, call: &Call, args: &[Typed], at: Position) -> Result<Typed, SqlError> {
        let with_part = if matches!(call.name.as_str(), "datepart" | "datetrunc") {
            2
        } else {
            3
        };
        let (part, args) = match (call.args.last(), args.split_last()) {
            (Some(last), Some((_, rest))) if args.len() == with_part => match &last.kind {
                ExprKind::Text(part) => (part.as_str(), rest),
                _ => {
                    return Err(SqlError::semantic(
                        at,
                        "the part of a date must be a string",
                    ));
                }
            },
            // Differences are in days unless said otherwise.
            _ => ("dd", args),
        };
        if Part::from_name(part).is_none() {
            return Err(SqlError::semantic(
                at,
                format!("{part:?} is no part of a date"),
            ));
        }
        let part = literal(part);
        let time = |this: &mut Self, typed: &Typed| this.cast(typed, &ColumnType::DateTime);
        let (sql, result) = match (call.name.as_str(), args) {
            ("datepart", [when]) => (
                format!("mc_part({part}, {})", time(self, when)),
                ColumnType::BigInt,
            ),
            ("datetrunc", [when]) => (
                format!("mc_truncate({part}, {})", time(self, when)),
                ColumnType::DateTime,
            ),
            ("dateadd", [when, count]) => {
                let count = self.cast(count, &ColumnType::BigInt);
                (
                    format!("mc_move({part}, {}, {count})", time(self, when)),
                    ColumnType::DateTime,
                )
            }
            ("datediff", [later, earlier]) => {
                let (later, earlier) = (time(self, later), time(self, earlier));
                (
                    format!("mc_difference({part}, {later}, {earlier})"),
                    ColumnType::BigInt,
                )
            }
            _ => {
                let text = format!(
                    "function {} cannot be resolved with these arguments",
                    call.name
                );
                return Err(SqlError::semantic(at, text));
            }
        };
        Ok(Typed::new(sql, result))
    }

    /// Aggregates and window functions.
    fn folding(
        &mut self,
        call: &Call,
        at: Position,
        scope: &Scope,
        mode: Mode,
    ) -> Result<Typed, SqlError> {
        if call.over.is_none() && mode == Mode::Row {
            let text = format!("function {} is not allowed here", call.name);
            return Err(SqlError::semantic(at, text));
        }
        // A window function sees the rows that the select yields; an aggregate sees those underneath.
        let inner = if call.over.is_some() { mode } else { Mode::Row };
        let args = call.args.iter().map(|arg| self.expr(arg, scope, inner));
        let args: Vec<Typed> = args.collect::<Result<_, _>>()?;
        let typed = self.aggregate(call, &args, at)?;
        let Some(over) = &call.over else {
            return Ok(typed);
        };
        if typed.sql.starts_with("mc_") || call.distinct {
            let text = format!("function {} can't be computed OVER a window", call.name);
            return Err(SqlError::semantic(at, text));
        }
        let keys = over
            .partition_by
            .iter()
            .map(|key| self.expr(key, scope, mode));
        let keys: Vec<String> = keys
            .map(|key| key.map(|key| key.sql))
            .collect::<Result<_, _>>()?;
        let partition = if keys.is_empty() {
            String::new()
        } else {
            format!("PARTITION BY {}", keys.join(", "))
        };
        let order = self.order_by(&over.order_by, &[], scope, mode)?;
        Ok(Typed {
            sql: format!("{} OVER ({partition}{order})", typed.sql),
            ..typed
        })
    }

    fn aggregate(&mut self, call: &Call, args: &[Typed], at: Position) -> Result<Typed, SqlError> {
        let distinct = if call.distinct { "DISTINCT " } else { "" };
        match (call.name.as_str(), args) {
            ("row_number" | "rank" | "dense_rank", []) if call.over.is_some() => {
                Ok(Typed::new(format!("{}()", call.name), ColumnType::BigInt))
            }
            ("count", _) if call.star != args.is_empty() => Err(unresolved(call, args.len(), at)),
            ("count", _) => Ok(Typed::new(count(distinct, args), ColumnType::BigInt)),
            ("count_if", [arg]) => Ok(Typed::new(
                format!("count(CASE WHEN {} THEN 1 END)", arg.sql),
                ColumnType::BigInt,
            )),
            ("sum" | "avg", [arg]) => Ok(self.total(&call.name, distinct, arg)),
            ("min" | "max" | "any_value", [arg]) if arg.class() != Class::Nested => {
                let name = if call.name == "any_value" {
                    "min"
                } else {
                    &call.name
                };
                let sql = format!("{name}({})", Self::collated(arg));
                Ok(Typed {
                    sql,
                    column_type: arg.column_type.clone(),
                    number: None,
                })
            }
            ("wm_concat", [separator, arg]) => {
                let separator = self.cast(separator, &ColumnType::String);
                let arg = self.cast(arg, &ColumnType::String);
                Ok(Typed::new(
                    format!("group_concat({arg}, {separator})"),
                    ColumnType::String,
                ))
            }
            _ => Err(unresolved(call, args.len(), at)),
        }
    }

    /// SUM or AVG: exact for integers and decimals, DOUBLE for everything else.
    fn total(&mut self, name: &str, distinct: &str, arg: &Typed) -> Typed {
        match (arg.class(), name) {
            (Class::Integer, "sum") => {
                Typed::new(format!("sum({distinct}{})", arg.sql), ColumnType::BigInt)
            }
            (Class::Decimal, _) => {
                Typed::new(format!("mc_decimal_{name}({distinct}{})", arg.sql), DECIMAL)
            }
            _ => {
                let double = self.double(arg);
                Typed::new(format!("mc_{name}({distinct}{double})"), ColumnType::Double)
            }
        }
    }
}

/// COUNT of rows, or of rows in which none of the arguments is NULL.
fn count(distinct: &str, args: &[Typed]) -> String {
    match args {
        [] => "count(*)".to_owned(),
        [arg] => format!("count({distinct}{})", Lowering::collated(arg)),
        _ => {
            let known: Vec<String> = args
                .iter()
                .map(|arg| format!("{} IS NOT NULL", arg.sql))
                .collect();
            // quote() keeps different values apart.
            let texts: Vec<String> = args
                .iter()
                .map(|arg| format!("quote({})", arg.sql))
                .collect();
            let (known, texts) = (known.join(" AND "), texts.join(" || ',' || "));
            format!("count({distinct}CASE WHEN {known} THEN {texts} END)")
        }
    }
}

fn unresolved(call: &Call, args: usize, at: Position) -> SqlError {
    let text = format!(
        "function {} cannot be resolved with {args} arguments",
        call.name
    );
    SqlError::semantic(at, text)
}
