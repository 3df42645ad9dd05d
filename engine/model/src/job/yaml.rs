//! A YAML text as a tree in which every key and value knows its place.
//!
//! Scalars keep the text that was written: `007`, `1.10` and `no` are what they look like, and what a value means is
//! up to the key that it belongs to. Left out of the language, and refused by name: several documents in a file,
//! tags, aliases (so no small file can stand for a huge one), and keys that aren't scalars.

use std::collections::{HashMap, hash_map};
use std::sync::Arc;

use saphyr_parser::{Event, Marker, Parser, ScalarStyle, ScanError, Span, Tag};

use crate::finding::{Finding, Findings, Severity};

/// A file larger than this is refused. The longest table has 1200 columns; a line of 800 bytes for each still fits.
pub(super) const FILE_BYTES_MAX: usize = 1 << 20;
/// Mappings and lists within each other; the deepest that means anything is 6 levels down.
pub(super) const DEPTH_MAX: usize = 32;

/// A line and a column, both from 1; both 0 for no place.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) line: usize,
    pub(super) column: usize,
}

impl From<Marker> for Place {
    fn from(marker: Marker) -> Self {
        Self {
            line: marker.line(),
            column: marker.col() + 1,
        }
    }
}

/// A value and where it begins.
pub(super) struct Node {
    pub(super) place: Place,
    pub(super) value: Value,
}

/// What a node holds.
pub(super) enum Value {
    Scalar(Scalar),
    List(Vec<Node>),
    Mapping(Vec<Entry>),
}

/// A scalar's text, without quotes and with its escapes undone.
pub(super) struct Scalar {
    pub(super) text: String,
    /// Written without quotes and not as a block.
    pub(super) plain: bool,
}

/// One key of a mapping; keys are unique within it.
pub(super) struct Entry {
    pub(super) key: String,
    pub(super) place: Place,
    pub(super) value: Node,
}

impl Node {
    fn scalar(place: Place, text: String, plain: bool) -> Self {
        let value = Value::Scalar(Scalar { text, plain });
        Self { place, value }
    }
}

impl Value {
    pub(super) fn is_null(&self) -> bool {
        matches!(self, Self::Scalar(scalar) if scalar.is_null())
    }

    /// What the value is, for a finding.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Scalar(scalar) if scalar.is_null() => "nothing",
            Self::Scalar(_) => "a single value",
            Self::List(_) => "a list",
            Self::Mapping(_) => "a mapping of keys",
        }
    }
}

impl Scalar {
    /// Whether YAML reads it as null: nothing written, `~` or `null`, without quotes.
    pub(super) fn is_null(&self) -> bool {
        self.plain && matches!(self.text.as_str(), "" | "~" | "null" | "Null" | "NULL")
    }
}

/// Reads `text`; `file` is named in the findings. Each thing that is wrong with the tree is one finding, but a text
/// that breaks YAML's own rules ends the reading there.
pub(super) fn parse(file: &Arc<str>, text: &str) -> Result<Node, Findings> {
    let mut builder = Builder {
        file,
        open: Vec::new(),
        root: None,
        findings: Vec::new(),
    };
    builder.read(text);
    match builder.root {
        Some(root) if builder.findings.is_empty() => Ok(root),
        _ => Err(Findings::new(builder.findings)),
    }
}

/// A mapping or list that is still open.
enum Open {
    List(Place, Vec<Node>),
    Mapping(OpenMapping),
}

struct OpenMapping {
    place: Place,
    entries: Vec<Entry>,
    /// The line of each key; a search through the entries would take minutes for a file full of keys.
    lines: HashMap<String, usize>,
    next: Next,
}

/// What the next node of an open mapping is.
enum Next {
    Key,
    /// The value of this key.
    Value(String, Place),
    /// The value of a key that was refused.
    Nothing,
}

impl OpenMapping {
    /// The key that `node` is, or why it is none.
    fn key(&mut self, node: Node) -> Result<String, String> {
        let name = match node.value {
            Value::Scalar(scalar) if !scalar.is_null() => scalar.text,
            other => {
                let kind = other.kind();
                return Err(format!(
                    "{kind} stands where a key should; a key is a name before `:`"
                ));
            }
        };
        match self.lines.entry(name.clone()) {
            hash_map::Entry::Vacant(vacant) => {
                vacant.insert(node.place.line);
                Ok(name)
            }
            hash_map::Entry::Occupied(first) => {
                let line = first.get();
                Err(format!(
                    "`{name}` is here for the second time, after line {line}; keep one"
                ))
            }
        }
    }
}

