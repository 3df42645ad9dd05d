//! MaxCompute's column types and how they are written.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::limits::{
    CHAR_CHARS_MAX, DECIMAL_PRECISION_MAX, DECIMAL_SCALE_MAX, TYPE_DEPTH_MAX, VARCHAR_CHARS_MAX,
};
use crate::{Error, ErrorKind};

/// A column's type, as of MaxCompute's data type edition 2.0.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ColumnType {
    /// Signed, 8 bits.
    TinyInt,
    /// Signed, 16 bits.
    SmallInt,
    /// Signed, 32 bits.
    Int,
    /// Signed, 64 bits; the service keeps the least value for itself.
    BigInt,
    /// IEEE 754, 32 bits.
    Float,
    /// IEEE 754, 64 bits.
    Double,
    /// Exact decimal number.
    Decimal {
        /// Digits in all, 1 to 38.
        precision: u8,
        /// Digits after the point, 0 to 18 and at most `precision`.
        scale: u8,
    },
    /// UTF-8 text, 8 MiB at most.
    String,
    /// UTF-8 text of at most so many characters.
    VarChar(u32),
    /// UTF-8 text of at most so many characters, padded when compared.
    Char(u32),
    /// Bytes, 8 MiB at most.
    Binary,
    /// True or false.
    Boolean,
    /// A day.
    Date,
    /// An instant to the millisecond.
    DateTime,
    /// An instant to the nanosecond.
    Timestamp,
    /// A wall clock reading to the nanosecond, in no zone.
    TimestampNtz,
    /// JSON text.
    Json,
    /// Elements of one type.
    Array(Box<ColumnType>),
    /// Keys, never NULL, and values.
    Map(Box<ColumnType>, Box<ColumnType>),
    /// Named fields in order.
    Struct(Vec<(String, ColumnType)>),
}

/// Upper case, as DDL is written: `DECIMAL(38,18)`, `ARRAY<BIGINT>`, `STRUCT<a:BIGINT>`.
impl fmt::Display for ColumnType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Decimal { precision, scale } => write!(f, "DECIMAL({precision},{scale})"),
            Self::VarChar(chars) => write!(f, "VARCHAR({chars})"),
            Self::Char(chars) => write!(f, "CHAR({chars})"),
            Self::Array(element) => write!(f, "ARRAY<{element}>"),
            Self::Map(key, value) => write!(f, "MAP<{key},{value}>"),
            Self::Struct(fields) => {
                f.write_str("STRUCT<")?;
                for (position, (name, field)) in fields.iter().enumerate() {
                    let comma = if position == 0 { "" } else { "," };
                    let plain = name.chars().all(is_word);
                    let quote = if plain { "" } else { "`" };
                    write!(f, "{comma}{quote}{name}{quote}:{field}")?;
                }
                f.write_str(">")
            }
            simple => f.write_str(simple.keyword()),
        }
    }
}

/// The types that are one word, in the spelling of DDL.
const SIMPLE: [(&str, ColumnType); 14] = [
    ("TINYINT", ColumnType::TinyInt),
    ("SMALLINT", ColumnType::SmallInt),
    ("INT", ColumnType::Int),
    ("BIGINT", ColumnType::BigInt),
    ("FLOAT", ColumnType::Float),
    ("DOUBLE", ColumnType::Double),
    ("STRING", ColumnType::String),
    ("BINARY", ColumnType::Binary),
    ("BOOLEAN", ColumnType::Boolean),
    ("DATE", ColumnType::Date),
    ("DATETIME", ColumnType::DateTime),
    ("TIMESTAMP", ColumnType::Timestamp),
    ("TIMESTAMP_NTZ", ColumnType::TimestampNtz),
    ("JSON", ColumnType::Json),
];

impl ColumnType {
    /// Whether it takes any text: STRING, VARCHAR and CHAR.
    pub fn is_text(&self) -> bool {
        matches!(self, Self::String | Self::VarChar(_) | Self::Char(_))
    }

