use std::sync::Arc;

use arrow::array::{
    BinaryArray, Date32Array, Decimal128Array, Int64Array, ListArray, StringArray,
    TimestampMillisecondArray,
};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::datatypes::DataType;

use super::super::{arrow_schema, arrow_type};
use super::*;

/// Checks one column behind 100 rows of a block, where cells have 10 bytes.
fn check(column: Column, array: ArrayRef) -> Result<(), String> {
    let columns = [column];
    let batch = RecordBatch::try_new(nullable(&columns), vec![array]).unwrap();
    check_cells(&columns, &batch, 10, 100).map_err(|error| error.to_string())
}

/// The schema of rows that may break `NOT NULL`.
fn nullable(columns: &[Column]) -> arrow::datatypes::SchemaRef {
    let mut columns = columns.to_vec();
    for column in &mut columns {
        column.nullable = true;
    }
    arrow_schema(&columns)
}

fn column(text: &str) -> Column {
    Column::new("c", text.parse().unwrap())
}

fn found(problem: &str, row: u32) -> Result<(), String> {
    Err(format!(
        "column c, row {row} of the block, counted from 0: found {problem}"
    ))
}

#[test]
fn what_the_service_does_not_take_is_named_with_its_place() {
    let ids = |values: Vec<Option<i64>>| -> ArrayRef { Arc::new(Int64Array::from(values)) };
    let least = "-9223372036854775808, which BIGINT keeps for itself";
    assert_eq!(
        check(column("bigint"), ids(vec![Some(1), None, Some(i64::MIN)])),
        found(least, 102)
    );
    assert_eq!(check(column("bigint"), ids(vec![Some(-i64::MAX)])), Ok(()));
    let mut id = column("bigint");
    id.nullable = false;
    assert_eq!(
        check(id, ids(vec![Some(1), None])),
        found("NULL where the column is NOT NULL", 101)
    );
    let days: ArrayRef = Arc::new(Date32Array::from(vec![-719_528, 2_932_896, 2_932_897]));
    assert_eq!(
        check(column("date"), days),
        found(
            "day 2932897 since 1970-01-01, outside the years 0 to 9999",
            102
        )
    );
    let instants = vec![
        -62_167_219_200_000,
        253_402_300_799_999,
        -62_167_219_200_001,
    ];
    let instants: ArrayRef = Arc::new(TimestampMillisecondArray::from(instants));
    let early = "-62167219200001 ms since 1970-01-01, outside the years 0 to 9999";
    assert_eq!(check(column("datetime"), instants), found(early, 102));
    let decimals = Decimal128Array::from(vec![99_999, -100_000]);
    let decimals: ArrayRef = Arc::new(decimals.with_precision_and_scale(5, 2).unwrap());
    assert_eq!(
        check(column("decimal(5,2)"), decimals),
        found("-1000, which has too many digits for DECIMAL(5,2)", 101)
    );
}

#[test]
fn texts_have_as_many_characters_or_bytes_as_they_may() {
    let texts = |values: [&str; 2]| -> ArrayRef { Arc::new(StringArray::from(values.to_vec())) };
    assert_eq!(check(column("string"), texts(["0123456789", "a"])), Ok(()));
    let long = "11 bytes, and a cell of the table has at most 10";
    for text in ["string", "json"] {
        assert_eq!(
            check(column(text), texts(["a", "01234567890"])),
            found(long, 101)
        );
    }
    let bytes: ArrayRef = Arc::new(BinaryArray::from(vec![&[0; 11][..], b"a"]));
    assert_eq!(check(column("binary"), bytes), found(long, 100));
    // Characters, not bytes.
    assert_eq!(
        check(column("varchar(3)"), texts(["上海市", "abc"])),
        Ok(())
    );
    assert_eq!(
        check(column("char(3)"), texts(["上海市", "abcd"])),
        found("4 characters, too many for CHAR(3)", 101)
    );
}

#[test]
fn nested_values_are_looked_into_and_what_is_under_null_is_not() {
    let list = |valid: Vec<bool>| -> ArrayRef {
        let elements: ArrayRef = Arc::new(Int64Array::from(vec![1, i64::MIN, 3]));
        let column_type = column("array<bigint>").column_type;
        let DataType::List(field) = arrow_type(&column_type) else {
            panic!("no list")
        };
        let offsets = OffsetBuffer::new(vec![0, 1, 3].into());
        Arc::new(ListArray::new(
            field,
            offsets,
            elements,
            Some(NullBuffer::from(valid)),
        ))
    };
    let least = "-9223372036854775808, which BIGINT keeps for itself";
    assert_eq!(
        check(column("array<bigint>"), list(vec![true, true])),
        found(least, 101)
    );
    assert_eq!(
        check(column("array<bigint>"), list(vec![true, false])),
        Ok(())
    );
    let pair = list(vec![true, true]).slice(0, 1);
    assert_eq!(check(column("array<bigint>"), pair), Ok(()));
}
