//! Messages in other formats than JSON in UTF-8.

use std::io::Write;

use engine_model::{Delimiters, InvalidText, PayloadCompression, TextEncoding};
use flate2::write::GzEncoder;

use super::*;
use crate::fixture::projection_of;

fn encoded(label: &str) -> MessageFormat {
    let encoding = TextEncoding::from_label(label).unwrap();
    MessageFormat {
        key_encoding: encoding,
        payload_encoding: encoding,
        header_encoding: encoding,
        ..MessageFormat::default()
    }
}

fn delimited(separator: &str, quote: Option<char>) -> MessageFormat {
    MessageFormat {
        payload: PayloadType::Delimited(Delimiters {
            separator: separator.to_owned(),
            quote,
        }),
        ..MessageFormat::default()
    }
}

/// The row that a message makes, key and payload being the same, or the name of the reason why it makes none.
fn cells(columns: &[(&str, &str)], format: &MessageFormat, bytes: &[u8]) -> Row {
    let mut decoder = Decoder::new(formatted_projection(columns, format));
    let message = Message {
        key: Some(bytes),
        ..message(bytes)
    };
    decoder
        .decode(&message, &partition())
        .map(|()| row(&decoder.flush(), 0))
        .map_err(|rejection| rejection.reason().name())
}

type Row = Result<Vec<Option<String>>, &'static str>;

/// A row without NULL.
#[expect(
    clippy::unnecessary_wraps,
    reason = "it is compared with rows that may be none"
)]
fn some(cells: &[&str]) -> Row {
    Ok(cells.iter().map(|cell| Some((*cell).to_owned())).collect())
}

#[test]
fn json_of_other_encodings_has_the_same_fields() {
    let columns = [
        ("STRING", "城市"),
        ("DECIMAL(5,2)", "n"),
        ("JSON", "o"),
        ("STRING", "__value__"),
        ("BINARY", "__key__"),
    ];
    let json = "{\"城市\":\"上海\",\"n\":1.50,\"o\":{ \"a\":\"\u{e9}\" }}";
    let utf16 = |bytes_of: fn(u16) -> [u8; 2]| json.encode_utf16().flat_map(bytes_of).collect();
    let gb18030 = TextEncoding::from_label("gb18030").unwrap().encoding();
    let forms: [(&str, Vec<u8>); 5] = [
        ("UTF-8", json.into()),
        ("GB18030", gb18030.encode(json).0.into_owned()),
        ("UTF-16LE", utf16(u16::to_le_bytes)),
        ("UTF-16BE", utf16(u16::to_be_bytes)),
        (
            "UTF-16",
            [b"\xfe\xff", &utf16(u16::to_be_bytes)[..]].concat(),
        ),
    ];
    for (label, bytes) in forms {
        let hex: Vec<_> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        let object = "{ \"a\":\"\u{e9}\" }";
        let expected = some(&["上海", "1.50", object, json, &hex.concat()]);
        assert_eq!(
            cells(&columns, &encoded(label), &bytes),
            expected,
            "{label}"
        );
    }
}

#[test]
fn a_byte_order_mark_is_no_part_of_json() {
    let marked = b"\xef\xbb\xbf{\"a\":1}";
    let format = MessageFormat::default();
    for invalid_text in [InvalidText::Reject, InvalidText::Replace] {
        let format = MessageFormat {
            invalid_text,
            ..format.clone()
        };
        let columns = [("STRING", "$"), ("BIGINT", "a"), ("STRING", "__value__")];
        let expected = some(&["{\"a\":1}", "1", "{\"a\":1}"]);
        assert_eq!(cells(&columns, &format, marked), expected);
        let whole = [("JSON", "__value__")];
        assert_eq!(cells(&whole, &format, marked), some(&["{\"a\":1}"]));
        let bytes = [("BINARY", "__value__")];
        assert_eq!(
            cells(&bytes, &format, marked),
            some(&["efbbbf7b2261223a317d"])
        );
    }
    let text = MessageFormat {
        payload: PayloadType::Primitive(PrimitiveType::String),
        ..format.clone()
    };
    let columns = [("STRING", "__value__"), ("STRING", "__key__")];
    let whole = "\u{feff}{\"a\":1}";
    assert_eq!(cells(&columns, &text, marked), some(&[whole, whole]));
    assert_eq!(
        cells(
            &[("BIGINT", "a")],
            &format,
            b"\xef\xbb\xbf\xef\xbb\xbf{\"a\":1}"
        ),
        Err("invalid_json")
    );
}

