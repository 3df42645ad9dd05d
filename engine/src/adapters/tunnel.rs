//! A MaxCompute table as the pipeline's target.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use engine_load::ports::{BlockReceipt, BlockSource, SessionState, TargetTable};
use engine_load::{Cancel, Error, ErrorKind};
use engine_model::job::MaxComputeConnection;
use engine_model::{ByteRate, PartitionSpec, TableColumns, TableName};
use engine_tunnel::{
    BoxError, Client, Missing, RecordBatches, SessionKey, SessionStatus, UploadSession,
};
use tokio::runtime::Handle;

use super::client::{client, is_gone, target_error};

/// A table behind a client whose calls run on a runtime of their own.
pub(crate) struct MaxComputeTable {
    client: Client,
    name: String,
    table: TableName,
    runtime: Handle,
    cancel: Cancel,
    /// The sessions as the server described them when they were opened or asked about, by id: blocks are encoded for
    /// the columns in there.
    sessions: Mutex<BTreeMap<String, UploadSession>>,
}

impl MaxComputeTable {
    pub(crate) fn new(
        connection: &MaxComputeConnection,
        table: &TableName,
        upload_rate: Option<ByteRate>,
        runtime: Handle,
        cancel: Cancel,
    ) -> Result<Self, Error> {
        let client = client(connection, upload_rate)?;
        Ok(Self {
            name: folded_name(client.endpoint(), connection.schema.as_deref(), table),
            client,
            table: table.clone(),
            runtime,
            cancel,
            sessions: Mutex::default(),
        })
    }

    /// Asks for the project, which shows that the endpoint answers and takes the credentials.
    pub(crate) fn check_access(&self) -> Result<(), Error> {
        self.wait(self.client.check_access())
    }

    fn wait<T>(&self, call: impl Future<Output = engine_tunnel::Result<T>>) -> Result<T, Error> {
        self.wait_for(call)?.map_err(target_error)
    }

    /// Waits for a call, or drops it when the run is asked to stop: the client would try again for up to half an hour.
    fn wait_for<T>(&self, call: impl Future<Output = T>) -> Result<T, Error> {
        self.runtime.block_on(async {
            tokio::select! {
                result = call => Ok(result),
                () = cancelled(&self.cancel) => Err(Error::stopped()),
            }
        })
    }

    fn key(&self, partition: &PartitionSpec, session: &str) -> SessionKey {
        SessionKey {
            table: self.table.clone(),
            partition: partition.clone(),
            id: session.to_owned(),
        }
    }

    fn remember(&self, session: UploadSession) {
        let mut sessions = self.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        sessions.insert(session.key.id.clone(), session);
    }

    fn described(&self, partition: &PartitionSpec, session: &str) -> Result<UploadSession, Error> {
        let known = self
            .sessions
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(session)
            .cloned();
        known.map_or_else(
            || self.wait(self.client.reload(&self.key(partition, session))),
            Ok,
        )
    }
}

impl TargetTable for MaxComputeTable {
    fn name(&self) -> String {
        self.name.clone()
    }

    fn columns(&self) -> Result<TableColumns, Error> {
        self.wait(self.client.table_columns(&self.table))
    }

    fn row_count(&self, partition: &PartitionSpec) -> Result<Option<u64>, Error> {
        match self.wait_for(self.client.row_count(&self.table, partition))? {
            Ok(rows) => Ok(Some(rows)),
            Err(error)
                if error.kind() == engine_tunnel::ErrorKind::NotFound(Missing::Partition) =>
            {
                Ok(None)
            }
            Err(error) => Err(target_error(error)),
        }
    }

    /// By SQL: a download session, which [`row_count`](Self::row_count) asks, is answered by the very service that took the
    /// rows, and would repeat its mistake. A query is another service's, and finds what everybody else finds.
    fn count_rows(&self, partition: &PartitionSpec) -> Result<u64, Error> {
        self.wait(self.client.count(&self.table, partition))
    }

    fn create_partition(&self, partition: &PartitionSpec) -> Result<(), Error> {
        self.wait(self.client.create_partition(&self.table, partition))
    }

    fn open_session(&self, partition: &PartitionSpec, overwrite: bool) -> Result<String, Error> {
        let session = self.wait(self.client.create_upload_session(
            &self.table,
            partition,
            overwrite,
        ))?;
        let id = session.key.id.clone();
        self.remember(session);
        Ok(id)
    }

