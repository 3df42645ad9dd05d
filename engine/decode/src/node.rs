//! The values of a parsed payload's nodes.

use simd_json::{Node, StaticNode};

use crate::column::ColumnBuffer;
use crate::parser::{Document, FLOAT_MAX_TRUSTED};
use crate::text::utf8;
use crate::value::Value;

/// The value that the tape has at `node`, or nothing where the column needs its text: see [`value_of_text`].
#[inline]
pub(crate) fn value_of<'a>(
    document: Document<'a>,
    node: u32,
    buffer: &ColumnBuffer,
) -> Option<Value<'a>> {
    let Some(node) = document.tape.get(node as usize) else {
        return Some(Value::Null);
    };
    Some(match *node {
        Node::String(text) if !buffer.needs_string_text() => Value::Text(text),
        Node::Static(StaticNode::Null) => Value::Null,
        Node::Static(StaticNode::Bool(value)) => Value::Bool(value),
        Node::Static(StaticNode::U64(value)) => Value::Unsigned(value),
        // Other zeros have no sign.
        Node::Static(StaticNode::I64(0)) => Value::Number("-0"),
        Node::Static(StaticNode::I64(value)) => Value::Int(value),
        Node::Static(StaticNode::F64(value))
            if !buffer.needs_number_text() && value.abs() < FLOAT_MAX_TRUSTED =>
        {
            Value::Float(value)
        }
        Node::Static(StaticNode::F64(_))
        | Node::String(_)
        | Node::Object { .. }
        | Node::Array { .. } => return None,
    })
}

/// The value of `node` whose text was found to be `text`; nothing where that can't be.
pub(crate) fn value_of_text<'a>(
    document: Document<'_>,
    node: u32,
    text: &'a [u8],
) -> Option<Value<'a>> {
    let text = utf8(text).ok()?;
    Some(match document.tape.get(node as usize)? {
        Node::Static(_) => Value::Number(text),
        _ => Value::Json(text),
    })
}

/// Nodes that a value takes on the tape.
pub(crate) fn extent(node: &Node<'_>) -> usize {
    match node {
        Node::Object { count, .. } | Node::Array { count, .. } => count + 1,
        Node::String(_) | Node::Static(_) => 1,
    }
}
