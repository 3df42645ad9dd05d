//! What is accepted as JSON, against RFC 8259 and against `serde_json`.

use proptest::prelude::*;
use serde_json::value::RawValue;

use super::*;

/// Nodes on the tape, or why there is none.
fn parse(payload: &[u8]) -> Result<usize, RejectReason> {
    Parser::default().read(payload, |document| document.tape.len())
}

/// Whether `serde_json` accepts the grammar, and the escapes make UTF-8 text.
fn serde_accepts(payload: &[u8]) -> bool {
    let Ok(text) = str::from_utf8(payload) else {
        return false;
    };
    if serde_json::from_str::<&RawValue>(text).is_err() {
        return false;
    }
    // A float that overflows and deep nesting are its own limits, not the grammar's.
    serde_json::from_str::<serde_json::Value>(text).map_or_else(
        |error| {
            let error = error.to_string();
            error.contains("number out of range") || error.contains("recursion limit")
        },
        |_| true,
    )
}

const ACCEPTED: &[&[u8]] = &[
    b"null",
    b" true ",
    b"\t\r\nfalse\n",
    b"\"\"",
    b"0",
    b"-0",
    b"-0.0e-0",
    b"1E+2",
    b"1e400",
    b"-1e400",
    b"[1e400,-2e308,1e99999999999999999999,{\"a\":1e309}]",
    b"1e-400",
    b"0e99999999999999999999",
    b"123456789012345678901234567890",
    b"-9223372036854775808",
    b"-9223372036854775809",
    b"18446744073709551616",
    b"0.00000000000000000000000000000000000000000000000000000000001",
    b"[]",
    b"{}",
    b"[[],{},[{}]]",
    b"{\"\":0}",
    b"{\"a\":1,\"a\":2}",
    b"\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u0041\\u00e9\\u0000\"",
    b"\"\\uD834\\uDD1E\"",
    b"\"\x7f\"",
    b"\"\xe4\xb8\x8a\xf0\x9f\x98\x80\"",
    b"\"\xef\xbf\xbf\xf4\x8f\xbf\xbf\"",
    b"[\"\xe2\x80\xa8\xe2\x80\xa9\"]",
];

const REJECTED: &[&[u8]] = &[
    b"",
    b" ",
    b"\n\t",
    b"[",
    b"]",
    b"{",
    b"}",
    b"[}",
    b"{]",
    b"[1,]",
    b"[,1]",
    b"[1,,2]",
    b"[1 2]",
    b"[1:2]",
    b"{\"a\"}",
    b"{\"a\":}",
    b"{\"a\":1,}",
    b"{,\"a\":1}",
    b"{\"a\" 1}",
    b"{\"a\"::1}",
    b"{\"a\":1 \"b\":2}",
    b"{a:1}",
    b"{1:1}",
    b"{'a':1}",
    b"{null:1}",
    b"nul",
    b"nulll",
    b"truefalse",
    b"True",
    b"NaN",
    b"Infinity",
    b"-Infinity",
    b"+1",
    b"-",
    b"--1",
    b"01",
    b"-01",
    b"00",
    b".5",
    b"1.",
    b"1.e1",
    b"1e",
    b"1e+",
    b"1e1.5",
    b"1e400x",
    b"01e400",
    b"1e400.5",
    b"[1e400,]",
    b"0x10",
    b"1_000",
    b"1a",
    b"\"",
    b"\"a",
    b"\"\\\"",
    b"\"\\x\"",
    b"\"\\u12\"",
    b"\"\\u12g4\"",
    b"\"\\U0041\"",
    b"\"a\nb\"",
    b"\"a\tb\"",
    b"\"a\x00b\"",
    b"\"a\x1fb\"",
    b"'a'",
    b"1 2",
    b"{} {}",
    b"[]x",
    b"[]]",
    b"{}}",
    b"\"a\"b",
    b"1\x00",
    b"[]\x00",
    b"\x00",
    b"[\x0c]",
    b"[\x0b1]",
    b"[\xc2\xa01]",
    b"// c\n1",
    b"/* c */1",
    b"1 // c",
    b"\\u0031",
    b"[\\\"a\"]",
    b"[\"a\"\\]",
    // Half a surrogate pair, alone or in the wrong order.
    b"\"\\ud800\"",
    b"\"\\udc00\"",
    b"\"\\ud800\\ud800\"",
    b"\"\\udc00\\ud800\"",
    b"\"\\ud800x\"",
    b"\"\\ud800\\n\"",
    b"{\"\\ud800\":1}",
    // A byte order mark.
    b"\xef\xbb\xbf{}",
];

