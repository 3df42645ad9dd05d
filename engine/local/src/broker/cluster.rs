//! What all connections share: the one-node cluster.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use kafka_protocol::error::ResponseError;
use kafka_protocol::protocol::StrBytes;
use tokio::sync::watch;
use uuid::Uuid;

use super::error::Error;
use super::groups::Groups;
use super::identity::Identity;
use super::refusal::Refusal;
use super::store;
use super::topics::{self, Topic, Topics};

/// The one broker's id.
pub(super) const NODE_ID: i32 = 1;

/// The state of the broker, all of it on disk too.
#[derive(Debug)]
pub(super) struct Cluster {
    /// Who the cluster is.
    pub(super) identity: Identity,
    /// Its topics.
    pub(super) topics: Topics,
    /// Its group offsets.
    pub(super) groups: Groups,
    /// Topic partitions of a topic that is created because a client asked for it; `None` creates none.
    pub(super) auto_create_partitions: Option<i32>,
    /// Counts the appends and deletions, to wake the fetches that wait for one.
    changes: watch::Sender<u64>,
    /// Holds the lock on the data folder.
    _lock: File,
}

/// Where clients reach the broker.
#[derive(Debug, Clone)]
pub(super) struct Endpoint {
    /// Host name or address.
    pub(super) host: StrBytes,
    /// Port.
    pub(super) port: i32,
}

impl Cluster {
    /// Opens the cluster that `folder` keeps, or begins one.
    pub(super) fn open(folder: &Path, auto_create_partitions: Option<i32>) -> Result<Self, Error> {
        let lock = store::lock_folder(folder)?;
        Ok(Self {
            identity: Identity::open(folder)?,
            topics: Topics::open(folder.join("topics"))?,
            groups: Groups::open(folder)?,
            auto_create_partitions,
            changes: watch::Sender::new(0),
            _lock: lock,
        })
    }

    /// Finds a topic the way that the request's version names it.
    pub(super) fn topic(&self, by: TopicKey<'_>) -> Result<Arc<Topic>, Refusal> {
        match by {
            TopicKey::Name(name) => self.topics.by_name(name).ok_or_else(topics::unknown_topic),
            TopicKey::Id(id) => self.topics.by_id(id).ok_or_else(|| {
                Refusal::new(
                    ResponseError::UnknownTopicId,
                    format!("there is no topic with the id {id}"),
                )
            }),
        }
    }

    /// Wakes the waiting fetches.
    pub(super) fn changed(&self) {
        self.changes
            .send_modify(|count| *count = count.wrapping_add(1));
    }

    /// Tells when messages were appended or a topic was deleted, from now on.
    pub(super) fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }
}

/// How a request names a topic.
#[derive(Debug, Clone, Copy)]
pub(super) enum TopicKey<'a> {
    /// By name.
    Name(&'a str),
    /// By id, in the newest versions of some requests.
    Id(Uuid),
}

/// Refuses a client that knows a newer leader epoch than there is; it never changes here.
pub(super) fn check_leader_epoch(epoch: i32) -> Result<(), Refusal> {
    if epoch <= super::LEADER_EPOCH {
        return Ok(());
    }
    Err(Refusal::new(
        ResponseError::UnknownLeaderEpoch,
        format!(
            "the leader epoch is {}, the request has {epoch}",
            super::LEADER_EPOCH
        ),
    ))
}
