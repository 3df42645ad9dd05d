use engine_model::Delimiters;

use super::*;
use crate::fixture::{column, mapping};
use ProjectionErrorKind::{
    BadConstant, MappedTwice, NotNullUnmapped, UnfitPath, UnfitSource, UnknownColumn,
    UnsupportedType,
};

fn table(columns: &[(&str, &str)]) -> TableColumns {
    TableColumns {
        columns: columns
            .iter()
            .map(|(name, column_type)| column(name, column_type))
            .collect(),
        partition_keys: vec![column("ds", "STRING")],
    }
}

fn compile(
    mappings: &[ColumnMapping],
    table: &TableColumns,
    key: PrimitiveType,
    payload: PayloadType,
) -> Result<Projection, Vec<ProjectionError>> {
    let format = MessageFormat {
        key,
        payload,
        ..MessageFormat::default()
    };
    Projection::compile(&ProjectionSpec::new(
        mappings,
        table,
        &format,
        &TimeZone::UTC,
    ))
}

/// The faults of one column of `column_type` that gets `source`.
fn faults(column_type: &str, source: &str, key: PrimitiveType) -> Vec<ProjectionErrorKind> {
    let table = table(&[("c", column_type)]);
    let compiled = compile(&[mapping("c", source)], &table, key, PayloadType::Json);
    let errors = compiled.err().unwrap_or_default();
    errors.iter().map(ProjectionError::kind).collect()
}

#[test]
fn the_schema_has_every_column_in_table_order() {
    let table = table(&[
        ("A", "BIGINT NOT NULL"),
        ("b", "ARRAY<STRING>"),
        ("c", "DATETIME"),
        ("d", "TIMESTAMP"),
        ("e", "DECIMAL(10,2)"),
    ]);
    let mappings = [mapping("C", "x"), mapping("a", "y")];
    let projection = compile(&mappings, &table, PrimitiveType::String, PayloadType::Json).unwrap();
    let schema = projection.schema();
    let fields: Vec<String> = schema
        .fields()
        .iter()
        .map(|field| {
            format!(
                "{} {} {}",
                field.name(),
                field.data_type(),
                field.is_nullable()
            )
        })
        .collect();
    assert_eq!(
        fields,
        [
            "A Int64 true",
            "b List(Utf8) true",
            "c Timestamp(ms) true",
            "d Timestamp(ns) true",
            "e Decimal128(10, 2) true"
        ]
    );
    assert!(projection.parses_payloads());
}

