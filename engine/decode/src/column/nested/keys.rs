//! Keys of a map that are told apart in the message and are one in the column.

use std::collections::HashSet;

use arrow::row::{RowConverter, SortField};
use engine_model::ColumnType;

use crate::column::{ColumnBuffer, ColumnSpec, data_type};
use crate::reject::RejectReason;
use crate::value::Value;

/// Finds keys that convert to the same value, such as `"1"` and `"01"` to a BIGINT.
#[derive(Debug)]
pub(super) struct KeyCheck {
    keys: ColumnBuffer,
    rows: RowConverter,
}

impl KeyCheck {
    /// Nothing where different texts are different keys, or such keys can't be compared.
    pub(super) fn new(spec: &ColumnSpec<'_>) -> Option<Self> {
        match spec.column_type {
            ColumnType::String
            | ColumnType::VarChar(_)
            | ColumnType::Char(_)
            | ColumnType::Binary => None,
            key => Some(Self {
                keys: ColumnBuffer::new(spec)?,
                rows: RowConverter::new(vec![SortField::new(data_type(key))]).ok()?,
            }),
        }
    }

    /// Looks at the keys of one map.
    pub(super) fn check<'a>(
        &mut self,
        names: impl Iterator<Item = &'a str>,
    ) -> Result<(), RejectReason> {
        self.keys.truncate(0);
        for name in names {
            self.keys.append(&Value::Text(name))?;
        }
        let keys = self.rows.convert_columns(&[self.keys.finish()]);
        let keys = keys.map_err(|_| RejectReason::WrongType)?;
        let mut seen = HashSet::with_capacity(keys.num_rows());
        let are_distinct = keys.iter().all(|key| seen.insert(key));
        are_distinct.then_some(()).ok_or(RejectReason::RepeatedKey)
    }
}
