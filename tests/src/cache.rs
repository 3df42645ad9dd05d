//! Where the project lies, and what `tests/run` has prepared in it.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// The root folder of the project.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("the crate lies in a folder of the project")
        .to_path_buf()
}

/// The path of something that `tests/run` prepares below `.cache`, for example `kafka-4.1.0/libs`.
///
/// # Panics
///
/// When it isn't there.
pub fn cached(name: &str) -> PathBuf {
    let path = root().join(".cache").join(name);
    assert!(
        path.try_exists().is_ok_and(|there| there),
        "{} is missing; run `tests/run --prepare` once, which fetches it",
        path.display()
    );
    path
}

/// The class path of a Java project that `tests/run` builds from `tests/sdk`: its classes and its libraries.
///
/// # Panics
///
/// When it isn't there.
pub fn class_path(project: &str) -> OsString {
    let mut path = OsString::from(cached(&format!("{project}/target/classes")));
    path.push(":");
    path.push(cached(&format!("{project}/libs")).join("*"));
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn root_is_where_the_workspace_is() {
        assert!(root().join("Cargo.lock").try_exists().unwrap());
    }

    #[test]
    #[should_panic(expected = "run `tests/run --prepare` once")]
    fn what_is_missing_names_its_cure() {
        cached("no-such-thing");
    }
}
