//! Messages in other formats than JSON in UTF-8, and columns with settings.

use std::borrow::Cow;
use std::sync::Arc;

use arrow::array::{Array, AsArray, RecordBatch};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use engine_decode::{Decoder, Projection, ProjectionSpec};
use engine_model::{
    Column, ColumnMapping, ColumnSource, Delimiters, Headers, InvalidText, Message, MessageFormat,
    MetadataField, PayloadCompression, PayloadType, PrimitiveType, Rounding, TableColumns,
    TextEncoding, TimeUnit, TopicPartition, ValueFormat,
};
use jiff::tz::TimeZone;

use crate::reference::unmarked;

const LABELS: [&str; 8] = [
    "UTF-8",
    "GBK",
    "gb18030",
    "Big5",
    "Shift_JIS",
    "ISO-2022-JP",
    "windows-1252",
    "UTF-16LE",
];
const SEPARATORS: [&str; 4] = [",", "\t", "||", "a,"];
const QUOTES: [Option<char>; 3] = [None, Some('"'), Some('上')];
const PATTERNS: [&str; 4] = [
    "%Y%m%d",
    "%d/%m/%Y %H:%M:%S%.f",
    "%a %b %d %T %z %Y",
    "%Y-%m-%dT%H:%M",
];

/// The first byte chooses a format and the second one of its kinds; the rest is a message.
pub fn formats(data: &[u8]) {
    let [choice, kind, message @ ..] = data else {
        return;
    };
    let kind = usize::from(*kind);
    match choice % 5 {
        0 => encoded(LABELS[kind % LABELS.len()], message),
        1 => delimited(
            SEPARATORS[kind % SEPARATORS.len()],
            QUOTES[kind / 8 % QUOTES.len()],
            message,
        ),
        2 => compressed(kind, message),
        3 => primitives(kind, message),
        _ => settings(kind, message),
    }
}

/// Text is what the encoding says, or rejected, replaced and spelled in base64 as the job says.
fn encoded(label: &str, bytes: &[u8]) {
    let encoding = TextEncoding::from_label(label).expect("the labels are known");
    let (whatwg, marked) = (encoding.encoding(), label == "UTF-16LE");
    if marked && (bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff")) {
        return;
    }
    let expected = whatwg
        .decode_without_bom_handling_and_without_replacement(bytes)
        .map(Cow::into_owned);
    for invalid_text in [
        InvalidText::Reject,
        InvalidText::Replace,
        InvalidText::Base64,
    ] {
        let format = MessageFormat {
            payload: PayloadType::Primitive(PrimitiveType::String),
            key_encoding: encoding,
            payload_encoding: encoding,
            invalid_text,
            ..MessageFormat::default()
        };
        let columns = [("STRING", "__value__"), ("STRING", "__key__")];
        let row = texts(&columns, &format, bytes);
        match (&expected, invalid_text) {
            (Some(text), _) => {
                assert_eq!(row, Some(vec![Some(text.clone()), Some(text.clone())]));
            }
            (None, InvalidText::Reject) => assert_eq!(row, None),
            (None, InvalidText::Replace) => {
                let (replaced, _) = whatwg.decode_without_bom_handling(bytes);
                assert_eq!(row, Some(vec![Some(replaced.clone().into_owned()); 2]));
            }
            (None, InvalidText::Base64) => {
                let spelled = Some(BASE64_STANDARD.encode(bytes));
                assert_eq!(row, Some(vec![spelled; 2]));
            }
        }
    }
}

