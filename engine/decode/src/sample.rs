//! What fields payloads have, seen from a sample of them.

mod field;
mod find;
mod infer;
mod name;
#[cfg(test)]
mod tests;

use std::collections::HashMap;

use engine_model::{FieldPath, MessageFormat, Step};
use jiff::tz::TimeZone;
use simd_json::{Node, StaticNode};

use crate::document::DocumentReader;
use crate::instant::{InstantReader, Resolution};
use crate::locate::{text_of, tokens_of_nodes};
use crate::node::extent;
use crate::parser::{Document, TOKENS_KEPT};
pub use field::{FieldFigures, IntegerRange, KindCounts, StringCounts};
pub use infer::{Inference, InferredColumn};

/// Fields that a sample keeps; more than a table has columns, and some MiB at most.
pub const SAMPLE_FIELDS_MAX: usize = 2_000;
/// Steps from the top level to the deepest field that a sample keeps.
pub const SAMPLE_DEPTH_MAX: usize = 16;
/// Bytes of the longest key that a sample keeps.
pub const SAMPLE_KEY_BYTES_MAX: usize = 256;

const TO_THE_NANOSECOND: Resolution = Resolution {
    digits: 9,
    rounding: None,
};

/// The fields of some payloads, as one tree: the elements of an array are one field of it, whatever their number.
///
/// It is bounded by [`SAMPLE_FIELDS_MAX`], [`SAMPLE_DEPTH_MAX`] and [`SAMPLE_KEY_BYTES_MAX`], and says where that cut it.
///
/// ```
/// use engine_decode::PayloadSample;
/// use engine_model::MessageFormat;
/// use jiff::tz::TimeZone;
///
/// let mut sample = PayloadSample::new(&MessageFormat::default(), &TimeZone::UTC);
/// sample.observe(br#"{"order":{"id":7},"items":[{"sku":"a"},{"sku":"b"}]}"#);
/// sample.observe(b"no JSON");
/// let paths: Vec<String> = sample.fields().map(|field| field.path()).collect();
/// assert_eq!(paths, ["$", "order", "order.id", "items", "items[]", "items[].sku"]);
/// assert_eq!((sample.payloads(), sample.unreadable()), (2, 1));
/// ```
#[derive(Debug)]
pub struct PayloadSample {
    reader: DocumentReader,
    instants: InstantReader,
    /// For each node of a payload the token that it starts with; kept for its memory.
    tokens: Vec<u32>,
    payloads: u64,
    unreadable: u64,
    tree: Tree,
}

/// The fields, the top level first. A field stands behind the one that it is within.
#[derive(Debug, Default)]
struct Tree {
    fields: Vec<TreeField>,
    cut: bool,
}

#[derive(Debug)]
struct TreeField {
    /// The field that this one is within; the top level is within itself.
    parent: usize,
    step: TreeStep,
    figures: FieldFigures,
    /// The number of the last payload that had it.
    seen_in: u64,
    keys: HashMap<Box<str>, usize>,
    elements: Option<usize>,
}

#[derive(Debug)]
enum TreeStep {
    Top,
    Key(Box<str>),
    Elements,
}

/// One field of a sample.
#[derive(Clone, Copy, Debug)]
pub struct SampledField<'a> {
    tree: &'a Tree,
    index: usize,
    field: &'a TreeField,
}

impl PayloadSample {
    /// A sample of payloads of this format, without any. Instants without an offset are read in `zone`.
    pub fn new(format: &MessageFormat, zone: &TimeZone) -> Self {
        Self {
            reader: DocumentReader::new(format),
            instants: InstantReader::new(zone.clone(), None, TO_THE_NANOSECOND),
            tokens: Vec::new(),
            payloads: 0,
            unreadable: 0,
            tree: Tree::default(),
        }
    }

    /// Looks at one payload. One that is no JSON text is counted and has no fields.
    pub fn observe(&mut self, payload: &[u8]) {
        let Self {
            reader,
            instants,
            tokens,
            payloads,
            unreadable,
            tree,
        } = self;
        *payloads += 1;
        let read = reader.read(payload, |document| {
            tokens_of_nodes(document, tokens);
            let mut walk = Walk {
                document,
                instants,
                tokens,
                tree,
                payload: *payloads,
            };
            let top = walk.tree.top();
            walk.take(top, 0, 0);
        });
        *unreadable += u64::from(read.is_none());
        reader.shrink();
        tokens.clear();
        tokens.shrink_to(TOKENS_KEPT);
    }

