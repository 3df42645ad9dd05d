//! Commits, and what becomes of lost answers.

use std::collections::BTreeMap;

use super::server::{Reply, Server, answer};
use super::*;
use crate::{Committed, Error, ErrorKind, Missing, SessionKey};

const BLOCKS: [(u32, u64); 2] = [(0, 5), (7, 2)];

fn state(status: &str) -> Reply {
    answer(200, session_json(status, &BLOCKS))
}

fn gone() -> Reply {
    answer(404, r#"{"Code":"NoSuchUpload","Message":"?"}"#)
}

async fn commit(
    script: impl IntoIterator<Item = Reply>,
    expected: &[(u32, u64)],
) -> (Result<Committed, Error>, Vec<String>) {
    let server = Server::start(script).await;
    let (client, _clock) = client(config(&server));
    let key = SessionKey {
        table: table(),
        partition: partition(),
        id: "s1".into(),
    };
    let expected: BTreeMap<_, _> = expected.iter().copied().collect();
    let outcome = client.commit(&key, &expected).await;
    let methods = server.lines().into_iter();
    let methods = methods.map(|line| line.split(' ').next().unwrap().to_owned());
    (outcome, methods.collect())
}

const COMPARED: Committed = Committed {
    rows_compared: true,
};

#[tokio::test]
async fn the_block_list_is_compared_before_the_commit() {
    let (outcome, methods) = commit([state("normal"), state("closed")], &BLOCKS).await;
    assert_eq!(outcome.unwrap(), COMPARED);
    assert_eq!(methods, ["GET", "POST"]);

    let (outcome, methods) = commit([state("normal")], &[(0, 5), (7, 3), (8, 1)]).await;
    let error = outcome.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::BlockListDiffers);
    assert_eq!(
        error.to_string(),
        "cannot commit session s1 of wire_prj.t/ds=20260302: the server has other blocks than were sent: \
         block 8 is missing; block 7 has 2 rows instead of 3"
    );
    assert_eq!(methods, ["GET"]);
}

#[tokio::test]
async fn no_block_at_all_can_be_committed() {
    let empty = |status| answer(200, session_json(status, &[]));
    let (outcome, methods) = commit([empty("normal"), empty("closed")], &[]).await;
    assert_eq!(outcome.unwrap(), COMPARED);
    assert_eq!(methods, ["GET", "POST"]);
}

#[tokio::test]
async fn a_lost_answer_is_looked_up() {
    // It happened.
    let (outcome, methods) = commit([state("normal"), Reply::Cut, state("closed")], &BLOCKS).await;
    assert_eq!(outcome.unwrap(), COMPARED);
    assert_eq!(methods, ["GET", "POST", "GET"]);

    // It didn't.
    let script = [
        state("normal"),
        answer(500, ""),
        state("normal"),
        state("closed"),
    ];
    let (outcome, methods) = commit(script, &BLOCKS).await;
    assert_eq!(outcome.unwrap(), COMPARED);
    assert_eq!(methods, ["GET", "POST", "GET", "POST"]);

    // It is under way, as the answer or the status says.
    let script = [
        state("normal"),
        state("committing"),
        state("closing"),
        state("closing"),
        state("closed"),
    ];
    let (outcome, methods) = commit(script, &BLOCKS).await;
    assert_eq!(outcome.unwrap(), COMPARED);
    assert_eq!(methods, ["GET", "POST", "GET", "GET", "GET"]);

    // Someone else was faster.
    let conflict = answer(409, r#"{"Code":"StatusConflict","Message":"closed"}"#);
    let (outcome, methods) = commit([state("normal"), conflict, state("closed")], &BLOCKS).await;
    assert_eq!(outcome.unwrap(), COMPARED);
    assert_eq!(methods, ["GET", "POST", "GET"]);

    // The answer came, but garbled.
    let script = [state("normal"), answer(200, ""), state("closed")];
    let (outcome, methods) = commit(script, &BLOCKS).await;
    assert_eq!(outcome.unwrap(), COMPARED);
    assert_eq!(methods, ["GET", "POST", "GET"]);
}

#[tokio::test]
async fn doubt_that_stays_is_said() {
    for forgotten in [gone(), state("expired")] {
        let (outcome, methods) = commit([state("normal"), Reply::Cut, forgotten], &BLOCKS).await;
        let error = outcome.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::CommitUnknown);
        assert!(
            error
                .to_string()
                .contains("it isn't known whether the commit happened"),
            "{error}"
        );
        assert_eq!(methods, ["GET", "POST", "GET"]);
    }
    let mut script = vec![state("normal")];
    for _ in 0..7 {
        script.extend([Reply::Cut, state("normal")]);
    }
    script.push(Reply::Cut);
    let (outcome, _) = commit(script, &BLOCKS).await;
    assert_eq!(outcome.unwrap_err().kind(), ErrorKind::CommitUnknown);
}

