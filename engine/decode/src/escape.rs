//! Escapes in the strings of a JSON text.

use std::ops::Range;

use crate::index::Tokens;
use crate::reject::RejectReason;

/// Checks the escapes of a part of the text.
pub(crate) fn check_escapes(tokens: Tokens<'_>, range: Range<usize>) -> Result<(), RejectReason> {
    each_escape(tokens, range, |_, _| ()).map(drop)
}

/// Replaces `resolved` with a part of the text, its escapes resolved.
pub(crate) fn resolve(
    tokens: Tokens<'_>,
    range: Range<usize>,
    resolved: &mut Vec<u8>,
) -> Result<(), RejectReason> {
    resolved.clear();
    let rest = each_escape(tokens, range, |before, character| {
        resolved.extend_from_slice(before);
        let mut bytes = [0; 4];
        resolved.extend_from_slice(character.encode_utf8(&mut bytes).as_bytes());
    })?;
    resolved.extend_from_slice(rest);
    Ok(())
}

/// Hands each character that is escaped to `take`, with what stands before it, and gives what is behind the last.
fn each_escape<'a>(
    tokens: Tokens<'a>,
    range: Range<usize>,
    mut take: impl FnMut(&'a [u8], char),
) -> Result<&'a [u8], RejectReason> {
    let text = tokens.text();
    let part = |range: Range<usize>| text.get(range).ok_or(RejectReason::InvalidJson);
    let Range { mut start, end } = range;
    while let Some(at) = tokens.backslash_from(start..end) {
        let (character, length) = escaped(part(at..end)?).ok_or(RejectReason::InvalidJson)?;
        take(part(start..at)?, character);
        start = at + length;
    }
    part(start..end)
}

/// The character that the escape at the start of `text` stands for, and the bytes that it takes.
fn escaped(text: &[u8]) -> Option<(char, usize)> {
    let character = match text.get(1)? {
        b'"' => '"',
        b'\\' => '\\',
        b'/' => '/',
        b'b' => '\u{8}',
        b'f' => '\u{c}',
        b'n' => '\n',
        b'r' => '\r',
        b't' => '\t',
        b'u' => {
            let unit = unit(text.get(2..6)?)?;
            if let Some(character) = char::from_u32(unit) {
                return Some((character, 6));
            }
            let (b"\\u", low) = text.get(6..12)?.split_first_chunk()? else {
                return None;
            };
            let high = unit.checked_sub(0xD800).filter(|high| *high < 0x400)?;
            let low = self::unit(low)?.checked_sub(0xDC00);
            let low = low.filter(|low| *low < 0x400)?;
            return Some((char::from_u32(0x1_0000 + (high << 10) + low)?, 12));
        }
        _ => return None,
    };
    Some((character, 2))
}

/// The number that four hexadecimal digits are.
fn unit(digits: &[u8]) -> Option<u32> {
    digits.iter().try_fold(0, |unit, digit| {
        let digit = char::from(*digit).to_digit(16)?;
        Some(unit << 4 | digit)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::index::Index;

    /// A string of JSON without its escapes.
    fn resolved(json: &str) -> Option<String> {
        let mut index = Index::default();
        let tokens = index.scan(json.as_bytes()).unwrap();
        let inside = 1..json.len() - 1;
        let mut resolved = b"left over".to_vec();
        let outcome = resolve(tokens, inside.clone(), &mut resolved);
        assert_eq!(outcome, check_escapes(tokens, inside));
        outcome.ok().and_then(|()| String::from_utf8(resolved).ok())
    }

    #[test]
    fn as_serde_json_reads_them() {
        for text in [
            "",
            "x",
            r"\n",
            r"a\nb",
            r#"\"\\\/\b\f\n\r\t"#,
            r"\\u0041",
            r"\\\u0041",
            r"\u0000",
            r"\u00e9\u00E9é上😀",
            r"\uD834\uDD1E",
            r"x\ud83d\ude00y\uFFFF",
            r"\x",
            r"\U0041",
            r"\u12",
            r"\u12g4",
            r"\u+123",
            r"\ud800",
            r"\udc00",
            r"\ud800x",
            r"\ud800\n",
            r"\ud800\u0041",
            r"\ud800\ud800",
            r"\udc00\ud800",
            r"\udbff\udfff",
            r"\ud800\udbff",
            r"\ud800\ue000",
            r"\ud800\udc0",
            r"\uéa",
        ] {
            for before in [0, 1, 55, 60, 61, 62, 63, 64, 128] {
                let json = format!("\"{}{text}\"", "y".repeat(before));
                let expected: Option<String> = serde_json::from_str(&json).ok();
                assert_eq!(resolved(&json), expected, "{json}");
            }
        }
    }
}
