//! How each column of a staged file is encoded, by its first values.

use std::collections::HashSet;

use arrow::array::{Array, AsArray as _, RecordBatch};
use arrow::datatypes::DataType;
use parquet::basic::Compression;
use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterPropertiesBuilder};
use parquet::schema::types::ColumnPath;

/// Bytes of a Parquet page before compression. Writer and reader hold one for each column, and a reader works for each
/// upload under way, so the library's 1 MiB would be most of the memory of a run.
const PAGE_BYTES: usize = 128 << 10;
/// Values after which the writer looks at the page's size: long values must not pile up far beyond it.
const PAGE_ROWS_CHECKED: usize = 128;
/// Values of a column that are looked at.
const SAMPLE_ROWS: usize = 1_024;
/// Bytes of these that are compressed to see what that gives.
const SAMPLE_BYTES_MAX: usize = 16 << 10;

/// How one column is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Encoding {
    Plain,
    Compressed,
    Dictionary,
}

/// The properties of a file that begins with the rows of `first`. No statistics, as nobody queries staged files.
///
/// The disk takes more than a lane makes, and LZ4 takes several times as long as all other encoding, so only what it brings to a
/// quarter is compressed. Strings of few values become dictionaries, which are smaller, faster to write than LZ4 and several
/// times faster to read; on numbers they would cost several times the encoding. Columns of nested types are compressed unseen.
pub(super) fn writer_properties(first: &RecordBatch) -> WriterProperties {
    let builder = WriterProperties::builder()
        .set_compression(Compression::LZ4_RAW)
        .set_dictionary_enabled(false)
        .set_statistics_enabled(EnabledStatistics::None)
        .set_data_page_size_limit(PAGE_BYTES)
        .set_write_batch_size(PAGE_ROWS_CHECKED)
        .set_max_row_group_row_count(None);
    let schema = first.schema_ref();
    let columns = schema.fields().iter().zip(first.columns());
    let set = |builder: WriterPropertiesBuilder, (name, encoding): (&String, Encoding)| {
        let path = ColumnPath::new(vec![name.clone()]);
        match encoding {
            Encoding::Compressed => builder,
            Encoding::Plain => builder.set_column_compression(path, Compression::UNCOMPRESSED),
            Encoding::Dictionary => builder
                .set_column_compression(path.clone(), Compression::UNCOMPRESSED)
                .set_column_dictionary_enabled(path, true),
        }
    };
    columns
        .map(|(field, column)| (field.name(), encoding(column)))
        .fold(builder, set)
        .build()
}

fn encoding(column: &dyn Array) -> Encoding {
    let sample = column.slice(0, column.len().min(SAMPLE_ROWS));
    match sample.data_type() {
        DataType::Utf8 => {
            let strings = sample.as_string::<i32>();
            by_values(strings.iter().flatten().map(str::as_bytes))
        }
        DataType::Binary => by_values(sample.as_binary::<i32>().iter().flatten()),
        DataType::Boolean => Encoding::Plain,
        other => other
            .primitive_width()
            .map_or(Encoding::Compressed, |width| {
                let data = sample.to_data();
                let start = data.offset() * width;
                let range = start..start + data.len() * width;
                let values = data.buffers().first().and_then(|all| all.get(range));
                by_bytes(values.unwrap_or_default())
            }),
    }
}

fn by_values<'a>(values: impl Iterator<Item = &'a [u8]>) -> Encoding {
    /// Values for each distinct one, from which on a dictionary pays.
    const REPEATS_MIN: usize = 8;
    let mut distinct = HashSet::new();
    let mut bytes = Vec::with_capacity(SAMPLE_BYTES_MAX);
    let mut count = 0;
    for value in values {
        count += 1;
        distinct.insert(value);
        let room = SAMPLE_BYTES_MAX - bytes.len();
        bytes.extend_from_slice(&value[..value.len().min(room)]);
    }
    if distinct.len() * REPEATS_MIN <= count {
        return Encoding::Dictionary;
    }
    by_bytes(&bytes)
}

fn by_bytes(bytes: &[u8]) -> Encoding {
    let bytes = &bytes[..bytes.len().min(SAMPLE_BYTES_MAX)];
    if lz4_flex::block::compress(bytes).len() * 4 <= bytes.len() {
        Encoding::Compressed
    } else {
        Encoding::Plain
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{BooleanArray, Int64Array, ListArray, StringArray};
    use arrow::datatypes::Int64Type;

    use super::*;

    #[test]
    fn columns_are_encoded_by_what_they_hold() {
        let mut rng = fastrand::Rng::with_seed(7);
        let mut random = || rng.i64(..);
        let numbers = Int64Array::from_iter_values((0..2_000).map(|_| random()));
        assert_eq!(encoding(&numbers), Encoding::Plain);
        let small = Int64Array::from_iter_values((0..2_000).map(|number| number % 100));
        assert_eq!(encoding(&small), Encoding::Compressed);
        let ids = StringArray::from_iter_values((0..2_000).map(|_| format!("{:x}", random())));
        assert_eq!(encoding(&ids), Encoding::Plain);
        let states = (0..2_000).map(|number| ["paid", "sent", "returned"].get(number % 4));
        let states: StringArray = states.collect();
        assert_eq!(encoding(&states), Encoding::Dictionary);
        let texts = StringArray::from_iter_values(
            (0..2_000).map(|number| format!("the state of order number {number} is \"paid\"")),
        );
        assert_eq!(encoding(&texts), Encoding::Compressed);
        let flags = BooleanArray::from(vec![true; 100]);
        assert_eq!(encoding(&flags), Encoding::Plain);
        let lists = ListArray::from_iter_primitive::<Int64Type, _, _>([Some([Some(1)])]);
        assert_eq!(encoding(&lists), Encoding::Compressed);
        // Nothing can be said of what is not there.
        let nulls = StringArray::new_null(100);
        assert_eq!(encoding(&nulls), Encoding::Dictionary);
    }
}
