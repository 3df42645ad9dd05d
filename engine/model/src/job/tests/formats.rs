//! How keys, payloads, headers and values are read.

use super::*;
use crate::{Delimiters, InvalidText, PayloadCompression, Rounding, TextEncoding};

/// The format of a job with `keys` in `source.kafka`.
fn format(keys: &str) -> MessageFormat {
    let job = inline_job(&[
        ("topic: t", &format!("topic: t, {keys}")),
        ("c: a", "c: __value__"),
    ]);
    check(&job).unwrap().job.source.format
}

/// The findings of a job with `keys` in `source.kafka`.
fn faults(keys: &str) -> String {
    findings(&[
        ("topic: t", &format!("topic: t, {keys}")),
        ("c: a", "c: __value__"),
    ])
}

#[test]
fn all_types_of_keys_and_values() {
    for (name, primitive) in PrimitiveType::NAMES {
        let format = format(&format!("key: {name}, value: {name}"));
        assert_eq!(format.key, primitive);
        assert_eq!(format.payload, PayloadType::Primitive(primitive));
    }
    let delimited = |separator: &str, quote| {
        PayloadType::Delimited(Delimiters {
            separator: separator.to_owned(),
            quote,
        })
    };
    for (value, payload) in [
        ("json", PayloadType::Json),
        ("delimited", delimited(",", Some('"'))),
        (r#"{ delimited: "\t" }"#, delimited("\t", Some('"'))),
        (
            r#"{ delimited: "\x01", quote: none }"#,
            delimited("\u{1}", None),
        ),
        (
            r#"{ delimited: "||", quote: "'" }"#,
            delimited("||", Some('\'')),
        ),
        (r#"{ delimited: '","' }"#, delimited("\",\"", None)),
    ] {
        assert_eq!(
            format(&format!("value: {value}")).payload,
            payload,
            "{value}"
        );
    }
}

#[test]
fn types_of_values_may_come_from_parameters() {
    let job = inline_job(&[
        ("topic: t", "topic: t, value: \"${kind}\""),
        (
            "columns: { c: a }",
            "columns: { c: \"[0]\" }\nparameters: { kind: delimited }",
        ),
    ]);
    let payload = check(&job).unwrap().job.source.format.payload;
    assert_eq!(payload, PayloadType::Delimited(Delimiters::default()));
}

#[test]
fn encodings_are_for_all_text_or_for_parts() {
    let encoding = |label| TextEncoding::from_label(label).unwrap();
    let all = |format: MessageFormat| {
        [
            format.key_encoding,
            format.payload_encoding,
            format.header_encoding,
        ]
    };
    let (utf8, gbk, latin1) = (encoding("UTF-8"), encoding("GBK"), encoding("latin1"));
    assert_eq!(all(format("encoding: gbk")), [gbk; 3]);
    let parts = format("encoding: { value: GBK, headers: iso-8859-1 }");
    assert_eq!(all(parts), [utf8, gbk, latin1]);
}

#[test]
fn the_other_settings_of_bytes() {
    let format = format("invalid_text: replace, value_compression: zstd");
    assert_eq!(format.invalid_text, InvalidText::Replace);
    assert_eq!(format.payload_compression, PayloadCompression::Zstd);
    let job = inline_job(&[(
        "columns: { c: a }",
        "columns: { c: a }\nempty_as_null: true\nvalidation: mapped\nverify: count",
    )]);
    let job = check(&job).unwrap().job;
    assert!(job.empty_as_null);
    assert_eq!(job.validation, Validation::Mapped);
    assert_eq!(job.verify, Verify::Count);
}

#[test]
fn validation_is_of_the_fields_of_json() {
    let of = |kafka: &str, columns: &str| {
        findings(&[
            ("topic: t", &format!("topic: t{kafka}")),
            (
                "columns: { c: a }",
                &format!("columns: {{ {columns} }}\nvalidation: mapped"),
            ),
        ])
    };
    assert_eq!(of("", "c: a"), "");
    let warning = "job.yaml:7:13: warning: validation: has no effect, for no field of a JSON value is mapped; take it out";
    assert_eq!(of("", "c: __value__").trim(), warning);
    assert_eq!(of(", value: delimited", "c: \"[0]\"").trim(), warning);
}

#[test]
fn encodings_are_of_text() {
    let of = |kafka: &str| findings(&[("topic: t", &format!("topic: t, {kafka}"))]);
    assert_eq!(of("key: bytes, encoding: { key: GBK, value: GBK }"), "");
    assert_eq!(of("key: long, encoding: GBK"), "");
    let warnings = of("key: long, encoding: { key: GBK, value: GBK }");
    let warning =
        "source.kafka.encoding.key: has no effect, for `source.kafka.key` is a number; take it out";
    assert!(warnings.contains(warning), "{warnings}");
    assert_eq!(warnings.lines().count(), 1, "{warnings}");
}

#[test]
fn what_is_no_format_of_messages_is_found() {
    insta::assert_snapshot!(faults("value: { delimited: \"\", quote: \"ab\", header: true }"), @r#"
        job.yaml:3:71: error: source.kafka.value.delimited: "" is no separator; write 1 to 8 bytes, such as `"\t"` or `"\x01"`
        job.yaml:3:82: error: source.kafka.value.quote: "ab" is no quote; write one character that is not in the separator, or `none`
        job.yaml:3:88: error: source.kafka.value.header: is no key that is known here; known keys: `delimited`, `quote`
        "#);
    insta::assert_snapshot!(faults("value: { quote: none }"), @r#"job.yaml:3:58: error: source.kafka.value.delimited: is missing; write what stands between two fields: `delimited: "\t"`"#);
    insta::assert_snapshot!(faults("value: { delimited: \"a'\", quote: \"'\" }"), @r#"job.yaml:3:84: error: source.kafka.value.quote: "'" is no quote; write one character that is not in the separator, or `none`"#);
    insta::assert_snapshot!(faults("encoding: { value: klingon, key: UTF-32 }, value_compression: gz, invalid_text: drop"), @r#"
        job.yaml:3:70: error: source.kafka.encoding.value: "klingon" is no known encoding; known are those of the WHATWG's list, such as UTF-8, GBK, GB18030, Big5, UTF-16LE, UTF-16BE, windows-1252, Shift_JIS, EUC-KR
        job.yaml:3:84: error: source.kafka.encoding.key: "UTF-32" is no known encoding; known are those of the WHATWG's list, such as UTF-8, GBK, GB18030, Big5, UTF-16LE, UTF-16BE, windows-1252, Shift_JIS, EUC-KR
        job.yaml:3:113: error: source.kafka.value_compression: "gz" is not among the values that this version knows: `none`, `gzip` or `zstd`
        job.yaml:3:131: error: source.kafka.invalid_text: "drop" is not among the values that this version knows: `reject`, `replace` or `base64`
        "#);
}

#[test]
fn formats_and_rounding_of_columns() {
    let column = |column: &str| {
        let job = inline_job(&[("{ c: a }", &format!("{{ c: {column} }}"))]);
        let mut columns = check(&job).unwrap().job.columns;
        columns
            .pop()
            .map(|mapping| (mapping.format, mapping.rounding))
    };
    let epoch = |unit| Some(ValueFormat::Epoch(unit));
    for (text, expected) in [
        ("{ from: a, format: epoch_s }", (epoch(TimeUnit::S), None)),
        ("{ from: a, format: epoch_us }", (epoch(TimeUnit::Us), None)),
        ("{ from: a, format: epoch_ns }", (epoch(TimeUnit::Ns), None)),
        (
            "{ from: __key__, format: epoch_ms, round: down }",
            (epoch(TimeUnit::Ms), Some(Rounding::Down)),
        ),
        (
            "{ from: __value__, format: base64 }",
            (Some(ValueFormat::Base64), None),
        ),
        (
            "{ from: a, format: \"%Y%m%d\" }",
            (Some(ValueFormat::Pattern("%Y%m%d".to_owned())), None),
        ),
        (
            "{ from: a, round: half_up }",
            (None, Some(Rounding::HalfUp)),
        ),
    ] {
        assert_eq!(column(text), Some(expected), "{text}");
    }
    let faults = |column: &str| findings(&[("{ c: a }", &format!("{{ c: {column} }}"))]);
    insta::assert_snapshot!(faults("{ from: a, format: epoch_m, round: up }"), @r#"
        job.yaml:6:34: error: columns.c.format: "epoch_m" is no format; write `epoch_s`, `epoch_ms`, `epoch_us`, `epoch_ns` or `base64`; did you mean `epoch_ms`?
        job.yaml:6:50: error: columns.c.round: "up" is not among the values that this version knows: `half_up` or `down`
        "#);
    insta::assert_snapshot!(faults("{ from: a, format: \"%H:%M\" }"), @r#"job.yaml:6:34: error: columns.c.format: "%H:%M" does not read a date, or not all of one: date required to parse datetime: year required to parse date; write it as for `strptime`, such as `%Y%m%d%H%M%S`"#);
    insta::assert_snapshot!(faults("{ from: a, format: \"%Y%m%J\" }"), @r#"job.yaml:6:34: error: columns.c.format: "%Y%m%J" does not read a date, or not all of one: strftime formatting failed: found unrecognized specifier directive `J`; write it as for `strptime`, such as `%Y%m%d%H%M%S`"#);
    for (pattern, why) in [
        ("%Y-%m-%d %H:%m", "`%m` is in it twice"),
        ("%Y-%m-%d %H:%S", "minute"),
        ("%s", "`%s` is not read"),
        ("%F %T %Q", "`%Q` is not read"),
    ] {
        let found = faults(&format!("{{ from: a, format: \"{pattern}\" }}"));
        assert!(found.contains(why), "{pattern}: {found}");
    }
    for pattern in [
        "%d%%%m%%%Y",
        "%Y-%m-%d %H:%M:%S%.3f",
        "%F %T %z",
        "%a %b %d %T %:z %Y",
    ] {
        let found = faults(&format!("{{ from: a, format: \"{pattern}\" }}"));
        assert_eq!(found, "", "{pattern}");
    }
    insta::assert_snapshot!(faults("{ from: a, format: yyyyMMdd }"), @r#"job.yaml:6:34: error: columns.c.format: "yyyyMMdd" is no format; write `epoch_s`, `epoch_ms`, `epoch_us`, `epoch_ns` or `base64`; other dates are read by patterns such as `%d/%m/%Y %H:%M:%S`"#);
    insta::assert_snapshot!(faults("{ value: x, format: epoch_s, round: down }"), @"
        job.yaml:6:35: error: columns.c.format: goes with `from`, and this column is a constant; take it out
        job.yaml:6:51: error: columns.c.round: goes with `from`, and this column is a constant; take it out
        ");
    insta::assert_snapshot!(faults("{ from: __topic__, format: base64 }"), @"job.yaml:6:42: error: columns.c.format: is for keys, payloads and their fields, and `__topic__` is none; take it out");
}

#[test]
fn fields_of_delimited_text_have_positions() {
    let delimited = ("topic: t", "topic: t, value: delimited");
    let good = inline_job(&[delimited, ("c: a", "c: \"[0]\", d: \"[12]\"")]);
    assert_eq!(check(&good).unwrap().job.columns.len(), 2);
    insta::assert_snapshot!(findings(&[delimited, ("c: a", "c: a, d: \"[0][1]\"")]), @r#"
        job.yaml:6:15: error: columns.c: "a" is no field of delimited text, whose fields have only positions; write `[0]` for the first one
        job.yaml:6:21: error: columns.d: "[0][1]" is no field of delimited text, whose fields have only positions; write `[0]` for the first one
        "#);
    let whole = ("topic: t", "topic: t, value: string");
    insta::assert_snapshot!(findings(&[whole]), @r#"job.yaml:6:15: error: columns.c: "a" is a field of a JSON payload, and `source.kafka.value` is not `json`; change that, or map `__value__`"#);
}