struct Builder<'f> {
    file: &'f Arc<str>,
    open: Vec<Open>,
    root: Option<Node>,
    findings: Vec<Finding>,
}

impl Builder<'_> {
    fn read(&mut self, text: &str) {
        if text.len() > FILE_BYTES_MAX {
            let bytes = text.len();
            let message = format!(
                "the file has {bytes} bytes, and {FILE_BYTES_MAX} are allowed; keep to one job a file"
            );
            return self.error(Place::default(), message);
        }
        for event in Parser::new_from_str(text) {
            let (event, span) = match event {
                Ok(event) => event,
                Err(error) => return self.broken(text, &error),
            };
            if self.open.len() > DEPTH_MAX {
                let message = format!(
                    "mappings and lists are nested more than {DEPTH_MAX} deep; take levels out"
                );
                return self.error(span.start.into(), message);
            }
            if matches!(event, Event::DocumentStart(_)) && self.root.is_some() {
                let message =
                    "a second document begins here; keep one in a file, and leave out `---`";
                return self.error(span.start.into(), message.to_owned());
            }
            self.take(event, span);
        }
        if self.root.as_ref().is_none_or(|root| root.value.is_null()) {
            self.error(Place::default(), "the file is empty".to_owned());
        }
    }

    fn take(&mut self, event: Event<'_>, span: Span) {
        let place = Place::from(span.start);
        match event {
            Event::Nothing
            | Event::StreamStart
            | Event::StreamEnd
            | Event::DocumentStart(_)
            | Event::DocumentEnd => {}
            Event::Alias(_) => {
                let message = "aliases (`*name`) are not read; write the value out";
                self.error(place, message.to_owned());
                self.insert(Node::scalar(place, String::new(), true));
            }
            Event::Scalar(text, style, _, tag) => {
                self.refuse_tag(place, tag.as_deref());
                let plain = style == ScalarStyle::Plain;
                self.insert(Node::scalar(place, text.into_owned(), plain));
            }
            Event::SequenceStart(_, tag) => {
                self.refuse_tag(place, tag.as_deref());
                self.open.push(Open::List(place, Vec::new()));
            }
            Event::MappingStart(_, tag) => {
                self.refuse_tag(place, tag.as_deref());
                self.open.push(Open::Mapping(OpenMapping {
                    place,
                    entries: Vec::new(),
                    lines: HashMap::new(),
                    next: Next::Key,
                }));
            }
            Event::SequenceEnd | Event::MappingEnd => match self.open.pop() {
                Some(Open::List(place, nodes)) => {
                    let value = Value::List(nodes);
                    self.insert(Node { place, value });
                }
                Some(Open::Mapping(mapping)) => {
                    let value = Value::Mapping(mapping.entries);
                    let place = mapping.place;
                    self.insert(Node { place, value });
                }
                None => {}
            },
        }
    }

    /// Puts a complete node where it belongs.
    fn insert(&mut self, node: Node) {
        let mapping = match self.open.last_mut() {
            None => {
                self.root = Some(node);
                return;
            }
            Some(Open::List(_, nodes)) => {
                nodes.push(node);
                return;
            }
            Some(Open::Mapping(mapping)) => mapping,
        };
        match std::mem::replace(&mut mapping.next, Next::Key) {
            Next::Value(key, place) => mapping.entries.push(Entry {
                key,
                place,
                value: node,
            }),
            Next::Nothing => {}
            Next::Key => {
                let place = node.place;
                match mapping.key(node) {
                    Ok(key) => mapping.next = Next::Value(key, place),
                    Err(message) => {
                        mapping.next = Next::Nothing;
                        self.error(place, message);
                    }
                }
            }
        }
    }

    fn refuse_tag(&mut self, place: Place, tag: Option<&Tag>) {
        if let Some(tag) = tag {
            let message =
                format!("tags (`{tag}`) are not read; put quotes around text that begins with `!`");
            self.error(place, message);
        }
    }

    /// The text is no YAML. Brackets without quotes are the mistake that parameters invite, so it gets a hint.
    fn broken(&mut self, text: &str, error: &ScanError) {
        let place = Place::from(*error.marker());
        let info = error.info();
        let near = text.lines().skip(place.line.saturating_sub(2)).take(2);
        let hint = if near
            .into_iter()
            .any(|line| line.contains("${") || line.contains("$["))
        {
            "; within `{ }` and `[ ]`, put quotes around `${…}` and `$[…]`"
        } else {
            "; check quotes, brackets and indentation"
        };
        self.error(place, format!("this is no YAML: {info}{hint}"));
    }

    fn error(&mut self, place: Place, message: String) {
        self.findings.push(Finding {
            severity: Severity::Error,
            file: Arc::clone(self.file),
            line: place.line,
            column: place.column,
            path: String::new(),
            message,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn messages(text: &str) -> String {
        match parse(&Arc::from(""), text) {
            Ok(_) => "fine".to_owned(),
            Err(findings) => findings.to_string(),
        }
    }

    /// The tree in one line, scalars with their places.
    fn show(node: &Node) -> String {
        let parts = |parts: Vec<String>| parts.join(" ");
        match &node.value {
            Value::Scalar(s) => format!("{:?}@{}:{}", s.text, node.place.line, node.place.column),
            Value::List(nodes) => format!("[{}]", parts(nodes.iter().map(show).collect())),
            Value::Mapping(entries) => {
                let entry = |e: &Entry| format!("{}={}", e.key, show(&e.value));
                format!("{{{}}}", parts(entries.iter().map(entry).collect()))
            }
        }
    }

    #[test]
    fn scalars_keep_their_text_and_place() {
        let text = "a: 007\nb: {c: [1.10, no], 'd e': \"x\\ty\"}\n订单: 值\nf:\n";
        let root = parse(&Arc::from(""), text).map(|root| show(&root)).unwrap();
        assert_eq!(
            root,
            r#"{a="007"@1:4 b={c=["1.10"@2:9 "no"@2:15] d e="x\ty"@2:27} 订单="值"@3:5 f=""@4:2}"#
        );
    }

    #[test]
    fn everything_wrong_with_the_tree_comes_at_once() {
        insta::assert_snapshot!(
            messages("a: 1\nb: &x {c: !env D}\na: 2\n? [k]\n: v\nd: *x\n~: 3\n"),
            @"
            2:11: error: tags (`!env`) are not read; put quotes around text that begins with `!`
            3:1: error: `a` is here for the second time, after line 1; keep one
            4:3: error: a list stands where a key should; a key is a name before `:`
            6:4: error: aliases (`*name`) are not read; write the value out
            7:1: error: nothing stands where a key should; a key is a name before `:`
            "
        );
    }

    #[test]
    fn broken_texts_say_where() {
        insta::assert_snapshot!(messages("a: { ds: ${partition} }\n"), @"1:11: error: this is no YAML: while parsing a flow mapping, did not find expected ',' or '}'; within `{ }` and `[ ]`, put quotes around `${…}` and `$[…]`");
        insta::assert_snapshot!(messages("a: [1\nb: 2\n"), @"2:2: error: this is no YAML: illegal placement of ':' indicator; check quotes, brackets and indentation");
        insta::assert_snapshot!(messages("a: 1\n---\nb: 2\n"), @"2:1: error: a second document begins here; keep one in a file, and leave out `---`");
        insta::assert_snapshot!(messages(""), @"error: the file is empty");
        insta::assert_snapshot!(messages("# nothing\n"), @"error: the file is empty");
    }

    #[test]
    fn size_and_depth_are_bounded() {
        insta::assert_snapshot!(messages(&"x".repeat(FILE_BYTES_MAX + 1)), @"error: the file has 1048577 bytes, and 1048576 are allowed; keep to one job a file");
        for bomb in ["[", "- ", "{a: ", "? ", "[{"] {
            let deep = messages(&bomb.repeat(DEPTH_MAX + 2));
            assert!(deep.contains("nested more than 32 deep"), "{bomb}: {deep}");
            assert_ne!(messages(&bomb.repeat(FILE_BYTES_MAX / bomb.len())), "fine");
        }
    }
}
