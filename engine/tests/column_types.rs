//! What decoding makes of a column and what the upload sends for it are the same Arrow type.

use arrow::datatypes::DataType;
use engine_decode::{Projection, ProjectionSpec};
use engine_model::{Column, ColumnType, MessageFormat, TableColumns};
use engine_tunnel::wire::arrow_type;
use jiff::tz::TimeZone;

/// A column type of each kind, and some within others.
const TYPES: &[&str] = &[
    "TINYINT",
    "SMALLINT",
    "INT",
    "BIGINT",
    "FLOAT",
    "DOUBLE",
    "DECIMAL(38,18)",
    "DECIMAL(10,0)",
    "STRING",
    "VARCHAR(100)",
    "CHAR(10)",
    "BINARY",
    "BOOLEAN",
    "DATE",
    "DATETIME",
    "TIMESTAMP",
    "TIMESTAMP_NTZ",
    "JSON",
    "ARRAY<DECIMAL(5,2)>",
    "MAP<STRING,ARRAY<DATETIME>>",
    "STRUCT<a:TIMESTAMP,b:MAP<BIGINT,STRUCT<c:DATE>>>",
];

/// The position in a list of all kinds. A new kind does not compile until it has a place, and a type above.
fn kind(column_type: &ColumnType) -> usize {
    match column_type {
        ColumnType::TinyInt => 0,
        ColumnType::SmallInt => 1,
        ColumnType::Int => 2,
        ColumnType::BigInt => 3,
        ColumnType::Float => 4,
        ColumnType::Double => 5,
        ColumnType::Decimal { .. } => 6,
        ColumnType::String => 7,
        ColumnType::VarChar(_) => 8,
        ColumnType::Char(_) => 9,
        ColumnType::Binary => 10,
        ColumnType::Boolean => 11,
        ColumnType::Date => 12,
        ColumnType::DateTime => 13,
        ColumnType::Timestamp => 14,
        ColumnType::TimestampNtz => 15,
        ColumnType::Json => 16,
        ColumnType::Array(_) => 17,
        ColumnType::Map(..) => 18,
        ColumnType::Struct(_) => 19,
    }
}

#[test]
fn decoded_columns_are_sent_as_they_are() {
    let mut table = TableColumns::default();
    for (index, text) in TYPES.iter().enumerate() {
        let column_type = text.parse().unwrap();
        table
            .columns
            .push(Column::new(format!("c{index}"), column_type));
    }
    let mut kinds: Vec<_> = table
        .columns
        .iter()
        .map(|column| kind(&column.column_type))
        .collect();
    kinds.dedup();
    assert_eq!(kinds, (0..20).collect::<Vec<_>>());

    let projection = Projection::compile(&ProjectionSpec::new(
        &[],
        &table,
        &MessageFormat::default(),
        &TimeZone::UTC,
    ));
    let projection = projection.unwrap();
    let schema = projection.schema();
    let decoded: Vec<&DataType> = schema
        .fields()
        .iter()
        .map(|field| field.data_type())
        .collect();
    let sent: Vec<DataType> = table
        .columns
        .iter()
        .map(|column| arrow_type(&column.column_type))
        .collect();
    assert_eq!(decoded, sent.iter().collect::<Vec<_>>());
}
