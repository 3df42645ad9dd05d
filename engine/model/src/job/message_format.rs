//! `source.kafka`: how the bytes of keys, payloads and headers are read.

use crate::{
    Delimiters, InvalidText, MessageFormat, PayloadCompression, PayloadType, PrimitiveType,
    TextEncoding,
};

use super::walk::{Field, Section, Walk, nearest, shown};
use super::yaml::Value;

/// The keys of `source.kafka` that are read here.
pub(super) const KEYS: [&str; 5] = [
    "key",
    "value",
    "encoding",
    "invalid_text",
    "value_compression",
];

/// Bytes of a separator: enough for what people put between fields, and short enough to be one.
const SEPARATOR_BYTES_MAX: usize = 8;

const INVALID_TEXT: [(&str, InvalidText); 3] = [
    ("reject", InvalidText::Reject),
    ("replace", InvalidText::Replace),
    ("base64", InvalidText::Base64),
];

const COMPRESSIONS: [(&str, PayloadCompression); 3] = [
    ("none", PayloadCompression::None),
    ("gzip", PayloadCompression::Gzip),
    ("zstd", PayloadCompression::Zstd),
];

impl Walk<'_> {
    pub(super) fn message_format(&mut self, section: &Section<'_>) -> MessageFormat {
        let mut format = MessageFormat {
            key: self.choice(
                section,
                "key",
                &PrimitiveType::NAMES,
                PrimitiveType::default(),
            ),
            payload: self.payload_type(section),
            payload_compression: self.choice(
                section,
                "value_compression",
                &COMPRESSIONS,
                PayloadCompression::default(),
            ),
            invalid_text: self.choice(
                section,
                "invalid_text",
                &INVALID_TEXT,
                InvalidText::default(),
            ),
            ..MessageFormat::default()
        };
        if let Some(field) = section.get("encoding") {
            self.encodings(&field, &mut format);
        }
        format
    }

    /// A name, or a mapping with the separator of delimited text.
    fn payload_type(&mut self, section: &Section<'_>) -> PayloadType {
        let Some(field) = section.get("value") else {
            return PayloadType::default();
        };
        if !matches!(field.value, Value::Mapping(_)) {
            let mut types = vec![
                ("json", PayloadType::Json),
                ("delimited", PayloadType::Delimited(Delimiters::default())),
            ];
            let primitives = PrimitiveType::NAMES.into_iter();
            types.extend(primitives.map(|(name, of)| (name, PayloadType::Primitive(of))));
            return self.chosen(Some(field), &types, PayloadType::default());
        }
        let mut delimiters = Delimiters::default();
        let Some(keys) = self.section(&field, &["delimited", "quote"]) else {
            return PayloadType::default();
        };
        let advice = "write what stands between two fields: `delimited: \"\\t\"`";
        if let Some(field) = self.required(&keys, "delimited", advice)
            && let Some(separator) = self.separator(&field)
        {
            delimiters.separator = separator;
        }
        if let Some(field) = keys.get("quote") {
            delimiters.quote = self.quote(&field, &delimiters.separator);
        } else if delimiters.separator.contains('"') {
            delimiters.quote = None;
        }
        PayloadType::Delimited(delimiters)
    }

    fn separator(&mut self, field: &Field<'_>) -> Option<String> {
        let separator = self.open_text(field)?;
        let good = (1..=SEPARATOR_BYTES_MAX).contains(&separator.len());
        if !good {
            let message = format!(
                "{} is no separator; write 1 to {SEPARATOR_BYTES_MAX} bytes, such as `\"\\t\"` or `\"\\x01\"`",
                shown(&separator)
            );
            self.error(field, message);
        }
        good.then_some(separator)
    }

    fn quote(&mut self, field: &Field<'_>, separator: &str) -> Option<char> {
        let text = self.open_text(field)?;
        if text == "none" {
            return None;
        }
        let mut characters = text.chars();
        let quote = characters
            .next()
            .filter(|quote| characters.next().is_none() && !separator.contains(*quote));
        if quote.is_none() {
            let message = format!(
                "{} is no quote; write one character that is not in the separator, or `none`",
                shown(&text)
            );
            self.error(field, message);
        }
        quote
    }

    /// One encoding for all text, or one each.
    fn encodings(&mut self, field: &Field<'_>, format: &mut MessageFormat) {
        if !matches!(field.value, Value::Mapping(_)) {
            let encoding = self.encoding(field);
            format.key_encoding = encoding;
            format.payload_encoding = encoding;
            format.header_encoding = encoding;
            return;
        }
        let Some(section) = self.section(field, &["key", "value", "headers"]) else {
            return;
        };
        let are_text = [
            ("key", format.key.is_text()),
            ("value", format.payload.is_text()),
        ];
        for (key, is_text) in are_text {
            if let Some(field) = section.get(key).filter(|_| !is_text) {
                let message =
                    format!("has no effect, for `source.kafka.{key}` is a number; take it out");
                self.warning(&field, message);
            }
        }
        let mut read = |key| section.get(key).map(|field| self.encoding(&field));
        format.key_encoding = read("key").unwrap_or_default();
        format.payload_encoding = read("value").unwrap_or_default();
        format.header_encoding = read("headers").unwrap_or_default();
    }

    fn encoding(&mut self, field: &Field<'_>) -> TextEncoding {
        const COMMON: [&str; 9] = [
            "UTF-8",
            "GBK",
            "GB18030",
            "Big5",
            "UTF-16LE",
            "UTF-16BE",
            "windows-1252",
            "Shift_JIS",
            "EUC-KR",
        ];
        let Some(label) = self.open_text(field) else {
            return TextEncoding::default();
        };
        if let Some(encoding) = TextEncoding::from_label(&label) {
            return encoding;
        }
        let hint = match nearest(&label, COMMON) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!(
                "known are those of the WHATWG's list, such as {}",
                COMMON.join(", ")
            ),
        };
        self.error(
            field,
            format!("{} is no known encoding; {hint}", shown(&label)),
        );
        TextEncoding::default()
    }
}
