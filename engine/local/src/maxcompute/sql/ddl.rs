//! Statements, and in full those that define, show or empty tables.

use engine_model::limits::{COLUMNS_MAX, NAME_BYTES_MAX, PARTITION_KEYS_MAX};
use engine_model::{Column, ColumnType};

use super::ast::{Insert, Query};
use super::error::{Position, SqlError};
use super::tokens::{Cursor, Kind, TableRef};
use super::{insert, parser};
use crate::maxcompute::table::Definition;

/// Bytes of a comment, in the vendor's documentation.
const COMMENT_BYTES_MAX: usize = 1_024;
/// Days of a lifecycle. No client and no document names a bound; a hundred years is what DataWorks gives.
const LIFECYCLE_DAYS_MAX: u32 = 36_500;

/// The pairs of one `PARTITION (…)`.
pub(crate) type Pairs = Vec<(String, String)>;

/// A statement.
#[derive(Debug)]
pub(crate) enum Statement {
    CreateTable {
        table: TableRef,
        if_not_exists: bool,
        definition: Box<Definition>,
    },
    DropTable {
        table: TableRef,
        if_exists: bool,
    },
    AddPartitions {
        table: TableRef,
        if_not_exists: bool,
        partitions: Vec<Pairs>,
    },
    DropPartitions {
        table: TableRef,
        if_exists: bool,
        partitions: Vec<Pairs>,
    },
    /// Without partitions, the whole table.
    Truncate {
        table: TableRef,
        partitions: Vec<Pairs>,
    },
    /// Names like the pattern, in which `*` stands for anything.
    ShowTables {
        like: Option<String>,
    },
    /// Partitions that have these values; all without any.
    ShowPartitions {
        table: TableRef,
        partition: Pairs,
    },
    ShowSchemas,
    Describe {
        table: TableRef,
        partition: Option<Pairs>,
    },
    Insert(Box<Insert>),
    Query(Box<Query>),
}

/// Reads one statement, which may follow `SET` statements.
pub(crate) fn parse(sql: &str) -> Result<Statement, SqlError> {
    let mut cursor = Cursor::new(without_settings(sql))?;
    let statement = statement(&mut cursor)?;
    cursor.expect_end()?;
    Ok(statement)
}

/// Cuts off `SET key=value;` in front: values there are no SQL.
fn without_settings(sql: &str) -> &str {
    let mut rest = sql.trim_start();
    loop {
        let (word, after) = rest.split_at(rest.find(char::is_whitespace).unwrap_or(rest.len()));
        let Some((_, next)) = after.split_once(';') else {
            return rest;
        };
        if !word.eq_ignore_ascii_case("set") {
            return rest;
        }
        rest = next.trim_start();
    }
}

fn statement(cursor: &mut Cursor) -> Result<Statement, SqlError> {
    if cursor.is_word(0, "select") || cursor.is_word(0, "with") || cursor.is_symbol("(") {
        return parser::query(cursor).map(|query| Statement::Query(Box::new(query)));
    }
    if cursor.take_word("insert") {
        return insert::parse(cursor).map(|insert| Statement::Insert(Box::new(insert)));
    }
    if cursor.take_words(&["create", "table"]) {
        return create_table(cursor);
    }
    if cursor.take_words(&["drop", "table"]) {
        let if_exists = cursor.take_words(&["if", "exists"]);
        return Ok(Statement::DropTable {
            table: cursor.table_name()?,
            if_exists,
        });
    }
    if cursor.take_words(&["alter", "table"]) {
        return alter_table(cursor);
    }
    if cursor.take_words(&["truncate", "table"]) {
        let table = cursor.table_name()?;
        let partitions = partitions(cursor)?;
        return Ok(Statement::Truncate { table, partitions });
    }
    if cursor.take_word("show") {
        return show(cursor);
    }
    if cursor.take_word("desc") || cursor.take_word("describe") {
        cursor.take_word("extended");
        let table = cursor.table_name()?;
        let partition = partitions(cursor)?.into_iter().next();
        return Ok(Statement::Describe { table, partition });
    }
    Err(cursor.unexpected(
        "SELECT, INSERT, CREATE TABLE, DROP TABLE, ALTER TABLE, TRUNCATE TABLE, SHOW or DESC",
    ))
}

fn show(cursor: &mut Cursor) -> Result<Statement, SqlError> {
    if cursor.take_word("tables") {
        if cursor.take_word("in") {
            cursor.table_name()?;
        }
        let like = if cursor.take_word("like") {
            Some(cursor.text()?)
        } else {
            None
        };
        return Ok(Statement::ShowTables { like });
    }
    if cursor.take_word("schemas") {
        if cursor.take_word("in") {
            cursor.name()?;
        }
        return Ok(Statement::ShowSchemas);
    }
    cursor.expect_word("partitions")?;
    let table = cursor.table_name()?;
    let partition = partitions(cursor)?.into_iter().next().unwrap_or_default();
    Ok(Statement::ShowPartitions { table, partition })
}

