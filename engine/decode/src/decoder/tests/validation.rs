//! What full validation and that of the mapped fields have in common, and what not.

use super::*;
use crate::decoder::json::Road;
use crate::fixture::{both, projection_of};
use crate::parser::DEPTH_MAX;

const COLUMNS: [(&str, &str); 14] = [
    ("STRING", "a"),
    ("JSON", "a"),
    ("STRING", "a.b"),
    ("STRING", "a[1].b"),
    ("DOUBLE", "b"),
    ("BIGINT", "c"),
    ("DECIMAL(38,18)", "b"),
    ("BOOLEAN", "c"),
    ("STRING", "上"),
    ("JSON", "b.a"),
    ("STRING", "$"),
    ("ARRAY<BIGINT>", "a"),
    ("MAP<STRING,DOUBLE>", "b"),
    ("STRUCT<a:STRING,b:ARRAY<BOOLEAN>>", "$"),
];

/// Rows of each column and of all of them, with both validations: what the full one accepts makes the same row, and what
/// the other rejects the full one rejects. Where only a column refuses the value, both say the same; of several columns each
/// may be the first that is asked.
pub(super) fn check_law(columns: &[(&str, &str)], payload: &[u8]) -> Result<(), String> {
    for columns in columns.chunks(1).chain([columns]) {
        let [full, mapped] = both(columns, payload);
        let is_checked_whole = columns.iter().any(|(_, path)| *path == "$");
        let agree = match (&full, &mapped) {
            (Ok(full), Ok(mapped)) => full == mapped,
            (Err(full), Err(mapped)) => {
                columns.len() > 1 || full.column().is_none() || full == mapped
            }
            (Ok(_), Err(_)) => false,
            // The payload as a whole; a value that was read has been checked.
            (Err(full), Ok(_)) => full.column().is_none() && !is_checked_whole,
        };
        if !agree {
            let payload = payload.escape_ascii();
            return Err(format!("{columns:?} of {payload}: {full:?}, {mapped:?}"));
        }
    }
    Ok(())
}

#[test]
fn the_payload_as_a_whole_is_the_same_text_for_both() {
    let columns = [
        ("STRING", "a"),
        ("STRING", "__value__"),
        ("JSON", "__value__"),
        ("BINARY", "__value__"),
    ];
    for payload in ["\"\"", "{\"a\":\"\"}", " 5 "] {
        let rows = [Validation::Full, Validation::Mapped].map(|validation| {
            let projection = projection_of(&columns, &MessageFormat::default(), true);
            let mut decoder = Decoder::new(validated(projection, validation));
            decoder
                .decode(&message(payload.as_bytes()), &partition())
                .unwrap();
            row(&decoder.flush(), 0)
        });
        assert_eq!(rows[0], rows[1]);
        assert_eq!(rows[0][0], None);
        assert_eq!(rows[0][1].as_deref(), Some(payload));
        assert_eq!(rows[0][2].as_deref(), Some(payload.trim()));
    }
}

