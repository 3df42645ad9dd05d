//! Upload sessions: blocks, block lists, commits.

use std::collections::BTreeMap;

use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use engine_model::PartitionSpec;
use engine_tunnel::{ErrorKind, Missing, SessionKey, SessionStatus};

use super::{Context, refused};
use crate::rows::{COLUMNS, Rows};

const WHOLE: PartitionSpec = PartitionSpec(Vec::new());

/// Nothing is seen before the commit and all blocks are after it, those of high ids too; the session says which it has.
pub(super) async fn blocks_are_seen_after_the_commit(context: &Context) {
    let table = context.create("blocks", COLUMNS).await;
    let session = context.open(&table, &WHOLE, false).await;
    assert_eq!(session.status, SessionStatus::Normal);
    assert!(session.blocks.is_empty());
    let names: Vec<&str> = session
        .columns
        .columns
        .iter()
        .map(|column| column.name.as_str())
        .collect();
    assert_eq!(names, ["id", "name"]);
    context.put(&session, 19_999, &Rows::of(20..25)).await;
    context.put(&session, 0, &Rows::of(0..10)).await;
    context.put(&session, 7, &Rows::of(10..20)).await;
    let reloaded = context.client.reload(&session.key).await.unwrap();
    let ids: Vec<u32> = reloaded.blocks.keys().copied().collect();
    assert_eq!(ids, [0, 7, 19_999]);
    assert_eq!(context.ids(&table, &WHOLE).await, [0_i64; 0]);
    context
        .commit(&session, &[(0, 10), (7, 10), (19_999, 5)])
        .await;
    assert_eq!(
        context.ids(&table, &WHOLE).await,
        (0..25).collect::<Vec<_>>()
    );
    let names = format!("SELECT COUNT(*), COUNT(name), MAX(name) FROM {table};");
    let cell = |text: &str| Some(text.to_owned());
    assert_eq!(
        context.sql(&names).await,
        [[cell("25"), cell("16"), cell("名 8")]]
    );
    context.drop(&table).await;
}

/// Of a block id that is sent twice, the second counts.
pub(super) async fn a_block_sent_again_replaces_itself(context: &Context) {
    let table = context.create("again", COLUMNS).await;
    let session = context.open(&table, &WHOLE, false).await;
    context.put(&session, 0, &Rows::of(0..10)).await;
    context.put(&session, 1, &Rows::of(10..20)).await;
    context.put(&session, 0, &Rows::of(0..3)).await;
    context.commit(&session, &[(0, 3), (1, 10)]).await;
    let expected: Vec<i64> = (0..3).chain(10..20).collect();
    assert_eq!(context.ids(&table, &WHOLE).await, expected);
    context.drop(&table).await;
}

/// A commit whose list is not the server's commits nothing, and the right one does afterwards.
pub(super) async fn stray_and_missing_blocks_are_refused(context: &Context) {
    let table = context.create("lists", COLUMNS).await;
    let session = context.open(&table, &WHOLE, false).await;
    context.put(&session, 0, &Rows::of(0..2)).await;
    context.put(&session, 9, &Rows::of(2..4)).await;
    for (wrong, text) in [
        (&[(0, 2)][..], "block 9 is stray"),
        (&[(0, 2), (9, 2), (3, 1)][..], "block 3 is missing"),
        (&[][..], "blocks 0, 9 are stray"),
    ] {
        let list: BTreeMap<u32, u64> = wrong.iter().copied().collect();
        let committed = context.client.commit(&session.key, &list).await;
        let error = refused(committed, ErrorKind::BlockListDiffers).to_string();
        assert!(error.contains(text), "{error}");
    }
    assert_eq!(context.ids(&table, &WHOLE).await, [0_i64; 0]);
    context.commit(&session, &[(0, 2), (9, 2)]).await;
    assert_eq!(context.ids(&table, &WHOLE).await, [0, 1, 2, 3]);
    context.drop(&table).await;
}

/// Without overwrite a commit adds to what is there.
pub(super) async fn a_commit_appends(context: &Context) {
    let table = context.create("appended", COLUMNS).await;
    context.load(&table, &WHOLE, false, &Rows::of(0..3)).await;
    context.load(&table, &WHOLE, false, &Rows::of(3..5)).await;
    assert_eq!(context.ids(&table, &WHOLE).await, [0, 1, 2, 3, 4]);
    context.drop(&table).await;
}

/// With overwrite a commit replaces what is there, at the commit and not before.
pub(super) async fn a_commit_with_overwrite_replaces(context: &Context) {
    let table = context.create("replaced", COLUMNS).await;
    context.load(&table, &WHOLE, false, &Rows::of(0..5)).await;
    let session = context.open(&table, &WHOLE, true).await;
    context.put(&session, 0, &Rows::of(7..9)).await;
    assert_eq!(context.ids(&table, &WHOLE).await, [0, 1, 2, 3, 4]);
    context.commit(&session, &[(0, 2)]).await;
    assert_eq!(context.ids(&table, &WHOLE).await, [7, 8]);
    context.drop(&table).await;
}

