//! What is accepted as JSON, against RFC 8259 and against `serde_json`.

use proptest::prelude::*;
use serde_json::value::RawValue;

use super::*;
use crate::check::check_value;
use crate::escape::check_escapes;
use crate::fixture::grammar::{Case, cases};
use crate::index::Index;

/// Nodes on the tape, or why there is none. The check of tokens must come to the same.
fn parse(payload: &[u8]) -> Result<usize, RejectReason> {
    let parsed = Parser::default().read(payload, |document| document.tape.len());
    let (checked, nodes) = (check(payload), parsed.map(drop));
    assert_eq!(checked.is_ok(), nodes.is_ok(), "{}", payload.escape_ascii());
    if str::from_utf8(payload).is_ok() && nodes != Err(RejectReason::NestedTooDeep) {
        assert_eq!(checked, nodes, "{}", payload.escape_ascii());
    }
    parsed
}

/// The same by tokens.
fn check(payload: &[u8]) -> Result<(), RejectReason> {
    str::from_utf8(payload).map_err(|_| RejectReason::InvalidText)?;
    let mut index = Index::default();
    let tokens = index.scan(payload)?;
    let behind = check_value(tokens, 0, 0)?;
    check_escapes(tokens, 0..payload.len())?;
    let is_all = behind == tokens.len();
    is_all.then_some(()).ok_or(RejectReason::InvalidJson)
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

/// The grammar cases that aren't long and have no byte order mark, which isn't the parser's business.
fn short_cases() -> Vec<Case> {
    let mut cases = cases();
    cases.retain(|case| case.payload.len() < 200 && !case.is_marked());
    cases
}

/// Around the parser's blocks of 64 bytes, and after other messages in the same buffers.
#[test]
fn the_place_in_the_payload_makes_no_difference() {
    let mut parser = Parser::default();
    let cases = short_cases();
    for gap in (0..200).rev() {
        for case in &cases {
            let mut payload = format!("[\"{}\",", "é\\n".repeat(gap / 4)).into_bytes();
            payload.resize(payload.len() + gap % 4, b' ');
            payload.extend_from_slice(&case.payload);
            payload.push(b']');
            let serde = serde_accepts(&payload);
            let ours = parser.read(&payload, |_| ()).is_ok();
            assert_eq!(ours, serde, "{}", payload.escape_ascii());
            assert!(ours || !case.accepted, "{}", payload.escape_ascii());
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
    for case in cases().iter().filter(|case| !case.accepted) {
        assert!(read(&case.payload).is_err(), "{}", case.name);
        assert_eq!(read(b"{\"a\":[1,\"b\\n\"]}"), fresh, "{}", case.name);
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
    let mut seeds: Vec<Vec<u8>> = short_cases().into_iter().map(|case| case.payload).collect();
    seeds.retain(|payload| !payload.is_empty());
    let seeds = prop::sample::select(seeds);
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