const NOT_UTF8: &[&[u8]] = &[
    b"\"\xff\"",
    b"\"\xc0\xaf\"",
    b"\"\xed\xa0\x80\"",
    b"\"\xf4\x90\x80\x80\"",
    b"\"\xe4\xb8\"",
    b"\"\x80\"",
    b"\xff",
    b"\xff\xfe[\x00]\x00",
    b"{\"\xe9\":1}",
];

#[test]
fn the_grammar_of_rfc_8259_decides() {
    for json in ACCEPTED {
        assert!(parse(json).is_ok(), "{}", json.escape_ascii());
    }
    for json in REJECTED {
        let outcome = parse(json);
        assert_eq!(
            outcome,
            Err(RejectReason::InvalidJson),
            "{}",
            json.escape_ascii()
        );
    }
    for json in NOT_UTF8 {
        let outcome = parse(json);
        assert_eq!(
            outcome,
            Err(RejectReason::InvalidText),
            "{}",
            json.escape_ascii()
        );
    }
}

/// Around the parser's blocks of 64 bytes, and after other messages in the same buffers.
#[test]
fn the_place_in_the_payload_makes_no_difference() {
    let mut parser = Parser::default();
    for gap in (0..200).rev() {
        for (texts, accepted) in [(ACCEPTED, true), (REJECTED, false), (NOT_UTF8, false)] {
            for json in texts {
                let mut payload = format!("[\"{}\",", "é\\n".repeat(gap / 4)).into_bytes();
                payload.resize(payload.len() + gap % 4, b' ');
                payload.extend_from_slice(json);
                payload.push(b']');
                let serde = serde_accepts(&payload);
                let ours = parser.read(&payload, |_| ()).is_ok();
                assert_eq!(ours, serde, "{}", payload.escape_ascii());
                assert!(ours || !accepted, "{}", payload.escape_ascii());
            }
        }
    }
}

#[test]
fn every_byte_everywhere() {
    for byte in 0..=u8::MAX {
        for (before, after) in [
            (&b""[..], &b"1"[..]),
            (b"1", b""),
            (b"[", b"]"),
            (b"[1", b"]"),
            (b"[1,", b"2]"),
            (b"[true", b"]"),
            (b"[nul", b"]"),
            (b"\"", b"\""),
            (b"\"\\", b"\""),
            (b"\"\\u00", b"0\""),
            (b"\"a\"", b""),
            (b"{", b"\"a\":1}"),
            (b"{\"a\"", b":1}"),
            (b"{\"a\":", b"1}"),
            (b"{\"a\":1", b"}"),
            (b"{\"a\":1}", b""),
            (b"{\"a\":-", b"}"),
            (b"{\"a\":0", b"1}"),
            (b"{\"a\":1e", b"5}"),
        ] {
            let json = [before, &[byte], after].concat();
            assert_eq!(
                parse(&json).is_ok(),
                serde_accepts(&json),
                "{}",
                json.escape_ascii()
            );
        }
    }
}

#[test]
fn depth_is_bounded() {
    let nested = |open: &str, close: &str, depth: usize| {
        format!("{}1{}", open.repeat(depth), close.repeat(depth)).into_bytes()
    };
    for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
        assert!(parse(&nested(open, close, DEPTH_MAX)).is_ok());
        assert_eq!(
            parse(&nested(open, close, DEPTH_MAX + 1)),
            Err(RejectReason::NestedTooDeep)
        );
        assert_eq!(
            parse(&nested(open, close, 100_000)),
            Err(RejectReason::NestedTooDeep)
        );
    }
    assert_eq!(
        parse("[".repeat(100_000).as_bytes()),
        Err(RejectReason::NestedTooDeep)
    );
}

#[test]
fn a_parser_is_as_good_as_new_after_an_error() {
    let mut parser = Parser::default();
    let mut read = |payload: &[u8]| parser.read(payload, |document| format!("{:?}", document.tape));
    let fresh = read(b"{\"a\":[1,\"b\\n\"]}");
    for json in REJECTED.iter().chain(NOT_UTF8) {
        assert!(read(json).is_err());
        assert_eq!(read(b"{\"a\":[1,\"b\\n\"]}"), fresh);
    }
}

