//! Why a column can't get what is mapped to it.

use engine_model::limits::{DECIMAL_PRECISION_MAX, DECIMAL_SCALE_MAX};
use engine_model::{
    Column, ColumnMapping, ColumnSource, ColumnType, FieldPath, MessageFormat, MetadataField,
    PayloadType, Rounding, Step, TimeUnit, ValueFormat,
};

use crate::metadata::primitive_fits;

/// Whether the parameters of the type are within its limits; the kinds of types are the buffers' own business.
pub(super) fn supported(column: &Column) -> bool {
    match column.column_type {
        ColumnType::Decimal { precision, scale } => {
            (1..=DECIMAL_PRECISION_MAX).contains(&precision)
                && scale <= precision.min(DECIMAL_SCALE_MAX)
        }
        _ => true,
    }
}

/// Why the values of `field` don't go into the column.
pub(super) fn metadata_fault(
    field: MetadataField,
    column: &Column,
    format: Option<&ValueFormat>,
    messages: &MessageFormat,
) -> Option<String> {
    let column_type = &column.column_type;
    let primitive_fault = |primitive, what| {
        let is_instant = matches!(format, Some(ValueFormat::Epoch(_)));
        (!primitive_fits(primitive, column_type, is_instant)).then(|| {
            let hint = if column_type.holds_time() && !is_instant {
                "say what the numbers count, such as `format: epoch_ms`"
            } else {
                "STRING takes any of them"
            };
            format!("{what} of type {primitive} don't fit into {column_type} without loss; {hint}")
        })
    };
    let (fits, types) = match (field, &messages.payload) {
        (MetadataField::Key, _) => return primitive_fault(messages.key, "keys"),
        (MetadataField::Value, PayloadType::Primitive(primitive)) => {
            return primitive_fault(*primitive, "payloads");
        }
        (MetadataField::Value, _) => (
            column_type.is_text() || matches!(column_type, ColumnType::Json | ColumnType::Binary),
            "STRING, VARCHAR, CHAR, JSON or BINARY",
        ),
        (MetadataField::Headers, _) => (
            column_type.is_text() || *column_type == ColumnType::Json,
            "STRING, VARCHAR, CHAR or JSON",
        ),
        (MetadataField::Topic, _) => (column_type.is_text(), "STRING, VARCHAR or CHAR"),
        (MetadataField::Partition | MetadataField::Offset, _) => (
            column_type.is_text() || column_type.is_integer(),
            "BIGINT, INT, SMALLINT, TINYINT, STRING, VARCHAR or CHAR",
        ),
        (MetadataField::Timestamp, _) => (
            column_type.is_text() || column_type.holds_time() || *column_type == ColumnType::BigInt,
            "BIGINT, STRING, VARCHAR, CHAR, DATETIME, TIMESTAMP, TIMESTAMP_NTZ or DATE",
        ),
    };
    (!fits).then(|| {
        format!(
            "{field} goes into columns of type {types}, not {}",
            column.column_type
        )
    })
}

/// Why `path` leads nowhere in payloads of this type.
pub(super) fn path_fault(path: &FieldPath, payload: &PayloadType) -> Option<String> {
    match (payload, path.steps()) {
        (PayloadType::Json, _) | (PayloadType::Delimited(_), [Step::Index(_)]) => None,
        (PayloadType::Delimited(_), _) => Some(format!(
            "the fields of delimited text have only positions, and {path} is none; the first one is [0]"
        )),
        (PayloadType::Primitive(_), _) => Some(format!(
            "the field path {path} needs payloads of type json; map __value__ to get the payload as a whole"
        )),
    }
}

/// Why the mapping's format says nothing for the column.
pub(super) fn format_fault(column: &Column, mapping: &ColumnMapping) -> Option<String> {
    let column_type = &column.column_type;
    let is_whole = matches!(
        mapping.source,
        ColumnSource::Metadata(MetadataField::Key | MetadataField::Value)
    );
    match mapping.format.as_ref()? {
        ValueFormat::Epoch(unit) => {
            let is_timestamp =
                mapping.source == ColumnSource::Metadata(MetadataField::Timestamp);
            if is_timestamp && *unit != TimeUnit::Ms {
                return Some(
                    "__timestamp__ is in ms since the epoch; leave the format out".to_owned(),
                );
            }
            (!column_type.holds_time()).then(|| {
                format!(
                    "this format says how numbers become DATETIME, TIMESTAMP, TIMESTAMP_NTZ or DATE; leave it out for {column_type}"
                )
            })
        }
        ValueFormat::Pattern(_) => (!column_type.holds_time()).then(|| {
            format!(
                "a pattern says how texts become DATETIME, TIMESTAMP, TIMESTAMP_NTZ or DATE; leave it out for {column_type}"
            )
        }),
        ValueFormat::Base64 => {
            let fits = *column_type == ColumnType::Binary || (is_whole && column_type.is_text());
            (!fits).then(|| {
                format!(
                    "base64 is read into BINARY, and made of __key__ and __value__ for STRING, VARCHAR and CHAR; leave it out for {column_type} from {}",
                    mapping.source
                )
            })
        }
    }
}

/// Why the mapping's rounding does nothing for the column.
pub(super) fn rounding_fault(column: &Column, mapping: &ColumnMapping) -> Option<String> {
    let column_type = &column.column_type;
    match mapping.rounding? {
        Rounding::HalfUp if *column_type == ColumnType::Date => Some(
            "a DATE is the day of an instant and never the next; write `round: down`".to_owned(),
        ),
        Rounding::HalfUp | Rounding::Down => {
            let fits = column_type.is_integer()
                || column_type.holds_time()
                || matches!(column_type, ColumnType::Decimal { .. });
            (!fits).then(|| {
                format!(
                    "nothing is rounded for {column_type}, only for DECIMAL, the integers and times; leave `round` out"
                )
            })
        }
    }
}