    /// Whether it holds whole numbers: TINYINT, SMALLINT, INT and BIGINT.
    pub fn is_integer(&self) -> bool {
        matches!(
            self,
            Self::TinyInt | Self::SmallInt | Self::Int | Self::BigInt
        )
    }

    /// Whether it holds instants, or what a clock shows at them: DATETIME, TIMESTAMP and `TIMESTAMP_NTZ`.
    pub fn holds_instants(&self) -> bool {
        matches!(self, Self::DateTime | Self::Timestamp | Self::TimestampNtz)
    }

    /// The same and DATE.
    pub fn holds_time(&self) -> bool {
        self.holds_instants() || *self == Self::Date
    }

    fn keyword(&self) -> &'static str {
        SIMPLE
            .iter()
            .find(|(_, simple)| simple == self)
            .map_or("", |(keyword, _)| keyword)
    }
}

/// Reads what `Display` writes, in any case and with white space between the parts. `DECIMAL` alone is
/// `DECIMAL(38,18)`, as in edition 2.0.
impl FromStr for ColumnType {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let mut parser = Parser { text, rest: text };
        let parsed = parser.column_type(0)?;
        parser.skip_space();
        if parser.rest.is_empty() {
            Ok(parsed)
        } else {
            Err(parser.error("nothing more"))
        }
    }
}

impl Serialize for ColumnType {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ColumnType {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(de::Error::custom)
    }
}

/// Whether a name may hold `c` without being quoted.
fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

struct Parser<'a> {
    text: &'a str,
    rest: &'a str,
}

impl<'a> Parser<'a> {
    fn column_type(&mut self, depth: usize) -> Result<ColumnType, Error> {
        if depth > TYPE_DEPTH_MAX {
            return Err(self.error(&format!("at most {TYPE_DEPTH_MAX} nested types")));
        }
        let word = self.word().to_ascii_uppercase();
        if let Some((_, simple)) = SIMPLE.iter().find(|(keyword, _)| *keyword == word) {
            return Ok(simple.clone());
        }
        match word.as_str() {
            "DECIMAL" => self.decimal(),
            "VARCHAR" => Ok(ColumnType::VarChar(self.length(VARCHAR_CHARS_MAX)?)),
            "CHAR" => Ok(ColumnType::Char(self.length(CHAR_CHARS_MAX)?)),
            "ARRAY" => {
                self.expect('<')?;
                let element = self.column_type(depth + 1)?;
                self.expect('>')?;
                Ok(ColumnType::Array(Box::new(element)))
            }
            "MAP" => {
                self.expect('<')?;
                let key = self.column_type(depth + 1)?;
                self.expect(',')?;
                let value = self.column_type(depth + 1)?;
                self.expect('>')?;
                Ok(ColumnType::Map(Box::new(key), Box::new(value)))
            }
            "STRUCT" => self.fields(depth),
            _ => Err(self.error("a MaxCompute type such as BIGINT, STRING or DECIMAL(38,18)")),
        }
    }

    fn decimal(&mut self) -> Result<ColumnType, Error> {
        if !self.take('(') {
            return Ok(ColumnType::Decimal {
                precision: DECIMAL_PRECISION_MAX,
                scale: DECIMAL_SCALE_MAX,
            });
        }
        let precision = self.number(1, u32::from(DECIMAL_PRECISION_MAX))?;
        let scale_max = precision.min(u32::from(DECIMAL_SCALE_MAX));
        let scale = if self.take(',') {
            self.number(0, scale_max)?
        } else {
            0
        };
        self.expect(')')?;
        let narrow = |digits: u32| u8::try_from(digits).unwrap_or(u8::MAX);
        Ok(ColumnType::Decimal {
            precision: narrow(precision),
            scale: narrow(scale),
        })
    }

    fn length(&mut self, max: u32) -> Result<u32, Error> {
        self.expect('(')?;
        let length = self.number(1, max)?;
        self.expect(')')?;
        Ok(length)
    }

    fn fields(&mut self, depth: usize) -> Result<ColumnType, Error> {
        self.expect('<')?;
        let mut fields = Vec::new();
        loop {
            let name = self.word();
            if name.is_empty() {
                return Err(self.error("a field name"));
            }
            self.expect(':')?;
            fields.push((name.to_owned(), self.column_type(depth + 1)?));
            if !self.take(',') {
                self.expect('>')?;
                return Ok(ColumnType::Struct(fields));
            }
        }
    }

