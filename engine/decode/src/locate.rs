//! Finding values of a parsed payload in its text.
//!
//! simd-json keeps no source text, but it keeps where each token starts. Every node of the tape stands for one token,
//! in order, and the only other tokens are `:`, `,`, `}` and `]`. Counting tokens therefore leads from a node to its
//! text without looking at keys, escapes or duplicates again.

use simd_json::Node;

use crate::number::number_at;
use crate::parser::Document;

/// A node whose text is wanted, and by whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Wanted {
    /// Number of the node on the tape.
    pub(crate) node: u32,
    /// Whatever the caller wants it for.
    pub(crate) feed: usize,
}

/// Hands the text of each wanted number, string, object or array to `take`, in one pass over the tokens, up to the first
/// error. `wanted` is in order of nodes. Other nodes have no text here.
pub(crate) fn locate<E>(
    document: Document<'_>,
    wanted: &[Wanted],
    mut take: impl FnMut(Wanted, Option<&[u8]>) -> Result<(), E>,
) -> Result<(), E> {
    let mut wanted = wanted.iter().copied().peekable();
    let mut tokens = document.positions.iter().enumerate();
    // The number of the node that the next token stands for, if it stands for one.
    let mut node = 0;
    while let Some(Wanted { node: next, .. }) = wanted.peek().copied() {
        let found = tokens.find(|(_, position)| {
            let stands_for_node = !matches!(
                document.text.get(**position as usize),
                Some(b':' | b',' | b'}' | b']')
            );
            let found = stands_for_node && node == next;
            node += u32::from(stands_for_node);
            found
        });
        let text = found.and_then(|(token, _)| text_of(document, next, token));
        while let Some(wanted) = wanted.next_if(|wanted| wanted.node == next) {
            take(wanted, text)?;
        }
    }
    Ok(())
}

/// Tells for each node of the tape the number of the token that it starts with.
pub(crate) fn tokens_of_nodes(document: Document<'_>, tokens: &mut Vec<u32>) {
    tokens.clear();
    let stands_for_node = |position: &u32| {
        !matches!(
            document.text.get(*position as usize),
            Some(b':' | b',' | b'}' | b']')
        )
    };
    let numbered = (0_u32..).zip(document.positions);
    tokens.extend(
        numbered
            .filter(|(_, position)| stands_for_node(position))
            .map(|(token, _)| token),
    );
}

/// The text of `node`, which starts with `token`.
pub(crate) fn text_of(document: Document<'_>, node: u32, token: usize) -> Option<&[u8]> {
    let tokens = document.positions.get(token..)?;
    let start = *tokens.first()? as usize;
    match document.tape.get(node as usize)? {
        Node::Object { .. } | Node::Array { .. } => {
            let end = closing_bracket(document.text, tokens)?;
            document.text.get(start..=end)
        }
        Node::Static(_) => number_at(document.text, start).map(str::as_bytes),
        Node::String(_) => {
            let end = closing_quote(document.text, start)?;
            document.text.get(start..=end)
        }
    }
}

/// Where the string that opens at `start` is closed.
fn closing_quote(text: &[u8], start: usize) -> Option<usize> {
    let mut escaped = false;
    let inside = text.get(start + 1..)?;
    let end = inside.iter().position(|byte| match byte {
        _ if escaped => {
            escaped = false;
            false
        }
        b'\\' => {
            escaped = true;
            false
        }
        byte => *byte == b'"',
    });
    Some(start + 1 + end?)
}