/// What `mapped` makes of the field `a`, as the full validation never does.
#[test]
fn what_is_not_mapped_is_not_seen() {
    for (payload, expected) in [
        (&br#"{"a":"x","b":tru}"#[..], Ok("x")),
        (br#"{"a":"x","b":01}"#, Ok("x")),
        (br#"{"a":"x","b":1 2}"#, Err(RejectReason::InvalidJson)),
        (br#"{"a":"x","b":[1 2,,}}"#, Ok("x")),
        (br#"{"a":"x","b":{"c" 1]}"#, Ok("x")),
        (br#"{"a":"x","b":"\x\ud800"}"#, Ok("x")),
        (b"{\"a\":\"x\",\"b\":\"\xff\"}", Ok("x")),
        (b"{\"a\":\"x\",\"\xff\":1}", Ok("x")),
        (br#"{"a":"\x","a":"x"}"#, Ok("x")),
        (br#"{"a":nonsense,"a":"x"}"#, Ok("x")),
    ] {
        let [full, mapped] = both(&[("STRING", "a")], payload);
        assert_eq!(full.unwrap_err().column(), None);
        let mapped = mapped.map(|row| texts(&row)[0].to_owned());
        let mapped = mapped.as_deref().map_err(Rejection::reason);
        assert_eq!(mapped, expected, "{}", payload.escape_ascii());
    }
    let deep = "[".repeat(DEPTH_MAX) + &"]".repeat(DEPTH_MAX);
    let payload = format!("{{\"a\":1,\"b\":{deep}}}");
    let [full, mapped] = both(&[("STRING", "a")], payload.as_bytes());
    let reason = full.unwrap_err().reason();
    assert_eq!(reason, RejectReason::NestedTooDeep);
    assert_eq!(texts(&mapped.unwrap()), ["1"]);
}

/// Values that are no JSON.
const BROKEN: &[&str] = &[
    "tru",
    "truex",
    "nul",
    "nulll",
    "falsey",
    "True",
    "x",
    "'x'",
    "01",
    "-",
    "1.",
    ".5",
    "+1",
    "1e",
    "1e+",
    "1e1.5",
    "0x1",
    "1_0",
    "1a",
    "--1",
    "-01",
    "00",
    "1.5.5",
    "NaN",
    "\\u0031",
    "\"\\x\"",
    "\"\\u12\"",
    "\"\\ud800\"",
    "\"\\ud800x\"",
    "\"\\udc00\"",
    "\"\\ud800\\u0041\"",
    "\"\x01\"",
    "\"a\nb\"",
    "[1 2]",
    "[1,]",
    "[,1]",
    "[}",
    "{]",
    "{\"b\"}",
    "{\"b\":}",
    "{1:2}",
    "{\"b\":1,}",
    "[tru]",
    "[\"\\x\"]",
    "{\"\\ud800\":1}",
    "[01]",
    "[1:2]",
    "{\"b\":\"\t\"}",
    "",
    "1 1",
    "\"a\" \"b\"",
    "{} {}",
    "12345678a",
    "123456789012345678901x",
    "1.0e400x",
    "-\u{e9}",
    "\u{e9}",
    "1\u{0}",
];

#[test]
fn what_is_mapped_is_checked_to_the_last_byte() {
    for value in BROKEN {
        for columns in [
            [("STRING", "a")],
            [("JSON", "a")],
            [("DOUBLE", "a")],
            [("BIGINT", "a")],
        ] {
            for (before, after) in [("", ""), (" ", "\t\r\n")] {
                let payload = format!("{{\"a\":{before}{value}{after},\"b\":1}}");
                let outcomes = both(&columns, payload.as_bytes()).map(Result::unwrap_err);
                let named =
                    outcomes.map(|rejection| (rejection.reason(), rejection.column().is_none()));
                assert_eq!(named, [(RejectReason::InvalidJson, true); 2], "{payload}");
            }
        }
    }
    for value in [
        &b"\"\xff\""[..],
        b"\"ab\xc0\xaf\"",
        b"[\"\xed\xa0\x80\"]",
        b"{\"\x80\":1}",
    ] {
        let payload = [b"{\"a\":", value, b"}"].concat();
        let reasons = both(&[("STRING", "a")], &payload).map(|row| row.unwrap_err().reason());
        assert_eq!(reasons, [RejectReason::InvalidText; 2]);
    }
}

#[test]
fn depth_counts_from_the_top() {
    for (path, before, after, around) in [
        ("$", "", "", 0),
        ("a", "{\"a\":", "}", 1),
        ("a[1].b", "{\"a\":[0,{\"b\":", "}]}", 3),
    ] {
        for (depth, reason) in [
            (DEPTH_MAX - around, None),
            (DEPTH_MAX - around + 1, Some(RejectReason::NestedTooDeep)),
        ] {
            for (open, close) in [("[", "]"), ("{\"b\":", "}")] {
                let value = open.repeat(depth) + "1" + &close.repeat(depth);
                let payload = format!("{before}{value}{after}");
                for row in both(&[("STRING", path)], payload.as_bytes()) {
                    assert_eq!(row.err().map(|rejection| rejection.reason()), reason);
                }
            }
        }
    }
}

#[test]
fn memory_for_giant_messages_is_given_back() {
    let columns = [("BIGINT", "a")];
    let mut decoder = Decoder::new(validated(projection(&columns), Validation::Mapped));
    let memory = |decoder: &Decoder| match &decoder.fields {
        Fields::Json(fields) => match &fields.road {
            Road::Mapped(walker) => walker.memory(),
            Road::Full(_) => panic!("not the road that was asked for"),
        },
        _ => panic!("not the fields that were asked for"),
    };
    let small = "{\"a\":1}".to_owned();
    let tokens = format!("{{\"b\":[{}0],\"a\":1}}", "0,".repeat(200_000));
    let bytes = format!("{{\"b\":\"{}\",\"a\":1}}", "x".repeat(16 << 20));
    for (payload, is_giant) in [(small, false), (tokens, true), (bytes, true)] {
        decoder
            .decode(&message(payload.as_bytes()), &partition())
            .unwrap();
        let before = memory(&decoder);
        assert!(before > 0 && (before > 2_000_000) == is_giant, "{before}");
        decoder.flush();
        assert_eq!(memory(&decoder), if is_giant { 0 } else { before });
    }
}

/// A payload with a few bytes changed, removed or repeated.
fn damaged(json: String, edits: &[(prop::sample::Index, u8, u8)]) -> Vec<u8> {
    let mut json = json.into_bytes();
    for (at, kind, byte) in edits {
        let at = at.index(json.len().max(1));
        match kind % 4 {
            0 => json.truncate(at),
            1 if at < json.len() => drop(json.remove(at)),
            2 => json.insert(at, *byte),
            _ => {
                let pieces: [&[u8]; 8] = [
                    b"\"", b"\\", b"\\u0061", b",", b"}", b"[", b"1e400", b"\\ud83d",
                ];
                let piece = pieces[usize::from(*byte) % pieces.len()];
                json.splice(at..at, piece.iter().copied());
            }
        }
    }
    json
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_500))]

    #[test]
    fn the_law_holds(json in reference::json()) {
        check_law(&COLUMNS, json.as_bytes()).map_err(TestCaseError::fail)?;
    }

    #[test]
    fn the_law_holds_for_what_is_damaged(
        json in reference::json(),
        edits in prop::collection::vec(any::<(prop::sample::Index, u8, u8)>(), 1..4),
    ) {
        check_law(&COLUMNS, &damaged(json, &edits)).map_err(TestCaseError::fail)?;
    }

    #[test]
    fn numbers_are_the_same(
        number in "-?(0|[1-9][0-9]{0,24})(\\.[0-9]{1,25})?([eE][+-]?[0-9]{1,3})?",
        space in "[ \n]{0,3}",
    ) {
        let columns = ["STRING", "DOUBLE", "FLOAT", "BIGINT", "DECIMAL(38,18)", "JSON"];
        let payload = format!("{{\"a\":{number}{space}}}");
        let columns = columns.map(|column_type| (column_type, "a"));
        check_law(&columns, payload.as_bytes()).map_err(TestCaseError::fail)?;
    }
}