#[test]
fn what_is_no_text_is_rejected_replaced_or_spelled_in_base64() {
    let format = |invalid_text| MessageFormat {
        invalid_text,
        ..MessageFormat::default()
    };
    let bad = b"{\"a\":\"\xff\"}";
    let (path, key) = (("STRING", "a"), ("STRING", "__key__"));
    let whole = [("STRING", "__value__"), key];
    let base64 = "eyJhIjoi/yJ9";
    let replaced = "{\"a\":\"\u{fffd}\"}";
    for (invalid_text, columns, expected) in [
        (InvalidText::Reject, &[path][..], Err("invalid_text")),
        (InvalidText::Reject, &whole, Err("invalid_text")),
        (InvalidText::Replace, &[path], some(&["\u{fffd}"])),
        (InvalidText::Replace, &whole, some(&[replaced, replaced])),
        (InvalidText::Base64, &[path], Err("invalid_text")),
        (InvalidText::Base64, &whole, some(&[base64, base64])),
    ] {
        assert_eq!(cells(columns, &format(invalid_text), bad), expected);
    }
    let gbk = MessageFormat {
        invalid_text: InvalidText::Base64,
        ..encoded("GBK")
    };
    assert_eq!(cells(&[path], &gbk, bad), Err("invalid_text"));
}

/// Nobody may read a number or a word into what bytes are in base64.
#[test]
fn base64_is_for_columns_of_text() {
    let format = MessageFormat {
        payload: PayloadType::Primitive(PrimitiveType::String),
        invalid_text: InvalidText::Base64,
        ..MessageFormat::default()
    };
    for (bytes, base64, column_type) in [
        (b"\xd7\x6d\xf8", "1234", "BIGINT"),
        (b"\xd7\x6d\xf8", "1234", "JSON"),
        (b"\xb6\xbb\x9e", "true", "BOOLEAN"),
    ] {
        for source in ["__key__", "__value__"] {
            assert_eq!(
                cells(&[("STRING", source)], &format, bytes),
                some(&[base64])
            );
            for columns in [
                &[(column_type, source)][..],
                &[(column_type, source), ("STRING", source)],
                &[("STRING", source), (column_type, source)],
            ] {
                let found = cells(columns, &format, bytes);
                assert_eq!(found, Err("invalid_text"), "{columns:?}");
            }
        }
    }
}

#[test]
fn a_payload_that_is_not_read_to_its_end_is_no_text_by_that() {
    let columns = [("STRING", "a"), ("STRING", "__value__")];
    let json = [("STRING", "a"), ("JSON", "__value__")];
    for (payload, text, is_json) in [
        (&b"{\"a\":\"x\",\"b\":\"\xff\"}"[..], false, false),
        (b"{\"a\":\"x\",\"b\":tru}", true, false),
        (b"{\"a\":\"x\",\"b\":true}", true, true),
    ] {
        let taken = |columns: &[_]| {
            let lenient = validated(projection(columns), Validation::Mapped);
            let mut decoder = Decoder::new(lenient);
            decoder.decode(&message(payload), &partition()).is_ok()
        };
        assert!(taken(&[("STRING", "a"), ("BINARY", "__value__")]));
        assert_eq!((taken(&columns), taken(&json)), (text, is_json));
        // Base64 of it would hide that it is no text.
        let format = MessageFormat {
            invalid_text: InvalidText::Base64,
            ..MessageFormat::default()
        };
        let lenient = validated(formatted_projection(&columns, &format), Validation::Mapped);
        let outcome = Decoder::new(lenient).decode(&message(payload), &partition());
        assert_eq!(outcome.is_ok(), text);
    }
}

#[test]
fn headers_have_their_own_encoding() {
    let format = MessageFormat {
        header_encoding: TextEncoding::from_label("GBK").unwrap(),
        ..MessageFormat::default()
    };
    let mut block = MessageBlock::default();
    let headers: [(&[u8], Option<&[u8]>); 3] = [
        (b"\xb3\xc7", Some(b"\xc9\xcf\xba\xa3")),
        (b"plain", Some(b"\xff")),
        (b"none", None),
    ];
    block.push(0, 0, None, None, headers.into_iter());
    let mut decoder = Decoder::new(formatted_projection(&[("JSON", "__headers__")], &format));
    decoder
        .decode(&block.get(0).unwrap(), &partition())
        .unwrap();
    assert_eq!(
        texts(&row(&decoder.flush(), 0)),
        [
            r#"[{"key":"城","value":"上海"},{"key":"plain","base64":"/w=="},{"key":"none","value":null}]"#
        ]
    );
}

