//! The paths walked over the tokens of a payload.

use std::ops::Range;

use crate::check::check_scalar;
use crate::escape::resolve;
use crate::index::Tokens;
use crate::reject::RejectReason;

use super::{ABSENT, Trie, TrieStep};

/// A walk under way.
struct Walk<'a> {
    trie: &'a Trie,
    tokens: Tokens<'a>,
    /// For each slot, the token that its value starts with.
    found: &'a mut [u32],
    /// For keys that have escapes.
    key: &'a mut Vec<u8>,
    /// No key that ends before this has a backslash.
    next_backslash: usize,
}

impl Trie {
    /// Finds the number of the token that each path leads to, or [`ABSENT`]. `found` has one place per slot; `key` is
    /// for keys that have escapes.
    ///
    /// What paths lead through must be objects, arrays or other values as JSON has them. Of the rest only the brackets
    /// are counted. Recursion goes as deep as the longest path, however deep the message is.
    pub(crate) fn walk_tokens(
        &self,
        tokens: Tokens<'_>,
        found: &mut [u32],
        key: &mut Vec<u8>,
    ) -> Result<(), RejectReason> {
        found.fill(ABSENT);
        let mut walk = Walk {
            trie: self,
            tokens,
            found,
            key,
            next_backslash: if tokens.has_backslashes() {
                0
            } else {
                usize::MAX
            },
        };
        let behind = walk.arrive(0, 0)?;
        if behind == tokens.len() {
            Ok(())
        } else {
            Err(RejectReason::InvalidJson)
        }
    }
}

