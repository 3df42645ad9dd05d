//! Values from a message's other parts than its payload's fields.

use std::fmt::Write;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use engine_model::{
    ColumnType, Headers, Message, MetadataField, PrimitiveType, TopicPartition, ValueFormat,
};

use crate::payload::{Payload, PayloadText};
use crate::reject::{RejectReason, Rejection};
use crate::text::TextReader;
use crate::value::Value;

/// Which part of a message a column gets, and how.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Metadata {
    pub(crate) field: MetadataField,
    /// What its bytes are, where it is a key or a payload.
    pub(crate) primitive: PrimitiveType,
    /// How its text is read, where it has any.
    pub(crate) text: TextReader,
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

impl Form {
    /// What a column of this type wants, with this format.
    pub(crate) fn of(column_type: &ColumnType, format: Option<&ValueFormat>) -> Self {
        match (column_type, format) {
            (ColumnType::Double, _) => Self::Float,
            // Base64 that is to be decoded is text.
            (ColumnType::Binary, Some(ValueFormat::Base64)) => Self::Text,
            (ColumnType::Binary, _) | (_, Some(ValueFormat::Base64)) => Self::Bytes,
            _ => Self::Text,
        }
    }
}

/// Texts that are made of a message; kept for their memory.
#[derive(Debug, Default)]
pub(crate) struct TextScratch {
    text: String,
    /// A part of it on its way from another encoding.
    decoded: String,
}

impl TextScratch {
    /// Gives back what is longer than `bytes`.
    pub(crate) fn shrink_to(&mut self, bytes: usize) {
        for text in [&mut self.text, &mut self.decoded] {
            text.clear();
            text.shrink_to(bytes);
        }
    }
}

/// A message and what is known of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Parts<'a> {
    pub(crate) message: &'a Message<'a>,
    pub(crate) topic_partition: &'a TopicPartition,
    /// The payload; nothing in a tombstone, and where no column needs it.
    pub(crate) payload: Option<Payload<'a>>,
}

impl Metadata {
    /// The value in a message.
    ///
    /// `scratch` holds what isn't in the message as it is.
    ///
    /// # Errors
    ///
    /// A rejection without its column.
    pub(crate) fn value<'a>(
        self,
        parts: Parts<'a>,
        scratch: &'a mut TextScratch,
    ) -> Result<Value<'a>, Rejection> {
        let message = parts.message;
        match self.field {
            MetadataField::Topic => Ok(Value::Text(&parts.topic_partition.topic)),
            MetadataField::Partition => Ok(Value::Int(parts.topic_partition.partition.into())),
            MetadataField::Offset => Ok(Value::Int(message.offset)),
            MetadataField::Timestamp => Ok(Value::Int(message.timestamp_ms)),
            MetadataField::Key => message.key.map_or(Ok(Value::Null), |key| {
                self.primitive(key, &mut scratch.text)
            }),
            MetadataField::Value => match parts.payload {
                None => Ok(Value::Null),
                Some(payload) if !self.primitive.is_text() || self.form == Form::Bytes => {
                    self.primitive(payload.bytes, &mut scratch.text)
                }
                Some(Payload { text, .. }) => match text {
                    PayloadText::Known(text) => Ok(Value::Text(text)),
                    PayloadText::Unknown(bytes) => {
                        self.decoded(bytes, &mut scratch.text).map(Value::Text)
                    }
                },
            },
            MetadataField::Headers => {
                write_headers(message.headers, self.text, scratch)?;
                Ok(Value::Text(&scratch.text))
            }
        }
    }

    fn primitive<'a>(
        self,
        bytes: &'a [u8],
        scratch: &'a mut String,
    ) -> Result<Value<'a>, Rejection> {
        match self.primitive {
            PrimitiveType::String | PrimitiveType::Bytes if self.form == Form::Bytes => {
                Ok(Value::Bytes(bytes))
            }
            PrimitiveType::String | PrimitiveType::Bytes => {
                self.decoded(bytes, scratch).map(Value::Text)
            }
            PrimitiveType::Long => Ok(Value::Int(i64::from_be_bytes(exactly(bytes)?))),
            PrimitiveType::Integer => Ok(Value::Int(i32::from_be_bytes(exactly(bytes)?).into())),
            PrimitiveType::Short => Ok(Value::Int(i16::from_be_bytes(exactly(bytes)?).into())),
            PrimitiveType::Double => {
                let value = f64::from_be_bytes(exactly(bytes)?);
                Ok(self.float(value, &value, scratch))
            }
            PrimitiveType::Float => {
                let value = f32::from_be_bytes(exactly(bytes)?);
                Ok(self.float(value.into(), &value, scratch))
            }
        }
    }

    /// Text out of bytes that may be none.
    fn decoded<'a>(self, bytes: &'a [u8], scratch: &'a mut String) -> Result<&'a str, Rejection> {
        let text = self.text.read(bytes, scratch);
        text.map_err(|not_text| self.text.rejection(bytes, not_text))
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
        // These words as DOUBLE columns read them.
        if value.is_nan() {
            return Value::Text("NaN");
        }
        if value.is_infinite() {
            return Value::Text(if value > 0.0 { "Infinity" } else { "-Infinity" });
        }
        scratch.clear();
        // A string takes everything.
        let _never_fails = write!(scratch, "{shortest:?}");
        Value::Number(scratch)
    }
}

