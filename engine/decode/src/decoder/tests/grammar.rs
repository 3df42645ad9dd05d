//! The grammar cases through the decoder, and through two other parsers to judge the cases themselves.

use std::collections::BTreeSet;

use serde_json::value::RawValue;

use super::*;
use crate::fixture::grammar::{Case, cases};
use crate::parser::DEPTH_MAX;

/// Another parser's name, and whether it accepts a payload.
type Judge = (&'static str, fn(&[u8]) -> bool);

const SERDE_RAW: Judge = ("serde_json's RawValue", |payload| {
    serde_json::from_slice::<&RawValue>(payload).is_ok()
});
const SERDE_VALUE: Judge = ("serde_json's Value", |payload| {
    serde_json::from_slice::<serde_json::Value>(payload).is_ok()
});
const SIMD_JSON: Judge = ("simd-json's tape", |payload| {
    simd_json::to_tape(&mut payload.to_vec()).is_ok()
});

/// The cases whose outcome is not ours: whose it is, what they do otherwise, and the names.
const DIFFERENCES: &[(&[Judge], &str, &[&str])] = &[
    (
        &[SERDE_RAW, SERDE_VALUE, SIMD_JSON],
        "reject a byte order mark",
        &["byte order mark before a scalar", "byte order mark first"],
    ),
    (
        &[SERDE_VALUE, SIMD_JSON],
        "reject numbers that no float holds",
        &[
            "an exponent of more than 64 bits",
            "an exponent that no float holds",
            "an exponent that no float holds behind a minus",
            "an integer that no float holds",
            "just beyond the greatest float",
            "numbers that no float holds, nested",
        ],
    ),
    (
        &[SERDE_VALUE],
        "rejects more than 127 arrays and objects within each other",
        &[
            "1,024 arrays",
            "1,024 arrays and objects in turn",
            "1,024 arrays, and as many beside them",
            "1,024 objects",
        ],
    ),
    (
        &[SERDE_RAW],
        "accepts any depth",
        &[
            "1,024 arrays around an object",
            "1,025 arrays",
            "1,025 objects",
            "fifty thousand arrays",
        ],
    ),
    (
        &[SERDE_RAW],
        "doesn't look at what escapes mean",
        &[
            "high surrogate",
            "high surrogate and a backslash",
            "high surrogate and a letter",
            "high surrogate and a short escape",
            "high surrogate and an escaped letter",
            "high surrogate and the first one behind the low",
            "high surrogate and the last one before the low",
            "high surrogate before a pair",
            "high surrogate in a key",
            "high surrogate twice",
            "low surrogate",
            "low surrogate behind a pair",
            "low surrogate in a second key",
            "surrogates in reverse",
            "the last low surrogate",
        ],
    ),
];

/// The only row that `payload` makes, or why it makes none.
fn cells(decoder: &mut Decoder, payload: &[u8]) -> Result<Vec<Option<String>>, RejectReason> {
    let outcome = decoder.decode(&message(payload), &partition());
    let batch = decoder.flush();
    assert_eq!(batch.num_rows(), usize::from(outcome.is_ok()));
    outcome.map_err(|rejection| rejection.reason())?;
    Ok(row(&batch, 0))
}

/// What a JSON and a STRING column make of the case's value.
fn expected(case: &Case) -> Option<[Option<String>; 2]> {
    let text = case.text()?;
    if text == "null" {
        return Some([None, None]);
    }
    let unescaped = serde_json::from_str(text).unwrap_or_else(|_| text.to_owned());
    Some([Some(text.to_owned()), Some(unescaped)])
}

fn check_reason(reason: RejectReason, payload: &[u8], name: &str) {
    let is_utf8 = str::from_utf8(payload).is_ok();
    assert_eq!(reason == RejectReason::InvalidText, !is_utf8, "{name}");
}

#[test]
fn there_are_over_two_hundred_and_none_is_there_twice() {
    let cases = cases();
    assert!(cases.len() > 200);
    let names: BTreeSet<_> = cases.iter().map(|case| case.name).collect();
    let payloads: BTreeSet<_> = cases.iter().map(|case| &case.payload).collect();
    assert_eq!((names.len(), payloads.len()), (cases.len(), cases.len()));
    let choices = cases.iter().filter_map(|case| case.choice);
    assert_eq!(
        choices
            .filter(|choice| !choice.starts_with("section "))
            .count(),
        0
    );
}

#[test]
fn as_a_whole_payload() {
    let mut decoder = Decoder::new(projection(&[("JSON", "$"), ("STRING", "$")]));
    for case in cases() {
        match (cells(&mut decoder, &case.payload), expected(&case)) {
            (Ok(found), Some(expected)) => assert_eq!(found, expected, "{}", case.name),
            (Err(reason), None) => check_reason(reason, &case.payload, case.name),
            (found, _) => panic!("{}: {found:?}", case.name),
        }
    }
}

/// What is mapped is checked as a whole; of what is skipped, nothing that is JSON is rejected.
#[test]
fn with_the_validation_of_what_is_mapped() {
    let lenient = |columns: &[_]| Decoder::new(validated(projection(columns), Validation::Mapped));
    let mut whole = lenient(&[("JSON", "$"), ("STRING", "$")]);
    let mut nothing = lenient(&[("BIGINT", "no.such[7].field")]);
    let mut unseen = 0;
    for case in cases() {
        let found = cells(&mut whole, &case.payload).ok();
        let expected = expected(&case).map(Vec::from);
        assert_eq!(found, expected, "{}", case.name);
        match cells(&mut nothing, &case.payload) {
            Ok(found) => assert_eq!(found, [None], "{}", case.name),
            Err(_) => assert!(!case.accepted, "{}", case.name),
        }
        unseen += usize::from(!case.accepted && cells(&mut nothing, &case.payload).is_ok());
    }
    assert!(unseen > 0, "some faults are where nobody looks");
}

#[test]
fn where_nothing_of_it_is_mapped() {
    let mut decoder = Decoder::new(projection(&[("BIGINT", "no.such[7].field")]));
    for case in cases() {
        let found = cells(&mut decoder, &case.payload);
        assert_eq!(
            found.ok(),
            case.accepted.then(|| vec![None]),
            "{}",
            case.name
        );
    }
}

/// At every place within the parser's blocks of 64 bytes.
#[test]
fn as_a_field_at_any_place() {
    let columns = [("JSON", "v"), ("STRING", "v"), ("BIGINT", "behind")];
    let mut decoder = Decoder::new(projection(&columns));
    for case in cases() {
        // A byte order mark further on is one that nobody may ignore.
        let fits = case.depth() < DEPTH_MAX && !case.is_marked();
        let expected = expected(&case)
            .filter(|_| fits)
            .map(|[json, string]| vec![json, string, Some("0".to_owned())]);
        for bytes_before in 0..64 {
            let payload = case.as_field(bytes_before);
            let found = cells(&mut decoder, &payload);
            assert_eq!(found.ok(), expected, "{} behind {bytes_before}", case.name);
        }
    }
}

#[test]
fn other_parsers_differ_where_we_know_it() {
    let mut found = BTreeSet::new();
    let mut known = BTreeSet::new();
    for (judges, _, names) in DIFFERENCES {
        for (judge, _) in *judges {
            known.extend(names.iter().map(|name| (*judge, *name)));
        }
    }
    for case in cases() {
        for (judge, accepts) in [SERDE_RAW, SERDE_VALUE, SIMD_JSON] {
            if accepts(&case.payload) != case.accepted {
                found.insert((judge, case.name));
            }
        }
    }
    assert_eq!(found, known);
}