impl Walk<'_> {
    /// Takes the value that starts with `token` for those who want it or something in it; gives the token behind it.
    fn arrive(&mut self, step: usize, token: usize) -> Result<usize, RejectReason> {
        let first = self.tokens.kind(token);
        let Some(step) = self.trie.steps.get(step) else {
            return self.skip(token, first);
        };
        self.take(step, token);
        if step.below.is_empty() {
            self.skip(token, first)
        } else {
            self.descend(step, token, first)
        }
    }

    #[inline]
    fn take(&mut self, step: &TrieStep, token: usize) {
        if let Some(slot) = step.slot
            && let Some(found) = self.found.get_mut(slot)
        {
            *found = u32::try_from(token).unwrap_or(ABSENT);
        }
    }

    /// Goes on within the value that starts with `token` and the byte `first`; gives the token behind it.
    fn descend(&mut self, step: &TrieStep, token: usize, first: u8) -> Result<usize, RejectReason> {
        // The last of duplicate keys wins, with all that is in it and nothing of what was in the others.
        if let Some(below) = self.found.get_mut(step.below.clone()) {
            below.fill(ABSENT);
        }
        match first {
            b'{' if !step.keys.is_empty() => self.object(step, token + 1),
            b'[' if !step.elements.is_empty() => self.array(step, token + 1),
            b'{' | b'[' => self.skip(token, first),
            b'"' => Ok(token + 1),
            _ => check_scalar(self.tokens, token).map(|()| token + 1),
        }
    }

    /// Goes through an object from the token behind its opening bracket; gives the one behind its closing bracket.
    fn object(&mut self, step: &TrieStep, mut token: usize) -> Result<usize, RejectReason> {
        let tokens = self.tokens;
        if tokens.kind(token) == b'}' {
            return Ok(token + 1);
        }
        loop {
            let [b'"', b':', first, mut behind, ..] = *tokens.kinds_from(token) else {
                return Err(RejectReason::InvalidJson);
            };
            let child = self.find(step, token)?;
            token += 2;
            let child = child.and_then(|child| self.trie.steps.get(child));
            if let Some(child) = child {
                self.take(child, token);
            }
            if let Some(child) = child.filter(|child| !child.below.is_empty()) {
                token = self.descend(child, token, first)?;
                behind = tokens.kind(token);
            } else {
                token = self.skip(token, first)?;
                if matches!(first, b'{' | b'[') {
                    behind = tokens.kind(token);
                }
            }
            match behind {
                b',' => token += 1,
                b'}' => return Ok(token + 1),
                _ => return Err(RejectReason::InvalidJson),
            }
        }
    }

    /// The step that the key `token` leads to.
    #[inline]
    fn find(&mut self, step: &TrieStep, token: usize) -> Result<Option<usize>, RejectReason> {
        let [start, colon, ..] = *self.tokens.positions_from(token) else {
            return Ok(None);
        };
        let start = start as usize + 1;
        // The closing quote.
        let end = self.tokens.end_before(colon) - 1;
        if end > self.next_backslash {
            return self.find_escaped(step, start..end);
        }
        Ok(step.keys.find_in(self.tokens.text(), start..end))
    }

    /// The same for a key that may have escapes; backslashes before it are out of the way then.
    #[cold]
    fn find_escaped(
        &mut self,
        step: &TrieStep,
        key: Range<usize>,
    ) -> Result<Option<usize>, RejectReason> {
        let tokens = self.tokens;
        let next = |start| tokens.backslash_from(start..tokens.text().len());
        self.next_backslash = next(key.start).unwrap_or(usize::MAX);
        if self.next_backslash > key.end {
            return Ok(step.keys.find_in(tokens.text(), key));
        }
        resolve(tokens, key, self.key)?;
        Ok(step.keys.find(self.key))
    }

    /// Goes through an array from the token behind its opening bracket; gives the one behind its closing bracket.
    fn array(&mut self, step: &TrieStep, mut token: usize) -> Result<usize, RejectReason> {
        if self.tokens.kind(token) == b']' {
            return Ok(token + 1);
        }
        let mut wanted = step.elements.iter();
        let mut next = wanted.next();
        let mut at = 0;
        while let Some((index, child)) = next {
            token = if at == *index {
                next = wanted.next();
                self.arrive(*child, token)?
            } else {
                self.skip(token, self.tokens.kind(token))?
            };
            match self.tokens.kind(token) {
                b',' => token += 1,
                b']' => return Ok(token + 1),
                _ => return Err(RejectReason::InvalidJson),
            }
            at += 1;
        }
        // The comma before the first element that nobody wants might as well be the opening bracket.
        let behind = self.tokens.behind_bracket(token - 1);
        behind.ok_or(RejectReason::InvalidJson)
    }

    /// The token behind the value that starts with `token` and the byte `first`.
    #[inline]
    fn skip(&self, token: usize, first: u8) -> Result<usize, RejectReason> {
        match first {
            b'{' | b'[' => self.tokens.behind_bracket(token),
            // No value, but what stands behind one, or the end.
            b'}' | b']' | b':' | b',' | 0 => None,
            _ => Some(token + 1),
        }
        .ok_or(RejectReason::InvalidJson)
    }
}

#[cfg(test)]
mod tests {
    use engine_model::FieldPath;

    use super::*;
    use crate::index::Index;

    /// The first bytes of what each path leads to.
    fn walk(paths: &[&str], json: &str) -> Result<Vec<Option<char>>, RejectReason> {
        let paths: Vec<FieldPath> = paths.iter().map(|path| path.parse().unwrap()).collect();
        let (trie, slots) = Trie::new(&paths.iter().collect::<Vec<_>>());
        let mut index = Index::default();
        let tokens = index.scan(json.as_bytes())?;
        let mut found = vec![7; trie.slots()];
        trie.walk_tokens(tokens, &mut found, &mut Vec::new())?;
        let kind = |token: u32| (token != ABSENT).then(|| tokens.kind(token as usize).into());
        Ok(slots.into_iter().map(|slot| kind(found[slot])).collect())
    }

    #[test]
    fn what_is_skipped_is_not_looked_into() {
        for json in [
            r#"{"z":nonsense,"a":1,"y":[1 2,,}}"#,
            r#"{"z":{"a":2,],"a":1}"#,
            r#"{"z":[[[{{}]]}},"a":1}"#,
            r#"{"z":"\x","a":1}"#,
            r#"{"a":[3,{]],"a":1}"#,
        ] {
            assert_eq!(walk(&["a"], json), Ok(vec![Some('1')]), "{json}");
        }
        assert_eq!(walk(&["[1]"], "[x,1,2,:}"), Ok(vec![Some('1')]));
    }

