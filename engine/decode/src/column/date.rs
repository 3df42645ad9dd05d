//! DATE: days of the years 0000 to 9999, from texts. A time of day is refused unless it is midnight.

use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::datatypes::Date32Type;

use super::primitive::Primitives;
use crate::instant::read_date;
use crate::reject::RejectReason;
use crate::value::Value;

#[derive(Debug, Default)]
pub(super) struct DateColumn(
    /// Since 1970-01-01.
    Primitives<Date32Type>,
);

impl DateColumn {
    pub(super) fn append(&mut self, value: &Value<'_>) -> Result<(), RejectReason> {
        let Value::Text(text) = value else {
            return Err(RejectReason::WrongType);
        };
        self.0.push(read_date(text)?);
        Ok(())
    }

    pub(super) fn append_null(&mut self) {
        self.0.push_null();
    }

    pub(super) fn truncate(&mut self, rows: usize) {
        self.0.truncate(rows);
    }

    pub(super) fn finish(&mut self) -> ArrayRef {
        Arc::new(self.0.finish())
    }
}
