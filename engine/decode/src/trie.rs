//! All field paths of a projection in one tree, so that a message is walked once whatever their number.

mod keys;
mod tokens;

use std::ops::Range;

use engine_model::{FieldPath, Step};
use simd_json::Node;

use keys::KeyTable;

use crate::node::extent;

/// In place of a node's number: the path leads nowhere in this message.
pub(crate) const ABSENT: u32 = u32::MAX;

/// The compiled paths. Each distinct path has a slot; slots are numbered so that those below a step are neighbours.
#[derive(Debug, Default)]
pub(crate) struct Trie {
    /// The payload's top level is the first of them.
    steps: Vec<TrieStep>,
    /// Steps to each slot.
    depths: Vec<usize>,
}

/// What is reached by the same steps from the top level.
#[derive(Debug, Default)]
struct TrieStep {
    /// The path that ends here.
    slot: Option<usize>,
    /// The paths that lead on from here.
    below: Range<usize>,
    /// Where they lead to if this is an object,
    keys: KeyTable,
    /// and if it is an array: positions in rising order.
    elements: Vec<(usize, usize)>,
}

impl Trie {
    /// Compiles `paths`, and tells the slot of each.
    pub(crate) fn new(paths: &[&FieldPath]) -> (Self, Vec<usize>) {
        // In this order a path stands right before those that lead on from it.
        let mut sorted: Vec<&[Step]> = paths.iter().map(|path| path.steps()).collect();
        sorted.sort_unstable();
        sorted.dedup();
        let slot_of = |path: &&FieldPath| sorted.partition_point(|steps| *steps < path.steps());
        let slots = paths.iter().map(slot_of).collect();
        let mut trie = Self {
            steps: Vec::new(),
            depths: sorted.iter().map(|steps| steps.len()).collect(),
        };
        trie.add(&sorted, 0..sorted.len(), 0);
        (trie, slots)
    }

    /// Adds the step that the paths of `range` share the first `depth` steps to, and all below it; gives its number.
    fn add(&mut self, paths: &[&[Step]], range: Range<usize>, depth: usize) -> usize {
        let number = self.steps.len();
        self.steps.push(TrieStep::default());
        let ends_here = paths
            .get(range.start)
            .is_some_and(|path| path.len() == depth);
        let below = range.start + usize::from(ends_here)..range.end;
        let (mut keys, mut elements) = (Vec::new(), Vec::new());
        let mut start = below.start;
        while start < below.end {
            let step = &paths[start][depth];
            let shared = paths[start..below.end].partition_point(|path| path[depth] == *step);
            let child = self.add(paths, start..start + shared, depth + 1);
            match step {
                Step::Key(key) => keys.push((key.as_str(), child)),
                Step::Index(index) => elements.push((*index, child)),
            }
            start += shared;
        }
        self.steps[number] = TrieStep {
            slot: ends_here.then_some(range.start),
            below,
            keys: KeyTable::new(&keys),
            elements,
        };
        number
    }

    /// Distinct paths.
    pub(crate) fn slots(&self) -> usize {
        self.depths.len()
    }

    /// Steps from the top level to a slot, which is within as many objects and arrays.
    pub(crate) fn depth(&self, slot: usize) -> usize {
        self.depths.get(slot).copied().unwrap_or_default()
    }

