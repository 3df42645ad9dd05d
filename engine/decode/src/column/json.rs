//! JSON: any value of the payload as the message spells it, strings with their quotes.

use arrow::array::ArrayRef;

use super::texts::Strings;
use crate::number::Digits;
use crate::parser::Parser;
use crate::reject::RejectReason;
use crate::value::Value;

#[derive(Debug, Default)]
pub(super) struct JsonColumn {
    texts: Strings,
    /// For texts that nobody has looked at yet.
    parser: Parser,
}

impl JsonColumn {
    /// Tells the bytes of the text. A [`Value::Text`] is not a string of the payload, but a text that has to be JSON.
    pub(super) fn append(&mut self, value: &Value<'_>) -> Result<usize, RejectReason> {
        match *value {
            Value::Json(text) | Value::Number(text) => self.texts.push(text),
            Value::Bool(true) => self.texts.push("true"),
            Value::Bool(false) => self.texts.push("false"),
            Value::Int(value) => self.texts.push(Digits::of(value).text()),
            Value::Unsigned(value) => self.texts.push(Digits::of(value).text()),
            Value::Text(text) => {
                let read = self.parser.read(text.as_bytes(), |_| ());
                read.map_err(RejectReason::of_nested_json)?;
                self.texts.push(text.trim_ascii())
            }
            Value::Float(_) | Value::Bytes(_) | Value::Null => Err(RejectReason::WrongType),
        }
    }

    pub(super) fn append_nulls(&mut self, count: usize) {
        self.texts.push_nulls(count);
    }

    pub(super) fn truncate(&mut self, rows: usize) {
        self.texts.truncate(rows);
    }

    pub(super) fn finish(&mut self) -> ArrayRef {
        self.parser.shrink();
        self.texts.finish()
    }
}
