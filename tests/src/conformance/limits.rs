//! What a block can't be, and the edges of what it can.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, Date32Array, Decimal128Array, Float64Array, Int64Array, RecordBatch,
    StringArray, TimestampMillisecondArray, TimestampNanosecondArray,
};
use engine_model::PartitionSpec;
use engine_tunnel::ErrorKind;

use super::{Context, refused};
use crate::rows::{COLUMNS, Rows};

const WHOLE: PartitionSpec = PartitionSpec(Vec::new());

/// Block ids end at 19,999.
pub(super) async fn block_ids_end(context: &Context) {
    let table = context.create("ids", COLUMNS).await;
    let session = context.open(&table, &WHOLE, false).await;
    context.put(&session, 19_999, &Rows::of(0..1)).await;
    let rows = Rows::of(0..1);
    let put = context.client.put_block(&session, 20_000, &rows);
    let error = refused(put.await, ErrorKind::InvalidRequest);
    assert_eq!(error.tries(), 0, "nothing is sent: {error}");
    context.commit(&session, &[(19_999, 1)]).await;
    assert_eq!(context.ids(&table, &WHOLE).await, [0]);
    context.drop(&table).await;
}

/// A block without rows isn't sent.
pub(super) async fn empty_blocks_are_refused(context: &Context) {
    let table = context.create("norows", COLUMNS).await;
    let session = context.open(&table, &WHOLE, false).await;
    let rows = Rows::of(0..0);
    let put = context.client.put_block(&session, 0, &rows);
    refused(put.await, ErrorKind::InvalidRequest);
    let reloaded = context.client.reload(&session.key).await.unwrap();
    assert!(reloaded.blocks.is_empty());
    context.drop(&table).await;
}

/// Rows with other columns than the table's aren't sent, and what the block held stays.
pub(super) async fn other_columns_are_refused(context: &Context) {
    let table = context.create("others", COLUMNS).await;
    let session = context.open(&table, &WHOLE, false).await;
    context.put(&session, 0, &Rows::of(0..2)).await;
    let ids: ArrayRef = Arc::new(Int64Array::from(vec![1]));
    let texts: ArrayRef = Arc::new(StringArray::from(vec!["1"]));
    for columns in [
        vec![("id", Arc::clone(&ids))],
        vec![("id", Arc::clone(&ids)), ("other", Arc::clone(&texts))],
        vec![("id", Arc::clone(&texts)), ("name", Arc::clone(&texts))],
    ] {
        let rows = Rows(vec![Rows::columns(columns)]);
        let put = context.client.put_block(&session, 0, &rows);
        refused(put.await, ErrorKind::Unsupported);
    }
    context.commit(&session, &[(0, 2)]).await;
    assert_eq!(context.ids(&table, &WHOLE).await, [0, 1]);
    context.drop(&table).await;
}

/// A NULL isn't sent to a column that takes none.
pub(super) async fn nulls_keep_to_their_columns(context: &Context) {
    let shape = "(id BIGINT NOT NULL, name STRING)";
    let table = context.create("nulls", shape).await;
    let session = context.open(&table, &WHOLE, false).await;
    let ids: ArrayRef = Arc::new(Int64Array::from(vec![Some(1), None]));
    let names: ArrayRef = Arc::new(StringArray::from(vec![None, Some("n")]));
    let rows = Rows(vec![Rows::columns(vec![("id", ids), ("name", names)])]);
    let put = context.client.put_block(&session, 0, &rows);
    refused(put.await, ErrorKind::Unsupported);
    context.put(&session, 0, &Rows::of(0..3)).await;
    context.commit(&session, &[(0, 3)]).await;
    assert_eq!(context.ids(&table, &WHOLE).await, [0, 1, 2]);
    context.drop(&table).await;
}

/// Values at the edges of their types are compared by the server as what was sent.
pub(super) async fn edges_of_values_are_kept(context: &Context) {
    let shape = "(id BIGINT, number BIGINT, ratio DOUBLE, price DECIMAL(38,18), yes BOOLEAN, text STRING, day DATE, \
                 at DATETIME, exact TIMESTAMP)";
    let table = context.create("edges", shape).await;
    let rows = Rows(vec![edges()]);
    context.load(&table, &WHOLE, false, &rows).await;
    for (condition, expected) in [
        ("number = 9223372036854775807", &[1][..]),
        ("number = -9223372036854775807", &[2]),
        (
            "number IS NULL AND price IS NULL AND text IS NULL AND at IS NULL",
            &[4],
        ),
        ("ratio = 0.1", &[1]),
        ("price = 99999999999999999999.999999999999999999BD", &[1]),
        ("price < 0BD", &[2]),
        ("price = 0.000000000000000001BD", &[3]),
        ("yes", &[1]),
        ("text = ''", &[1]),
        ("text = '中\u{1f600}' AND LENGTH(text) = 2", &[2]),
        ("day = DATE'1969-12-31'", &[1]),
        ("day = DATE'2026-03-02'", &[2]),
    ] {
        let query = format!("SELECT id FROM {table} WHERE {condition} ORDER BY id LIMIT 10;");
        let expected: Vec<_> = expected
            .iter()
            .map(|id| vec![Some(id.to_string())])
            .collect();
        assert_eq!(context.sql(&query).await, expected, "{condition}");
    }
    context.drop(&table).await;
}

/// A row at the one end of each type, one at the other, one in the middle, one of NULLs.
fn edges() -> RecordBatch {
    // Twenty digits before the point and eighteen behind it.
    let most = 10_i128.pow(38) - 1;
    let prices = Decimal128Array::from(vec![Some(most), Some(-most), Some(1), None]);
    let prices = prices.with_precision_and_scale(38, 18).unwrap();
    Rows::columns(vec![
        ("id", Arc::new(Int64Array::from(vec![1, 2, 3, 4]))),
        (
            "number",
            Arc::new(Int64Array::from(vec![
                Some(i64::MAX),
                Some(-i64::MAX),
                Some(0),
                None,
            ])),
        ),
        (
            "ratio",
            Arc::new(Float64Array::from(vec![
                Some(0.1),
                Some(-1.5e300),
                Some(0.0),
                None,
            ])),
        ),
        ("price", Arc::new(prices)),
        (
            "yes",
            Arc::new(BooleanArray::from(vec![
                Some(true),
                Some(false),
                None,
                None,
            ])),
        ),
        (
            "text",
            Arc::new(StringArray::from(vec![
                Some(""),
                Some("中\u{1f600}"),
                Some("NULL"),
                None,
            ])),
        ),
        (
            "day",
            Arc::new(Date32Array::from(vec![
                Some(-1),
                Some(20_514),
                Some(0),
                None,
            ])),
        ),
        (
            "at",
            Arc::new(TimestampMillisecondArray::from(vec![
                Some(-1_000),
                Some(1_772_420_645_678),
                Some(0),
                None,
            ])),
        ),
        (
            "exact",
            Arc::new(TimestampNanosecondArray::from(vec![
                Some(-1),
                Some(1_772_420_645_678_901_234),
                Some(0),
                None,
            ])),
        ),
    ])
}
