//! Bodies of official clients, read and written by ours.
//!
//! Each is read to exactly the rows that were recorded with it. Encoding these rows gives the same bytes before
//! compression, but for the quirks below, whose list is exact: a body with a quirk that isn't listed fails, and so does one
//! that is listed with a quirk that it doesn't have.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests, which end a test that cannot go on"
)]

mod arrow_form;
mod cells;
mod record_form;
mod vector;

use std::collections::{BTreeMap, BTreeSet};

use vector::Vector;

/// Where a body isn't byte for byte what our encoder makes of its rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Quirk {
    /// The compiled writer of PyODPS extends the sign of a checksum to 64 bits, which takes ten bytes instead of five.
    /// Compared with the checksums rewritten, everything else as it is.
    LongChecksums,
    /// The client keeps a decimal's exponent and zeros; ours writes plain notation without zeros at the end. Compared by
    /// value, and byte for byte as the texts that they are.
    DecimalText,
    /// A value is outside what Arrow holds in the type in which the column travels: an instant beyond 64 bits of
    /// nanoseconds, or a number of more than 38 digits in a column of the old DECIMAL. An error names it; the other
    /// records are compared one by one.
    BeyondArrow,
    /// Our encoder refuses -2^63, which the service keeps for itself, and a CHAR that is too long: the clients' Arrow
    /// writers check neither. In Arrow form compared as a type with the same bytes and without a limit.
    OverLimit,
    /// No column type stands for intervals and vectors: they are read, and not written.
    ReadOnly,
    /// The flatbuffers in front of a message's values lay out their tables in another order: C++ and Java differ
    /// themselves. Compared field by field, the values byte for byte.
    MessageLayout,
    /// PyODPS sends texts of the whole array behind those of a slice; ours ends with the slice.
    SliceEnd,
    /// The client was told another chunk size than the usual one. Compared with ours in chunks of that size.
    ChunkSize,
    /// Java sends no byte for a body that nothing was written to; ours, as PyODPS, a checksum of nothing.
    NoBytes,
}

/// The bodies that have quirks.
const QUIRKS: &[(&str, &[Quirk])] = {
    use Quirk::*;
    &[
        ("arrow_all_types", &[MessageLayout, OverLimit]),
        ("arrow_exact_chunk_multiple", &[MessageLayout, ChunkSize]),
        ("arrow_interval_day_time", &[ReadOnly]),
        ("arrow_kafka_like", &[MessageLayout]),
        ("arrow_kafka_like_lz4", &[MessageLayout]),
        ("arrow_kafka_like_snappy", &[MessageLayout]),
        ("arrow_kafka_like_zlib", &[MessageLayout]),
        ("arrow_kafka_like_zstd", &[MessageLayout]),
        ("arrow_multi_batch", &[MessageLayout]),
        (
            "arrow_multi_chunk_512",
            &[MessageLayout, ChunkSize, OverLimit],
        ),
        ("arrow_one_row", &[MessageLayout]),
        ("arrow_partitioned", &[MessageLayout]),
        ("arrow_sliced_validity", &[MessageLayout, SliceEnd]),
        ("arrow_zero_rows", &[MessageLayout]),
        ("java_arrow_all", &[MessageLayout, OverLimit]),
        ("java_arrow_lz4", &[MessageLayout, OverLimit]),
        ("java_arrow_snappy", &[MessageLayout, OverLimit]),
        ("java_arrow_zero", &[NoBytes]),
        ("java_arrow_zlib", &[MessageLayout, OverLimit]),
        ("java_rec_edge", &[BeyondArrow]),
        ("java_rec_intervals", &[ReadOnly]),
        ("rec_array", &[LongChecksums]),
        ("rec_bigint_min", &[LongChecksums, OverLimit]),
        ("rec_block_19999", &[LongChecksums]),
        ("rec_bool", &[LongChecksums]),
        ("rec_buffered_writer", &[LongChecksums]),
        ("rec_date", &[LongChecksums]),
        ("rec_datetime", &[LongChecksums]),
        ("rec_decimal", &[LongChecksums, DecimalText, BeyondArrow]),
        ("rec_decimal_exponent", &[LongChecksums, DecimalText]),
        ("rec_floats", &[LongChecksums]),
        ("rec_intervals", &[ReadOnly]),
        ("rec_ints", &[LongChecksums]),
        ("rec_json", &[LongChecksums]),
        ("rec_kafka_like", &[LongChecksums]),
        ("rec_kafka_like_lz4", &[LongChecksums]),
        ("rec_kafka_like_snappy", &[LongChecksums]),
        ("rec_kafka_like_zlib", &[LongChecksums]),
        ("rec_kafka_like_zstd", &[LongChecksums]),
        ("rec_map", &[LongChecksums]),
        ("rec_one_row", &[LongChecksums]),
        ("rec_overwrite", &[LongChecksums]),
        ("rec_partition_special", &[LongChecksums]),
        ("rec_strings", &[LongChecksums]),
        ("rec_struct", &[LongChecksums, DecimalText]),
        ("rec_timestamp", &[LongChecksums]),
        ("rec_timestamp_neg_frac", &[LongChecksums]),
        ("rec_vector", &[LongChecksums, ReadOnly]),
        ("rec_wide_40", &[LongChecksums]),
    ]
};

/// Bodies in the folder: 47 of PyODPS and 14 of the Java SDK.
const VECTORS: usize = 61;

#[test]
fn recorded_bodies_are_read_and_written_alike() {
    let listed: BTreeMap<_, _> = QUIRKS.iter().copied().collect();
    let names = Vector::names();
    assert_eq!(names.len(), VECTORS);
    let mut identical = 0;
    let mut differing: BTreeMap<Vec<Quirk>, Vec<&str>> = BTreeMap::new();
    let mut wrong = Vec::new();
    for name in &names {
        let vector = Vector::read(name);
        let found = match vector.kind() {
            "record" => record_form::compare(&vector),
            _ => arrow_form::compare(&vector),
        };
        let expected: BTreeSet<Quirk> = listed
            .get(name.as_str())
            .into_iter()
            .flat_map(|quirks| quirks.iter().copied())
            .collect();
        if found != expected {
            wrong.push(format!("{name}: found {found:?}, listed {expected:?}"));
        }
        if found.is_empty() {
            identical += 1;
        } else {
            let quirks = found.into_iter().collect();
            differing.entry(quirks).or_default().push(name);
        }
    }
    println!("{VECTORS} recorded bodies are read to their rows; written again,");
    println!("{identical} are identical");
    for (quirks, names) in &differing {
        println!("{} by {quirks:?}: {}", names.len(), names.join(", "));
    }
    assert_eq!(wrong, [""; 0]);
}