    /// Finds the number of the tape node that each path leads to, or [`ABSENT`]. `found` has one place per slot.
    ///
    /// Recursion goes as deep as the longest path, however deep the message is.
    pub(crate) fn walk(&self, tape: &[Node<'_>], found: &mut [u32]) {
        found.fill(ABSENT);
        if let Some(top) = self.steps.first() {
            if let Some(slot) = top.slot {
                found[slot] = 0;
            }
            self.descend(top, tape, 0, found);
        }
    }

    fn descend(&self, step: &TrieStep, tape: &[Node<'_>], node: usize, found: &mut [u32]) {
        match tape[node] {
            Node::Object { len, .. } if !step.keys.is_empty() => {
                let mut key = node + 1;
                for _ in 0..len {
                    let value = key + 1;
                    if let Node::String(name) = tape[key]
                        && let Some(child) = step.keys.find(name.as_bytes())
                    {
                        self.arrive(child, tape, value, found);
                    }
                    key = value + extent(&tape[value]);
                }
            }
            Node::Array { len, .. } if !step.elements.is_empty() => {
                let (mut at, mut element) = (0, node + 1);
                for (index, child) in &step.elements {
                    if *index >= len {
                        break;
                    }
                    while at < *index {
                        element += extent(&tape[element]);
                        at += 1;
                    }
                    self.arrive(*child, tape, element, found);
                }
            }
            _ => {}
        }
    }

    fn arrive(&self, step: usize, tape: &[Node<'_>], node: usize, found: &mut [u32]) {
        let step = &self.steps[step];
        if let Some(slot) = step.slot {
            found[slot] = u32::try_from(node).unwrap_or(ABSENT);
        }
        if !step.below.is_empty() {
            // The last of duplicate keys wins, with all that is in it and nothing of what was in the others.
            found[step.below.clone()].fill(ABSENT);
            self.descend(step, tape, node, found);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What each path leads to, as simd-json shows the node.
    fn walk(paths: &[&str], json: &str) -> Vec<Option<String>> {
        let paths: Vec<FieldPath> = paths.iter().map(|path| path.parse().unwrap()).collect();
        let (trie, slots) = Trie::new(&paths.iter().collect::<Vec<_>>());
        let mut input = json.as_bytes().to_vec();
        let tape = simd_json::to_tape(&mut input).unwrap();
        let mut found = vec![7; trie.slots()];
        trie.walk(&tape.0, &mut found);
        let node_at = |slot: usize| tape.0.get(found[slot] as usize);
        slots
            .into_iter()
            .map(|slot| node_at(slot).map(|node| format!("{node:?}")))
            .collect()
    }

    fn string(text: &str) -> String {
        format!("String({text:?})")
    }

    #[test]
    fn paths_share_steps_and_slots() {
        let json = r#"{"a":{"b":"1","c":["2",{"d":"3"}]},"e":"4"}"#;
        assert_eq!(
            walk(
                &[
                    "e", "a.c[1].d", "a.b", "a.b", "a.c[0]", "a.c[2]", "e.f", "a[0]"
                ],
                json
            ),
            [
                Some(string("4")),
                Some(string("3")),
                Some(string("1")),
                Some(string("1")),
                Some(string("2")),
                None,
                None,
                None
            ]
        );
    }

    #[test]
    fn a_path_may_end_where_others_go_on() {
        let found = walk(&["a", "a.b"], r#"{"a":{"b":"1"}}"#);
        assert!(found[0].as_ref().unwrap().starts_with("Object"));
        assert_eq!(found[1], Some(string("1")));
    }

    #[test]
    fn the_last_duplicate_wins_with_all_that_is_in_it() {
        let walk = |json| walk(&["a.b", "a.c"], json);
        assert_eq!(
            walk(r#"{"a":{"b":"1"},"a":{"c":"2"}}"#),
            [None, Some(string("2"))]
        );
        assert_eq!(walk(r#"{"a":{"b":"1"},"a":{}}"#), [None, None]);
        assert_eq!(walk(r#"{"a":{"b":"1"},"a":"x"}"#), [None, None]);
        assert_eq!(
            walk(r#"{"a":{"b":"1","b":"2"}}"#),
            [Some(string("2")), None]
        );
    }

    #[test]
    fn the_top_level_itself() {
        let found = walk(&["a", "$"], r#"{"a":"1"}"#);
        assert_eq!(found[0], Some(string("1")));
        assert!(found[1].as_ref().unwrap().starts_with("Object"));
        assert_eq!(walk(&["$"], r#""x""#), [Some(string("x"))]);
    }

    #[test]
    fn arrays_and_scalars_at_the_top() {
        assert_eq!(
            walk(&["[1].x", "a"], r#"[{"x":"0"},{"x":"1"}]"#),
            [Some(string("1")), None]
        );
        assert_eq!(walk(&["[0]", "a"], "17"), [None, None]);
    }
}
