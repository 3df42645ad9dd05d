//! Whether tokens are JSON, by the grammar of RFC 8259.

use crate::index::Tokens;
use crate::number::JsonNumber;
use crate::parser::DEPTH_MAX;
use crate::reject::RejectReason;

/// Of the objects and arrays around a token, which are objects: a bit for each, the outermost first.
struct Around {
    objects: [u64; DEPTH_MAX.div_ceil(64)],
    depth: usize,
}

impl Around {
    /// Steps into an object or an array.
    #[inline]
    fn enter(&mut self, is_object: bool, depth_max: usize) -> Result<(), RejectReason> {
        let objects = self.objects.get_mut(self.depth / 64);
        let objects = objects.filter(|_| self.depth < depth_max);
        let objects = objects.ok_or(RejectReason::NestedTooDeep)?;
        let bit = self.depth % 64;
        *objects = (*objects & !(1 << bit)) | (u64::from(is_object) << bit);
        self.depth += 1;
        Ok(())
    }

    /// Whether the innermost is an object; nothing outside of all.
    #[inline]
    fn innermost_is_object(&self) -> Option<bool> {
        let innermost = self.depth.checked_sub(1)?;
        let objects = self.objects.get(innermost / 64)?;
        Some(objects >> (innermost % 64) & 1 == 1)
    }
}

/// Checks the value that starts with `token`, within `depth` objects and arrays, all but the escapes in its strings, and
/// gives the token behind it.
pub(crate) fn check_value(
    tokens: Tokens<'_>,
    token: usize,
    depth: usize,
) -> Result<usize, RejectReason> {
    let depth_max = DEPTH_MAX.saturating_sub(depth);
    let mut around = Around {
        objects: [0; _],
        depth: 0,
    };
    let mut at = token;
    loop {
        // A value starts here.
        match tokens.kind(at) {
            b'"' => at += 1,
            b'{' => {
                around.enter(true, depth_max)?;
                at += 1;
                if tokens.kind(at) != b'}' {
                    at = behind_key(tokens, at)?;
                    continue;
                }
            }
            b'[' => {
                around.enter(false, depth_max)?;
                at += 1;
                if tokens.kind(at) != b']' {
                    continue;
                }
            }
            _ => {
                check_scalar(tokens, at)?;
                at += 1;
            }
        }
        // A value, or an opening bracket that is closed at once, is right before.
        loop {
            let Some(in_object) = around.innermost_is_object() else {
                return Ok(at);
            };
            match (in_object, tokens.kind(at)) {
                (true, b',') => {
                    at = behind_key(tokens, at + 1)?;
                    break;
                }
                (false, b',') => {
                    at += 1;
                    break;
                }
                (true, b'}') | (false, b']') => {
                    around.depth -= 1;
                    at += 1;
                }
                _ => return Err(RejectReason::InvalidJson),
            }
        }
    }
}

/// The token behind a key and its colon.
#[inline]
fn behind_key(tokens: Tokens<'_>, token: usize) -> Result<usize, RejectReason> {
    if tokens.kind(token) == b'"' && tokens.kind(token + 1) == b':' {
        Ok(token + 2)
    } else {
        Err(RejectReason::InvalidJson)
    }
}

/// Checks a number, `true`, `false` or `null`; other tokens are none of them.
#[inline]
pub(crate) fn check_scalar(tokens: Tokens<'_>, token: usize) -> Result<(), RejectReason> {
    let text = tokens.text().get(tokens.scalar(token));
    let text = text.unwrap_or_default();
    let is_sound = match text.first() {
        Some(b't') => text == b"true",
        Some(b'f') => text == b"false",
        Some(b'n') => text == b"null",
        _ => JsonNumber::parse(text).is_some(),
    };
    is_sound.then_some(()).ok_or(RejectReason::InvalidJson)
}
