//! The decoder beside the slow reading.

use std::cell::RefCell;
use std::sync::Arc;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{Decimal128Type, Float64Type, Int64Type};
use engine_decode::{Decoder, Projection, ProjectionSpec};
use engine_model::{
    Column, ColumnMapping, ColumnSource, ColumnType, FieldPath, Headers, Message, MessageFormat,
    TableColumns, TopicPartition,
};
use jiff::tz::TimeZone;
use serde_json::value::RawValue;

use crate::reference::{self, Cell};

/// The mapped columns: types and paths whose keys a fuzzer finds quickly.
const COLUMNS: [(&str, &str); 12] = [
    ("STRING", "a"),
    ("STRING", "b.c"),
    ("STRING", "c[1]"),
    ("STRING", "a[0].b"),
    ("BIGINT", "a"),
    ("BIGINT", "b.c"),
    ("DOUBLE", "a"),
    ("DOUBLE", "b.c"),
    ("DECIMAL(38,18)", "a"),
    ("DECIMAL(10,2)", "b.c"),
    ("BOOLEAN", "a"),
    ("BOOLEAN", "b.c"),
];

/// A message that every column takes, to see that a reject beside it leaves no trace.
const GOOD: &[u8] = br#"{"c":[1,"x"]}"#;

/// One column by itself, so that its rejects aren't another's.
struct Case {
    column_type: ColumnType,
    path: FieldPath,
    decoder: Decoder,
}

thread_local! {
    /// Kept from input to input, as a lane keeps its own: their memory costs more than most inputs.
    static CASES: RefCell<Vec<Case>> = RefCell::new(COLUMNS.iter().map(case).collect());
    static ALL: RefCell<Decoder> = RefCell::new(Decoder::new(compile(&COLUMNS)));
}

fn case(column: &(&str, &str)) -> Case {
    Case {
        column_type: column.0.parse().expect("the types above are types"),
        path: column.1.parse().expect("the paths above are paths"),
        decoder: Decoder::new(compile(&[*column])),
    }
}

fn compile(columns: &[(&str, &str)]) -> Arc<Projection> {
    let mut table = TableColumns::default();
    let mut mappings = Vec::new();
    for (number, (column_type, path)) in columns.iter().enumerate() {
        let column = format!("c{number}");
        let column_type = column_type.parse().expect("the types above are types");
        table.columns.push(Column::new(&column, column_type));
        let path = path.parse().expect("the paths above are paths");
        let source = ColumnSource::Path(path);
        mappings.push(ColumnMapping::new(column, source));
    }
    let compiled = Projection::compile(&ProjectionSpec {
        mappings: &mappings,
        table: &table,
        format: &MessageFormat::default(),
        empty_as_null: false,
        zone: &TimeZone::UTC,
    });
    Arc::new(compiled.expect("every path fits every type"))
}

/// A payload gives the rows, NULLs and rejects that the slow reading gives, column by column and all together.
pub fn projection(payload: &[u8]) {
    let document = reference::document(payload);
    let all_taken = CASES.with_borrow_mut(|cases| {
        let taken = cases
            .iter_mut()
            .map(|case| check_case(case, payload, document));
        taken.fold(true, |all, taken| all & taken)
    });
    ALL.with_borrow_mut(|decoder| check_all(decoder, payload, all_taken));
}

/// Whether the column takes the payload, which is as the slow reading has it.
fn check_case(case: &mut Case, payload: &[u8], document: Option<&RawValue>) -> bool {
    let outcome = case.decoder.decode(&message(payload), &partition());
    let batch = case.decoder.flush();
    let Case {
        column_type, path, ..
    } = case;
    let found = match &outcome {
        Ok(()) => Ok(cell(&batch, column_type)),
        Err(_) => Err(()),
    };
    let expected = expected(document, column_type, path);
    assert_eq!(found, expected, "{column_type} from {path}: {outcome:?}");
    outcome.is_ok()
}

/// All columns take the payload or none, and the rows around it stay as they are.
fn check_all(decoder: &mut Decoder, payload: &[u8], taken: bool) {
    let good = message(GOOD);
    let mut decode = |message| decoder.decode(message, &partition()).is_ok();
    let rows = [decode(&good), decode(&message(payload)), decode(&good)];
    let batch = decoder.flush();
    assert_eq!(rows, [true, taken, true]);
    assert_eq!(batch.num_rows(), 2 + usize::from(taken));
    assert_eq!(batch.slice(0, 1), batch.slice(batch.num_rows() - 1, 1));
}

fn partition() -> TopicPartition {
    TopicPartition::new("fuzz", 0)
}

fn message(payload: &[u8]) -> Message<'_> {
    Message {
        offset: 0,
        timestamp_ms: 0,
        key: None,
        payload: Some(payload),
        headers: Headers::default(),
    }
}

fn expected(
    document: Option<&RawValue>,
    column_type: &ColumnType,
    path: &FieldPath,
) -> Cell<String> {
    let Some(value) = reference::find(document.ok_or(())?, path) else {
        return Ok(None);
    };
    Ok(match *column_type {
        ColumnType::String => Some(reference::string(value)),
        ColumnType::BigInt => reference::bigint(value)?.map(|value| value.to_string()),
        ColumnType::Double => reference::double(value)?.map(exactly),
        ColumnType::Decimal { precision, scale } => {
            let unscaled = reference::decimal(value, precision.into(), scale.into())?;
            unscaled.map(|unscaled| unscaled.to_string())
        }
        _ => reference::boolean(value)?.map(|value| value.to_string()),
    })
}

/// The only cell of a batch.
fn cell(batch: &RecordBatch, column_type: &ColumnType) -> Option<String> {
    assert_eq!((batch.num_rows(), batch.num_columns()), (1, 1));
    let column = batch.column(0);
    if column.is_null(0) {
        return None;
    }
    Some(match column_type {
        ColumnType::String => column.as_string::<i32>().value(0).to_owned(),
        ColumnType::BigInt => column.as_primitive::<Int64Type>().value(0).to_string(),
        ColumnType::Double => exactly(column.as_primitive::<Float64Type>().value(0)),
        ColumnType::Decimal { .. } => column.as_primitive::<Decimal128Type>().value(0).to_string(),
        _ => column.as_boolean().value(0).to_string(),
    })
}

/// A float by its bits, for a zero has a sign; all NaN are one.
fn exactly(value: f64) -> String {
    if value.is_nan() {
        "NaN".to_owned()
    } else {
        format!("{value:e} {:x}", value.to_bits())
    }
}