/// With overwrite a commit of no block leaves nothing; without, everything.
pub(super) async fn an_empty_commit_with_overwrite_empties(context: &Context) {
    let table = context.create("emptied", COLUMNS).await;
    context.load(&table, &WHOLE, false, &Rows::of(0..2)).await;
    let session = context.open(&table, &WHOLE, false).await;
    context.commit(&session, &[]).await;
    assert_eq!(context.ids(&table, &WHOLE).await, [0, 1]);
    let session = context.open(&table, &WHOLE, true).await;
    context.commit(&session, &[]).await;
    assert_eq!(context.ids(&table, &WHOLE).await, [0_i64; 0]);
    context.drop(&table).await;
}

/// A commit that is repeated, as after a lost answer, succeeds and loads nothing twice; with another list it says so.
pub(super) async fn a_commit_again_counts_once(context: &Context) {
    let table = context.create("once", COLUMNS).await;
    let session = context.open(&table, &WHOLE, false).await;
    context.put(&session, 4, &Rows::of(0..3)).await;
    for _ in 0..3 {
        context.commit(&session, &[(4, 3)]).await;
    }
    let reloaded = context.client.reload(&session.key).await.unwrap();
    assert_eq!(reloaded.status, SessionStatus::Closed);
    if !reloaded.blocks.is_empty() {
        let other = BTreeMap::from([(5, 3)]);
        let committed = context.client.commit(&session.key, &other).await;
        refused(committed, ErrorKind::CommittedDiffers);
    }
    assert_eq!(context.ids(&table, &WHOLE).await, [0, 1, 2]);
    context.drop(&table).await;
}

/// A committed session takes no block.
pub(super) async fn a_closed_session_takes_no_block(context: &Context) {
    let table = context.create("closed", COLUMNS).await;
    let session = context.open(&table, &WHOLE, false).await;
    context.put(&session, 0, &Rows::of(0..3)).await;
    context.commit(&session, &[(0, 3)]).await;
    let rows = Rows::of(3..4);
    let put = context.client.put_block(&session, 1, &rows);
    refused(put.await, ErrorKind::StatusConflict);
    assert_eq!(context.ids(&table, &WHOLE).await, [0, 1, 2]);
    context.drop(&table).await;
}

/// A session that the server doesn't know can be neither looked up, nor filled, nor committed.
pub(super) async fn an_unknown_session_is_not_found(context: &Context) {
    let table = context.create("unknown", COLUMNS).await;
    let mut session = context.open(&table, &WHOLE, false).await;
    session.key = SessionKey {
        id: "20260101000000ffffffffffffffff".to_owned(),
        ..session.key
    };
    let unknown = ErrorKind::NotFound(Missing::Session);
    refused(context.client.reload(&session.key).await, unknown);
    let rows = Rows::of(0..1);
    let put = context.client.put_block(&session, 0, &rows);
    refused(put.await, unknown);
    let none = BTreeMap::new();
    refused(context.client.commit(&session.key, &none).await, unknown);
    context.drop(&table).await;
}

/// Blocks of two sessions on one table don't mix, whatever the order of the commits.
pub(super) async fn two_sessions_keep_to_themselves(context: &Context) {
    let table = context.create("two", COLUMNS).await;
    let first = context.open(&table, &WHOLE, false).await;
    let second = context.open(&table, &WHOLE, false).await;
    assert_ne!(first.key.id, second.key.id);
    context.put(&first, 0, &Rows::of(0..2)).await;
    context.put(&second, 0, &Rows::of(10..13)).await;
    context.commit(&second, &[(0, 3)]).await;
    assert_eq!(context.ids(&table, &WHOLE).await, [10, 11, 12]);
    context.commit(&first, &[(0, 2)]).await;
    assert_eq!(context.ids(&table, &WHOLE).await, [0, 1, 10, 11, 12]);
    context.drop(&table).await;
}

/// A download session gives the rows that were loaded, all or a range of them, and stays at what it was opened on.
pub(super) async fn rows_are_read_back(context: &Context) {
    let table = context.create("read_back", COLUMNS).await;
    let sent = Rows::of(0..100);
    context.load(&table, &WHOLE, false, &sent).await;
    let download = context.client.open_download(&table, &WHOLE).await.unwrap();
    assert_eq!(download.rows, 100);
    let whole = concat_batches(&sent.0[0].schema(), &sent.0).unwrap();
    for (start, end) in [(0_u8, 100_u8), (0, 1), (37, 62), (99, 100), (100, 100)] {
        let range = u64::from(start)..u64::from(end);
        let read = context.client.read_rows(&download, range).await;
        let read: Vec<_> = read.unwrap().map(Result::unwrap).collect();
        let expected = whole.slice(start.into(), (end - start).into());
        let rows: usize = read.iter().map(RecordBatch::num_rows).sum();
        assert_eq!(rows, expected.num_rows(), "rows from {start} to {end}");
        if rows > 0 {
            let read = concat_batches(&read[0].schema(), &read).unwrap();
            assert_eq!(
                read.columns(),
                expected.columns(),
                "rows from {start} to {end}"
            );
        }
    }
    let behind = context.client.read_rows(&download, 50..101).await;
    refused(behind.map(drop), ErrorKind::InvalidRequest);
    context.load(&table, &WHOLE, true, &Rows::of(7..8)).await;
    let changed = context.client.read_rows(&download, 0..1).await;
    refused(changed.map(drop), ErrorKind::SessionExpired);
    context.drop(&table).await;
}