/// Fields are those that a slow reading finds.
fn delimited(separator: &str, quote: Option<char>, record: &[u8]) {
    if quote.is_some_and(|quote| separator.contains(quote)) {
        return;
    }
    let format = MessageFormat {
        payload: PayloadType::Delimited(Delimiters {
            separator: separator.to_owned(),
            quote,
        }),
        ..MessageFormat::default()
    };
    let columns = [("STRING", "[0]"), ("STRING", "[1]"), ("STRING", "[2]")];
    let found = texts(&columns, &format, record);
    let fields = str::from_utf8(unmarked(record))
        .ok()
        .and_then(|record| slow_fields(separator, quote, record));
    let expected = fields.map(|fields| {
        let mut row: Vec<_> = fields.into_iter().map(Some).collect();
        row.resize(row.len().max(3), None);
        row.truncate(3);
        row
    });
    assert_eq!(found, expected);
}

/// The fields of a record, character by character; nothing for what is none.
fn slow_fields(separator: &str, quote: Option<char>, record: &str) -> Option<Vec<String>> {
    let mut rest = record.strip_suffix('\n').unwrap_or(record);
    rest = rest.strip_suffix('\r').unwrap_or(rest);
    let mut fields = Vec::new();
    loop {
        let mut field = String::new();
        if let Some(quote) = quote.filter(|quote| rest.starts_with(*quote)) {
            rest = rest.strip_prefix(quote)?;
            loop {
                let next = rest.chars().next()?;
                rest = rest.strip_prefix(next)?;
                if next != quote {
                    field.push(next);
                } else if let Some(behind) = rest.strip_prefix(quote) {
                    field.push(quote);
                    rest = behind;
                } else {
                    break;
                }
            }
            if !rest.is_empty() && !rest.starts_with(separator) {
                return None;
            }
        } else {
            while let Some(next) = rest.chars().next().filter(|_| !rest.starts_with(separator)) {
                if quote.is_some() && matches!(next, '\r' | '\n') {
                    return None;
                }
                field.push(next);
                rest = rest.strip_prefix(next)?;
            }
        }
        fields.push(field);
        match rest.strip_prefix(separator) {
            Some(behind) => rest = behind,
            None => return Some(fields),
        }
    }
}

/// What isn't compressed is rejected, and what is leaves no trace in the next row.
fn compressed(kind: usize, payload: &[u8]) {
    let format = MessageFormat {
        payload_compression: [PayloadCompression::Gzip, PayloadCompression::Zstd][kind % 2],
        ..MessageFormat::default()
    };
    let _row = texts(&[("BINARY", "__value__")], &format, payload);
    let _fields = texts(&[("STRING", "a")], &format, payload);
}

/// A key or a payload of each type is taken by each column or rejected.
fn primitives(kind: usize, bytes: &[u8]) {
    const TYPES: [&str; 6] = [
        "STRING",
        "BIGINT",
        "DOUBLE",
        "DECIMAL(38,18)",
        "TIMESTAMP",
        "JSON",
    ];
    let (_, primitive) = PrimitiveType::NAMES[kind % PrimitiveType::NAMES.len()];
    let format = MessageFormat {
        key: primitive,
        payload: PayloadType::Primitive(primitive),
        ..MessageFormat::default()
    };
    for column_type in TYPES {
        let row = |source| texts(&[(column_type, source)], &format, bytes);
        if compile(&[(column_type, "__key__", None, None)], &format).is_some() {
            let whole = compile(&[(column_type, "__value__", None, None)], &format);
            if whole.is_some() {
                assert_eq!(
                    row("__key__"),
                    row("__value__"),
                    "{column_type} {primitive}"
                );
            }
        }
    }
}

