//! What a server must do for our client of MaxCompute, as functions over a client: for the embedded server, and for the
//! service itself where someone has credentials.
//!
//! Each function makes a table of its own, whose name begins with the context's prefix, and drops it at the end. One that
//! fails leaves its table behind to be looked at, and panics with what was found.
#![expect(clippy::unwrap_used, reason = "this is how a check fails")]

mod limits;
mod sessions;
mod targets;

use std::collections::BTreeMap;
use std::fmt::Debug;

use engine_model::{PartitionSpec, TableName};
use engine_tunnel::{Client, Error, ErrorKind, UploadSession};

use crate::rows::Rows;

/// Where the checks run.
#[derive(Clone, Debug)]
pub struct Context {
    /// A client whose credentials may create and drop tables in the project.
    pub client: Client,
    /// The project.
    pub project: String,
    /// The schema of tables, in projects with three levels.
    pub schema: Option<String>,
    /// What names of tables begin with; another one for each of the runs that go on at the same time.
    pub prefix: String,
}

/// Runs all checks, one after the other, and says which on standard output.
///
/// # Panics
///
/// When a check fails.
pub async fn all(context: &Context) {
    macro_rules! run {
        ($($module:ident::$check:ident),* $(,)?) => {$(
            println!("{}", stringify!($check));
            Box::pin($module::$check(context)).await;
        )*};
    }
    run!(
        sessions::blocks_are_seen_after_the_commit,
        sessions::a_block_sent_again_replaces_itself,
        sessions::stray_and_missing_blocks_are_refused,
        sessions::a_commit_appends,
        sessions::a_commit_with_overwrite_replaces,
        sessions::an_empty_commit_with_overwrite_empties,
        sessions::a_commit_again_counts_once,
        sessions::a_closed_session_takes_no_block,
        sessions::an_unknown_session_is_not_found,
        sessions::two_sessions_keep_to_themselves,
        sessions::rows_are_read_back,
        targets::tables_are_described,
        targets::tables_and_table_partitions_come_and_go,
        targets::missing_things_are_told_apart,
        targets::table_partitions_are_apart,
        targets::table_partitions_are_made_once,
        targets::all_levels_are_needed,
        targets::names_with_three_levels_work,
        limits::block_ids_end,
        limits::empty_blocks_are_refused,
        limits::other_columns_are_refused,
        limits::nulls_keep_to_their_columns,
        limits::edges_of_values_are_kept,
    );
}

impl Context {
    fn table(&self, name: &str) -> TableName {
        TableName {
            project: self.project.clone(),
            schema: self.schema.clone(),
            table: format!("{}{name}", self.prefix),
        }
    }

    /// Makes an empty table; `shape` is what follows its name.
    async fn create(&self, name: &str, shape: &str) -> TableName {
        let table = self.table(name);
        self.drop(&table).await;
        self.sql(&format!("CREATE TABLE {table} {shape};")).await;
        table
    }

    async fn drop(&self, table: &TableName) {
        self.sql(&format!("DROP TABLE IF EXISTS {table};")).await;
    }

    async fn sql(&self, statement: &str) -> Vec<Vec<Option<String>>> {
        let result = self.client.execute(statement).await;
        result
            .unwrap_or_else(|error| panic!("{statement}: {error}"))
            .rows
    }

    async fn open(
        &self,
        table: &TableName,
        partition: &PartitionSpec,
        overwrite: bool,
    ) -> UploadSession {
        let session = self
            .client
            .create_upload_session(table, partition, overwrite);
        session.await.unwrap_or_else(|error| panic!("{error}"))
    }

    /// Sends a block and returns its rows.
    async fn put(&self, session: &UploadSession, block_id: u32, rows: &Rows) -> u64 {
        let receipt = self.client.put_block(session, block_id, rows).await;
        let receipt = receipt.unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(receipt.rows, rows.count(), "rows of block {block_id}");
        receipt.rows
    }

    async fn commit(&self, session: &UploadSession, blocks: &[(u32, u64)]) {
        let blocks: BTreeMap<u32, u64> = blocks.iter().copied().collect();
        let committed = self.client.commit(&session.key, &blocks).await;
        committed.unwrap_or_else(|error| panic!("{error}"));
    }

    /// Loads rows as one block.
    async fn load(
        &self,
        table: &TableName,
        partition: &PartitionSpec,
        overwrite: bool,
        rows: &Rows,
    ) {
        let session = self.open(table, partition, overwrite).await;
        let count = self.put(&session, 0, rows).await;
        self.commit(&session, &[(0, count)]).await;
    }

    /// The ids in the table partition, or in a table without partition keys, in order; as a query reads them, after the row
    /// count was compared with what the tunnel says.
    async fn ids(&self, table: &TableName, partition: &PartitionSpec) -> Vec<i64> {
        let condition: Vec<String> = partition
            .0
            .iter()
            .map(|(key, value)| format!("{key} = '{value}'"))
            .collect();
        let condition = if condition.is_empty() {
            String::new()
        } else {
            format!("WHERE {}", condition.join(" AND "))
        };
        let query = format!("SELECT id FROM {table} {condition} ORDER BY id LIMIT 10000;");
        let rows = self.sql(&query).await;
        let id = |row: Vec<Option<String>>| {
            let cell = row.into_iter().next().flatten().expect("an id");
            cell.parse().expect("an integer")
        };
        let ids: Vec<i64> = rows.into_iter().map(id).collect();
        let count = self.client.row_count(table, partition).await;
        let count = count.unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(count, ids.len() as u64, "rows of the tunnel and of {query}");
        let counted = self.client.count(table, partition).await;
        let counted = counted.unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(counted, count, "rows that are counted and those of {query}");
        ids
    }
}

/// `ds=20261122` from `[("ds", "20261122")]`.
fn spec(levels: &[(&str, &str)]) -> PartitionSpec {
    let level = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
    PartitionSpec(levels.iter().map(level).collect())
}

#[track_caller]
fn refused<T: Debug>(result: Result<T, Error>, kind: ErrorKind) -> Error {
    match result {
        Ok(found) => panic!("{found:?} was given instead of {kind:?}"),
        Err(error) => {
            assert_eq!(error.kind(), kind, "{error}");
            error
        }
    }
}