#[test]
fn giant_messages_leave_no_memory_reserved() {
    let mut parser = Parser::default();
    let giant = format!("[{}0]", "0,".repeat(INPUT_BYTES_KEPT));
    parser.read(giant.as_bytes(), |_| ()).unwrap();
    parser.shrink();
    assert_eq!(parser.input.capacity(), 0);
    parser.read(b"[1]", |_| ()).unwrap();
    let kept = parser.input.capacity();
    parser.shrink();
    assert_eq!(parser.input.capacity(), kept);
}

/// Few bytes can be many tokens, in JSON and in what turns out not to be.
#[test]
fn messages_of_many_tokens_leave_no_memory_reserved() {
    for end in ["0]", "0"] {
        let mut parser = Parser::default();
        let many = format!("[{}{end}", "0,".repeat(TOKENS_KEPT));
        let outcome = parser.read(many.as_bytes(), |_| ());
        assert_eq!(outcome.is_ok(), end == "0]");
        assert!(parser.input.capacity() < INPUT_BYTES_KEPT);
        assert!(parser.buffers.structural_indexes().len() > TOKENS_KEPT);
        parser.shrink();
        assert_eq!(parser.tape.0.capacity(), 0);
        assert!(parser.buffers.structural_indexes().is_empty());
    }
    let mut parser = Parser::default();
    let fewer = format!("[{}0]", "0,".repeat(TOKENS_KEPT / 2 - 2));
    parser.read(fewer.as_bytes(), |_| ()).unwrap();
    let kept = parser.tape.0.capacity();
    parser.shrink();
    assert!(kept > 0);
    assert_eq!(parser.tape.0.capacity(), kept);
}

/// JSON texts, most of them broken somewhere.
fn nearly_json() -> impl Strategy<Value = Vec<u8>> {
    let pieces = prop::sample::select(vec![
        "{",
        "}",
        "[",
        "]",
        ":",
        ",",
        "\"a\"",
        "\"\\\\\"",
        "\"\\u00e9\"",
        "\"上\"",
        "1",
        "-0",
        "1.5e3",
        "1e999",
        "true",
        "false",
        "null",
        " ",
        "\n",
        "\"",
        "\\",
        "\"b\":",
        "[1,2]",
        "{\"c\":{}}",
        "0",
        "\u{7f}",
    ]);
    let whole =
        prop::collection::vec(pieces, 0..40).prop_map(|pieces| pieces.concat().into_bytes());
    let seeds = prop::sample::select(ACCEPTED).prop_map(<[u8]>::to_vec);
    let edited = (
        seeds,
        prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..3),
    )
        .prop_map(|(mut json, edits)| {
            for (at, byte) in edits {
                let at = at.index(json.len());
                json[at] = byte;
            }
            json
        });
    prop_oneof![whole, edited]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    #[test]
    fn serde_json_agrees(json in nearly_json()) {
        prop_assert_eq!(parse(&json).is_ok(), serde_accepts(&json));
    }

    #[test]
    fn floats_are_the_nearest(number in "-?(0|[1-9][0-9]{0,24})\\.[0-9]{1,25}([eE][+-]?[0-9]{1,3})?") {
        let expected: f64 = number.parse().unwrap();
        if expected.is_finite() {
            prop_assert_eq!(float(&number), Some(expected.to_bits()));
        } else {
            prop_assert!(parse(number.as_bytes()).is_ok());
        }
    }

    /// Halfway between two floats the even one is the nearest; a digit more tips the balance.
    #[test]
    fn halves_are_rounded_to_even(bits in 0_u64..0x7FE0_0000_0000_0000, last in 0_u8..3) {
        let (low, high) = (f64::from_bits(bits), f64::from_bits(bits + 1));
        let mut number = format!("{:.1100}", low / 2.0 + high / 2.0);
        number.push(char::from(b'0' + last));
        let expected: f64 = number.parse().unwrap();
        prop_assert_eq!(float(&number), Some(expected.to_bits()));
    }
}

/// The bits of the float that `json` is.
fn float(json: &str) -> Option<u64> {
    let read = Parser::default().read(json.as_bytes(), |document| match document.tape {
        [Node::Static(simd_json::StaticNode::F64(float))] => Some(float.to_bits()),
        _ => None,
    });
    read.ok().flatten()
}
