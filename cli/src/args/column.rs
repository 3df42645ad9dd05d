//! Table columns as they are typed: `name:TYPE`, and partition keys with commas between them.

use std::str::FromStr;

use engine::model::limits::NAME_BYTES_MAX;
use engine::model::{Column, ColumnType};

/// Reads `name:TYPE`; colons of a nested type belong to the type.
pub(super) fn parse(text: &str) -> Result<Column, String> {
    let Some((name, column_type)) = text.split_once(':') else {
        return Err("expected NAME:TYPE, such as order_id:BIGINT".to_owned());
    };
    let column_type: ColumnType = column_type
        .parse()
        .map_err(|error| format!("column {name:?}: {error}"))?;
    Ok(Column::new(parse_name(name)?, column_type))
}

/// The names of partition keys, from the outermost level in.
#[derive(Clone, Debug)]
pub(crate) struct PartitionKeys(pub(crate) Vec<String>);

impl FromStr for PartitionKeys {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            return Ok(Self(Vec::new()));
        }
        text.split(',')
            .map(|name| parse_name(name.trim()))
            .collect::<Result<_, _>>()
            .map(Self)
    }
}

fn parse_name(name: &str) -> Result<String, String> {
    if name.is_empty() || name.len() > NAME_BYTES_MAX || name.chars().any(char::is_control) {
        return Err(format!(
            "{name:?} is no name of a column; write 1 to {NAME_BYTES_MAX} bytes"
        ));
    }
    Ok(name.to_owned())
}
