//! How the bytes of messages are read.

use std::fmt;

use encoding_rs::{Encoding, REPLACEMENT, UTF_8};
use serde::{Deserialize, Serialize};

/// How the bytes of a topic's messages are read: their keys, payloads and headers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct MessageFormat {
    /// What keys are.
    pub key: PrimitiveType,
    /// What payloads are.
    pub payload: PayloadType,
    /// How payloads are compressed one by one, beside what Kafka itself compresses.
    pub payload_compression: PayloadCompression,
    /// The encoding of keys that are text.
    pub key_encoding: TextEncoding,
    /// The encoding of payloads that are text.
    pub payload_encoding: TextEncoding,
    /// The encoding of the names and values of headers.
    pub header_encoding: TextEncoding,
    /// What becomes of bytes that are no text of their encoding.
    pub invalid_text: InvalidText,
}

/// The types that Kafka's own serializers write. Numbers are big-endian.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PrimitiveType {
    /// Text of an encoding.
    #[default]
    String,
    /// Bytes as they are; a column of text takes those that are text of the encoding.
    Bytes,
    /// 8 bytes.
    Long,
    /// 4 bytes.
    Integer,
    /// 2 bytes.
    Short,
    /// 8 bytes, IEEE 754.
    Double,
    /// 4 bytes, IEEE 754.
    Float,
}

impl PrimitiveType {
    /// All of them with their names in job files.
    pub const NAMES: [(&'static str, Self); 7] = [
        ("string", Self::String),
        ("bytes", Self::Bytes),
        ("long", Self::Long),
        ("integer", Self::Integer),
        ("short", Self::Short),
        ("double", Self::Double),
        ("float", Self::Float),
    ];

    /// Whether it is no number.
    pub fn is_text(self) -> bool {
        matches!(self, Self::String | Self::Bytes)
    }
}

impl fmt::Display for PrimitiveType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = Self::NAMES.iter().find(|(_, of)| of == self);
        f.write_str(name.map_or("", |(name, _)| name))
    }
}

/// What payloads are.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PayloadType {
    /// A JSON text, whose fields can be mapped.
    #[default]
    Json,
    /// One record of delimited text, whose fields are mapped by position.
    Delimited(Delimiters),
    /// One value, only as a whole.
    Primitive(PrimitiveType),
}

impl PayloadType {
    /// Whether field paths lead into it.
    pub fn has_fields(&self) -> bool {
        matches!(self, Self::Json | Self::Delimited(_))
    }

    /// Whether it is no number.
    pub fn is_text(&self) -> bool {
        match self {
            Self::Json | Self::Delimited(_) => true,
            Self::Primitive(primitive) => primitive.is_text(),
        }
    }
}

/// What stands between and around the fields of delimited text.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Delimiters {
    /// Between two fields: 1 to 8 bytes in UTF-8, without the quote.
    pub separator: String,
    /// Around a field that holds the separator, a line break or this character itself, which is doubled there. Without one,
    /// every character but the separator is part of its field.
    pub quote: Option<char>,
}

impl Default for Delimiters {
    fn default() -> Self {
        Self {
            separator: ",".to_owned(),
            quote: Some('"'),
        }
    }
}

/// How each payload is compressed by the program that produced it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PayloadCompression {
    /// Not at all.
    #[default]
    None,
    /// One or more gzip members (RFC 1952).
    Gzip,
    /// One or more zstd frames (RFC 8878), without a dictionary.
    Zstd,
}

/// What becomes of bytes that are no text of their encoding.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InvalidText {
    /// The message is rejected.
    #[default]
    Reject,
    /// Each part that is no text becomes U+FFFD.
    Replace,
    /// The bytes become text in base64, all of the key or payload. Payloads whose fields are mapped are rejected.
    Base64,
}

/// An encoding of the WHATWG's list.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct TextEncoding(&'static Encoding);

impl TextEncoding {
    /// The encoding that has `label` on the list, in any case: `UTF-8`, `GBK`, `gb18030`, `UTF-16LE`, `latin1` (which is
    /// windows-1252 there) and so on.
    pub fn from_label(label: &str) -> Option<Self> {
        Encoding::for_label(label.as_bytes())
            // What the list has for encodings that nobody should read.
            .filter(|encoding| *encoding != REPLACEMENT)
            .map(Self)
    }

    /// The encoding itself.
    pub fn encoding(self) -> &'static Encoding {
        self.0
    }

    /// Whether it is UTF-8.
    pub fn is_utf8(self) -> bool {
        self.0 == UTF_8
    }
}

impl Default for TextEncoding {
    fn default() -> Self {
        Self(UTF_8)
    }
}

impl fmt::Display for TextEncoding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.name())
    }
}

impl fmt::Debug for TextEncoding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.name())
    }
}

impl Serialize for TextEncoding {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0.name())
    }
}

impl<'de> Deserialize<'de> for TextEncoding {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let label = String::deserialize(deserializer)?;
        Self::from_label(&label)
            .ok_or_else(|| serde::de::Error::custom(format!("{label:?} is no known encoding")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encodings_are_found_by_their_labels() {
        for (label, name) in [
            ("utf-8", "UTF-8"),
            ("UTF8", "UTF-8"),
            ("gbk", "GBK"),
            ("GB2312", "GBK"),
            ("gb18030", "gb18030"),
            ("utf-16", "UTF-16LE"),
            ("UTF-16BE", "UTF-16BE"),
            ("latin1", "windows-1252"),
            ("shift_jis", "Shift_JIS"),
        ] {
            let encoding = TextEncoding::from_label(label).unwrap();
            assert_eq!(encoding.to_string(), name);
            let json = serde_json::to_string(&encoding).unwrap();
            assert_eq!(
                serde_json::from_str::<TextEncoding>(&json).unwrap(),
                encoding
            );
        }
        for label in ["", "utf-32", "iso-2022-kr", "replacement", "klingon"] {
            assert_eq!(TextEncoding::from_label(label), None, "{label}");
        }
        assert!(serde_json::from_str::<TextEncoding>("\"x\"").is_err());
    }

    #[test]
    fn primitive_types_have_their_names() {
        for (name, primitive) in PrimitiveType::NAMES {
            assert_eq!(primitive.to_string(), name);
            assert_eq!(
                serde_json::to_string(&primitive).unwrap(),
                format!("{name:?}")
            );
        }
    }
}
