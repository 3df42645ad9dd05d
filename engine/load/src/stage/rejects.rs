//! The messages of one slice that could not become rows of one window.

use std::mem;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayBuilder as _, ArrayRef, BinaryBuilder, Int32Builder, Int64Builder, ListArray,
    RecordBatch, StringBuilder, StructArray,
};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{DataType, Field, Fields};
use engine_model::{Headers, Message, StagedFile, TopicPartition};
use parquet::arrow::ArrowWriter;

use super::encoding::writer_properties;
use super::{ChecksummedFile, WriteFailure, parquet_error};
use crate::ports::Staging;
use crate::{Error, ErrorKind};

/// Bytes after which buffered messages become a row group, so that memory stays bounded when every message is bad.
const FLUSH_BYTES: usize = 1 << 20;

/// A message and why it could not become a row.
#[derive(Debug)]
pub(crate) struct RejectedMessage<'a> {
    pub(crate) topic_partition: &'a TopicPartition,
    pub(crate) message: Message<'a>,
    /// The reason's stable name, for counting.
    pub(crate) reason: &'a str,
    /// The reason in words, with the column and what was found.
    pub(crate) detail: &'a str,
}

/// Writes rejected messages with their coordinates, reason and original bytes.
pub(crate) struct RejectWriter {
    staging: Arc<dyn Staging>,
    name: String,
    writer: Option<ArrowWriter<ChecksummedFile>>,
    failure: WriteFailure,
    columns: Columns,
    rows: u64,
}

#[derive(Default)]
struct Columns {
    topic: StringBuilder,
    partition: Int32Builder,
    offset: Int64Builder,
    timestamp_ms: Int64Builder,
    reason: StringBuilder,
    detail: StringBuilder,
    key: BinaryBuilder,
    payload: BinaryBuilder,
    headers: HeaderLists,
    bytes: usize,
}

/// The headers of each message, in order.
#[derive(Default)]
struct HeaderLists {
    names: BinaryBuilder,
    values: BinaryBuilder,
    lengths: Vec<usize>,
}

impl RejectWriter {
    pub(crate) fn new(staging: Arc<dyn Staging>, name: String) -> Self {
        Self {
            staging,
            name,
            writer: None,
            failure: WriteFailure::default(),
            columns: Columns::default(),
            rows: 0,
        }
    }

    pub(crate) fn write(&mut self, rejected: &RejectedMessage<'_>) -> Result<(), Error> {
        let RejectedMessage {
            topic_partition,
            message,
            reason,
            detail,
        } = rejected;
        let columns = &mut self.columns;
        columns.topic.append_value(&topic_partition.topic);
        columns.partition.append_value(topic_partition.partition);
        columns.offset.append_value(message.offset);
        columns.timestamp_ms.append_value(message.timestamp_ms);
        columns.reason.append_value(reason);
        columns.detail.append_value(detail);
        columns.key.append_option(message.key);
        columns.payload.append_option(message.payload);
        columns.headers.push(message.headers);
        columns.bytes += message.size() + reason.len() + detail.len();
        self.rows += 1;
        if self.columns.bytes >= FLUSH_BYTES {
            self.flush()
        } else {
            Ok(())
        }
    }

    pub(crate) fn finish(mut self) -> Result<Option<StagedFile>, Error> {
        if self.rows == 0 {
            return Ok(None);
        }
        self.flush()?;
        let Self {
            staging,
            name,
            writer,
            failure,
            rows,
            ..
        } = self;
        let Some(writer) = writer else {
            return Ok(None);
        };
        let doing = format!("writing {name}");
        let file = writer
            .into_inner()
            .map_err(|error| parquet_error(&doing, &*staging, &failure, error))?;
        file.publish(&name, rows)
            .map(Some)
            .map_err(|error| Error::staging(&doing, &staging.location(), error))
    }

    fn flush(&mut self) -> Result<(), Error> {
        let batch = self.columns.take()?;
        let doing = format!("writing {}", self.name);
        let writer = if let Some(writer) = &mut self.writer {
            writer
        } else {
            let file = ChecksummedFile::create(&*self.staging, &self.name)
                .map_err(|error| Error::staging(&doing, &self.staging.location(), error))?;
            self.failure = Arc::clone(&file.failure);
            let writer =
                ArrowWriter::try_new(file, batch.schema(), Some(writer_properties(&batch)))
                    .map_err(|error| parquet_error(&doing, &*self.staging, &self.failure, error))?;
            self.writer.insert(writer)
        };
        writer
            .write(&batch)
            .and_then(|()| writer.flush())
            .map_err(|error| parquet_error(&doing, &*self.staging, &self.failure, error))
    }
}