#[test]
fn fields_of_delimited_text_are_mapped_by_position() {
    let columns = [
        ("BIGINT", "[0]"),
        ("STRING", "[2]"),
        ("JSON", "[1]"),
        ("ARRAY<BIGINT>", "[3]"),
        ("DATE", "[9]"),
        ("STRING", "__value__"),
    ];
    let record = "12,\"{\"\"a\"\": 1}\",\"x,\"\"y\"\"\",\"[1,2]\"";
    let format = delimited(",", Some('"'));
    let mut expected = some(&["12", "x,\"y\"", "{\"a\": 1}", "[1, 2]", "", record]).unwrap();
    expected[4] = None;
    assert_eq!(cells(&columns, &format, record.as_bytes()), Ok(expected));
    let marked = "\u{feff}\"a,b\",1";
    let columns = [("STRING", "[0]"), ("BIGINT", "[1]")];
    assert_eq!(
        cells(&columns, &format, marked.as_bytes()),
        some(&["a,b", "1"])
    );
    let tabs = delimited("\t", None);
    let columns = [("STRING", "[0]"), ("DOUBLE", "[1]")];
    assert_eq!(cells(&columns, &tabs, b"\"a\t1.5"), some(&["\"a", "1.5"]));
    let gbk = MessageFormat {
        payload_encoding: TextEncoding::from_label("GBK").unwrap(),
        ..tabs
    };
    let expected = some(&["上", "1.5"]);
    assert_eq!(cells(&columns, &gbk, b"\xc9\xcf\t1.5"), expected);
}

#[test]
fn records_that_are_none_are_rejected() {
    let mut decoder = Decoder::new(formatted_projection(
        &[("STRING", "[0]")],
        &delimited(",", Some('"')),
    ));
    for (record, text) in [
        (
            &b"a,\"b"[..],
            "payload: expected one record of delimited text, found a quote at position 2 that is not closed",
        ),
        (
            b"a\nb",
            "payload: expected one record of delimited text, found a second record at position 1",
        ),
        (
            b"a,\xff",
            "payload: expected UTF-8 text, found 3 bytes, which from position 2 on are not UTF-8",
        ),
    ] {
        let rejection = decoder.decode(&message(record), &partition()).unwrap_err();
        assert_eq!(rejection.to_string(), text);
    }
    decoder.decode(&message(b"c"), &partition()).unwrap();
    assert_eq!(texts(&row(&decoder.flush(), 0)), ["c"]);
}

#[test]
fn compressed_payloads_are_unpacked_first() {
    let json = "{\"a\":\"x\"}";
    let mut gzip = GzEncoder::new(Vec::new(), flate2::Compression::default());
    gzip.write_all(json.as_bytes()).unwrap();
    let columns = [
        ("STRING", "a"),
        ("STRING", "__value__"),
        ("BINARY", "__value__"),
    ];
    for (payload_compression, packed) in [
        (PayloadCompression::Gzip, gzip.finish().unwrap()),
        (
            PayloadCompression::Zstd,
            zstd::encode_all(json.as_bytes(), 1).unwrap(),
        ),
    ] {
        let format = MessageFormat {
            payload_compression,
            ..MessageFormat::default()
        };
        // A source goes into one column only, which is the job's business.
        let expected = some(&["x", json, "7b2261223a2278227d"]);
        assert_eq!(cells(&columns, &format, &packed), expected);
        assert_eq!(
            cells(&columns, &format, json.as_bytes()),
            Err("invalid_compression")
        );
    }
}

#[test]
fn empty_strings_are_null_by_choice() {
    let columns = [
        ("STRING", "a"),
        ("BIGINT", "b"),
        ("STRING", "c"),
        ("STRING", "__key__"),
        ("STRING", "''"),
        ("JSON", "a"),
        ("BINARY", "__key__"),
    ];
    let json = br#"{"a":"","b":"","c":[""]}"#;
    let message = Message {
        key: Some(b""),
        ..message(json)
    };
    let format = MessageFormat::default();
    let mut decoder = Decoder::new(projection_of(&columns, &format, true));
    decoder.decode(&message, &partition()).unwrap();
    assert_eq!(
        row(&decoder.flush(), 0),
        [
            None,
            None,
            Some("[\"\"]".to_owned()),
            None,
            Some(String::new()),
            None,
            None
        ]
    );
    let mut decoder = Decoder::new(projection_of(&columns, &format, false));
    let rejection = decoder.decode(&message, &partition()).unwrap_err();
    assert_eq!(rejection.path(), Some("b"));
}
