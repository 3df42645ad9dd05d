//! Random messages and paths against a slow and obvious reading by `serde_json`.

use std::collections::HashMap;

use engine_model::{FieldPath, Step};
use serde_json::value::RawValue;

use super::*;

/// What a STRING column should hold.
fn reference(json: &str, path: &FieldPath) -> Option<String> {
    let mut value: &RawValue = serde_json::from_str(json).expect("the generator writes JSON");
    for step in path.steps() {
        value = match step {
            Step::Key(key) if value.get().starts_with('{') => {
                let object: HashMap<String, &RawValue> = serde_json::from_str(value.get()).unwrap();
                object.get(key).copied()?
            }
            Step::Index(index) if value.get().starts_with('[') => {
                let array: Vec<&RawValue> = serde_json::from_str(value.get()).unwrap();
                array.get(*index).copied()?
            }
            _ => return None,
        };
    }
    match value.get() {
        "null" => None,
        text if text.starts_with('"') => Some(serde_json::from_str(text).unwrap()),
        text => Some(text.to_owned()),
    }
}

fn space() -> impl Strategy<Value = &'static str> {
    prop_oneof![8 => Just(""), 1 => Just(" "), 1 => Just("\n\t "), 1 => Just("                 ")]
}

/// Few names, some of them escaped, so that duplicates and hits are common.
fn key() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "a",
        "b",
        "c",
        "\\u0061",
        "\\u0062",
        "a.b",
        "",
        "\\\"",
        "a_rather_long_key_1",
        "a_rather_long_key_2",
        "上",
    ])
}

fn scalar() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("null".to_owned()),
        any::<bool>().prop_map(|value| value.to_string()),
        any::<i64>().prop_map(|value| value.to_string()),
        any::<u64>().prop_map(|value| value.to_string()),
        "-?(0|[1-9][0-9]{0,40})(\\.[0-9]{1,30})?([eE][+-]?[0-9]{1,3})?",
        "\"([a-z{}\\[\\],: 上😀]|\\\\n|\\\\\"|\\\\\\\\|\\\\u00e9|\\\\uD83D\\\\uDE00){0,80}\"",
    ]
}

pub(super) fn json() -> impl Strategy<Value = String> {
    let value = scalar().prop_recursive(5, 60, 6, |inner| {
        let element =
            (space(), inner.clone(), space()).prop_map(|(a, value, b)| format!("{a}{value}{b}"));
        let field = (space(), key(), space(), inner, space())
            .prop_map(|(a, key, b, value, c)| format!("{a}\"{key}\"{b}:{b}{value}{c}"));
        prop_oneof![
            (space(), prop::collection::vec(element, 0..6))
                .prop_map(|(space, elements)| format!("[{}]", joined(space, &elements))),
            (space(), prop::collection::vec(field, 0..6))
                .prop_map(|(space, fields)| format!("{{{}}}", joined(space, &fields))),
        ]
    });
    (space(), value, space()).prop_map(|(a, value, b)| format!("{a}{value}{b}"))
}

/// `parts` with commas, or only the space where there are none.
fn joined(space: &str, parts: &[String]) -> String {
    if parts.is_empty() {
        space.to_owned()
    } else {
        parts.join(",")
    }
}

fn path() -> impl Strategy<Value = String> {
    let keys = vec![".a", ".b", ".c", ".a_rather_long_key_1", ".上"];
    let step = prop_oneof![
        3 => prop::sample::select(keys).prop_map(str::to_owned),
        1 => (0_usize..4).prop_map(|index| format!("[{index}]")),
    ];
    prop::collection::vec(step, 1..5).prop_map(|steps| {
        let path = steps.concat();
        path.strip_prefix('.').map_or(path.clone(), str::to_owned)
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn strings_are_what_the_reference_reads(
        messages in prop::collection::vec(json(), 1..4),
        paths in prop::collection::vec(path(), 1..12),
    ) {
        let columns: Vec<(&str, &str)> = paths.iter().map(|path| ("STRING", path.as_str())).collect();
        let [batch, mapped] = [Validation::Full, Validation::Mapped].map(|validation| {
            let mut decoder = Decoder::new(validated(projection(&columns), validation));
            for json in &messages {
                decoder.decode(&message(json.as_bytes()), &partition()).unwrap();
            }
            decoder.flush()
        });
        prop_assert_eq!(&batch, &mapped);
        for (index, json) in messages.iter().enumerate() {
            let cells = row(&batch, index);
            for (path, cell) in paths.iter().zip(cells) {
                let path: FieldPath = path.parse().unwrap();
                prop_assert_eq!(cell, reference(json, &path), "{} of {}", path, json);
            }
        }
    }
}