    fn word(&mut self) -> &'a str {
        self.skip_space();
        let quoted = self
            .rest
            .strip_prefix('`')
            .and_then(|rest| rest.split_once('`'));
        if let Some((word, rest)) = quoted {
            self.rest = rest;
            return word;
        }
        let end = self.rest.find(|c: char| !is_word(c));
        let (word, rest) = self.rest.split_at(end.unwrap_or(self.rest.len()));
        self.rest = rest;
        word
    }

    fn number(&mut self, min: u32, max: u32) -> Result<u32, Error> {
        let before = self.rest;
        let number = self
            .word()
            .parse()
            .ok()
            .filter(|number| (min..=max).contains(number));
        number.ok_or_else(|| {
            self.rest = before;
            self.error(&format!("a number from {min} to {max}"))
        })
    }

    fn take(&mut self, expected: char) -> bool {
        self.skip_space();
        let rest = self.rest.strip_prefix(expected);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    fn expect(&mut self, expected: char) -> Result<(), Error> {
        if self.take(expected) {
            Ok(())
        } else {
            Err(self.error(&format!("`{expected}`")))
        }
    }

    fn skip_space(&mut self) {
        self.rest = self.rest.trim_start();
    }

    fn error(&self, expected: &str) -> Error {
        let position = self.text.len() - self.rest.len();
        let message = format!(
            "type {:?}: expected {expected} at position {position}",
            self.text
        );
        Error::new(ErrorKind::Invalid, message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_survives_the_round_trip() {
        for text in [
            "TINYINT",
            "SMALLINT",
            "INT",
            "BIGINT",
            "FLOAT",
            "DOUBLE",
            "STRING",
            "BINARY",
            "BOOLEAN",
            "DATE",
            "DATETIME",
            "TIMESTAMP",
            "TIMESTAMP_NTZ",
            "JSON",
            "DECIMAL(38,18)",
            "DECIMAL(1,0)",
            "VARCHAR(65535)",
            "CHAR(255)",
            "ARRAY<MAP<STRING,DECIMAL(10,2)>>",
            "STRUCT<a:BIGINT,b:ARRAY<STRUCT<c:STRING>>>",
        ] {
            let parsed: ColumnType = text.parse().unwrap();
            assert_eq!(parsed.to_string(), text);
            assert_eq!(
                text.to_ascii_lowercase()
                    .parse::<ColumnType>()
                    .unwrap()
                    .to_string()
                    .to_ascii_uppercase(),
                text.to_ascii_uppercase()
            );
        }
        assert_eq!(
            "decimal".parse::<ColumnType>().unwrap().to_string(),
            "DECIMAL(38,18)"
        );
        assert_eq!(
            " map < string , int > "
                .parse::<ColumnType>()
                .unwrap()
                .to_string(),
            "MAP<STRING,INT>"
        );
    }

    #[test]
    fn field_names_are_quoted_where_they_need_it() {
        let text = "STRUCT<a:BIGINT,`c d`:STRUCT<`x-y`:STRING>>";
        assert_eq!(text.parse::<ColumnType>().unwrap().to_string(), text);
        assert_eq!(
            "struct<`a`:int>".parse::<ColumnType>().unwrap().to_string(),
            "STRUCT<a:INT>"
        );
    }

    #[test]
    fn errors_name_the_place() {
        let error = |text: &str| text.parse::<ColumnType>().unwrap_err().to_string();
        assert_eq!(
            error("decimal(39,2)"),
            "type \"decimal(39,2)\": expected a number from 1 to 38 at position 8"
        );
        assert_eq!(
            error("array<int"),
            "type \"array<int\": expected `>` at position 9"
        );
        assert!(error("varchar(0)").contains("a number from 1 to 65535"));
        assert!(error("bigint x").contains("nothing more"));
        assert!(error(&"array<".repeat(500)).contains("nested types"));
    }
}
