use std::sync::Arc;

use arrow::array::{
    BinaryArray, BooleanArray, Date32Array, Decimal128Array, Float32Array, Int8Array, Int16Array,
    Int32Builder, Int64Array, ListBuilder, MapBuilder, NullArray, StringArray, StringBuilder,
    StructArray, TimestampMillisecondArray, UInt32Array,
};
use arrow::compute::take_record_batch;
use proptest::prelude::*;

use super::*;

/// A row with a cell of each kind.
#[derive(Clone, Debug, PartialEq)]
struct Row {
    id: Option<i64>,
    city: Option<String>,
    raw: Option<Vec<u8>>,
    paid: Option<bool>,
    amount: Option<i128>,
    tags: Option<Vec<Option<String>>>,
    counts: Option<Vec<(String, Option<i32>)>>,
    pair: Option<(Option<i16>, Option<String>)>,
}

const COLUMNS: usize = 8;

fn batch(rows: &[Row]) -> RecordBatch {
    let mut tags = ListBuilder::new(StringBuilder::new());
    let mut counts = MapBuilder::new(None, StringBuilder::new(), Int32Builder::new());
    for row in rows {
        tags.append_option(row.tags.clone());
        for (key, value) in row.counts.iter().flatten() {
            counts.keys().append_value(key);
            counts.values().append_option(*value);
        }
        counts.append(row.counts.is_some()).unwrap();
    }
    let first: Int16Array = rows.iter().map(|row| row.pair.as_ref()?.0).collect();
    let second: StringArray = rows
        .iter()
        .map(|row| row.pair.as_ref()?.1.as_deref())
        .collect();
    let columns: [(&str, ArrayRef); 2] = [("first", Arc::new(first)), ("second", Arc::new(second))];
    let pair = StructArray::try_from(columns.to_vec()).unwrap();
    let valid: NullBuffer = rows.iter().map(|row| row.pair.is_some()).collect();
    let (fields, columns, _) = pair.into_parts();
    let pair = StructArray::try_new(fields, columns, Some(valid)).unwrap();
    let columns: [ArrayRef; COLUMNS] = [
        Arc::new(rows.iter().map(|row| row.id).collect::<Int64Array>()),
        Arc::new(
            rows.iter()
                .map(|row| row.city.as_deref())
                .collect::<StringArray>(),
        ),
        Arc::new(
            rows.iter()
                .map(|row| row.raw.as_deref())
                .collect::<BinaryArray>(),
        ),
        Arc::new(rows.iter().map(|row| row.paid).collect::<BooleanArray>()),
        Arc::new(
            rows.iter()
                .map(|row| row.amount)
                .collect::<Decimal128Array>(),
        ),
        Arc::new(tags.finish()),
        Arc::new(counts.finish()),
        Arc::new(pair),
    ];
    let named = columns.into_iter().enumerate();
    RecordBatch::try_from_iter(named.map(|(number, column)| (number.to_string(), column))).unwrap()
}

fn checksum<'b>(batches: impl IntoIterator<Item = &'b RecordBatch>) -> Checksum {
    let mut checksum = RowChecksum::default();
    for batch in batches {
        checksum.add(batch).unwrap();
    }
    checksum.sum()
}

fn row() -> impl Strategy<Value = Row> {
    // Few values, so that rows and cells are often the same.
    let text = || "[ab]{0,2}";
    let amount = prop_oneof![any::<i128>(), (-2_i128..3)];
    (
        prop::option::of(prop_oneof![any::<i64>(), (-2_i64..3)]),
        prop::option::of(text()),
        prop::option::of(prop::collection::vec(any::<u8>(), 0..300)),
        prop::option::of(any::<bool>()),
        prop::option::of(amount),
        prop::option::of(prop::collection::vec(prop::option::of(text()), 0..4)),
        prop::option::of(prop::collection::vec(
            (text(), prop::option::of(-2_i32..3)),
            0..4,
        )),
        prop::option::of((prop::option::of(-2_i16..3), prop::option::of(text()))),
    )
        .prop_map(|(id, city, raw, paid, amount, tags, counts, pair)| Row {
            id,
            city,
            raw,
            paid,
            amount,
            tags,
            counts,
            pair,
        })
}

/// `row` with the cell of `column` from `other`.
fn with_cell(row: &Row, column: usize, other: Row) -> Row {
    let mut changed = row.clone();
    match column {
        0 => changed.id = other.id,
        1 => changed.city = other.city,
        2 => changed.raw = other.raw,
        3 => changed.paid = other.paid,
        4 => changed.amount = other.amount,
        5 => changed.tags = other.tags,
        6 => changed.counts = other.counts,
        _ => changed.pair = other.pair,
    }
    changed
}

