//! Blocks of rows from memory into an upload session, by the engine's client.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::ipc::reader::StreamReader;
use arrow::ipc::writer::StreamWriter;
use engine_model::job::{BlockFormat, Compression, Secret};
use engine_model::{PartitionSpec, TableName};
use engine_tunnel::{
    BlockSource, BoxError, Client, ClientConfig, Credentials, RecordBatches, SystemClock,
};
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinSet;

use crate::Result;

/// The project of both servers.
pub const PROJECT: &str = "bench";

/// What is sent, in which form, and how many times at once.
#[derive(Clone, Debug)]
pub struct Load {
    /// The server's endpoint.
    pub endpoint: String,
    /// The table, which has a table partition `ds=all`.
    pub table: String,
    /// Arrow or records.
    pub format: BlockFormat,
    /// The compression.
    pub compression: Compression,
    /// Blocks, all at once; each holds all rows.
    pub blocks: u32,
}

/// A client that is ready to send.
pub struct Sender {
    client: Client,
    table: TableName,
    blocks: u32,
    runtime: Runtime,
}

impl fmt::Debug for Sender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sender")
            .field("client", &self.client)
            .finish_non_exhaustive()
    }
}

#[derive(Clone)]
struct Rows(Arc<[RecordBatch]>);

impl BlockSource for Rows {
    fn open(&self) -> Result<RecordBatches, BoxError> {
        let batches = Arc::clone(&self.0);
        Ok(Box::new(
            (0..batches.len()).map(move |number| Ok(batches[number].clone())),
        ))
    }
}

impl Sender {
    /// Sets a client up.
    pub fn new(load: &Load) -> Result<Self> {
        let mut config = config(&load.endpoint);
        config.tunnel_endpoint = load.endpoint.strip_suffix("/api").map(str::to_owned);
        config.block_format = load.format;
        config.compression = load.compression;
        Ok(Self {
            client: Client::new(config, Arc::new(SystemClock::start()))?,
            table: TableName {
                project: PROJECT.to_owned(),
                schema: None,
                table: load.table.clone(),
            },
            blocks: load.blocks,
            runtime: runtime()?,
        })
    }

    /// Opens a session, sends the blocks, commits.
    pub fn send(&self, batches: &[RecordBatch]) -> Result<()> {
        let partition = PartitionSpec(vec![("ds".to_owned(), "all".to_owned())]);
        let rows = Rows(batches.into());
        self.runtime.block_on(async {
            let session = self
                .client
                .create_upload_session(&self.table, &partition, true);
            let session = Arc::new(session.await?);
            let mut sending = JoinSet::new();
            for block in 0..self.blocks {
                let client = self.client.clone();
                let (session, rows) = (Arc::clone(&session), rows.clone());
                sending.spawn(async move {
                    let receipt = client.put_block(&session, block, &rows).await;
                    receipt.map(|receipt| (block, receipt.rows))
                });
            }
            let mut sent = BTreeMap::new();
            while let Some(block) = sending.join_next().await {
                let (block, rows) = block??;
                sent.insert(block, rows);
            }
            self.client.commit(&session.key, &sent).await?;
            Ok(())
        })
    }
}

/// Runs statements, one after the other.
pub fn execute(endpoint: &str, statements: &[String]) -> Result<()> {
    runtime()?.block_on(async {
        let client = Client::new(config(endpoint), Arc::new(SystemClock::start()))?;
        for statement in statements {
            client.execute(statement).await?;
        }
        Ok(())
    })
}

/// Settings of a client; neither server asks who it is.
fn config(endpoint: &str) -> ClientConfig {
    let credentials = Credentials {
        access_id: PROJECT.to_owned(),
        secret: Secret::new(PROJECT),
        security_token: None,
    };
    ClientConfig::new(endpoint, PROJECT, credentials)
}

/// Two workers, as the embedded servers have.
pub(crate) fn runtime() -> std::io::Result<Runtime> {
    Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
}

/// Writes rows to a file that both clients read.
pub fn write_rows(file: &Path, batches: &[RecordBatch]) -> Result<()> {
    let first = batches.first().ok_or("there are no rows")?;
    let mut writer = StreamWriter::try_new(File::create(file)?, &first.schema())?;
    for batch in batches {
        writer.write(batch)?;
    }
    writer.finish()?;
    Ok(())
}

/// Reads the rows of such a file.
pub fn read_rows(file: &Path) -> Result<Vec<RecordBatch>> {
    let batches = StreamReader::try_new_buffered(File::open(file)?, None)?;
    Ok(batches.collect::<Result<_, _>>()?)
}
