//! The corpus, replayed without a fuzzer.

use std::collections::BTreeSet;
use std::fs;
use std::panic::catch_unwind;
use std::path::{Path, PathBuf};

use engine_model::limits::CELL_BYTES_MAX;
use fastrand::Rng;

use super::*;

/// Damaged copies of each seed; a check takes well under a millisecond.
const DAMAGED_PER_SEED: usize = 200;

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

/// The names of what is in a folder, without extensions.
fn stems(folder: &Path) -> BTreeSet<String> {
    let stem = |path: PathBuf| path.file_stem().unwrap().to_str().unwrap().to_owned();
    fs::read_dir(folder)
        .unwrap()
        .map(|entry| stem(entry.unwrap().path()))
        .collect()
}

/// The inputs of a corpus, each with its file's name, in the order of the names.
fn seeds(name: &str) -> Vec<(String, Vec<u8>)> {
    let mut seeds: Vec<_> = fs::read_dir(folder("corpus").join(name))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| (path.display().to_string(), fs::read(&path).unwrap()))
        .collect();
    seeds.sort();
    assert!(!seeds.is_empty(), "the corpus of {name} is empty");
    seeds
}

/// Removes, repeats, flips or inserts something, a few times; like a fuzzer, but blind.
fn damage(rng: &mut Rng, input: &mut Vec<u8>, others: &[(String, Vec<u8>)]) {
    for _ in 0..rng.usize(1..4) {
        let at = rng.usize(..=input.len());
        let end = rng.usize(at..=input.len());
        match rng.u8(..5) {
            0 => input.truncate(at),
            1 => drop(input.drain(at..end)),
            2 => input.extend_from_within(at..end),
            3 => match input.get_mut(at) {
                Some(byte) => *byte ^= 1 << rng.u8(..8),
                None => input.push(rng.u8(..)),
            },
            _ => {
                let (_, other) = &others[rng.usize(..others.len())];
                let from = rng.usize(..=other.len());
                let to = rng.usize(from..=other.len());
                input.splice(at..at, other[from..to].iter().copied());
            }
        }
    }
}

#[test]
fn every_check_has_a_target_a_corpus_and_a_line_in_the_manifest() {
    let checks: BTreeSet<_> = CHECKS.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(stems(&folder("targets")), checks);
    assert_eq!(stems(&folder("corpus")), checks);
    let manifest = fs::read_to_string(folder("Cargo.toml")).unwrap();
    for name in &checks {
        assert!(
            manifest.contains(&format!("path = \"targets/{name}.rs\"")),
            "{name}"
        );
        let target = fs::read_to_string(folder("targets").join(format!("{name}.rs"))).unwrap();
        assert!(target.contains(&format!("fuzz::{name}(data)")), "{name}");
    }
}

#[test]
fn the_corpus_passes() {
    let mut failed = Vec::new();
    for (name, check) in CHECKS {
        for (path, input) in seeds(name) {
            if catch_unwind(|| check(&input)).is_err() {
                failed.push(path);
            }
        }
    }
    assert_eq!(failed, [""; 0]);
}

#[test]
fn the_damaged_corpus_passes() {
    let mut failed = Vec::new();
    for (name, check) in CHECKS {
        let seeds = seeds(name);
        let mut rng = Rng::with_seed(20_261_122);
        for (path, seed) in &seeds {
            for _ in 0..DAMAGED_PER_SEED {
                let mut input = seed.clone();
                damage(&mut rng, &mut input, &seeds);
                if catch_unwind(|| check(&input)).is_err() {
                    failed.push(format!("{name}, from {path}: {}", input.escape_ascii()));
                }
            }
        }
    }
    assert_eq!(failed, [""; 0]);
}

/// Texts as long as a cell takes, and a little shorter and longer, as they are and escaped.
#[test]
fn the_longest_texts_of_cells() {
    for length in [CELL_BYTES_MAX - 2, CELL_BYTES_MAX, CELL_BYTES_MAX + 1] {
        let plain = "x".repeat(length - 2);
        projection(format!("{{\"a\":\"{plain}\\n\\\"\"}}").as_bytes());
        // With its brackets and quotes an array is as long as that.
        let plain = "x".repeat(length - 4);
        projection(format!("{{\"e\":[\"{plain}\"]}}").as_bytes());
    }
}