impl Columns {
    fn take(&mut self) -> Result<RecordBatch, Error> {
        self.bytes = 0;
        let columns: [(&str, ArrayRef); 9] = [
            ("topic", Arc::new(self.topic.finish())),
            ("partition", Arc::new(self.partition.finish())),
            ("offset", Arc::new(self.offset.finish())),
            ("timestamp_ms", Arc::new(self.timestamp_ms.finish())),
            ("reason", Arc::new(self.reason.finish())),
            ("detail", Arc::new(self.detail.finish())),
            ("key", Arc::new(self.key.finish())),
            ("payload", Arc::new(self.payload.finish())),
            ("headers", Arc::new(self.headers.finish())),
        ];
        RecordBatch::try_from_iter_with_nullable(columns.map(|(name, array)| (name, array, true)))
            .map_err(|error| {
                Error::with_source(
                    ErrorKind::Internal,
                    "rejected messages did not fit their columns",
                    error,
                )
            })
    }
}

impl HeaderLists {
    fn push(&mut self, headers: Headers<'_>) {
        let before = self.names.len();
        for (name, value) in headers.iter() {
            self.names.append_value(name);
            self.values.append_option(value);
        }
        self.lengths.push(self.names.len() - before);
    }

    fn finish(&mut self) -> ListArray {
        let Self {
            mut names,
            mut values,
            lengths,
        } = mem::take(self);
        let fields = Fields::from(vec![
            Field::new("key", DataType::Binary, false),
            Field::new("value", DataType::Binary, true),
        ]);
        let arrays: Vec<ArrayRef> = vec![Arc::new(names.finish()), Arc::new(values.finish())];
        let headers = StructArray::new(fields, arrays, None);
        let item = Field::new_list_field(headers.data_type().clone(), false);
        let offsets = OffsetBuffer::from_lengths(lengths);
        ListArray::new(Arc::new(item), offsets, Arc::new(headers), None)
    }
}

#[cfg(test)]
mod tests {
    use engine_model::MessageBlock;

    use super::*;
    use crate::rejects::{Reject, read_rejects, reject_files};
    use crate::stage::FolderStaging;

    #[test]
    fn rejected_messages_keep_their_bytes_and_coordinates() {
        let folder = tempfile::tempdir().unwrap();
        let staging: Arc<dyn Staging> =
            Arc::new(FolderStaging::open(folder.path().to_owned()).unwrap());
        let mut block = MessageBlock::default();
        let payload = vec![0xff; FLUSH_BYTES];
        block.push(7, 1_000, Some(b"k"), Some(&payload), std::iter::empty());
        let headers: [(&[u8], Option<&[u8]>); 3] =
            [(b"h", Some(b"\xff")), (b"g", None), (b"h", Some(b""))];
        block.push(9, 2_000, None, Some(b"{"), headers.into_iter());
        let topic_partition = TopicPartition::new("orders", 2);
        let mut writer = RejectWriter::new(Arc::clone(&staging), "r".into());
        for message in block.iter() {
            let rejected = RejectedMessage {
                topic_partition: &topic_partition,
                message,
                reason: "not_json",
                detail: "unexpected end",
            };
            writer.write(&rejected).unwrap();
        }
        let file = writer.finish().unwrap().unwrap();
        assert_eq!(file.rows, 2);
        let mut read = Vec::new();
        read_rejects(&*staging, "r", |reject| {
            read.push(reject);
            Ok(())
        })
        .unwrap();
        let headers: Vec<_> = headers
            .into_iter()
            .map(|(name, value)| (name.to_vec(), value.map(<[u8]>::to_vec)))
            .collect();
        let reject = |offset, timestamp_ms, key: Option<&[u8]>, payload: &[u8], headers| Reject {
            topic_partition: topic_partition.clone(),
            offset,
            timestamp_ms,
            reason: "not_json".to_owned(),
            detail: "unexpected end".to_owned(),
            key: key.map(<[u8]>::to_vec),
            payload: Some(payload.to_vec()),
            headers,
        };
        assert_eq!(
            read,
            [
                reject(7, 1_000, Some(b"k"), &payload, Vec::new()),
                reject(9, 2_000, None, b"{", headers)
            ]
        );
    }

    #[test]
    fn files_of_rejected_messages_are_found_and_other_files_are_not_read() {
        let folder = tempfile::tempdir().unwrap();
        let staging = FolderStaging::open(folder.path().to_owned()).unwrap();
        let name = |run, slice| format!("run-{run}-slice-{slice:05}-window-0-rejects.parquet");
        for file in [
            &name(7, 1),
            &name(7, 0),
            &name(12, 3),
            "run-7-slice-00000-window-0-rows.parquet",
            "other-rejects.parquet",
        ] {
            std::fs::write(folder.path().join(file), b"no Parquet").unwrap();
        }
        let found = reject_files(&staging).unwrap();
        assert_eq!(
            found,
            [(7, vec![name(7, 0), name(7, 1)]), (12, vec![name(12, 3)])].into()
        );
        let error = read_rejects(&staging, &name(7, 0), |_| Ok(())).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt);
    }

    #[test]
    fn no_rejected_message_makes_no_file() {
        let folder = tempfile::tempdir().unwrap();
        let staging: Arc<dyn Staging> =
            Arc::new(FolderStaging::open(folder.path().to_owned()).unwrap());
        assert_eq!(
            RejectWriter::new(Arc::clone(&staging), "r".into())
                .finish()
                .unwrap(),
            None
        );
        assert!(staging.list().unwrap().is_empty());
    }
}