/// Whether keys or payloads of `primitive` type fit into columns of `column_type` without loss. Text is converted as JSON
/// strings are.
pub(crate) fn primitive_fits(
    primitive: PrimitiveType,
    column_type: &ColumnType,
    is_instant: bool,
) -> bool {
    use PrimitiveType::{Bytes, Double, Float, Integer, Long, Short, String};
    match (primitive, column_type) {
        (String | Bytes, _)
        | (_, ColumnType::String | ColumnType::VarChar(_) | ColumnType::Char(_))
        | (Long | Integer | Short, ColumnType::BigInt | ColumnType::Decimal { .. })
        | (Integer | Short, ColumnType::Int)
        | (Short, ColumnType::SmallInt)
        | (Float | Short, ColumnType::Float)
        | (Integer | Short | Double | Float, ColumnType::Double) => true,
        (Long | Integer, column_type) => is_instant && column_type.holds_time(),
        _ => false,
    }
}

fn exactly<const N: usize>(bytes: &[u8]) -> Result<[u8; N], Rejection> {
    bytes.try_into().map_err(|_| {
        Rejection::of_payload(
            RejectReason::WrongLength,
            &format!("{N} bytes"),
            &format!("{} bytes", bytes.len()),
        )
    })
}

/// Writes `[{"key":"k","value":"v"},…]` in message order: JSON whose order and repetitions are the headers'. A header
/// without a value has `null`; one whose value is no text has `"base64"` in place of `"value"`, unless it is replaced.
fn write_headers(
    headers: Headers<'_>,
    reader: TextReader,
    scratch: &mut TextScratch,
) -> Result<(), Rejection> {
    let reader = reader.without_base64();
    let TextScratch {
        text: json,
        decoded,
    } = scratch;
    json.clear();
    json.push('[');
    for (index, (name, value)) in headers.iter().enumerate() {
        if index > 0 {
            json.push(',');
        }
        json.push_str("{\"key\":");
        let text = reader.read(name, decoded);
        let text = text.map_err(|not_text| reader.rejection(name, not_text))?;
        write_json_string(text, json);
        match value {
            None => json.push_str(",\"value\":null"),
            Some(value) => {
                if let Ok(text) = reader.read(value, decoded) {
                    json.push_str(",\"value\":");
                    write_json_string(text, json);
                } else {
                    json.push_str(",\"base64\":\"");
                    BASE64_STANDARD.encode_string(value, json);
                    json.push('"');
                }
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
    use engine_model::{InvalidText, MessageBlock, TextEncoding};

    use super::*;

    fn reader() -> TextReader {
        TextReader::new(TextEncoding::default(), InvalidText::Reject)
    }

    fn headers(headers: &[(&[u8], Option<&[u8]>)]) -> Result<String, Rejection> {
        let mut block = MessageBlock::default();
        block.push(0, 0, None, None, headers.iter().copied());
        let mut scratch = TextScratch {
            text: "left over".to_owned(),
            decoded: "left over".to_owned(),
        };
        write_headers(block.get(0).unwrap().headers, reader(), &mut scratch).map(|()| scratch.text)
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
        assert_eq!(rejection.reason(), RejectReason::InvalidText);
    }

    fn key(primitive: PrimitiveType, as_text: bool, key: &[u8]) -> Result<String, String> {
        let metadata = Metadata {
            field: MetadataField::Key,
            primitive,
            text: reader(),
            form: if as_text { Form::Text } else { Form::Float },
        };
        let mut scratch = String::new();
        match metadata.primitive(key, &mut scratch) {
            Ok(value) => Ok(format!("{value:?}")),
            Err(rejection) => Err(rejection.to_string()),
        }
    }

    #[test]
    fn keys_are_read_by_their_type() {
        use PrimitiveType::{Bytes, Double, Float, Integer, Long, Short, String};
        for (primitive, as_text, bytes, expected) in [
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
            (Double, true, &f64::NAN.to_be_bytes(), "Text(\"NaN\")"),
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
            assert_eq!(key(primitive, as_text, bytes).as_deref(), Ok(expected));
        }
        for (primitive, bytes, expected) in [
            (
                Long,
                &[0; 4][..],
                "payload: expected 8 bytes, found 4 bytes",
            ),
            (Float, &[0; 8], "payload: expected 4 bytes, found 8 bytes"),
            (
                String,
                b"ab\xff",
                "payload: expected UTF-8 text, found 3 bytes, which from position 2 on are not UTF-8",
            ),
        ] {
            assert_eq!(key(primitive, true, bytes), Err(expected.to_owned()));
        }
    }
}