#[tokio::test]
async fn what_surely_did_not_happen_is_no_doubt() {
    for (script, kind) in [
        (vec![state("expired")], ErrorKind::SessionExpired),
        (vec![state("canceled")], ErrorKind::SessionExpired),
        (
            vec![state("normal"), answer(500, ""), state("critical")],
            ErrorKind::SessionExpired,
        ),
        (vec![gone()], ErrorKind::NotFound(Missing::Session)),
        (
            vec![state("normal"), gone()],
            ErrorKind::NotFound(Missing::Session),
        ),
        (
            vec![
                state("normal"),
                answer(403, r#"{"Code":"NoPermission","Message":"no"}"#),
            ],
            ErrorKind::PermissionDenied,
        ),
        (
            vec![
                state("normal"),
                answer(409, r#"{"Code":"InConsistentBlockList","Message":""}"#),
            ],
            ErrorKind::BlockListDiffers,
        ),
    ] {
        let (outcome, _) = commit(script, &BLOCKS).await;
        assert_eq!(outcome.unwrap_err().kind(), kind);
    }
}

#[tokio::test]
async fn a_session_that_is_closed_already_counts_where_the_blocks_are_the_same() {
    let (outcome, methods) = commit([state("closed")], &BLOCKS).await;
    assert_eq!(outcome.unwrap(), COMPARED);
    assert_eq!(methods, ["GET"]);

    let forgotten = answer(200, session_json("closed", &[]));
    let (outcome, _) = commit([forgotten], &BLOCKS).await;
    assert_eq!(
        outcome.unwrap(),
        Committed {
            rows_compared: false
        }
    );

    let (outcome, _) = commit([state("closed")], &[(0, 5)]).await;
    let error = outcome.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::CommittedDiffers);
    assert!(
        error.to_string().ends_with(
            "it was committed before, with other blocks: block 7 is stray; look at the table and load it again where \
             its rows are wrong"
        ),
        "{error}"
    );
}

#[tokio::test]
async fn a_long_commit_is_waited_for_until_the_deadline() {
    let mut script = vec![state("closing")];
    script.extend((0..20).map(|_| state("closing")));
    script.push(state("closed"));
    let (outcome, methods) = commit(script, &BLOCKS).await;
    assert_eq!(outcome.unwrap(), COMPARED);
    assert_eq!(methods.len(), 22);
}

#[tokio::test]
async fn waiting_for_a_commit_leaves_all_tries_for_failures() {
    let mut script: Vec<_> = (0..20).map(|_| state("closing")).collect();
    // The first commit was undone; the next one fails once.
    script.extend([state("normal"), answer(500, ""), state("normal")]);
    script.push(state("closed"));
    let (outcome, methods) = commit(script, &BLOCKS).await;
    assert_eq!(outcome.unwrap(), COMPARED);
    assert_eq!(methods[20..], ["GET", "POST", "GET", "POST"]);
}

#[tokio::test]
async fn a_commit_that_never_ends_is_in_doubt_at_the_deadline() {
    let server = Server::start((0..8).map(|_| state("closing"))).await;
    let mut config = config(&server);
    config.retry.deadline = Duration::from_mins(2);
    let (client, clock) = client(config);
    let key = SessionKey {
        table: table(),
        partition: partition(),
        id: "s1".into(),
    };
    let error = client.commit(&key, &BTreeMap::from(BLOCKS)).await;
    let error = error.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::CommitUnknown);
    assert!(
        error.to_string().contains("its status is still closing"),
        "{error}"
    );
    assert!(
        clock.elapsed() <= Duration::from_mins(2),
        "{:?}",
        clock.waits()
    );
}
