//! The mapped fields of a payload, whatever it is.

use engine_model::PayloadType;

use super::append;
use super::json::{JsonFields, unreadable};
use crate::column::ColumnBuffer;
use crate::delimited::FieldSplitter;
use crate::payload::{Payload, PayloadText, SCRATCH_BYTES_KEPT};
use crate::projection::{PathFeed, Projection};
use crate::reject::{RejectReason, Rejection};
use crate::value::Value;

/// How the mapped fields of a payload are found.
#[derive(Debug)]
pub(super) enum Fields {
    /// No field is mapped.
    None,
    Json(Box<JsonFields>),
    Delimited(Box<FieldSplitter>),
}

impl Fields {
    pub(super) fn new(projection: &Projection) -> Self {
        if !projection.parses_payloads() {
            return Self::None;
        }
        match &projection.format().payload {
            PayloadType::Json => Self::Json(Box::new(JsonFields::new(projection))),
            PayloadType::Delimited(delimiters) => {
                let last = projection.paths.iter().map(|feed| feed.slot).max();
                let wanted = last.map_or(0, |last| last.saturating_add(1));
                Self::Delimited(Box::new(FieldSplitter::new(delimiters, wanted)))
            }
            PayloadType::Primitive(_) => Self::None,
        }
    }

    /// Appends to the buffer of each path what it leads to, which is nothing in a tombstone. Tells the bytes of text.
    pub(super) fn append(
        &mut self,
        projection: &Projection,
        buffers: &mut [ColumnBuffer],
        payload: Option<Payload<'_>>,
    ) -> Result<usize, Rejection> {
        match (self, payload) {
            (Self::Json(fields), Some(payload)) => {
                fields.append(projection, buffers, payload.text.as_bytes())
            }
            (Self::Delimited(splitter), Some(payload)) => {
                append_delimited(projection, buffers, splitter, payload)
            }
            _ => append_nulls(projection, buffers),
        }
    }

    /// Gives back memory that only unusually large messages need.
    pub(super) fn shrink(&mut self) {
        match self {
            Self::None => {}
            Self::Json(fields) => fields.shrink(),
            Self::Delimited(splitter) => splitter.shrink_to(SCRATCH_BYTES_KEPT),
        }
    }
}

/// The fields of a tombstone.
fn append_nulls(projection: &Projection, buffers: &mut [ColumnBuffer]) -> Result<usize, Rejection> {
    for (feed, buffer) in projection.paths.iter().zip(buffers) {
        append(projection, feed.column, buffer, &Value::Null)?;
    }
    Ok(0)
}

/// Cuts a payload and appends the field at each position. Tells the bytes of text.
fn append_delimited(
    projection: &Projection,
    buffers: &mut [ColumnBuffer],
    splitter: &mut FieldSplitter,
    payload: Payload<'_>,
) -> Result<usize, Rejection> {
    let PayloadText::Known(text) = payload.text else {
        return Err(unreadable(payload.bytes, RejectReason::InvalidText));
    };
    let record = splitter.split(text).map_err(|error| {
        let expected = "one record of delimited text";
        Rejection::of_payload(RejectReason::InvalidRecord, expected, &error.to_string())
    })?;
    let mut text_bytes = 0;
    for (PathFeed { column, slot }, buffer) in projection.paths.iter().zip(buffers) {
        let value = record.field(*slot).map_or(Value::Null, Value::Text);
        text_bytes += append(projection, *column, buffer, &value)?;
    }
    Ok(text_bytes)
}