/// A value that is taken exactly is taken alike where digits could be rounded.
fn settings(kind: usize, text: &[u8]) {
    let Ok(text) = str::from_utf8(text) else {
        return;
    };
    let units = [TimeUnit::S, TimeUnit::Ms, TimeUnit::Us, TimeUnit::Ns];
    let format = match kind % 9 {
        index @ 0..4 => Some(ValueFormat::Epoch(units[index])),
        index @ 4..8 => Some(ValueFormat::Pattern(PATTERNS[index - 4].to_owned())),
        _ => None,
    };
    let of_numbers = ["DECIMAL(10,2)", "TINYINT", "BIGINT"];
    let of_times = ["DATETIME", "TIMESTAMP", "TIMESTAMP_NTZ"];
    let types = if format.is_some() {
        of_times
    } else {
        of_numbers
    };
    let number = format!("{{\"a\":{text}}}");
    let string = format!("{{\"a\":{}}}", serde_json::Value::from(text));
    for payload in [number, string] {
        for column_type in types {
            let row = |rounding| {
                let column = (column_type, "a", format.clone(), rounding);
                let projection = compile(&[column], &MessageFormat::default());
                let projection = projection.expect("the settings fit the types");
                decode(&projection, payload.as_bytes()).map(|batch| batch.column(0).to_data())
            };
            if let Some(exact) = row(None) {
                assert_eq!(
                    row(Some(Rounding::HalfUp)),
                    Some(exact.clone()),
                    "{payload}"
                );
                assert_eq!(row(Some(Rounding::Down)), Some(exact), "{payload}");
            }
        }
    }
}

type ColumnOf<'a> = (&'a str, &'a str, Option<ValueFormat>, Option<Rounding>);

/// A projection of columns of (type, source, format, rounding); nothing where they don't fit.
fn compile(columns: &[ColumnOf<'_>], format: &MessageFormat) -> Option<Arc<Projection>> {
    let mut table = TableColumns::default();
    let mut mappings = Vec::new();
    for (number, (column_type, source, value_format, rounding)) in columns.iter().enumerate() {
        let name = format!("c{number}");
        let column_type = column_type.parse().expect("the types are types");
        table.columns.push(Column::new(&name, column_type));
        let source = match MetadataField::from_name(source) {
            Some(field) => ColumnSource::Metadata(field),
            None => ColumnSource::Path(source.parse().expect("the paths are paths")),
        };
        mappings.push(ColumnMapping {
            format: value_format.clone(),
            rounding: *rounding,
            ..ColumnMapping::new(name, source)
        });
    }
    let compiled = Projection::compile(&ProjectionSpec::new(
        &mappings,
        &table,
        format,
        &TimeZone::UTC,
    ));
    compiled.ok().map(Arc::new)
}

/// The row of a message whose key and payload are `bytes`; nothing where it is rejected. What comes before and after it stays.
fn decode(projection: &Arc<Projection>, bytes: &[u8]) -> Option<RecordBatch> {
    let partition = TopicPartition::new("fuzz", 0);
    let message = |bytes| Message {
        offset: 0,
        timestamp_ms: 0,
        key: bytes,
        payload: bytes,
        headers: Headers::default(),
    };
    let mut decoder = Decoder::new(Arc::clone(projection));
    let mut decode = |bytes| decoder.decode(&message(bytes), &partition).is_ok();
    let taken = [decode(None), decode(Some(bytes)), decode(None)];
    let batch = decoder.flush();
    assert_eq!([taken[0], taken[2]], [true, true]);
    assert_eq!(batch.num_rows(), 2 + usize::from(taken[1]));
    for column in batch.columns() {
        assert!(column.is_null(0) && column.is_null(batch.num_rows() - 1));
    }
    taken[1].then(|| batch.slice(1, 1))
}

/// The cells of text of that row; of other columns whether there is a value.
fn texts(
    columns: &[(&str, &str)],
    format: &MessageFormat,
    bytes: &[u8],
) -> Option<Vec<Option<String>>> {
    let columns: Vec<_> = columns
        .iter()
        .map(|(column_type, source)| (*column_type, *source, None, None))
        .collect();
    let projection = compile(&columns, format).expect("the columns fit the format");
    let batch = decode(&projection, bytes)?;
    let cell = |column: &Arc<dyn Array>| {
        let text = column
            .as_string_opt::<i32>()
            .map(|texts| texts.value(0).to_owned());
        column.is_valid(0).then(|| text.unwrap_or_default())
    };
    Some(batch.columns().iter().map(cell).collect())
}
