use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use tests::cache::root;
use toml::Table;

/// Which crates of ours each crate may use outside its tests; `None` where anything is allowed.
const MAY_USE: [(&str, Option<&[&str]>); 11] = [
    ("engine-model", Some(&[])),
    ("engine-decode", Some(&["engine-model"])),
    ("engine-kafka", Some(&["engine-model"])),
    ("engine-tunnel", Some(&["engine-model"])),
    ("engine-load", Some(&["engine-model", "engine-decode"])),
    // Spells the protocols a second time: with the clients' help both sides would share one mistake.
    ("engine-local", Some(&["engine-model"])),
    (
        "engine",
        Some(&[
            "engine-model",
            "engine-decode",
            "engine-kafka",
            "engine-tunnel",
            "engine-load",
            "engine-local",
        ]),
    ),
    ("tidegate", Some(&["engine"])),
    (
        "fuzz",
        Some(&["engine-model", "engine-decode", "engine-tunnel"]),
    ),
    ("benches", None),
    ("tests", None),
];

fn read_toml(path: &Path) -> Table {
    fs::read_to_string(path)
        .unwrap()
        .parse()
        .unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// The manifests of the workspace's crates, by the crate's name.
fn crates() -> BTreeMap<String, Table> {
    let workspace = read_toml(&root().join("Cargo.toml"));
    workspace["workspace"]["members"]
        .as_array()
        .unwrap()
        .iter()
        .map(|member| read_toml(&root().join(member.as_str().unwrap()).join("Cargo.toml")))
        .map(|manifest| {
            (
                manifest["package"]["name"].as_str().unwrap().to_owned(),
                manifest,
            )
        })
        .collect()
}

/// The names in the dependency tables called `kinds`, those for single platforms included.
fn dependencies(manifest: &Table, kinds: &[&str]) -> BTreeSet<String> {
    let platforms = manifest.get("target").and_then(toml::Value::as_table);
    let tables = platforms
        .into_iter()
        .flat_map(Table::values)
        .filter_map(toml::Value::as_table);
    std::iter::once(manifest)
        .chain(tables)
        .flat_map(|table| kinds.iter().filter_map(|kind| table.get(*kind)))
        .flat_map(|table| table.as_table().unwrap().keys().cloned())
        .collect()
}

#[test]
fn crates_depend_only_on_those_below_them() {
    let crates = crates();
    let listed: BTreeMap<_, _> = MAY_USE.into_iter().collect();
    assert_eq!(
        crates.keys().map(String::as_str).collect::<BTreeSet<_>>(),
        listed.keys().copied().collect::<BTreeSet<_>>(),
        "every crate has its line in `MAY_USE`"
    );
    for (name, manifest) in &crates {
        let Some(allowed) = listed[name.as_str()] else {
            continue;
        };
        for used in dependencies(manifest, &["dependencies", "build-dependencies"]) {
            assert!(
                !crates.contains_key(&used) || allowed.contains(&used.as_str()),
                "crate {name} must not depend on {used}; it may use {allowed:?}"
            );
        }
    }
}

#[test]
fn dependencies_come_from_one_place() {
    for (name, manifest) in crates() {
        for kind in ["dependencies", "dev-dependencies", "build-dependencies"] {
            let Some(table) = manifest.get(kind).and_then(toml::Value::as_table) else {
                continue;
            };
            for (used, line) in table {
                let inherited = line.get("workspace").and_then(toml::Value::as_bool);
                assert_eq!(
                    inherited,
                    Some(true),
                    "crate {name}: `{used}.workspace = true`"
                );
            }
        }
    }
}

#[test]
fn crates_take_lints_and_publishing_from_the_workspace() {
    let workspace = read_toml(&root().join("Cargo.toml"));
    let package = &workspace["workspace"]["package"];
    assert_eq!(package["publish"].as_bool(), Some(false));
    for (name, manifest) in crates() {
        assert_eq!(
            manifest["lints"]["workspace"].as_bool(),
            Some(true),
            "lints of crate {name}"
        );
        for key in ["version", "edition", "rust-version", "license", "publish"] {
            let inherited = manifest["package"][key].get("workspace");
            let inherited = inherited.and_then(toml::Value::as_bool);
            assert_eq!(
                inherited,
                Some(true),
                "crate {name}: `{key}.workspace = true`"
            );
        }
    }
}

#[test]
fn one_tls_stack_and_registry_sources_only() {
    let lock = read_toml(&root().join("Cargo.lock"));
    for package in lock["package"].as_array().unwrap() {
        let name = package["name"].as_str().unwrap();
        let second = [
            "rustls",
            "boring",
            "boring-sys",
            "aws-lc-sys",
            "ring",
            "s2n-tls",
        ];
        assert!(
            !second.contains(&name),
            "{name} is a second TLS stack beside OpenSSL"
        );
        if let Some(source) = package.get("source").and_then(toml::Value::as_str) {
            assert!(
                source.starts_with("registry+"),
                "{name} comes from {source}"
            );
        }
    }
}

/// All files of the project but those that tools make.
fn files() -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut folders = vec![root()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let entry = entry.unwrap();
            let made = [".git", ".cache", "target", "__pycache__"];
            if made.iter().any(|name| entry.file_name() == *name) {
                continue;
            }
            if entry.file_type().unwrap().is_dir() {
                folders.push(entry.path());
            } else {
                files.push(entry.path());
            }
        }
    }
    files
}

#[test]
fn no_file_names_a_folder_of_somebodys_machine() {
    // In two parts, or this file would be the first find.
    let folders = [
        ("/ho", "me/"),
        ("/Use", "rs/"),
        ("/ro", "ot/"),
        ("C:\\Us", "ers\\"),
    ]
    .map(|(head, tail)| format!("{head}{tail}"));
    let files = files();
    assert!(files.len() > 30, "only {} files found", files.len());
    for path in files {
        let text = String::from_utf8_lossy(&fs::read(&path).unwrap()).into_owned();
        for (number, line) in text.lines().enumerate() {
            let found = folders.iter().find(|folder| line.contains(folder.as_str()));
            assert_eq!(found, None, "{}:{}", path.display(), number + 1);
        }
    }
}
