//! Names of columns, made of paths.

use std::collections::HashSet;

use engine_model::limits::NAME_BYTES_MAX;
use engine_model::{FieldPath, Step};

/// Names that are given away; they have no case.
pub(super) struct Names {
    taken: HashSet<String>,
}

impl Names {
    pub(super) fn new<'n>(taken: impl IntoIterator<Item = &'n str>) -> Self {
        let taken = taken.into_iter().map(str::to_lowercase).collect();
        Self { taken }
    }

    /// A name for `path` that no other column has.
    pub(super) fn name(&mut self, path: &FieldPath) -> String {
        let name = legal_name(path);
        let mut free = cut(&name, NAME_BYTES_MAX).to_owned();
        let mut number = 2_usize;
        while self.taken.contains(&free) {
            let ending = format!("_{number}");
            free = format!("{}{ending}", cut(&name, NAME_BYTES_MAX - ending.len()));
            number += 1;
        }
        self.taken.insert(free.clone());
        free
    }
}

/// The keys of `path` in lower case with `_` between them and between their words; it begins with a letter and goes on
/// with letters, digits and `_`.
fn legal_name(path: &FieldPath) -> String {
    let mut name = String::new();
    for step in path.steps() {
        let Step::Key(key) = step else { continue };
        name.push('_');
        let mut before = ' ';
        let mut characters = key.chars().peekable();
        while let Some(c) = characters.next() {
            let next_is_lower = characters.peek().is_some_and(char::is_ascii_lowercase);
            let starts_word = c.is_ascii_uppercase()
                && (before.is_ascii_lowercase()
                    || before.is_ascii_digit()
                    || (before.is_ascii_uppercase() && next_is_lower));
            if starts_word {
                name.push('_');
            }
            name.push(if c.is_ascii_alphanumeric() {
                c.to_ascii_lowercase()
            } else {
                '_'
            });
            before = c;
        }
    }
    let words: Vec<&str> = name.split('_').filter(|word| !word.is_empty()).collect();
    let name = words.join("_");
    match name.chars().next() {
        Some(first) if first.is_ascii_lowercase() => name,
        Some(_) => format!("f_{name}"),
        None if path.steps().is_empty() => "payload".to_owned(),
        None => "field".to_owned(),
    }
}

/// The first bytes of a name, all of whose characters are ASCII.
fn cut(name: &str, bytes: usize) -> &str {
    name.get(..bytes).unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_legal_wherever_they_come_from() {
        for (path, name) in [
            ("user.address.city", "user_address_city"),
            ("orderId", "order_id"),
            ("HTTPStatus.codeV2X", "http_status_code_v2_x"),
            ("_id", "id"),
            ("['unit.name']['a b']", "unit_name_a_b"),
            ("2fa", "f_2fa"),
            ("订单", "field"),
            ("订单.id", "id"),
            ("a__b", "a_b"),
            ("$", "payload"),
        ] {
            assert_eq!(legal_name(&path.parse().unwrap()), name, "{path}");
        }
    }

    #[test]
    fn clashes_are_numbered() {
        let mut names = Names::new(["DS", "a_b_2"]);
        let mut name = |path: &str| names.name(&path.parse().unwrap());
        assert_eq!(name("ds"), "ds_2");
        assert_eq!(
            (name("a.b"), name("a_b"), name("aB")),
            ("a_b".into(), "a_b_3".into(), "a_b_4".into())
        );
    }

    #[test]
    fn long_names_are_cut_and_stay_different() {
        let mut names = Names::new([]);
        let long = "x".repeat(200);
        let first = names.name(&format!("{long}.a").parse().unwrap());
        let second = names.name(&format!("{long}.b").parse().unwrap());
        assert_eq!(
            (first.len(), second.len()),
            (NAME_BYTES_MAX, NAME_BYTES_MAX)
        );
        assert!(second.ends_with("x_2"), "{second}");
    }
}