proptest! {
    #[test]
    fn neither_order_nor_batches_change_it(
        (rows, order) in prop::collection::vec(row(), 1..40).prop_flat_map(|rows| {
            let order: Vec<u32> = (0..).take(rows.len()).collect();
            (Just(rows), Just(order).prop_shuffle())
        }),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..5),
    ) {
        let whole = batch(&rows);
        let shuffled = take_record_batch(&whole, &UInt32Array::from(order)).unwrap();
        let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(rows.len())).collect();
        cuts.extend([0, rows.len()]);
        cuts.sort_unstable();
        let parts = cuts.windows(2).map(|cut| shuffled.slice(cut[0], cut[1] - cut[0]));
        let parts: Vec<_> = parts.collect();
        prop_assert_eq!(checksum(&parts), checksum([&whole]));
    }

    #[test]
    fn another_cell_changes_it(
        rows in prop::collection::vec(row(), 1..10),
        other in row(),
        place in any::<prop::sample::Index>(),
        column in 0..COLUMNS,
    ) {
        let place = place.index(rows.len());
        let mut changed = rows.clone();
        changed[place] = with_cell(&rows[place], column, other);
        let same = checksum([&batch(&changed)]) == checksum([&batch(&rows)]);
        prop_assert_eq!(same, changed == rows);
    }

    #[test]
    fn a_cell_that_changes_its_row_changes_it(rows in prop::collection::vec(row(), 2..3), column in 0..COLUMNS) {
        let swapped = [
            with_cell(&rows[0], column, rows[1].clone()),
            with_cell(&rows[1], column, rows[0].clone()),
        ];
        let unchanged = swapped == rows[..] || [&swapped[1], &swapped[0]] == [&rows[0], &rows[1]];
        let same = checksum([&batch(&swapped)]) == checksum([&batch(&rows)]);
        prop_assert_eq!(same, unchanged);
    }
}

/// What is written down today must be found tomorrow, in another version on another machine.
#[test]
fn the_checksum_of_known_rows_stays_what_it_is() {
    assert_eq!(checksum([]), Checksum(0));
    let row = Row {
        id: Some(7),
        city: Some("上海".to_owned()),
        raw: Some(vec![0; 300]),
        paid: Some(true),
        amount: Some(-1_250),
        tags: Some(vec![Some("a".to_owned()), None]),
        counts: Some(vec![("k".to_owned(), Some(1))]),
        pair: Some((None, Some(String::new()))),
    };
    let nothing = Row {
        id: None,
        city: None,
        raw: None,
        paid: None,
        amount: None,
        tags: None,
        counts: None,
        pair: None,
    };
    let sums = [vec![row.clone()], vec![nothing.clone()], vec![row, nothing]]
        .map(|rows| checksum([&batch(&rows)]).to_string());
    insta::assert_snapshot!(sums.join(" "), @"7178fa490a5d9416 c3179b5be1a42dd2 349095a4ec01c1e8");
}

#[test]
fn null_is_neither_nothing_nor_zero() {
    let of = |column: ArrayRef| checksum([&RecordBatch::try_from_iter([("c", column)]).unwrap()]);
    let text = |cell| of(Arc::new(StringArray::from(vec![cell])));
    assert_ne!(text(None), text(Some("")));
    let number = |cell| of(Arc::new(Int64Array::from(vec![cell])));
    assert_ne!(number(None), number(Some(0)));
    // Cells of neighbouring columns don't run together.
    let pair = |first: &str, second: &str| {
        let column = |text: &str| Arc::new(StringArray::from(vec![text])) as ArrayRef;
        checksum([
            &RecordBatch::try_from_iter([("a", column(first)), ("b", column(second))]).unwrap(),
        ])
    };
    assert_ne!(pair("a", "b"), pair("b", "a"));
    assert_ne!(pair("ab", ""), pair("a", "b"));
}

#[test]
fn every_width_of_numbers_has_one_and_other_types_are_refused() {
    let columns: [ArrayRef; 4] = [
        Arc::new(Int8Array::from(vec![-1])),
        Arc::new(Float32Array::from(vec![-1.0])),
        Arc::new(Date32Array::from(vec![-1])),
        Arc::new(TimestampMillisecondArray::from(vec![-1])),
    ];
    for column in columns {
        let batch = RecordBatch::try_from_iter([("c", column)]).unwrap();
        assert_ne!(checksum([&batch]), Checksum(0));
    }
    let nothing: ArrayRef = Arc::new(NullArray::new(1));
    let batch = RecordBatch::try_from_iter([("c", nothing)]).unwrap();
    let refused = RowChecksum::default().add(&batch).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Internal);
}