fn alter_table(cursor: &mut Cursor) -> Result<Statement, SqlError> {
    let table = cursor.table_name()?;
    let at = cursor.at();
    if cursor.take_word("add") {
        let if_not_exists = cursor.take_words(&["if", "not", "exists"]);
        if cursor.is_word(0, "partition") {
            let partitions = partitions(cursor)?;
            return Ok(Statement::AddPartitions {
                table,
                if_not_exists,
                partitions,
            });
        }
    } else if cursor.take_word("drop") {
        let if_exists = cursor.take_words(&["if", "exists"]);
        if cursor.is_word(0, "partition") {
            let partitions = partitions(cursor)?;
            return Ok(Statement::DropPartitions {
                table,
                if_exists,
                partitions,
            });
        }
    }
    let text = "only ADD PARTITION and DROP PARTITION are understood after ALTER TABLE";
    Err(SqlError::semantic(at, text))
}

/// `PARTITION (k='v', …)`, any number of times, with or without commas.
fn partitions(cursor: &mut Cursor) -> Result<Vec<Pairs>, SqlError> {
    let mut partitions = Vec::new();
    while cursor.take_word("partition") {
        cursor.expect_symbol("(")?;
        let mut pairs = Pairs::new();
        loop {
            let key = cursor.name()?;
            if !cursor.take_symbol("==") {
                cursor.expect_symbol("=")?;
            }
            pairs.push((key, partition_value(cursor)?));
            if !(cursor.take_symbol(",") || cursor.take_symbol("/")) {
                break;
            }
        }
        cursor.expect_symbol(")")?;
        partitions.push(pairs);
        cursor.take_symbol(",");
    }
    Ok(partitions)
}

pub(super) fn partition_value(cursor: &mut Cursor) -> Result<String, SqlError> {
    let value = match cursor.peek(0) {
        Kind::Text(text) => text.clone(),
        // An unquoted value keeps its digits: ds=01 is '01'.
        Kind::Number(digits) => digits.clone(),
        Kind::Word(word) => word.clone(),
        Kind::Symbol("-") => {
            cursor.advance();
            match cursor.peek(0) {
                Kind::Number(digits) => format!("-{digits}"),
                _ => return Err(cursor.unexpected("a partition value")),
            }
        }
        _ => return Err(cursor.unexpected("a partition value")),
    };
    cursor.advance();
    Ok(value)
}

fn create_table(cursor: &mut Cursor) -> Result<Statement, SqlError> {
    let if_not_exists = cursor.take_words(&["if", "not", "exists"]);
    let table = cursor.table_name()?;
    check_name(table.at, "table", &table.table, true)?;
    let mut definition = Definition::default();
    cursor.expect_symbol("(")?;
    loop {
        if cursor.is_word(0, "primary") && cursor.is_word(1, "key") {
            cursor.take_words(&["primary", "key"]);
            cursor.expect_symbol("(")?;
            loop {
                definition.primary_key.push(cursor.name()?.to_lowercase());
                if !cursor.take_symbol(",") {
                    break;
                }
            }
            cursor.expect_symbol(")")?;
        } else {
            column(cursor, &mut definition)?;
        }
        if !cursor.take_symbol(",") {
            break;
        }
    }
    cursor.expect_symbol(")")?;
    while clause(cursor, &mut definition)? {}
    check(&definition, table.at)?;
    Ok(Statement::CreateTable {
        table,
        if_not_exists,
        definition: Box::new(definition),
    })
}

/// One column with its properties.
fn column(cursor: &mut Cursor, definition: &mut Definition) -> Result<(), SqlError> {
    let at = cursor.at();
    let name = cursor.name()?.to_lowercase();
    check_name(at, "column", &name, false)?;
    let mut column = Column::new(name, parser::column_type(cursor)?);
    loop {
        if cursor.take_words(&["not", "null"]) {
            column.nullable = false;
        } else if cursor.take_word("null") {
        } else if cursor.take_word("default") {
            let default = default_value(cursor)?;
            definition.defaults.insert(column.name.clone(), default);
        } else if cursor.take_words(&["primary", "key"]) {
            definition.primary_key.push(column.name.clone());
        } else if cursor.take_word("comment") {
            column.comment = comment(cursor)?;
        } else {
            break;
        }
    }
    definition.columns.columns.push(column);
    Ok(())
}

fn default_value(cursor: &mut Cursor) -> Result<String, SqlError> {
    let sign = if cursor.take_symbol("-") { "-" } else { "" };
    let value = match cursor.peek(0) {
        Kind::Number(digits) => format!("{sign}{digits}"),
        Kind::Text(text) if sign.is_empty() => text.clone(),
        Kind::Word(word) if sign.is_empty() => word.clone(),
        _ => return Err(cursor.unexpected("a literal")),
    };
    cursor.advance();
    Ok(value)
}