    /// Payloads that were looked at.
    pub fn payloads(&self) -> u64 {
        self.payloads
    }

    /// Those of them that are no JSON text.
    pub fn unreadable(&self) -> u64 {
        self.unreadable
    }

    /// The others.
    pub fn readable(&self) -> u64 {
        self.payloads - self.unreadable
    }

    /// JSON texts that are no objects, and so have none of the fields that others have; 0 where no payload is an object.
    pub fn without_fields(&self) -> u64 {
        match self.top().map_or(0, |top| top.figures().kinds.objects) {
            0 => 0,
            objects => self.readable() - objects,
        }
    }

    /// Whether payloads have fields that the sample did not keep.
    pub fn is_cut(&self) -> bool {
        self.tree.cut
    }

    /// The payload as a whole; nothing before the first JSON text.
    pub fn top(&self) -> Option<SampledField<'_>> {
        self.tree.field(0)
    }

    /// All fields, each before those within it, in the order in which they were seen first.
    pub fn fields(&self) -> impl Iterator<Item = SampledField<'_>> {
        let mut waiting: Vec<SampledField<'_>> = self.top().into_iter().collect();
        std::iter::from_fn(move || {
            let field = waiting.pop()?;
            let within = waiting.len();
            waiting.extend(field.children());
            waiting[within..].reverse();
            Some(field)
        })
    }
}

impl Tree {
    /// The top level's index.
    fn top(&mut self) -> usize {
        if self.fields.is_empty() {
            self.add(0, TreeStep::Top);
        }
        0
    }

    fn add(&mut self, parent: usize, step: TreeStep) -> usize {
        self.fields.push(TreeField {
            parent,
            step,
            figures: FieldFigures::default(),
            seen_in: 0,
            keys: HashMap::new(),
            elements: None,
        });
        self.fields.len() - 1
    }

    fn field(&self, index: usize) -> Option<SampledField<'_>> {
        self.fields.get(index).map(|field| SampledField {
            tree: self,
            index,
            field,
        })
    }

    /// The field with the name `key` within `parent`, which may be new; nothing where the sample is full.
    fn key(&mut self, parent: usize, key: &str, depth: usize) -> Option<usize> {
        if let Some(known) = self.fields[parent].keys.get(key) {
            return Some(*known);
        }
        if key.len() > SAMPLE_KEY_BYTES_MAX || !self.has_room(depth) {
            self.cut = true;
            return None;
        }
        let index = self.add(parent, TreeStep::Key(key.into()));
        self.fields[parent].keys.insert(key.into(), index);
        Some(index)
    }

    /// The elements of the array `parent`, in the same way.
    fn elements(&mut self, parent: usize, depth: usize) -> Option<usize> {
        if let Some(known) = self.fields[parent].elements {
            return Some(known);
        }
        if !self.has_room(depth) {
            self.cut = true;
            return None;
        }
        let index = self.add(parent, TreeStep::Elements);
        self.fields[parent].elements = Some(index);
        Some(index)
    }

    fn has_room(&self, depth: usize) -> bool {
        self.fields.len() < SAMPLE_FIELDS_MAX && depth < SAMPLE_DEPTH_MAX
    }
}

/// One payload on its way into the tree.
struct Walk<'a> {
    document: Document<'a>,
    instants: &'a InstantReader,
    tokens: &'a [u32],
    tree: &'a mut Tree,
    /// The payload's number, from 1.
    payload: u64,
}

