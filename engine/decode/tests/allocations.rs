//! Once its buffers have grown, a decoder allocates nothing per message.

#![expect(
    unsafe_code,
    reason = "an allocator that counts can't be written without"
)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::error::Error;
use std::sync::Arc;

use engine_decode::{Decoder, Projection, ProjectionSpec};
use engine_model::job::Validation;
use engine_model::{
    Column, ColumnMapping, ColumnSource, ColumnType, Delimiters, InvalidText, Message,
    MessageBlock, MessageFormat, MetadataField, PayloadCompression, PayloadType, PrimitiveType,
    TableColumns, TextEncoding, TopicPartition,
};
use jiff::tz::TimeZone;

struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
}

// SAFETY: everything is handed on to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: the caller's promises are those that `System` asks for.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: the caller's promises are those that `System` asks for.
        unsafe { System.dealloc(memory, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// One column of each kind, from each kind of source.
fn projection(validation: Validation) -> Result<Projection, Box<dyn Error>> {
    let fields = [
        ("STRING", "text"),
        ("STRING", "number"),
        ("STRING", "nested"),
        ("STRING", "nested.deep[1]"),
        ("BIGINT", "integer"),
        ("BIGINT", "whole"),
        ("BIGINT", "absent"),
        ("DOUBLE", "number"),
        ("DECIMAL(10,2)", "number"),
        ("BOOLEAN", "flag"),
        ("DATETIME", "at"),
        ("TIMESTAMP", "at"),
    ];
    let mut sources = Vec::new();
    for (column_type, path) in fields {
        sources.push((column_type, ColumnSource::Path(path.parse()?)));
    }
    sources.extend(MetadataField::ALL.map(|field| ("STRING", ColumnSource::Metadata(field))));

    let mut table = TableColumns::default();
    let mut mappings = Vec::new();
    for (column_type, source) in sources {
        let column = format!("c{}", mappings.len());
        table
            .columns
            .push(Column::new(&column, column_type.parse()?));
        mappings.push(ColumnMapping::new(column, source));
    }
    let format = MessageFormat {
        key: PrimitiveType::Double,
        ..MessageFormat::default()
    };
    // A zone whose rules are looked up, unlike a fixed offset's.
    let zone = TimeZone::posix("EST5EDT,M3.2.0,M11.1.0")?;
    let compiled = Projection::compile(&ProjectionSpec {
        validation,
        ..ProjectionSpec::new(&mappings, &table, &format, &zone)
    });
    compiled.map_err(|errors| errors[0].to_string().into())
}

#[test]
fn messages_cost_no_allocation() {
    let payload =
        br#"{"text":"caf\u00e9 \"x\"","number":12.50,"nested":{"deep":[1,{"x":1.0}]},"integer":-7,
        "whole":1e3,"fl\u0061g":"TRUE","at":"2026-11-22 10:00:00.123"}"#;
    let headers: [(&[u8], Option<&[u8]>); 2] =
        [(b"trace\n", Some(b"1")), (b"bytes", Some(b"\xff"))];
    let mut block = MessageBlock::default();
    let key = 2.5_f64.to_be_bytes();
    let headers = headers.into_iter();
    block.push(1, 1_795_341_600_123, Some(&key), Some(payload), headers);
    let message = block.get(0).unwrap();

    for validation in [Validation::Full, Validation::Mapped] {
        assert_no_allocation(projection(validation).unwrap(), &message);
    }
}

#[test]
fn messages_of_other_formats_cost_none_either() {
    let gbk = TextEncoding::from_label("GBK").unwrap();
    let json: &[u8] = b"{\"city\":\"\xc9\xcf\xba\xa3\"}";
    let delimited = Delimiters::default();
    for (payload_type, source, payload_compression, payload) in [
        (
            PayloadType::Json,
            "city",
            PayloadCompression::None,
            json.to_vec(),
        ),
        (
            PayloadType::Json,
            "city",
            PayloadCompression::Zstd,
            zstd::encode_all(json, 1).unwrap(),
        ),
        (
            PayloadType::Delimited(delimited),
            "[1]",
            PayloadCompression::None,
            b"1,\"\xc9\xcf\"\"\"".to_vec(),
        ),
    ] {
        let format = MessageFormat {
            payload: payload_type,
            payload_compression,
            key_encoding: gbk,
            payload_encoding: gbk,
            header_encoding: gbk,
            invalid_text: InvalidText::Base64,
            ..MessageFormat::default()
        };
        let table = TableColumns {
            columns: ["field", "key", "headers"]
                .map(|name| Column::new(name, ColumnType::String))
                .into(),
            partition_keys: Vec::new(),
        };
        let metadata = |name: &str, field| ColumnMapping::new(name, ColumnSource::Metadata(field));
        let mappings = [
            ColumnMapping::new("field", ColumnSource::Path(source.parse().unwrap())),
            metadata("key", MetadataField::Key),
            metadata("headers", MetadataField::Headers),
        ];
        let compiled = Projection::compile(&ProjectionSpec {
            empty_as_null: true,
            ..ProjectionSpec::new(&mappings, &table, &format, &TimeZone::UTC)
        });
        let mut block = MessageBlock::default();
        let headers: [(&[u8], Option<&[u8]>); 1] = [(b"\xb3\xc7", Some(b"\xc9\xcf"))];
        // The key is no text.
        block.push(1, 0, Some(b"\xff\xff"), Some(&payload), headers.into_iter());
        assert_no_allocation(compiled.unwrap(), &block.get(0).unwrap());
    }
}

/// Decodes many of the same message; the second batch finds all the memory that it needs.
fn assert_no_allocation(projection: Projection, message: &Message<'_>) {
    const ROWS: usize = 1_000;
    let partition = TopicPartition::new("orders", 0);
    let mut decoder = Decoder::new(Arc::new(projection));
    let decode = |decoder: &mut Decoder| {
        let outcome = decoder.decode(message, &partition);
        outcome.expect("the message fits its columns");
    };
    for _ in 0..ROWS {
        decode(&mut decoder);
    }
    let first = decoder.flush();
    // Bitmaps of missing values come with the first of a batch.
    decode(&mut decoder);
    let before = ALLOCATIONS.get();
    for _ in 1..ROWS {
        decode(&mut decoder);
    }
    assert_eq!(ALLOCATIONS.get() - before, 0);
    assert_eq!(decoder.flush(), first);
}