fn comment(cursor: &mut Cursor) -> Result<String, SqlError> {
    let at = cursor.at();
    let comment = cursor.text()?;
    if comment.len() > COMMENT_BYTES_MAX {
        let text = format!(
            "a comment of {} bytes; at most {COMMENT_BYTES_MAX}",
            comment.len()
        );
        return Err(SqlError::semantic(at, text));
    }
    Ok(comment)
}

/// One clause after the columns. `false` at the end.
fn clause(cursor: &mut Cursor, definition: &mut Definition) -> Result<bool, SqlError> {
    let at = cursor.at();
    if cursor.take_word("comment") {
        definition.comment = comment(cursor)?;
    } else if cursor.take_words(&["partitioned", "by"]) {
        partition_keys(cursor, definition)?;
    } else if cursor.take_word("tblproperties") {
        cursor.expect_symbol("(")?;
        loop {
            let key = cursor.text()?;
            cursor.expect_symbol("=")?;
            let value = cursor.text()?;
            definition.properties.insert(key, value);
            if !cursor.take_symbol(",") {
                break;
            }
        }
        cursor.expect_symbol(")")?;
    } else if cursor.take_word("lifecycle") {
        let days = cursor.number()?;
        if !(1..=LIFECYCLE_DAYS_MAX).contains(&days) {
            let text =
                format!("a lifecycle of {days} days; from 1 to {LIFECYCLE_DAYS_MAX} are allowed");
            return Err(SqlError::semantic(at, text));
        }
        definition.lifecycle = Some(days);
    } else if matches!(cursor.peek(0), Kind::End | Kind::Symbol(";")) {
        return Ok(false);
    } else {
        let text = "only COMMENT, PARTITIONED BY, TBLPROPERTIES and LIFECYCLE are understood here";
        return Err(SqlError::semantic(at, text));
    }
    Ok(true)
}

fn partition_keys(cursor: &mut Cursor, definition: &mut Definition) -> Result<(), SqlError> {
    cursor.expect_symbol("(")?;
    loop {
        let at = cursor.at();
        let name = cursor.name()?.to_lowercase();
        check_name(at, "partition key", &name, false)?;
        let mut key = Column::new(name, parser::column_type(cursor)?);
        let allowed = matches!(
            key.column_type,
            ColumnType::String
                | ColumnType::VarChar(_)
                | ColumnType::Char(_)
                | ColumnType::TinyInt
                | ColumnType::SmallInt
                | ColumnType::Int
                | ColumnType::BigInt
        );
        if !allowed {
            let text = format!("a partition key can't be {}; use STRING", key.column_type);
            return Err(SqlError::semantic(at, text));
        }
        if cursor.take_word("comment") {
            key.comment = comment(cursor)?;
        }
        definition.columns.partition_keys.push(key);
        if !cursor.take_symbol(",") {
            break;
        }
    }
    cursor.expect_symbol(")")
}

fn check_name(at: Position, what: &str, name: &str, first_letter: bool) -> Result<(), SqlError> {
    let legal = name.chars().all(|c| c.is_alphanumeric() || c == '_')
        && (!first_letter || name.starts_with(|c: char| c.is_ascii_alphabetic()));
    if name.is_empty() || !legal || name.len() > NAME_BYTES_MAX {
        let text = format!(
            "invalid {what} name {name:?}: letters, digits and _, at most {NAME_BYTES_MAX} bytes"
        );
        return Err(SqlError::semantic(at, text));
    }
    Ok(())
}

fn check(definition: &Definition, at: Position) -> Result<(), SqlError> {
    let (columns, keys) = (
        &definition.columns.columns,
        &definition.columns.partition_keys,
    );
    if columns.len() > COLUMNS_MAX || keys.len() > PARTITION_KEYS_MAX {
        let text = format!(
            "{} columns and {} partition keys; at most {COLUMNS_MAX} and {PARTITION_KEYS_MAX}",
            columns.len(),
            keys.len()
        );
        return Err(SqlError::semantic(at, text));
    }
    let mut names: Vec<&str> = columns
        .iter()
        .chain(keys)
        .map(|column| column.name.as_str())
        .collect();
    names.sort_unstable();
    if let Some([name, _]) = names.windows(2).find(|pair| pair[0] == pair[1]) {
        return Err(SqlError::semantic(
            at,
            format!("column {name} is there twice"),
        ));
    }
    let unknown = definition
        .primary_key
        .iter()
        .find(|name| !names.contains(&name.as_str()));
    match unknown {
        Some(name) => Err(SqlError::semantic(
            at,
            format!("column {name} cannot be resolved"),
        )),
        None => Ok(()),
    }
}
