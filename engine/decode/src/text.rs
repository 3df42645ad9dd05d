//! Bytes as text of an encoding.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use encoding_rs::{DecoderResult, Encoding, UTF_16BE, UTF_16LE};
use engine_model::{InvalidText, TextEncoding};

use crate::reject::{RejectReason, Rejection};

/// Reads bytes as text of one encoding.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TextReader {
    encoding: TextEncoding,
    invalid: InvalidText,
}

/// Bytes that are no text from this position on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NotText(usize);

impl TextReader {
    pub(crate) fn new(encoding: TextEncoding, invalid: InvalidText) -> Self {
        Self { encoding, invalid }
    }

    /// The same, but bytes that are no text are never made one that says something else.
    pub(crate) fn without_base64(self) -> Self {
        let invalid = match self.invalid {
            InvalidText::Base64 => InvalidText::Reject,
            other => other,
        };
        Self { invalid, ..self }
    }

    pub(crate) fn encoding(self) -> TextEncoding {
        self.encoding
    }

    /// Whether bytes that are no text become one.
    pub(crate) fn replaces(self) -> bool {
        self.invalid != InvalidText::Reject
    }

    /// `bytes` as text: themselves where they are UTF-8 already, else what `scratch` then holds.
    ///
    /// A byte order mark stays, except in UTF-16, where it is part of the encoding and decides which of the two it is.
    ///
    /// # Errors
    ///
    /// The bytes are no text, and the job doesn't say what else to do: [`Self::rejection`] has the words for it.
    pub(crate) fn read<'a>(
        self,
        bytes: &'a [u8],
        scratch: &'a mut String,
    ) -> Result<&'a str, NotText> {
        if self.encoding.is_utf8()
            && let Ok(text) = utf8(bytes)
        {
            return Ok(text);
        }
        scratch.clear();
        let (encoding, text) = without_mark(self.encoding.encoding(), bytes);
        match (decode(encoding, text, scratch), self.invalid) {
            (Ok(()), _) => {}
            (Err(position), InvalidText::Reject) => {
                return Err(NotText(position + (bytes.len() - text.len())));
            }
            (Err(_), InvalidText::Replace) => replace(encoding, text, scratch),
            (Err(_), InvalidText::Base64) => {
                scratch.clear();
                BASE64_STANDARD.encode_string(bytes, scratch);
            }
        }
        Ok(scratch)
    }

    /// The rejection of bytes that are no text, without its column.
    #[cold]
    pub(crate) fn rejection(self, bytes: &[u8], NotText(position): NotText) -> Rejection {
        let encoding = self.encoding;
        let found = format!(
            "{} bytes, which from position {position} on are not {encoding}",
            bytes.len(),
        );
        Rejection::of_payload(
            RejectReason::InvalidText,
            &format!("{encoding} text"),
            &found,
        )
    }
}

/// `bytes` as text in UTF-8.
#[inline]
pub(crate) fn utf8(bytes: &[u8]) -> Result<&str, RejectReason> {
    simdutf8::basic::from_utf8(bytes).map_err(|_| RejectReason::InvalidText)
}

/// The encoding and the bytes behind the byte order mark, for the two encodings that have one.
fn without_mark<'a>(encoding: &'static Encoding, bytes: &'a [u8]) -> (&'static Encoding, &'a [u8]) {
    if encoding != UTF_16LE && encoding != UTF_16BE {
        return (encoding, bytes);
    }
    match bytes {
        [0xff, 0xfe, rest @ ..] => (UTF_16LE, rest),
        [0xfe, 0xff, rest @ ..] => (UTF_16BE, rest),
        bytes => (encoding, bytes),
    }
}

