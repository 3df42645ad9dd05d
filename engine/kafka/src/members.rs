//! Who is in a consumer group.

use std::panic::{self, AssertUnwindSafe};

use rdkafka::consumer::Consumer as _;
use rdkafka::groups::GroupInfo;

use crate::error::Result;
use crate::group::{group_call, group_consumer};
use crate::settings::Settings;

/// Stands for a name that is no text.
const UNREADABLE: &str = "?";

/// A consumer that is in a group.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct GroupMember {
    /// What it calls itself.
    pub client_id: String,
    /// Where it connects from, as the broker sees it.
    pub host: String,
}

/// The consumers that are in `group` now, by name; none where nobody knows the group, where the brokers leave it out because
/// the log-in may not describe it, and where it is of a kind that they don't describe in this way, as those of the protocol
/// that came with Kafka 4.0.
///
/// # Errors
///
/// [`ErrorKind::Authorization`](crate::ErrorKind::Authorization) where the log-in may not use the group and the brokers say
/// so, and those of every call.
pub fn group_members(settings: &Settings, group: &str) -> Result<Vec<GroupMember>> {
    let consumer = group_consumer(settings, group)?;
    let what = format!("asking who is in group {group:?}");
    let groups = group_call(&consumer, settings, group, &what, |consumer, wait| {
        consumer.fetch_group_list(Some(group), wait)
    })?;
    let members = groups.groups().iter().flat_map(GroupInfo::members);
    let mut members: Vec<_> = members
        .map(|member| GroupMember {
            client_id: readable(|| member.client_id()),
            host: readable(|| member.client_host())
                .trim_start_matches('/')
                .to_owned(),
        })
        .collect();
    members.sort();
    Ok(members)
}

/// What the binding reads, which panics where it isn't UTF-8.
pub(crate) fn readable<'a>(read: impl FnOnce() -> &'a str) -> String {
    panic::catch_unwind(AssertUnwindSafe(read))
        .map_or_else(|_| UNREADABLE.to_owned(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_is_no_text_is_no_panic() {
        assert_eq!(readable(|| "reader"), "reader");
        assert_eq!(readable(|| panic!("not UTF-8")), UNREADABLE);
    }
}
