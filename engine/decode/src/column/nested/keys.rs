//! Keys of a map that are told apart in the message and are one in the column.

use std::collections::HashSet;

use arrow::row::{RowConverter, SortField};

use crate::column::{ColumnBuffer, ColumnSpec, data_type};
use crate::reject::RejectReason;
use crate::value::Value;

/// Finds keys that convert to the same value, such as `"1"` and `"01"` to a BIGINT.
#[derive(Debug)]
pub(super) struct KeyCheck {
    are_integers: bool,
    keys: ColumnBuffer,
    rows: RowConverter,
}

impl KeyCheck {
    /// A check of such keys, or nothing where they can't be compared.
    pub(super) fn new(spec: &ColumnSpec<'_>) -> Option<Self> {
        let field = SortField::new(data_type(spec.column_type));
        Some(Self {
            are_integers: spec.column_type.is_integer(),
            keys: ColumnBuffer::new(spec)?,
            rows: RowConverter::new(vec![field]).ok()?,
        })
    }

    /// Looks at the keys of one map.
    pub(super) fn check<'a>(
        &mut self,
        names: impl Iterator<Item = &'a str> + Clone,
    ) -> Result<(), RejectReason> {
        let Self {
            are_integers,
            keys,
            rows,
        } = self;
        if *are_integers && names.clone().all(is_plain_integer) {
            return Ok(());
        }
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

/// Whether an integer is spelled as no other text spells it: most are, and need no conversion to be told apart.
fn is_plain_integer(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    match digits.as_bytes() {
        [] => false,
        [b'0'] => digits.len() == text.len(),
        [first, ..] => *first != b'0' && digits.bytes().all(|byte| byte.is_ascii_digit()),
    }
}
