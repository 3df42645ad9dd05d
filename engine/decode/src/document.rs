//! JSON payloads by themselves, for looks at a few of them.

use std::iter;

use engine_model::MessageFormat;

use crate::parser::{Document, Parser};
use crate::payload::PayloadReader;

/// Reads payloads of one format as JSON.
#[derive(Debug)]
pub(crate) struct DocumentReader {
    payloads: PayloadReader,
    parser: Parser,
}

impl DocumentReader {
    pub(crate) fn new(format: &MessageFormat) -> Self {
        Self {
            payloads: PayloadReader::new(format, true, iter::empty()),
            parser: Parser::default(),
        }
    }

    /// Shows a payload to `visit`, unless it is no JSON text.
    pub(crate) fn read<R>(
        &mut self,
        raw: &[u8],
        visit: impl FnOnce(Document<'_>) -> R,
    ) -> Option<R> {
        let payload = self.payloads.read(raw).ok()?;
        self.parser.read(payload.text.as_bytes(), visit).ok()
    }

    /// Gives back memory that only unusually large payloads need.
    pub(crate) fn shrink(&mut self) {
        self.payloads.shrink();
        self.parser.shrink();
    }
}

impl Default for DocumentReader {
    fn default() -> Self {
        Self::new(&MessageFormat::default())
    }
}
