//! A message's payload, made ready to be read: unpacked, and as text.

use engine_model::{MessageFormat, PayloadType};

use crate::metadata::{Form, Metadata};
use crate::reject::Rejection;
use crate::text::TextReader;
use crate::unpack::Unpacker;

/// Scratch memory beyond this is given back at a flush, so that one giant message doesn't stay reserved for ever.
pub(crate) const SCRATCH_BYTES_KEPT: usize = 4 << 20;

/// UTF-8's byte order mark.
const MARK: &[u8] = b"\xef\xbb\xbf";

/// Makes payloads ready; allocates nothing once its buffers have grown, gzip's own state aside.
#[derive(Debug)]
pub(crate) struct PayloadReader {
    unpacker: Option<Unpacker>,
    /// Nothing where payloads are numbers, or no column needs their text.
    text: Option<TextReader>,
    /// Whether it is JSON whose parser looks for bytes that are no UTF-8 itself.
    parser_checks: bool,
    drops_mark: bool,
    scratch: String,
}

/// A payload that is ready.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Payload<'a> {
    /// Its bytes, unpacked.
    pub(crate) bytes: &'a [u8],
    /// Its text; of JSON and delimited text without a byte order mark.
    pub(crate) text: PayloadText<'a>,
}

/// The text of a payload.
#[derive(Clone, Copy, Debug)]
pub(crate) enum PayloadText<'a> {
    /// Text.
    Known(&'a str),
    /// Bytes of which nobody knows yet whether they are text, in UTF-8 then.
    Unknown(&'a [u8]),
}

impl<'a> PayloadText<'a> {
    pub(crate) fn as_bytes(self) -> &'a [u8] {
        match self {
            Self::Known(text) => text.as_bytes(),
            Self::Unknown(bytes) => bytes,
        }
    }
}

impl PayloadReader {
    /// A reader of payloads. `parses` tells whether fields of them are mapped, `whole` what gets them as a whole.
    pub(crate) fn new(
        format: &MessageFormat,
        parses: bool,
        whole: impl Iterator<Item = Metadata>,
    ) -> Self {
        let of_fields = TextReader::new(format.payload_encoding, format.invalid_text);
        // Base64 is no JSON and has no fields.
        let of_fields = parses.then(|| of_fields.without_base64());
        // Nor is it anything for a column that would read a number or a word in it, beside which no other gets it either.
        let of_whole = || {
            let texts = whole.filter(|metadata| metadata.form != Form::Bytes);
            let readers = texts.map(|metadata| metadata.text);
            readers.min_by_key(|reader| reader.replaces())
        };
        let reader = of_fields
            .or_else(of_whole)
            .filter(|_| format.payload.is_text());
        let is_json = format.payload == PayloadType::Json;
        Self {
            unpacker: Unpacker::new(format.payload_compression),
            text: reader,
            parser_checks: is_json
                && parses
                && reader.is_some_and(|reader| reader.encoding().is_utf8() && !reader.replaces()),
            drops_mark: format.payload.has_fields(),
            scratch: String::new(),
        }
    }

    /// Makes `raw` ready.
    ///
    /// # Errors
    ///
    /// A rejection without a column: it can't be unpacked, or is no text.
    pub(crate) fn read<'a>(&'a mut self, raw: &'a [u8]) -> Result<Payload<'a>, Rejection> {
        let bytes = match &mut self.unpacker {
            None => raw,
            Some(unpacker) => unpacker.unpack(raw)?,
        };
        let text = match self.text {
            Some(reader) if !self.parser_checks => {
                let text = reader.read(bytes, &mut self.scratch);
                let text = text.map_err(|not_text| reader.rejection(bytes, not_text))?;
                let unmarked = text.strip_prefix('\u{feff}').filter(|_| self.drops_mark);
                PayloadText::Known(unmarked.unwrap_or(text))
            }
            _ => {
                let unmarked = bytes.strip_prefix(MARK).filter(|_| self.drops_mark);
                PayloadText::Unknown(unmarked.unwrap_or(bytes))
            }
        };
        Ok(Payload { bytes, text })
    }

    /// Gives back memory that only unusually large payloads need.
    pub(crate) fn shrink(&mut self) {
        if let Some(unpacker) = &mut self.unpacker {
            unpacker.shrink_to(SCRATCH_BYTES_KEPT);
        }
        self.scratch.clear();
        self.scratch.shrink_to(SCRATCH_BYTES_KEPT);
    }
}
