//! Keys of a map that are told apart in the message and are one in the column.

use std::collections::HashSet;

use arrow::row::{RowConverter, SortField};
use engine_model::ColumnType;

use crate::column::{ColumnBuffer, ColumnSpec, data_type};
use crate::reject::RejectReason;
use crate::value::Value;

/// Finds keys that convert to the same value, such as `"1"` and `"01"` to a BIGINT.
#[derive(Debug)]
pub(super) enum KeyCheck {
    None,
    Converted(Box<ConvertedKeys>),
}

#[derive(Debug)]
pub(super) struct ConvertedKeys {
    keys: ColumnBuffer,
    rows: RowConverter,
}

impl KeyCheck {
    /// A check of such keys, or nothing where they can't be compared. Where different texts are different keys, it takes all.
    pub(super) fn new(spec: &ColumnSpec<'_>) -> Option<Self> {
        let are_texts = matches!(
            spec.column_type,
            ColumnType::String | ColumnType::VarChar(_) | ColumnType::Char(_) | ColumnType::Binary
        );
        if are_texts {
            return Some(Self::None);
        }
        let field = SortField::new(data_type(spec.column_type));
        Some(Self::Converted(Box::new(ConvertedKeys {
            keys: ColumnBuffer::new(spec)?,
            rows: RowConverter::new(vec![field]).ok()?,
        })))
    }

    /// Looks at the keys of one map.
    pub(super) fn check<'a>(
        &mut self,
        names: impl Iterator<Item = &'a str>,
    ) -> Result<(), RejectReason> {
        let Self::Converted(converted) = self else {
            return Ok(());
        };
        let ConvertedKeys { keys, rows } = &mut **converted;
        keys.truncate(0);
        for name in names {
            keys.append(&Value::Text(name))?;
        }
        let keys = rows.convert_columns(&[keys.finish()]);
        let keys = keys.map_err(|_| RejectReason::WrongType)?;
        let mut seen = HashSet::with_capacity(keys.num_rows());
        let are_distinct = keys.iter().all(|key| seen.insert(key));
        are_distinct.then_some(()).ok_or(RejectReason::RepeatedKey)
    }
}
