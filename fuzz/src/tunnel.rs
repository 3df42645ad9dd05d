//! What comes from MaxCompute, and how blocks go there.

use std::sync::Arc;

use arrow::array::RecordBatch;
use bytes::Bytes;
use engine_model::job::BlockFormat;
use engine_model::{Column, TableColumns};
use engine_tunnel::Missing;
use engine_tunnel::wire::{
    BodyEncoder, BodyForm, EncodeError, InstanceResult, InstanceStatus, SqlRows, TaskStatus,
    classify, frame as framing, parse_csv, parse_download, parse_error_body, parse_project,
    parse_session, parse_session_status, parse_table, read_body,
};

use crate::model::check_column_type;

/// Errors about answers show the beginning of what came; a megabyte of it would drown them.
const ERROR_CHARS_MAX: usize = 4_000;

/// Everything that reads an answer takes any answer.
pub fn answers(data: &[u8]) {
    if let Ok(session) = parse_session(data) {
        assert!(parse_session_status(data).is_ok(), "a session has a status");
        check_columns(&session.columns);
    }
    check_error(data, parse_session(data).err());
    check_error(data, parse_session_status(data).err());
    check_error(data, parse_download(data).err());

    let body = parse_error_body(data);
    for status in [200, 308, 400, 403, 404, 500] {
        let _kind = classify(status, body.code.as_deref(), Missing::Table);
    }
    let Ok(text) = str::from_utf8(data) else {
        return;
    };
    if let Ok(table) = parse_table(text) {
        check_columns(&table);
    }
    check_error(data, parse_table(text).err());
    check_error(data, parse_project(text).err());
    check_error(data, InstanceStatus::parse(text).err());
    check_error(data, TaskStatus::parse(text).err());
    check_error(data, InstanceResult::parse(text).err());
    if let Ok(result) = InstanceResult::parse(text) {
        csv(result.text.as_bytes());
    }
}

fn check_columns(table: &TableColumns) {
    for column in table.columns.iter().chain(&table.partition_keys) {
        check_column_type(&column.column_type);
    }
}

/// Names in an answer may be long, so only what quotes a long answer is held to be shorter than it.
fn check_error(data: &[u8], error: Option<impl std::fmt::Display>) {
    let Some(error) = error.map(|error| error.to_string()) else {
        return;
    };
    assert!(!error.is_empty());
    assert!(error.len() <= ERROR_CHARS_MAX + 4 * data.len(), "{error}");
}

