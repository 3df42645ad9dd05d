//! Fields that messages have and no column takes.

use std::collections::BTreeMap;
use std::iter::Sum;

use serde::{Deserialize, Serialize};

use crate::limits::UNMAPPED_FIELDS_MAX;

/// Fields of some messages that no column takes, each named once at its uppermost: `user` where nothing of it is mapped,
/// `user.name` where another part of `user` is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnmappedFields {
    /// Messages that were looked at, those whose payload could not be read aside.
    pub messages: u64,
    /// Field paths as a job writes them, with how many of these messages have the field; at most
    /// [`UNMAPPED_FIELDS_MAX`].
    pub fields: BTreeMap<String, u64>,
    /// Whether there were more than are named.
    pub more: bool,
}

impl UnmappedFields {
    /// Whether no message was looked at.
    pub fn is_empty(&self) -> bool {
        self.messages == 0
    }

    /// Counts `messages` more that have the field at `path`.
    pub fn count(&mut self, path: &str, messages: u64) {
        if let Some(known) = self.fields.get_mut(path) {
            *known += messages;
        } else if self.fields.len() < UNMAPPED_FIELDS_MAX {
            self.fields.insert(path.to_owned(), messages);
        } else {
            self.more = true;
        }
    }

    /// The fields, those of the most messages first.
    pub fn by_messages(&self) -> Vec<(&str, u64)> {
        let fields = self.fields.iter();
        let mut fields: Vec<_> = fields
            .map(|(path, count)| (path.as_str(), *count))
            .collect();
        fields.sort_by_key(|(_, messages)| std::cmp::Reverse(*messages));
        fields
    }
}

/// What was seen in several places. Which fields are named where there are too many depends on their order.
impl<'a> Sum<&'a Self> for UnmappedFields {
    fn sum<I: Iterator<Item = &'a Self>>(places: I) -> Self {
        let mut all = Self::default();
        for Self {
            messages,
            fields,
            more,
        } in places
        {
            all.messages += messages;
            all.more |= more;
            for (path, messages) in fields {
                all.count(path, *messages);
            }
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(fields: &[(&str, u64)]) -> UnmappedFields {
        UnmappedFields {
            messages: 16,
            fields: fields
                .iter()
                .map(|(path, count)| ((*path).to_owned(), *count))
                .collect(),
            more: false,
        }
    }

    #[test]
    fn counts_add_up_and_the_most_common_come_first() {
        let places = [seen(&[("a", 3), ("b.c", 16)]), seen(&[("a", 2), ("d", 5)])];
        let all: UnmappedFields = places.iter().sum();
        assert_eq!((all.messages, all.more), (32, false));
        assert_eq!(all.by_messages(), [("b.c", 16), ("a", 5), ("d", 5)]);
    }

    #[test]
    fn names_are_bounded_and_those_that_are_known_still_count() {
        let mut all = UnmappedFields::default();
        for number in 0..=UNMAPPED_FIELDS_MAX {
            all.count(&format!("field{number}"), 1);
        }
        assert_eq!((all.fields.len(), all.more), (UNMAPPED_FIELDS_MAX, true));
        all.count("field0", 4);
        assert_eq!(all.by_messages().first(), Some(&("field0", 5)));
    }
}