/// Appends all of `bytes` to `text`, or tells from which position on they are no text.
fn decode(encoding: &'static Encoding, bytes: &[u8], text: &mut String) -> Result<(), usize> {
    let mut decoder = encoding.new_decoder_without_bom_handling();
    // So much that one call does it.
    let room = decoder.max_utf8_buffer_length_without_replacement(bytes.len());
    text.reserve(room.unwrap_or(bytes.len()));
    let (result, read) = decoder.decode_to_string_without_replacement(bytes, text, true);
    match result {
        DecoderResult::InputEmpty => Ok(()),
        DecoderResult::Malformed(bad, behind) => {
            Err(read.saturating_sub(usize::from(bad) + usize::from(behind)))
        }
        DecoderResult::OutputFull => Err(read),
    }
}

/// Makes `text` of `bytes`, with U+FFFD for what is none.
fn replace(encoding: &'static Encoding, bytes: &[u8], text: &mut String) {
    text.clear();
    let (replaced, _) = encoding.decode_without_bom_handling(bytes);
    text.push_str(&replaced);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(label: &str, invalid: InvalidText, bytes: &[u8]) -> Result<String, String> {
        let encoding = TextEncoding::from_label(label).unwrap();
        let mut scratch = "left over".to_owned();
        let reader = TextReader::new(encoding, invalid);
        let text = reader.read(bytes, &mut scratch);
        text.map(str::to_owned)
            .map_err(|not_text| reader.rejection(bytes, not_text).to_string())
    }

    #[test]
    fn text_of_many_encodings() {
        for (label, bytes, text) in [
            ("utf-8", "上海".as_bytes(), "上海"),
            ("utf-8", b"\xef\xbb\xbfa", "\u{feff}a"),
            ("gbk", b"\xc9\xcf\xba\xa3", "上海"),
            (
                "gb18030",
                b"\x81\x30\x89\x37\x94\x39\xda\x33",
                "\u{de}\u{1f4a9}",
            ),
            ("big5", b"\xa4\x57\xae\xfc", "上海"),
            ("shift_jis", b"\x8f\xe3\x8a\x43", "上海"),
            ("latin1", b"caf\xe9 \x80", "café €"),
            ("utf-16le", b"a\x00\x0a\x4e", "a上"),
            ("utf-16be", b"\x00a\x4e\x0a", "a上"),
            ("utf-16", b"\xfe\xff\x00a\x4e\x0a", "a上"),
            ("utf-16be", b"\xff\xfea\x00", "a"),
            ("utf-16", b"\x3d\xd8\xa9\xdc", "\u{1f4a9}"),
            ("gbk", b"", ""),
            ("utf-8", b"", ""),
        ] {
            for invalid in [
                InvalidText::Reject,
                InvalidText::Replace,
                InvalidText::Base64,
            ] {
                assert_eq!(read(label, invalid, bytes).as_deref(), Ok(text), "{label}");
            }
        }
    }

    #[test]
    fn what_is_no_text_is_told_with_its_place() {
        for (label, bytes, position) in [
            ("utf-8", &b"ab\xff"[..], 2),
            ("utf-8", b"\xe4\xb8", 0),
            ("gbk", b"\xc9\xcf\xff", 2),
            ("utf-16le", b"a\x00b", 2),
            ("utf-16", b"\xfe\xff\x00a\xd8\x00\x00b", 4),
        ] {
            let name = TextEncoding::from_label(label).unwrap();
            let expected = format!(
                "payload: expected {name} text, found {} bytes, which from position {position} on are not {name}",
                bytes.len()
            );
            assert_eq!(read(label, InvalidText::Reject, bytes), Err(expected));
        }
    }

    #[test]
    fn what_is_no_text_is_replaced_or_spelled_in_base64_by_choice() {
        for (label, bytes, replaced, spelled) in [
            ("utf-8", &b"ab\xffc"[..], "ab\u{fffd}c", "YWL/Yw=="),
            ("gbk", b"\xc9\xcf\xff", "上\u{fffd}", "yc//"),
            ("utf-16le", b"a\x00b", "a\u{fffd}", "YQBi"),
        ] {
            let read = |invalid| read(label, invalid, bytes);
            assert_eq!(read(InvalidText::Replace).as_deref(), Ok(replaced));
            assert_eq!(read(InvalidText::Base64).as_deref(), Ok(spelled));
        }
    }
}
