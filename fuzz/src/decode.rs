//! The decoder beside the slow reading, and its two validations beside each other.

mod columns;
mod recipe;

use std::cell::RefCell;
use std::collections::HashMap;

use arrow::array::RecordBatch;
use engine_decode::Decoder;
use engine_model::job::Validation;
use engine_model::{Headers, Message, TopicPartition};
use serde_json::value::RawValue;

use crate::cell::Cell;
use crate::model::ZONE;
use crate::reference::{self, Clock, Refused};
use columns::{Mapped, decoder};

/// Messages that few columns refuse, to see that a reject beside one leaves no trace.
const GOOD: [&[u8]; 3] = [
    br#"{"a":"1","c":[1,"x"],"d":"2026-11-22","e":[],"m":{},"n":"[1]","s":{}}"#,
    br#"[7,{"a":"x"}]"#,
    b"null",
];
/// Decoders of several columns that are kept.
const TOGETHER_MAX: usize = 500;

/// One column by itself, so that its rejects aren't another's.
struct Alone {
    mapped: Mapped,
    decoder: Decoder,
    /// The same with no more validation than that of the mapped field.
    lenient: Decoder,
}

/// Several columns, and a message that all of them take.
struct Together {
    decoder: Decoder,
    /// The same with no more validation than that of the mapped fields.
    lenient: Decoder,
    good: Option<&'static [u8]>,
}

thread_local! {
    /// Kept from input to input, as a lane keeps its own: their memory costs more than most inputs.
    static ALONE: RefCell<Vec<Alone>> = RefCell::new(alone());
    /// By their columns, a bit for each.
    static TOGETHER: RefCell<HashMap<u64, Together>> = RefCell::default();
}

fn alone() -> Vec<Alone> {
    let alone = |mapped: Mapped| Alone {
        decoder: decoder([&mapped].into_iter(), Validation::Full),
        lenient: decoder([&mapped].into_iter(), Validation::Mapped),
        mapped,
    };
    Mapped::all().into_iter().map(alone).collect()
}

/// A payload gives the cells, NULLs and rejects that the slow reading gives, column by column; the columns that take it
/// take it together, and one that doesn't leaves no trace of it in any.
pub fn projection(payload: &[u8]) {
    let document = reference::document(reference::unmarked(payload));
    let is_json = document.is_ok();
    ALONE.with_borrow_mut(|columns| {
        let taken: Vec<_> = columns
            .iter_mut()
            .map(|column| check_alone(column, payload, document))
            .collect();
        let bits = (0..u64::BITS).map(|bit| 1_u64 << bit);
        let all: u64 = bits
            .clone()
            .zip(&taken)
            .filter_map(|(bit, cell)| cell.is_ok().then_some(bit))
            .sum();
        let refusing = bits
            .zip(&taken)
            .find_map(|(bit, cell)| cell.is_err().then_some(bit));
        let taken: Vec<_> = taken.into_iter().filter_map(Result::ok).collect();
        TOGETHER.with_borrow_mut(|known| {
            check_together(kept(known, all, columns), payload, is_json, Some(&taken));
            if let Some(bit) = refusing {
                check_together(kept(known, all | bit, columns), payload, is_json, None);
            }
        });
    });
}

/// A payload that the choices of a recipe make: see [`projection`].
pub fn fields(choices: &[u8]) {
    projection(&recipe::payload(choices));
}