/// Rows that are read, written with quotes, are read as the same rows.
pub fn csv(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else {
        return;
    };
    match parse_csv(text) {
        Ok(rows) => assert_eq!(parse_csv(&written(&rows)), Ok(rows)),
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}

fn written(rows: &SqlRows) -> String {
    let quoted = |cell: &str| format!("\"{}\"", cell.replace('"', "\"\""));
    let header: Vec<_> = rows.header.iter().map(|name| quoted(name)).collect();
    let mut lines = Vec::new();
    if !header.is_empty() {
        lines.push(header.join(","));
    }
    for row in &rows.rows {
        let cell = |cell: &Option<String>| cell.as_deref().map_or("\\N".to_owned(), quoted);
        lines.push(row.iter().map(cell).collect::<Vec<_>>().join(","));
    }
    // The end of the last line tells a row with one empty cell from no row.
    lines.push(String::new());
    lines.join("\n")
}

/// As a body: what decodes is framed to the same body again. As data, behind two bytes that say how it is cut: what is
/// framed decodes, and not once a bit of it has changed.
pub fn frame(data: &[u8]) {
    check_body(data);
    let [chunk, damaged, data @ ..] = data else {
        return;
    };
    let chunk_bytes = usize::from(*chunk) + 1;
    let body = framed(data, chunk_bytes);
    assert_eq!(framing::decode(&body).as_deref(), Ok(data));
    let mut broken = body;
    // The chunk size in front is protected only by what follows from it.
    let position = 4 + usize::from(*damaged) % (broken.len() - 4).max(1);
    if let Some(byte) = broken.get_mut(position) {
        *byte ^= 1;
        assert!(framing::decode(&broken).is_err());
    }
}

fn check_body(body: &[u8]) {
    match framing::decode(body) {
        Ok(data) => {
            let chunk_bytes = body
                .first_chunk::<4>()
                .map(|head| u32::from_be_bytes(*head));
            if let (false, Some(chunk_bytes)) = (data.is_empty(), chunk_bytes) {
                // A chunk size that no chunk reaches is a matter of the first four bytes only.
                let bytes = usize::try_from(chunk_bytes)
                    .unwrap_or(usize::MAX)
                    .min(1 << 20);
                let again = framed(&data, bytes);
                assert_eq!(again.get(4..), body.get(4..));
            }
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}

fn framed(data: &[u8], chunk_bytes: usize) -> Vec<u8> {
    let mut framer = framing::Framer::new(chunk_bytes, 2);
    let mut body = Vec::new();
    let mut rest = data;
    while let Some(piece) = framer.push(&mut rest) {
        body.extend_from_slice(&piece);
    }
    body.extend_from_slice(&framer.finish());
    body
}

/// The columns of [`records`] and [`messages`]: every type, nested ones within each other.
const COLUMNS: [&str; 20] = [
    "tinyint",
    "smallint",
    "int",
    "bigint",
    "float",
    "double",
    "string",
    "binary",
    "varchar(20)",
    "char(4)",
    "boolean",
    "decimal(38,18)",
    "datetime",
    "date",
    "timestamp",
    "timestamp_ntz",
    "json",
    "array<bigint>",
    "map<string,bigint>",
    "struct<a:bigint,b:string>",
];

/// The columns of a form. JSON travels as STRING does in Arrow form, where PyODPS doesn't know it.
fn columns(format: BlockFormat) -> Arc<[Column]> {
    let types = COLUMNS
        .into_iter()
        .filter(|text| format == BlockFormat::Record || *text != "json");
    types
        .map(|text| Column::new(text, text.parse().expect("the type of a column")))
        .collect()
}

/// A body in record form: what is read is written and read again as the same.
pub fn records(data: &[u8]) {
    let form = BodyForm {
        format: BlockFormat::Record,
        ..BodyForm::default()
    };
    check_rows(form, data);
}

/// The data of a body in Arrow form: what is read is written and read again as the same.
pub fn messages(data: &[u8]) {
    check_rows(BodyForm::default(), &framed(data, framing::CHUNK_BYTES));
}

fn check_rows(form: BodyForm, body: &[u8]) {
    let columns = columns(form.format);
    let read = |body: &[u8]| {
        read_body(form, Arc::clone(&columns), Bytes::copy_from_slice(body))?
            .collect::<Result<Vec<_>, _>>()
    };
    let batches = match read(body) {
        Ok(batches) => batches,
        Err(error) => return check_error(body, Some(error)),
    };
    let mut again = Vec::new();
    let take = |piece: Bytes| {
        again.extend_from_slice(&piece);
        Ok(())
    };
    let mut encoder = BodyEncoder::new(form, Arc::clone(&columns), usize::MAX, take)
        .expect("there is no compressor");
    for batch in &batches {
        match encoder.write(batch) {
            Ok(()) => {}
            // Such as -2^63, which is read and not written.
            Err(EncodeError::Rows(error)) => return check_error(body, Some(error)),
            Err(EncodeError::Io(error)) => unreachable!("{error}"),
        }
    }
    encoder.finish().expect("a vector takes all");
    let texts = |batches: &[RecordBatch]| -> Vec<String> {
        let rows = batches.iter().filter(|batch| batch.num_rows() > 0);
        // As text, in which NaN is like itself.
        rows.map(|batch| format!("{batch:?}")).collect()
    };
    let again = read(&again).expect("what was written is read");
    assert_eq!(texts(&again), texts(&batches));
}