    fn session(&self, partition: &PartitionSpec, session: &str) -> Result<SessionState, Error> {
        let asked = self.wait_for(self.client.reload(&self.key(partition, session)))?;
        let session = match asked {
            Ok(session) => session,
            Err(error) if is_gone(&error) => return Ok(SessionState::Gone),
            Err(error) => return Err(target_error(error)),
        };
        let state = state(&session);
        if matches!(state, SessionState::Open(_)) {
            self.remember(session);
        }
        Ok(state)
    }

    fn put_block(
        &self,
        partition: &PartitionSpec,
        session: &str,
        block: u32,
        rows: &dyn BlockSource,
    ) -> Result<BlockReceipt, Error> {
        let session = self.described(partition, session)?;
        let receipt = self.wait(self.client.put_block(&session, block, &StagedBlock(rows)))?;
        check_rows(&session.key, block, rows.rows(), receipt.rows)?;
        Ok(BlockReceipt {
            bytes: receipt.bytes,
        })
    }

    fn commit(
        &self,
        partition: &PartitionSpec,
        session: &str,
        blocks: &BTreeMap<u32, u64>,
    ) -> Result<(), Error> {
        // Never dropped half-way: whether it happened would not be known.
        let committed = self
            .runtime
            .block_on(self.client.commit(&self.key(partition, session), blocks));
        committed.map(drop).map_err(target_error)
    }
}

/// How often a waiting call looks whether the run was asked to stop.
const CANCEL_POLL: Duration = Duration::from_millis(100);

async fn cancelled(cancel: &Cancel) {
    while !cancel.is_cancelled() {
        tokio::time::sleep(CANCEL_POLL).await;
    }
}

/// The pipeline's source of a block as the client's.
struct StagedBlock<'a>(&'a dyn BlockSource);

impl engine_tunnel::BlockSource for StagedBlock<'_> {
    fn open(&self) -> Result<RecordBatches, BoxError> {
        let batches = self.0.open()?;
        Ok(Box::new(batches.map(|batch| batch.map_err(BoxError::from))))
    }
}

/// The table's full name and where it is, in one spelling: MaxCompute folds the case of projects, schemas and tables, so
/// that names that differ only in case are the same table, takes a table without a schema for one in `default`, and
/// serves the same tables with TLS and without. `schema` is that of tables whose name has none.
fn folded_name(endpoint: &str, schema: Option<&str>, table: &TableName) -> String {
    let schema = table.schema.as_deref().or(schema);
    let schema = schema.filter(|schema| !schema.eq_ignore_ascii_case("default"));
    let table = TableName {
        schema: schema.map(str::to_owned),
        ..table.clone()
    };
    let host = endpoint
        .split_once("://")
        .map_or(endpoint, |(_, host)| host);
    let host = host.split('/').next().unwrap_or_default();
    let host = host
        .strip_suffix(":80")
        .or_else(|| host.strip_suffix(":443"))
        .unwrap_or(host);
    format!("{table} at {host}").to_ascii_lowercase()
}

fn state(session: &UploadSession) -> SessionState {
    match session.status {
        SessionStatus::Closed => SessionState::Committed,
        // A word that isn't known may mean the same.
        SessionStatus::Closing | SessionStatus::Committing | SessionStatus::Unknown => {
            SessionState::Committing
        }
        lost if lost.is_lost() => SessionState::Gone,
        _ => {
            // A block whose rows the server does not tell is there all the same. No staged block is empty, so that with
            // 0 rows it counts as different and is sent again.
            let blocks = session.blocks.iter();
            let rows = blocks.map(|(id, block)| (*id, block.rows.unwrap_or(0)));
            SessionState::Open(rows.collect())
        }
    }
}

/// Compares a block's rows as they were sent with those that were staged.
fn check_rows(session: &SessionKey, block: u32, staged: u64, sent: u64) -> Result<(), Error> {
    if sent == staged {
        return Ok(());
    }
    let message = format!(
        "block {block} of {session}: {staged} rows were staged and {sent} were sent; nothing was committed; run the same \
         command again: it checks the staged files and reads again what is wrong"
    );
    Err(Error::new(ErrorKind::Staging, message))
}

#[cfg(test)]
mod tests;
