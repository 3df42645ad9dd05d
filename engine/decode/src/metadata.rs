//! Values from a message's other parts than its payload's fields.

use std::fmt::Write;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use engine_model::{ColumnType, Headers, KeyType, Message, MetadataField};

use crate::reject::{RejectReason, Rejection};
use crate::value::Value;

/// Which part of a message a column gets, and how.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Metadata {
    pub(crate) field: MetadataField,
    pub(crate) key_type: KeyType,
    pub(crate) form: Form,
}

/// How a column wants what could be given in several ways.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// As text, floats too.
    Text,
    /// Floats as they are.
    Float,
    /// Keys and payloads as their bytes.
    Bytes,
}

impl Metadata {
    /// The value in `message` of the topic partition with number `partition`.
    ///
    /// `scratch` holds what isn't in the message as it is. `payload_is_utf8` spares a second check of the payload.
    ///
    /// # Errors
    ///
    /// A rejection without its column.
    pub(crate) fn value<'a>(
        self,
        message: &Message<'a>,
        partition: i32,
        payload_is_utf8: bool,
        scratch: &'a mut String,
    ) -> Result<Value<'a>, Rejection> {
        match self.field {
            MetadataField::Partition => Ok(Value::Int(partition.into())),
            MetadataField::Offset => Ok(Value::Int(message.offset)),
            MetadataField::Timestamp => Ok(Value::Int(message.timestamp_ms)),
            MetadataField::Key => message
                .key
                .map_or(Ok(Value::Null), |key| self.key(key, scratch)),
            MetadataField::Value => match message.payload {
                None => Ok(Value::Null),
                Some(payload) if self.form == Form::Bytes => Ok(Value::Bytes(payload)),
                Some(payload) if payload_is_utf8 => Ok(Value::Json(payload)),
                Some(payload) => Ok(Value::Text(utf8(payload)?)),
            },
            MetadataField::Headers => {
                write_headers(message.headers, scratch)?;
                Ok(Value::Text(scratch))
            }
        }
    }

    fn key<'a>(self, key: &'a [u8], scratch: &'a mut String) -> Result<Value<'a>, Rejection> {
        match self.key_type {
            KeyType::String | KeyType::Bytes if self.form == Form::Bytes => Ok(Value::Bytes(key)),
            KeyType::String | KeyType::Bytes => Ok(Value::Text(utf8(key)?)),
            KeyType::Long => Ok(Value::Int(i64::from_be_bytes(exactly(key)?))),
            KeyType::Integer => Ok(Value::Int(i32::from_be_bytes(exactly(key)?).into())),
            KeyType::Short => Ok(Value::Int(i16::from_be_bytes(exactly(key)?).into())),
            KeyType::Double => {
                let value = f64::from_be_bytes(exactly(key)?);
                Ok(self.float(value, &value, scratch))
            }
            KeyType::Float => {
                let value = f32::from_be_bytes(exactly(key)?);
                Ok(self.float(value.into(), &value, scratch))
            }
        }
    }

    /// A float, or the shortest text that reads as the same one.
    fn float<'a>(
        self,
        value: f64,
        shortest: &dyn std::fmt::Debug,
        scratch: &'a mut String,
    ) -> Value<'a> {
        if self.form == Form::Float {
            return Value::Float(value);
        }
        if value.is_infinite() {
            // As DOUBLE columns read them.
            return Value::Text(if value > 0.0 { "Infinity" } else { "-Infinity" });
        }
        scratch.clear();
        // A string takes everything.
        let _never_fails = write!(scratch, "{shortest:?}");
        Value::Number(scratch)
    }
}

/// Whether keys of `key_type` fit into columns of `column_type` without loss. Text is converted as JSON strings are.
pub(crate) fn key_fits(key_type: KeyType, column_type: &ColumnType, as_instant: bool) -> bool {
    match (key_type, column_type) {
        (KeyType::String | KeyType::Bytes, _)
        | (_, ColumnType::String | ColumnType::VarChar(_) | ColumnType::Char(_))
        | (
            KeyType::Long | KeyType::Integer | KeyType::Short,
            ColumnType::BigInt | ColumnType::Decimal { .. },
        )
        | (KeyType::Integer | KeyType::Short, ColumnType::Int)
        | (KeyType::Short, ColumnType::SmallInt)
        | (KeyType::Float | KeyType::Short, ColumnType::Float)
        | (
            KeyType::Integer | KeyType::Short | KeyType::Double | KeyType::Float,
            ColumnType::Double,
        ) => true,
        (
            KeyType::Long | KeyType::Integer,
            ColumnType::DateTime | ColumnType::Timestamp | ColumnType::TimestampNtz,
        ) => as_instant,
        _ => false,
    }
}

fn utf8(bytes: &[u8]) -> Result<&str, Rejection> {
    str::from_utf8(bytes).map_err(|error| {
        let found = format!(
            "{} bytes that are not UTF-8 from position {} on",
            bytes.len(),
            error.valid_up_to()
        );
        Rejection::of_payload(RejectReason::InvalidUtf8, "UTF-8 text", &found)
    })
}

fn exactly<const N: usize>(key: &[u8]) -> Result<[u8; N], Rejection> {
    key.try_into().map_err(|_| {
        Rejection::of_payload(
            RejectReason::WrongKeyLength,
            &format!("a key of {N} bytes"),
            &format!("{} bytes", key.len()),
        )
    })
}