impl Walk<'_> {
    /// Takes the value at `node`, which is `depth` steps below the top level. Recursion goes as deep as the tree does.
    fn take(&mut self, field: usize, node: usize, depth: usize) {
        let taken = &mut self.tree.fields[field];
        if taken.seen_in != self.payload {
            taken.seen_in = self.payload;
            taken.figures.messages += 1;
        }
        let figures = &mut taken.figures;
        match self.document.tape.get(node) {
            Some(Node::Object { len, .. }) => {
                figures.kinds.objects += 1;
                self.take_fields(field, node, *len, depth);
            }
            Some(Node::Array { len, .. }) => {
                figures.kinds.arrays += 1;
                figures.elements_max = figures.elements_max.max(*len as u64);
                self.take_elements(field, node, *len, depth);
            }
            Some(Node::String(text)) => figures.string(text, self.instants),
            Some(Node::Static(StaticNode::Null)) => figures.kinds.nulls += 1,
            Some(Node::Static(StaticNode::Bool(_))) => figures.kinds.booleans += 1,
            Some(Node::Static(StaticNode::I64(number))) => figures.integer(i128::from(*number)),
            Some(Node::Static(StaticNode::U64(number))) => figures.integer(i128::from(*number)),
            Some(Node::Static(StaticNode::F64(_))) => {
                let start = self.tokens.get(node).map(|token| *token as usize);
                let number = u32::try_from(node).ok().zip(start);
                let text = number.and_then(|(node, start)| text_of(self.document, node, start));
                figures.number(
                    text.and_then(|text| str::from_utf8(text).ok())
                        .unwrap_or_default(),
                );
            }
            None => {}
        }
    }

    fn take_fields(&mut self, field: usize, node: usize, len: usize, depth: usize) {
        let mut key = node + 1;
        for _ in 0..len {
            let tape = self.document.tape;
            let (Some(Node::String(name)), Some(value)) = (tape.get(key), tape.get(key + 1)) else {
                return;
            };
            if let Some(child) = self.tree.key(field, name, depth) {
                self.take(child, key + 1, depth + 1);
            }
            key += 1 + extent(value);
        }
    }

    fn take_elements(&mut self, field: usize, node: usize, len: usize, depth: usize) {
        let mut element = node + 1;
        for _ in 0..len {
            let Some(value) = self.document.tape.get(element) else {
                return;
            };
            let Some(child) = self.tree.elements(field, depth) else {
                return;
            };
            self.take(child, element, depth + 1);
            element += extent(value);
        }
    }
}

impl<'a> SampledField<'a> {
    /// What was seen of it.
    pub fn figures(&self) -> &'a FieldFigures {
        &self.field.figures
    }

    /// Its path as a job writes it, with `[]` for the elements of an array.
    pub fn path(&self) -> String {
        let mut text = String::new();
        for field in self.way() {
            match &field.step {
                TreeStep::Top => {}
                TreeStep::Key(key) => {
                    let key = FieldPath::from(vec![Step::Key(key.to_string())]).to_string();
                    let dot = if text.is_empty() || key.starts_with("['") {
                        ""
                    } else {
                        "."
                    };
                    text.extend([dot, &key]);
                }
                TreeStep::Elements => text.push_str("[]"),
            }
        }
        if text.is_empty() {
            "$".to_owned()
        } else {
            text
        }
    }

    /// Its path; nothing where it is within an array, whose elements have paths of their own.
    pub fn field_path(&self) -> Option<FieldPath> {
        let steps = self
            .way()
            .into_iter()
            .filter_map(|field| match &field.step {
                TreeStep::Top => None,
                TreeStep::Key(key) => Some(Some(Step::Key(key.to_string()))),
                TreeStep::Elements => Some(None),
            });
        steps.collect::<Option<Vec<Step>>>().map(FieldPath::from)
    }

    /// The fields right within it, in the order in which they were seen first: those of objects, and the elements of
    /// arrays as one.
    pub fn children(&self) -> Vec<Self> {
        let mut children: Vec<usize> = self.field.keys.values().copied().collect();
        children.extend(self.field.elements);
        children.sort_unstable();
        let children = children.into_iter();
        children
            .filter_map(|index| self.tree.field(index))
            .collect()
    }

    /// The field with the name `key` right within it.
    fn key(&self, key: &str) -> Option<Self> {
        self.tree.field(*self.field.keys.get(key)?)
    }

    fn elements(&self) -> Option<Self> {
        self.tree.field(self.field.elements?)
    }

    /// The fields from the top level down to this one.
    fn way(&self) -> Vec<&'a TreeField> {
        let mut way = vec![self.field];
        let mut index = self.index;
        while let Some(field) = self.tree.fields.get(index).filter(|_| index > 0) {
            index = field.parent;
            way.extend(self.tree.fields.get(index));
        }
        way.reverse();
        way
    }
}