/// What the column takes from the payload, which is what the slow reading has. What full validation takes, that of the mapped
/// field takes as the same value; what the latter rejects, the full one rejects; and what the column itself refuses, it
/// refuses in both for the same reason.
fn check_alone(
    Alone {
        mapped,
        decoder,
        lenient,
    }: &mut Alone,
    payload: &[u8],
    document: Result<&RawValue, Refused>,
) -> Result<Cell, Refused> {
    let outcome = decoder.decode(&message(payload), &partition());
    let batch = decoder.flush();
    assert_eq!(batch.num_rows(), usize::from(outcome.is_ok()));
    let lenient = (
        lenient.decode(&message(payload), &partition()),
        lenient.flush(),
    );
    match &outcome {
        Err(rejection) if rejection.column().is_none() => {
            // What is mapped as a whole is checked as a whole.
            let is_whole = mapped.path.steps().is_empty();
            assert!(!is_whole || lenient.0.is_err(), "{mapped:?}: {rejection}");
        }
        _ => assert_eq!((&outcome, &batch), (&lenient.0, &lenient.1), "{mapped:?}"),
    }
    let found = match &outcome {
        Ok(()) => Ok(Cell::of(batch.column(0), 0, mapped.column_type())),
        Err(rejection) => {
            // The payload as a whole is at fault, or the column refuses what is there.
            let named = document.map(|_| mapped.column.name.as_str());
            assert_eq!(rejection.column(), named.ok(), "{rejection}");
            Err(Refused)
        }
    };
    let expected = document.and_then(|document| expected(document, mapped));
    assert_eq!(found, expected, "{mapped:?}: {outcome:?}");
    found
}

fn expected(document: &RawValue, mapped: &Mapped) -> Result<Cell, Refused> {
    let clock = Clock {
        zone: &ZONE,
        unit: mapped.unit,
    };
    let value = reference::find(document, &mapped.path);
    let cell = value.map(|value| reference::cell(value, mapped.column_type(), clock));
    match cell.unwrap_or(Ok(Cell::Null))? {
        Cell::Null if !mapped.column.nullable => Err(Refused),
        cell => Ok(cell),
    }
}

/// The decoder of the columns whose bits are set.
fn kept<'a>(
    known: &'a mut HashMap<u64, Together>,
    bits: u64,
    columns: &[Alone],
) -> (&'a mut Together, Vec<Mapped>) {
    if known.len() > TOGETHER_MAX {
        known.clear();
    }
    let is_set = |(number, _): &(u32, &Alone)| bits >> number & 1 == 1;
    let columns = (0..).zip(columns).filter(is_set);
    let columns: Vec<Mapped> = columns.map(|(_, alone)| alone.mapped.clone()).collect();
    let together = known.entry(bits).or_insert_with(|| {
        let [mut decoder, lenient] = [Validation::Full, Validation::Mapped]
            .map(|validation| decoder(columns.iter(), validation));
        let good = GOOD
            .into_iter()
            .find(|good| decoder.decode(&message(good), &partition()).is_ok());
        drop(decoder.flush());
        Together {
            decoder,
            lenient,
            good,
        }
    });
    (together, columns)
}

/// The columns take the payload, these cells of it, or without any refuse it; the rows around it stay as they are. Whatever is
/// JSON as a whole is the same for both validations.
fn check_together(
    (together, columns): (&mut Together, Vec<Mapped>),
    payload: &[u8],
    is_json: bool,
    cells: Option<&[Cell]>,
) {
    let Together {
        decoder,
        lenient,
        good,
    } = together;
    let Some(good) = good else { return };
    check_rows(decoder, &columns, good, payload, cells);
    if is_json {
        check_rows(lenient, &columns, good, payload, cells);
    }
}

fn check_rows(
    decoder: &mut Decoder,
    columns: &[Mapped],
    good: &[u8],
    payload: &[u8],
    cells: Option<&[Cell]>,
) {
    let mut decode = |payload| decoder.decode(&message(payload), &partition()).is_ok();
    let rows = [decode(good), decode(payload), decode(good)];
    let batch = decoder.flush();
    assert_eq!(rows, [true, cells.is_some(), true]);
    assert_eq!(batch.num_rows(), 2 + usize::from(cells.is_some()));
    let row = |row| cells_of(&batch, row, columns);
    assert_eq!(row(0), row(batch.num_rows() - 1));
    if let Some(cells) = cells {
        assert_eq!(row(1), cells);
    }
}

fn cells_of(batch: &RecordBatch, row: usize, columns: &[Mapped]) -> Vec<Cell> {
    let arrays = batch.columns().iter().zip(columns);
    let cells = arrays.map(|(array, mapped)| Cell::of(array, row, mapped.column_type()));
    cells.collect()
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