    #[test]
    fn the_way_is_checked() {
        for json in [
            "",
            " ",
            r#"{"a":1"#,
            r#"{"a":1]"#,
            r#"{"a":1}}"#,
            r#"{"a":1} 2"#,
            r#"{"a" 1}"#,
            r#"{"a"}"#,
            r#"{"a":}"#,
            r#"{"a":1,}"#,
            r#"{"a":1 "b":2}"#,
            r#"{"a":1,"b"}"#,
            r#"{"a":1,b:2}"#,
            r#"{"a":1,"b":{"c":1}"#,
            r#"{"a":1,"b":{"c":1}]"#,
            r#"{"a":1,"b":]}"#,
            r#"{"a":1,"\x":2}"#,
            r#"{"a":1,"b":"}"#,
            "{\"a\":1,\"b\":\"\n\"}",
            r#"{"a":1,\"b":2}"#,
            "nul",
            "[1,",
            "[,1]",
            "[]]",
            "1 2",
        ] {
            let outcome = walk(&["a", "[0].c"], json);
            assert_eq!(outcome, Err(RejectReason::InvalidJson), "{json}");
        }
        let into_scalars = walk(&["a.b"], r#"{"a":tru}"#);
        assert_eq!(into_scalars, Err(RejectReason::InvalidJson));
        for json in [
            r#"{"a":true}"#,
            r#"{"a":"b"}"#,
            r#"{"a":[1]}"#,
            "{}",
            "[]",
            "-1.5",
        ] {
            assert_eq!(walk(&["a.b"], json), Ok(vec![None]), "{json}");
        }
    }

    #[test]
    fn the_last_duplicate_wins_with_all_that_is_in_it() {
        let walk = |json| walk(&["a.b", "a.c", "a"], json).unwrap();
        assert_eq!(
            walk(r#"{"a":{"b":1},"a":{"c":2}}"#),
            [None, Some('2'), Some('{')]
        );
        assert_eq!(walk(r#"{"a":{"b":1},"a":[]}"#), [None, None, Some('[')]);
        assert_eq!(
            walk(r#"{"a":{"b":1,"\u0062":3}}"#),
            [Some('3'), None, Some('{')]
        );
    }

    #[test]
    fn keys_with_escapes_are_the_keys_that_they_spell() {
        let long = "x".repeat(70);
        for json in [
            r#"{"z":"\\\\","\u0061":1}"#.to_owned(),
            format!(r#"{{"{long}\n":"\"","a":2,"{long}":"\n","\u0061":1,"b":0,"c":"\\"}}"#),
            format!(r#"{{"{long}\\":3,"a\n":2,"\"a":2,"a":1}}"#),
            r#"{"a":2,"\\u0061":3,"\u0061":1,"a\u0000":2}"#.to_owned(),
        ] {
            assert_eq!(walk(&["a"], &json), Ok(vec![Some('1')]), "{json}");
        }
        let json = r#"{"a\\b":1,"a\b":2}"#;
        assert_eq!(walk(&[r"a\b"], json), Ok(vec![Some('1')]));
    }

    #[test]
    fn brackets_far_apart() {
        for count in 0..40 {
            let opening = "{\"b\":[0,".repeat(count);
            let inner = format!("{opening}{}2{}", "1,".repeat(count), "]}".repeat(count));
            let json = format!("{{\"z\":[{inner},{{}}],\"a\":1,\"y\":{inner}}}");
            assert_eq!(walk(&["a"], &json), Ok(vec![Some('1')]), "{json}");
            assert!(
                walk(&["a"], json.strip_suffix('}').unwrap()).is_err(),
                "{json}"
            );
            assert!(walk(&["a"], &format!("{json}]")).is_err(), "{json}");
        }
    }
}
