//! The recorded bodies.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use arrow::array::RecordBatch;
use bytes::Bytes;
use engine_model::job::{BlockFormat, Compression};
use engine_model::{Column, ColumnType};
use engine_tunnel::wire::{
    BODY_BYTES_MAX, BodyEncoder, BodyError, BodyForm, EncodeError, compression_of,
    content_encoding, decompress, read_body,
};
use serde_json::Value;

/// Bytes of a cell, as the service has it unless a session says more.
const CELL_BYTES_MAX: usize = 8 << 20;

pub(crate) struct Vector {
    pub(crate) name: String,
    head: Value,
    body: Vec<u8>,
}

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures")
}

fn head(name: &str) -> Value {
    let text = fs::read_to_string(folder().join(format!("{name}.json"))).unwrap();
    serde_json::from_str(&text).unwrap()
}

impl Vector {
    pub(crate) fn names() -> BTreeSet<String> {
        fs::read_dir(folder())
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.extension().is_some_and(|extension| extension == "bin"))
            .map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned())
            .collect()
    }

    pub(crate) fn read(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            head: head(name),
            body: fs::read(folder().join(format!("{name}.bin"))).unwrap(),
        }
    }

    pub(crate) fn kind(&self) -> &str {
        self.head["kind"].as_str().unwrap()
    }

    pub(crate) fn head(&self, key: &str) -> &Value {
        &self.head[key]
    }

    /// The rows, of Arrow bodies per batch. Some refer to a body with the same rows.
    pub(crate) fn rows(&self) -> Value {
        match self.head["rows"].as_str() {
            Some(text) => head(text.rsplit(' ').next().unwrap())["rows"].clone(),
            None => self.head["rows"].clone(),
        }
    }

    /// Names and types as they were given.
    pub(crate) fn types(&self) -> Vec<(&str, &str)> {
        let columns = self.head["columns"].as_array().unwrap().iter();
        columns
            .map(|column| {
                let text = |key: &str| column[key].as_str().unwrap();
                (text("name"), text("type"))
            })
            .collect()
    }

    /// The columns; nothing where a type isn't one of a column that we load.
    pub(crate) fn columns(&self) -> Option<Vec<Column>> {
        let columns = self.types().into_iter().map(|(name, text)| {
            let column_type: ColumnType = text.parse().ok()?;
            Some(Column::new(name, column_type))
        });
        columns.collect()
    }

    /// The form, as the request's head says it.
    pub(crate) fn form(&self) -> BodyForm {
        let format = match self.kind() {
            "record" => BlockFormat::Record,
            _ => BlockFormat::Arrow,
        };
        let encoding = self.head["content_encoding"].as_str();
        let compression = compression_of(encoding).unwrap();
        assert_eq!(
            content_encoding(format, compression),
            encoding,
            "{}",
            self.name
        );
        BodyForm {
            format,
            compression,
        }
    }

    /// The body as it was sent.
    pub(crate) fn body(&self) -> Bytes {
        self.body.clone().into()
    }

    /// The body without compression.
    pub(crate) fn plain(&self) -> Bytes {
        let plain = decompress(self.form().compression, self.body(), BODY_BYTES_MAX).unwrap();
        if let Some(length) = self.head["raw_length"].as_u64() {
            assert_eq!(plain.len() as u64, length, "{}", self.name);
        }
        plain
    }

    /// Our plain body of `batches`; compressed as the recorded one it decompresses to the same and reads to the same.
    pub(crate) fn encode(
        &self,
        columns: &[Column],
        batches: &[RecordBatch],
    ) -> Result<Bytes, EncodeError> {
        let form = self.form();
        let plain = BodyForm {
            compression: Compression::None,
            ..form
        };
        let ours = encode(plain, columns, batches)?;
        let compressed = encode(form, columns, batches)?;
        let back = decompress(form.compression, compressed.clone(), BODY_BYTES_MAX).unwrap();
        assert_eq!(back, ours, "{}", self.name);
        let read = decode(form, columns, compressed).unwrap();
        assert_eq!(concat(&read), concat(batches), "{}", self.name);
        Ok(ours)
    }
}

fn concat(batches: &[RecordBatch]) -> Option<RecordBatch> {
    let schema = batches.first()?.schema();
    Some(arrow::compute::concat_batches(&schema, batches).unwrap()).filter(|all| all.num_rows() > 0)
}

pub(crate) fn decode(
    form: BodyForm,
    columns: &[Column],
    body: Bytes,
) -> Result<Vec<RecordBatch>, BodyError> {
    read_body(form, Arc::from(columns), body)?.collect()
}

fn encode(
    form: BodyForm,
    columns: &[Column],
    batches: &[RecordBatch],
) -> Result<Bytes, EncodeError> {
    let mut body = Vec::new();
    let mut encoder = BodyEncoder::new(form, Arc::from(columns), CELL_BYTES_MAX, |piece| {
        body.extend_from_slice(&piece);
        Ok(())
    })?;
    for batch in batches {
        encoder.write(batch)?;
    }
    encoder.finish()?;
    Ok(body.into())
}