#[test]
fn every_fault_is_reported_at_once() {
    let table = table(&[
        ("id", "BIGINT NOT NULL"),
        ("tags", "MAP<ARRAY<STRING>,STRING>"),
        ("flag", "BOOLEAN"),
        ("at", "DATETIME"),
    ]);
    let mappings = [
        mapping("nope", "a"),
        mapping("ds", "a"),
        mapping("tags", "tags"),
        mapping("flag", "'maybe'"),
        mapping("FLAG", "flag"),
        mapping("at", "__offset__"),
    ];
    let errors = compile(&mappings, &table, PrimitiveType::String, PayloadType::Json).unwrap_err();
    let texts: Vec<String> = errors.iter().map(ToString::to_string).collect();
    insta::assert_snapshot!(texts.join("\n"), @r#"
    column "nope": the table has no such column
    column "ds": it is a partition key; its value comes from the target table partition, not from messages
    column "FLAG": it is mapped twice; keep one of the two
    column "id": it is NOT NULL and nothing is mapped to it; map a field or a constant
    column "tags": values of type MAP<ARRAY<STRING>,STRING> can't be loaded; a column of type STRING or JSON takes any value as it is
    column "at": __offset__ goes into columns of type BIGINT, INT, SMALLINT, TINYINT, STRING, VARCHAR or CHAR, not DATETIME
    "#);
    let kinds: Vec<_> = errors.iter().map(ProjectionError::kind).collect();
    assert_eq!(
        kinds,
        [
            UnknownColumn,
            UnknownColumn,
            MappedTwice,
            NotNullUnmapped,
            UnsupportedType,
            UnfitSource
        ]
    );
    assert_eq!(errors[0].column(), "nope");
}

#[test]
fn constants_are_converted_when_compiled() {
    for (column_type, constant) in [
        ("STRING", "'web'"),
        ("STRING NOT NULL", "''"),
        ("BIGINT", "'12'"),
        ("DOUBLE", "'NaN'"),
        ("BOOLEAN", "'TRUE'"),
        ("DECIMAL(3,1)", "'12.5'"),
        ("DATETIME", "'2026-11-22 10:00:00'"),
        ("TIMESTAMP", "'2026-11-22'"),
    ] {
        assert_eq!(
            faults(column_type, constant, PrimitiveType::String),
            [],
            "{column_type}"
        );
    }
    for (column_type, constant) in [
        ("BIGINT", "'1.5'"),
        ("BIGINT", "''"),
        ("DECIMAL(3,1)", "'123.5'"),
        ("DATETIME", "'1795341600'"),
    ] {
        assert_eq!(
            faults(column_type, constant, PrimitiveType::String),
            [BadConstant]
        );
    }
    let table = table(&[("c", "DECIMAL(3,1)")]);
    let mappings = [mapping("c", "'0.25'")];
    let errors = compile(&mappings, &table, PrimitiveType::String, PayloadType::Json).unwrap_err();
    assert_eq!(
        errors[0].to_string(),
        "column \"c\": the constant \"0.25\" is no DECIMAL(3,1): needs_rounding"
    );
}

#[test]
fn sources_fit_their_types() {
    use PrimitiveType::{Bytes, Double, Float, Integer, Long, Short, String};
    for (source, column_type, key, fits) in [
        ("__value__", "STRING", String, true),
        ("__value__", "BIGINT", String, false),
        ("__headers__", "STRING", String, true),
        ("__headers__", "BOOLEAN", String, false),
        ("__partition__", "BIGINT", String, true),
        ("__partition__", "STRING", String, true),
        ("__partition__", "DOUBLE", String, false),
        ("__offset__", "DECIMAL(10,0)", String, false),
        ("__timestamp__", "BIGINT", String, true),
        ("__timestamp__", "STRING", String, true),
        ("__timestamp__", "DATETIME", String, true),
        ("__timestamp__", "TIMESTAMP", String, true),
        ("__timestamp__", "BOOLEAN", String, false),
        ("__key__", "STRING", String, true),
        ("__key__", "BIGINT", Bytes, true),
        ("__key__", "STRING", Double, true),
        ("__key__", "BIGINT", Long, true),
        ("__key__", "DECIMAL(20,0)", Short, true),
        ("__key__", "DOUBLE", Long, false),
        ("__key__", "DOUBLE", Integer, true),
        ("__key__", "DOUBLE", Float, true),
        ("__key__", "BIGINT", Double, false),
        ("__key__", "DATETIME", Long, false),
        ("__key__", "BOOLEAN", Integer, false),
        ("__value__", "JSON", String, true),
        ("__value__", "BINARY", String, true),
        ("__value__", "VARCHAR(9)", String, true),
        ("__headers__", "JSON", String, true),
        ("__headers__", "BINARY", String, false),
        ("__partition__", "INT", String, true),
        ("__offset__", "TINYINT", String, true),
        ("__timestamp__", "TIMESTAMP_NTZ", String, true),
        ("__timestamp__", "DATE", String, true),
        ("__timestamp__", "INT", String, false),
        ("__topic__", "STRING", String, true),
        ("__topic__", "BIGINT", String, false),
        ("__key__", "INT", Integer, true),
        ("__key__", "INT", Long, false),
        ("__key__", "SMALLINT", Short, true),
        ("__key__", "FLOAT", Float, true),
        ("__key__", "FLOAT", Double, false),
        ("__key__", "DATE", String, true),
    ] {
        let expected: &[ProjectionErrorKind] = if fits { &[] } else { &[UnfitSource] };
        assert_eq!(
            faults(column_type, source, key),
            expected,
            "{source} {column_type} {key:?}"
        );
    }
}

#[test]
fn paths_lead_into_json_and_positions_into_delimited_text() {
    let table = table(&[("c", "STRING")]);
    let kind = |path: &str, payload: &PayloadType| {
        let mappings = [mapping("c", path)];
        let compiled = compile(&mappings, &table, PrimitiveType::String, payload.clone());
        compiled.err().map(|errors| errors[0].kind())
    };
    for primitive in [PrimitiveType::String, PrimitiveType::Bytes] {
        let payload = PayloadType::Primitive(primitive);
        assert_eq!(kind("a.b", &payload), Some(UnfitPath));
        let whole = [mapping("c", "__value__")];
        let projection = compile(&whole, &table, PrimitiveType::String, payload).unwrap();
        assert!(!projection.parses_payloads());
    }
    let delimited = PayloadType::Delimited(Delimiters::default());
    for (path, expected) in [
        ("[0]", None),
        ("a", Some(UnfitPath)),
        ("[0][1]", Some(UnfitPath)),
        ("$", Some(UnfitPath)),
    ] {
        assert_eq!(kind(path, &delimited), expected, "{path}");
    }
}

/// What is wrong with a column of `column_type` that gets `source` with these settings.
fn settings_fault(
    column_type: &str,
    source: &str,
    format: Option<ValueFormat>,
    rounding: Option<Rounding>,
) -> Option<String> {
    let mapping = ColumnMapping {
        format,
        rounding,
        ..mapping("c", source)
    };
    let table = table(&[("c", column_type)]);
    let compiled = compile(&[mapping], &table, PrimitiveType::Long, PayloadType::Json);
    compiled.err().map(|errors| errors[0].to_string())
}

#[test]
fn formats_and_rounding_fit_some_types() {
    let epoch = |unit| Some(ValueFormat::Epoch(unit));
    let (s, ms) = (epoch(TimeUnit::S), epoch(TimeUnit::Ms));
    let pattern = Some(ValueFormat::Pattern("%Y%m%d".to_owned()));
    let base64 = Some(ValueFormat::Base64);
    let (half_up, down) = (Some(Rounding::HalfUp), Some(Rounding::Down));
    for (column_type, source, format, rounding) in [
        ("DATETIME", "at", &s, None),
        ("DATE", "at", &ms, down),
        ("DATE", "at", &pattern, None),
        ("TIMESTAMP_NTZ", "at", &pattern, half_up),
        ("DATETIME", "__key__", &s, None),
        ("TIMESTAMP", "__timestamp__", &ms, None),
        ("BINARY", "at", &base64, None),
        ("STRING", "__value__", &base64, None),
        ("DECIMAL(5,2)", "at", &None, half_up),
        ("TINYINT", "at", &None, down),
    ] {
        assert_eq!(
            settings_fault(column_type, source, format.clone(), rounding),
            None,
            "{column_type}"
        );
    }
}

#[test]
fn formats_and_rounding_are_refused_for_others() {
    let s = Some(ValueFormat::Epoch(TimeUnit::S));
    let pattern = Some(ValueFormat::Pattern("%Y%m%d".to_owned()));
    let base64 = Some(ValueFormat::Base64);
    let half_up = Some(Rounding::HalfUp);
    for (column_type, source, format, rounding, message) in [
        (
            "BIGINT",
            "at",
            &s,
            None,
            "this format says how numbers become DATETIME, TIMESTAMP, TIMESTAMP_NTZ or DATE; leave it out for BIGINT",
        ),
        (
            "STRING",
            "at",
            &pattern,
            None,
            "a pattern says how texts become DATETIME, TIMESTAMP, TIMESTAMP_NTZ or DATE; leave it out for STRING",
        ),
        (
            "DATETIME",
            "__timestamp__",
            &s,
            None,
            "__timestamp__ is in ms since the epoch; leave the format out",
        ),
        (
            "STRING",
            "at",
            &base64,
            None,
            "base64 is read into BINARY, and made of __key__ and __value__ for STRING, VARCHAR and CHAR; leave it out \
             for STRING from at",
        ),
        (
            "DOUBLE",
            "at",
            &None,
            half_up,
            "nothing is rounded for DOUBLE, only for DECIMAL, the integers and times; leave `round` out",
        ),
        (
            "DATE",
            "at",
            &None,
            half_up,
            "a DATE is the day of an instant and never the next; write `round: down`",
        ),
    ] {
        assert_eq!(
            settings_fault(column_type, source, format.clone(), rounding),
            Some(format!("column \"c\": {message}"))
        );
    }
}

#[test]
fn decimals_beyond_their_limits_are_no_type() {
    for (precision, scale) in [(0, 0), (39, 0), (38, 19), (5, 6)] {
        let mut table = table(&[("c", "STRING")]);
        table.columns[0].column_type = ColumnType::Decimal { precision, scale };
        let mappings = [mapping("c", "a")];
        let errors =
            compile(&mappings, &table, PrimitiveType::String, PayloadType::Json).unwrap_err();
        assert_eq!(errors[0].kind(), UnsupportedType);
    }
}