/// Where the bracket that `tokens` start with is closed.
fn closing_bracket(text: &[u8], tokens: &[u32]) -> Option<usize> {
    let mut depth = 0_usize;
    for position in tokens {
        let position = *position as usize;
        match text.get(position)? {
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth = depth.checked_sub(1)?,
            _ => {}
        }
        if depth == 0 {
            return Some(position);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parser::Parser;

    /// The texts of all numbers, objects and arrays of `json`, in order.
    fn texts(json: &str) -> Vec<String> {
        let mut parser = Parser::default();
        let read = parser.read(json.as_bytes(), |document| {
            let located = |node: &Node<'_>| !matches!(node, Node::String(_));
            let wanted: Vec<Wanted> = (0_u32..)
                .zip(document.tape)
                .filter(|(_, node)| located(node))
                .map(|(node, _)| Wanted { node, feed: 0 })
                .collect();
            let mut texts = Vec::new();
            let located = locate(document, &wanted, |_, text| {
                texts.push(String::from_utf8(text.ok_or(())?.to_vec()).unwrap());
                Ok::<_, ()>(())
            });
            located.unwrap();
            texts
        });
        read.unwrap()
    }

    #[test]
    fn texts_are_exact_and_without_the_space_around() {
        assert_eq!(
            texts(
                " { \"a\" : [ 1.0 ,1e5, {\"b\\\"]\" : -0} ] ,\n\"c\":12345678901234567890123\n} \t"
            ),
            [
                "{ \"a\" : [ 1.0 ,1e5, {\"b\\\"]\" : -0} ] ,\n\"c\":12345678901234567890123\n}",
                "[ 1.0 ,1e5, {\"b\\\"]\" : -0} ]",
                "1.0",
                "1e5",
                "{\"b\\\"]\" : -0}",
                "-0",
                "12345678901234567890123"
            ]
        );
        assert_eq!(texts("1.50"), ["1.50"]);
        assert_eq!(texts(" 1e400 "), ["1e400"]);
    }

    #[test]
    fn strings_have_their_quotes_and_escapes() {
        let json = r#"["a", "", "\\", "\"]", "\u00e9\\\"x", "上"]"#;
        let mut parser = Parser::default();
        let read = parser.read(json.as_bytes(), |document| {
            let wanted: Vec<Wanted> = (1..7).map(|node| Wanted { node, feed: 0 }).collect();
            let mut texts = Vec::new();
            let located = locate(document, &wanted, |_, text| {
                texts.push(String::from_utf8(text.ok_or(())?.to_vec()).unwrap());
                Ok::<_, ()>(())
            });
            located.unwrap();
            texts.join(", ")
        });
        assert_eq!(format!("[{}]", read.unwrap()), json);
    }

    #[test]
    fn tokens_far_apart_and_at_block_borders() {
        for gap in 0..200 {
            let space = " ".repeat(gap);
            let json = format!(
                "[\"{}\\\\\",{space}[{space}2.5{space}],{space}3.5]",
                "x".repeat(gap)
            );
            assert_eq!(
                texts(&json)[1..],
                [format!("[{space}2.5{space}]"), "2.5".into(), "3.5".into()]
            );
        }
    }

    #[test]
    fn several_may_want_the_same_text() {
        let wanted = [Wanted { node: 1, feed: 3 }, Wanted { node: 1, feed: 5 }];
        let mut parser = Parser::default();
        let feeds = parser.read(b"[1.5]", |document| {
            let mut feeds = Vec::new();
            let located = locate(document, &wanted, |wanted, text| {
                feeds.push((wanted.feed, text.map(<[u8]>::to_vec)));
                Ok::<_, ()>(())
            });
            located.unwrap();
            feeds
        });
        let text = Some(b"1.5".to_vec());
        assert_eq!(feeds.unwrap(), [(3, text.clone()), (5, text)]);
    }

    #[test]
    fn other_nodes_have_no_text() {
        let mut parser = Parser::default();
        for node in [2, 9] {
            let wanted = [Wanted { node, feed: 0 }];
            let located = parser.read(b"[\"a\",true]", |document| {
                locate(document, &wanted, |_, text| text.map(drop).ok_or("no text"))
            });
            assert_eq!(located.unwrap(), Err("no text"), "{node}");
        }
    }
}
