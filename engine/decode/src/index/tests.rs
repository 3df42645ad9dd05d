//! Every way to scan against one byte after the other.

use proptest::prelude::*;

use super::*;

/// Where the tokens of `text` start, or nothing where the scan has to find a fault.
fn reference(text: &[u8]) -> Option<Vec<u32>> {
    let (mut in_string, mut escaped, mut after_scalar, mut sound) = (false, false, false, true);
    let mut positions = Vec::new();
    for (position, byte) in (0..).zip(text) {
        let is_quote = *byte == b'"' && !escaped;
        let is_backslash = *byte == b'\\';
        let is_space = matches!(*byte, b' ' | b'\t' | b'\n' | b'\r');
        let is_operator = b"{}[]:,".contains(byte);
        sound &= !(in_string && *byte < 0x20) && (in_string || !is_backslash);
        let of_scalar = !(in_string || is_quote || is_space || is_operator);
        if (!in_string && (is_quote || is_operator)) || (of_scalar && !after_scalar) {
            positions.push(position);
        }
        after_scalar = of_scalar;
        in_string ^= is_quote;
        escaped = is_backslash && !escaped;
    }
    (sound && !in_string).then_some(positions)
}

/// Scans `text` in every way that this processor can.
fn check(indexes: &mut [Index], text: &str) {
    let expected = reference(text.as_bytes());
    let backslashes: Vec<usize> = text.match_indices('\\').map(|(at, _)| at).collect();
    for index in indexes {
        let machine = index.machine;
        let found = index.scan(text.as_bytes()).ok();
        let positions = found.map(|tokens| tokens.positions[..tokens.len()].to_vec());
        assert_eq!(positions, expected, "{machine:?}: {text:?}");
        let Some(tokens) = found else { continue };
        let end = u32::try_from(text.len()).unwrap();
        assert_eq!(tokens.positions_from(tokens.len()), [end; SENTINELS]);
        assert_eq!(tokens.kinds_from(tokens.len()), [0; SENTINELS]);
        for token in 0..tokens.len() {
            assert_eq!(tokens.kind(token), text.as_bytes()[tokens.start(token)]);
        }
        let mut seen = Vec::new();
        let mut from = 0;
        while let Some(at) = tokens.backslash_from(from..text.len()) {
            seen.push(at);
            from = at + 1;
        }
        assert_eq!(seen, backslashes, "{machine:?}: {text:?}");
    }
}

fn all() -> Vec<Index> {
    Machine::all().map(Index::with_machine).collect()
}

#[test]
fn the_best_machine_is_taken() {
    let machines: Vec<Machine> = Machine::all().collect();
    assert_eq!(machines.last(), Some(&Machine::Portable));
    assert_eq!(Index::default().machine, machines[0]);
}

#[test]
fn every_length_with_and_without_a_string_at_the_end() {
    let mut indexes = all();
    let pattern = r#"{"a\\":[1, true,"b\"]"],"cd" : -1.5e3}"#;
    for length in 0..300 {
        let text: String = pattern.chars().cycle().take(length).collect();
        check(&mut indexes, &text);
        check(&mut indexes, &format!("{text}\""));
        check(&mut indexes, &"[".repeat(length));
        check(&mut indexes, &" ".repeat(length));
        check(&mut indexes, &"é".repeat(length));
    }
}

#[test]
fn runs_of_backslashes_across_the_borders_of_blocks() {
    let mut indexes = all();
    for before in 0..140 {
        for run in (0..5).chain(60..70).chain(126..131) {
            for behind in ["\"", "\"]\"", "n\",", "\\\"\""] {
                let text = format!("\"{}{}{behind}", "x".repeat(before), "\\".repeat(run));
                check(&mut indexes, &text);
                check(&mut indexes, &format!("[{text},1,\"\\\"\",{{}}]"));
            }
        }
    }
}

#[test]
fn every_byte_alone_and_beside_others() {
    let mut indexes = all();
    for byte in 0..0x80_u8 {
        for (before, after) in [
            ("", ""),
            ("1", "1"),
            (" ", " "),
            ("\"", "\""),
            ("\"a\"", "b"),
            ("[", "]"),
        ] {
            for gap in [0, 62, 63, 64] {
                let text = format!("{}{before}{}{after}", " ".repeat(gap), char::from(byte));
                check(&mut indexes, &text);
            }
        }
    }
    for other in ["\u{80}", "é", "上", "😀", "\u{2028}", "\u{ff}"] {
        for gap in 58..66 {
            check(&mut indexes, &format!("{}{other}1", " ".repeat(gap)));
        }
    }
}

#[test]
fn scalars_end_before_white_space() {
    let text = " {\"a\\\\\" : \"b \\\"\"\t, \"c\":-1.5 \r\n,\"d\":null}";
    let mut index = Index::default();
    let tokens = index.scan(text.as_bytes()).unwrap();
    let scalars: Vec<&str> = (0..tokens.len())
        .filter(|token| !b"{}[]:,".contains(&tokens.kind(*token)))
        .map(|token| text.get(tokens.scalar(token)).unwrap())
        .collect();
    assert_eq!(
        scalars,
        [r#""a\\""#, r#""b \"""#, r#""c""#, "-1.5", r#""d""#, "null"]
    );
    let with_backslash: Vec<bool> = (0..tokens.len())
        .filter(|token| tokens.kind(*token) == b'"')
        .map(|token| tokens.has_backslash(tokens.scalar(token)))
        .collect();
    assert_eq!(with_backslash, [true, true, false, false]);
    assert_eq!(tokens.kind(tokens.len()), 0);
    assert_eq!(tokens.kind(tokens.len() + SENTINELS), 0);
    assert_eq!(tokens.scalar(tokens.len() + SENTINELS), 0..0);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    #[test]
    fn any_text(text in "([\"\\\\{}\\[\\]:, \n\ta1é\u{1}]|\\PC){0,300}") {
        check(&mut all(), &text);
    }

    #[test]
    fn text_with_many_quotes(text in "[\"\\\\a ]{0,300}", skip in 0_usize..64) {
        check(&mut all(), &format!("{}{text}", "x".repeat(skip)));
    }
}
