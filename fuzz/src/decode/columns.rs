//! The columns that payloads are decoded into, of every type, from paths whose keys a fuzzer finds quickly.

use std::sync::Arc;

use engine_decode::{Decoder, Projection, ProjectionSpec};
use engine_model::TimeUnit::{self, Ms, Ns, S, Us};
use engine_model::job::Validation;
use engine_model::{
    Column, ColumnMapping, ColumnSource, ColumnType, FieldPath, MessageFormat, TableColumns,
    ValueFormat,
};

use crate::model::ZONE;

/// Types, paths, and what numbers count. A set of them is a number of 64 bits.
const COLUMNS: [(&str, &str, Option<TimeUnit>); 60] = [
    ("STRING", "a", None),
    ("STRING", "b.c", None),
    ("STRING", "c[1]", None),
    ("STRING", "a[0].b", None),
    ("STRING", "['a.b']", None),
    ("STRING", "$", None),
    ("STRING", "[0]", None),
    ("STRING", "[1].a", None),
    ("STRING NOT NULL", "n", None),
    ("VARCHAR(5)", "a", None),
    ("CHAR(3)", "b.c", None),
    ("BINARY", "a", None),
    ("BINARY", "b.c", None),
    ("JSON", "a", None),
    ("JSON", "$", None),
    ("JSON", "c[1]", None),
    ("JSON", "['a.b']['it\\'s']", None),
    ("TINYINT", "a", None),
    ("SMALLINT", "a", None),
    ("INT", "a", None),
    ("BIGINT", "a", None),
    ("BIGINT", "b.c", None),
    ("BIGINT", "[0]", None),
    ("FLOAT", "a", None),
    ("FLOAT", "b.c", None),
    ("DOUBLE", "a", None),
    ("DOUBLE", "b.c", None),
    ("DECIMAL(38,18)", "a", None),
    ("DECIMAL(38,0)", "a", None),
    ("DECIMAL(10,2)", "b.c", None),
    ("BOOLEAN", "a", None),
    ("BOOLEAN", "b.c", None),
    ("DATE", "d", None),
    ("DATE", "a", None),
    ("DATETIME", "d", None),
    ("DATETIME", "d", Some(Ms)),
    ("DATETIME", "a", Some(S)),
    ("TIMESTAMP", "d", None),
    ("TIMESTAMP", "d", Some(S)),
    ("TIMESTAMP", "a", Some(Ms)),
    ("TIMESTAMP", "a", Some(Us)),
    ("DATE", "a", Some(Ns)),
    ("TIMESTAMP_NTZ", "d", None),
    ("TIMESTAMP_NTZ", "d", Some(Ms)),
    ("TIMESTAMP_NTZ", "a", Some(S)),
    ("ARRAY<STRING>", "e", None),
    ("ARRAY<BIGINT> NOT NULL", "n", None),
    ("ARRAY<JSON>", "$", None),
    ("ARRAY<DOUBLE>", "c", None),
    ("ARRAY<ARRAY<DECIMAL(10,2)>>", "e", None),
    ("ARRAY<STRUCT<a:BINARY,b:ARRAY<STRING>,C:INT>>", "e", None),
    ("MAP<STRING,STRING>", "$", None),
    ("MAP<STRING,JSON>", "m", None),
    ("MAP<BIGINT,BOOLEAN>", "m", None),
    ("MAP<DATE,ARRAY<FLOAT>>", "m", None),
    ("MAP<STRING,MAP<STRING,TINYINT>>", "m", None),
    ("STRUCT<a:STRING,b:STRUCT<c:BIGINT>>", "$", None),
    ("STRUCT<a:DATETIME,b:MAP<DOUBLE,TIMESTAMP_NTZ>>", "s", None),
    (
        "STRUCT<a:VARCHAR(5),b:SMALLINT,c:CHAR(2),d:DATE,e:TIMESTAMP>",
        "s",
        None,
    ),
    ("STRUCT<s:STRUCT<s:STRUCT<s:JSON>>>", "s", None),
];

const _: () = assert!(COLUMNS.len() <= 64);

/// One of the columns.
#[derive(Clone, Debug)]
pub(super) struct Mapped {
    pub(super) column: Column,
    pub(super) path: FieldPath,
    pub(super) unit: Option<TimeUnit>,
}

impl Mapped {
    /// All of them.
    pub(super) fn all() -> Vec<Self> {
        let columns = (0..).zip(&COLUMNS);
        let mapped = columns.map(|(number, (column_type, path, unit))| {
            let nullable = column_type.strip_suffix(" NOT NULL");
            let column_type = nullable.unwrap_or(column_type).parse();
            let column_type = column_type.expect("the types above are types");
            Self {
                column: Column {
                    nullable: nullable.is_none(),
                    ..Column::new(format!("c{number}"), column_type)
                },
                path: path.parse().expect("the paths above are paths"),
                unit: *unit,
            }
        });
        mapped.collect()
    }

    pub(super) fn column_type(&self) -> &ColumnType {
        &self.column.column_type
    }
}

/// A decoder into these columns.
pub(super) fn decoder<'a>(
    columns: impl Iterator<Item = &'a Mapped>,
    validation: Validation,
) -> Decoder {
    let mut table = TableColumns::default();
    let mut mappings = Vec::new();
    for mapped in columns {
        table.columns.push(mapped.column.clone());
        let source = ColumnSource::Path(mapped.path.clone());
        mappings.push(ColumnMapping {
            format: mapped.unit.map(ValueFormat::Epoch),
            ..ColumnMapping::new(&mapped.column.name, source)
        });
    }
    let format = MessageFormat::default();
    let compiled = Projection::compile(&ProjectionSpec {
        validation,
        ..ProjectionSpec::new(&mappings, &table, &format, &ZONE)
    });
    Decoder::new(Arc::new(compiled.expect("every path fits every type")))
}