/// Writes `[{"key":"k","value":"v"},…]` in message order: JSON whose order and repetitions are the headers'. A header
/// without a value has `null`; one whose value is no UTF-8 has `"base64"` in place of `"value"`.
fn write_headers(headers: Headers<'_>, json: &mut String) -> Result<(), Rejection> {
    json.clear();
    json.push('[');
    for (index, (name, value)) in headers.iter().enumerate() {
        if index > 0 {
            json.push(',');
        }
        json.push_str("{\"key\":");
        write_json_string(utf8(name)?, json);
        match value.map(|value| str::from_utf8(value).map_err(|_| value)) {
            None => json.push_str(",\"value\":null"),
            Some(Ok(text)) => {
                json.push_str(",\"value\":");
                write_json_string(text, json);
            }
            Some(Err(bytes)) => {
                json.push_str(",\"base64\":\"");
                BASE64_STANDARD.encode_string(bytes, json);
                json.push('"');
            }
        }
        json.push('}');
    }
    json.push(']');
    Ok(())
}

/// Writes `text` in quotes; only what must be escaped is.
fn write_json_string(text: &str, json: &mut String) {
    json.push('"');
    for part in text.split_inclusive(|c: char| c.is_ascii_control() || matches!(c, '"' | '\\')) {
        let mut plain = part.chars();
        match plain.next_back() {
            Some(quoted @ ('"' | '\\')) => {
                json.push_str(plain.as_str());
                json.push('\\');
                json.push(quoted);
            }
            Some(control) if control < ' ' => {
                json.push_str(plain.as_str());
                let _never_fails = write!(json, "\\u{:04x}", u32::from(control));
            }
            _ => json.push_str(part),
        }
    }
    json.push('"');
}

#[cfg(test)]
mod tests {
    use engine_model::MessageBlock;

    use super::*;

    fn headers(headers: &[(&[u8], Option<&[u8]>)]) -> Result<String, Rejection> {
        let mut block = MessageBlock::default();
        block.push(0, 0, None, None, headers.iter().copied());
        let mut json = "left over".to_owned();
        write_headers(block.get(0).unwrap().headers, &mut json).map(|()| json)
    }

    #[test]
    fn headers_are_json_in_message_order() {
        assert_eq!(headers(&[]).unwrap(), "[]");
        let json = headers(&[
            (b"k", Some(b"v")),
            (b"k", None),
            ("订单".as_bytes(), Some(b"")),
            (b"b", Some(b"\xff\x00")),
            (b"q\"\\", Some(b"a\x01\nb\x7f")),
        ]);
        let json = json.unwrap();
        assert_eq!(
            json,
            "[{\"key\":\"k\",\"value\":\"v\"},{\"key\":\"k\",\"value\":null},{\"key\":\"订单\",\"value\":\"\"},\
             {\"key\":\"b\",\"base64\":\"/wA=\"},{\"key\":\"q\\\"\\\\\",\"value\":\"a\\u0001\\u000ab\x7f\"}]"
        );
        let read: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(read[4]["key"], "q\"\\");
        assert_eq!(read[4]["value"], "a\x01\nb\x7f");
    }

    #[test]
    fn header_names_are_text() {
        let rejection = headers(&[(b"\xff", None)]).unwrap_err();
        assert_eq!(rejection.reason(), RejectReason::InvalidUtf8);
    }

    fn key(key_type: KeyType, as_text: bool, key: &[u8]) -> Result<String, String> {
        let metadata = Metadata {
            field: MetadataField::Key,
            key_type,
            form: if as_text { Form::Text } else { Form::Float },
        };
        let mut scratch = String::new();
        match metadata.key(key, &mut scratch) {
            Ok(value) => Ok(format!("{value:?}")),
            Err(rejection) => Err(rejection.to_string()),
        }
    }

    #[test]
    fn keys_are_read_by_their_type() {
        use KeyType::{Bytes, Double, Float, Integer, Long, Short, String};
        for (key_type, as_text, bytes, expected) in [
            (String, true, &b"k"[..], "Text(\"k\")"),
            (Bytes, true, b"", "Text(\"\")"),
            (
                Long,
                true,
                &i64::MIN.to_be_bytes(),
                "Int(-9223372036854775808)",
            ),
            (Integer, true, &(-2_i32).to_be_bytes(), "Int(-2)"),
            (Short, true, &[1, 0], "Int(256)"),
            (Double, false, &0.1_f64.to_be_bytes(), "Float(0.1)"),
            (Double, true, &1.0_f64.to_be_bytes(), "Number(\"1.0\")"),
            (Double, true, &f64::NAN.to_be_bytes(), "Number(\"NaN\")"),
            (
                Double,
                true,
                &f64::NEG_INFINITY.to_be_bytes(),
                "Text(\"-Infinity\")",
            ),
            (Float, true, &0.1_f32.to_be_bytes(), "Number(\"0.1\")"),
            (
                Float,
                false,
                &0.1_f32.to_be_bytes(),
                "Float(0.10000000149011612)",
            ),
        ] {
            assert_eq!(key(key_type, as_text, bytes).as_deref(), Ok(expected));
        }
        for (key_type, bytes, expected) in [
            (
                Long,
                &[0; 4][..],
                "payload: expected a key of 8 bytes, found 4 bytes",
            ),
            (
                Float,
                &[0; 8],
                "payload: expected a key of 4 bytes, found 8 bytes",
            ),
            (
                String,
                b"ab\xff",
                "payload: expected UTF-8 text, found 3 bytes that are not UTF-8 from position 2 on",
            ),
        ] {
            assert_eq!(key(key_type, true, bytes), Err(expected.to_owned()));
        }
    }
}
