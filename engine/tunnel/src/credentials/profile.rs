//! The files in which Alibaba Cloud's own tools keep credentials, as far as they hold some.
//!
//! No error shows a value: any of them may be the secret, put into the wrong place.

use std::collections::BTreeMap;
use std::sync::Arc;

use engine_model::job::Secret;
use jiff::Timestamp;
use serde::Deserialize;

use super::Credentials;

/// One profile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Profile {
    pub(crate) credentials: Arc<Credentials>,
    /// When they expire, where the file says so.
    pub(crate) expires: Option<Timestamp>,
}

/// The profile that an INI file has for those who name none.
const DEFAULT_PROFILE: &str = "default";

/// Reads the profile `name` from the text of a `config.json` or of an INI file.
pub(super) fn parse(text: &str, name: Option<&str>) -> Result<Profile, String> {
    if text.trim_start().starts_with('{') {
        parse_json(text, name)
    } else {
        parse_ini(text, name)
    }
}

/// The file of the command line tool `aliyun`.
#[derive(Deserialize)]
struct Config {
    current: Option<String>,
    #[serde(default)]
    profiles: Vec<ConfigProfile>,
}

#[derive(Deserialize)]
struct ConfigProfile {
    name: String,
    #[serde(default)]
    mode: String,
    #[serde(default)]
    access_key_id: String,
    #[serde(default)]
    access_key_secret: String,
    #[serde(default)]
    sts_token: String,
    /// In seconds since the epoch; 0 where it isn't known.
    #[serde(default)]
    sts_expiration: i64,
}

fn parse_json(text: &str, name: Option<&str>) -> Result<Profile, String> {
    let config: Config = serde_json::from_str(text).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        format!("it is no `config.json` of the command line tool `aliyun`; look at line {line}, column {column}")
    })?;
    let current = config.current.filter(|name| !name.is_empty());
    let Some(name) = name.map(str::to_owned).or(current) else {
        return Err("it calls no profile current; name one with `profile`".to_owned());
    };
    let Some(profile) = config.profiles.iter().find(|profile| profile.name == name) else {
        let names = config.profiles.iter().map(|profile| profile.name.as_str());
        return Err(no_profile(&name, names));
    };
    let token = match profile.mode.as_str() {
        "AK" => None,
        "StsToken" => Some(profile.sts_token.as_str()),
        other => {
            return Err(refused(&name, "mode", other, "`AK` and `StsToken`"));
        }
    };
    let expires = Some(profile.sts_expiration).filter(|_| token.is_some());
    let expires = expires.filter(|seconds| *seconds > 0);
    Ok(Profile {
        credentials: credentials(
            &name,
            ("access_key_id", &profile.access_key_id),
            ("access_key_secret", &profile.access_key_secret),
            token.map(|token| ("sts_token", token)),
        )?,
        expires: expires.and_then(|seconds| Timestamp::from_second(seconds).ok()),
    })
}

fn parse_ini(text: &str, name: Option<&str>) -> Result<Profile, String> {
    let sections = sections(text)?;
    let name = name.unwrap_or(DEFAULT_PROFILE);
    let Some(section) = sections.get(name) else {
        return Err(no_profile(name, sections.keys().copied()));
    };
    let value = |key: &'static str| (key, section.get(key).copied().unwrap_or_default());
    if value("enable").1.eq_ignore_ascii_case("false") {
        return Err(format!("profile {name:?} is switched off by `enable`"));
    }
    let token = match value("type").1 {
        "access_key" => None,
        "sts" => Some(value("security_token")),
        other => return Err(refused(name, "type", other, "`access_key` and `sts`")),
    };
    Ok(Profile {
        credentials: credentials(
            name,
            value("access_key_id"),
            value("access_key_secret"),
            token,
        )?,
        expires: None,
    })
}

/// The sections of an INI file by name, and in each the values by key. Of a key that is there twice the last one counts.
fn sections(text: &str) -> Result<BTreeMap<&str, BTreeMap<&str, &str>>, String> {
    let mut sections: BTreeMap<&str, BTreeMap<&str, &str>> = BTreeMap::new();
    let mut section = None;
    for (number, line) in text.lines().enumerate() {
        let line = line.trim_start_matches('\u{feff}').trim();
        if line.is_empty() || line.starts_with(['#', ';']) {
            continue;
        }
        if let Some(name) = line
            .strip_prefix('[')
            .and_then(|line| line.split(']').next())
        {
            section = Some(sections.entry(name.trim()).or_default());
            continue;
        }
        let entry = line.split_once('=').zip(section.as_mut());
        let Some(((key, value), section)) = entry else {
            let number = number + 1;
            return Err(format!(
                "line {number} is neither `[profile]` nor, below one, `key = value`"
            ));
        };
        section.insert(key.trim(), without_comment(value).trim());
    }
    Ok(sections)
}

/// `value` up to a comment, which begins with `#` or `;` behind a space.
fn without_comment(value: &str) -> &str {
    let end = value
        .char_indices()
        .zip(value.chars().skip(1))
        .find(|((_, space), mark)| space.is_whitespace() && matches!(mark, '#' | ';'))
        .map(|((at, _), _)| at);
    end.and_then(|end| value.get(..end)).unwrap_or(value)
}

fn credentials(
    profile: &str,
    id: (&str, &str),
    secret: (&str, &str),
    token: Option<(&str, &str)>,
) -> Result<Arc<Credentials>, String> {
    for (key, value) in [Some(id), Some(secret), token].into_iter().flatten() {
        if value.is_empty() {
            return Err(format!("profile {profile:?} has no `{key}`"));
        }
    }
    Ok(Arc::new(Credentials {
        access_id: id.1.to_owned(),
        secret: Secret::new(secret.1),
        security_token: token.map(|(_, token)| Secret::new(token)),
    }))
}

fn no_profile<'a>(name: &str, names: impl Iterator<Item = &'a str>) -> String {
    let names: Vec<_> = names.map(|name| format!("{name:?}")).collect();
    if names.is_empty() {
        return "it has no profile; make one with `aliyun configure`".to_owned();
    }
    format!("it has no profile {name:?}; it has {}", names.join(", "))
}

/// `found` is shown only if it looks like one of the words that stand there.
fn refused(profile: &str, key: &str, found: &str, taken: &str) -> String {
    const WORD_CHARS_MAX: usize = 24;
    let word =
        found.len() <= WORD_CHARS_MAX && found.chars().all(|c| c.is_ascii_alphabetic() || c == '_');
    let found = match found {
        "" => format!("no {key}"),
        found if word => format!("{key} {found}"),
        _ => format!("an unknown {key}"),
    };
    format!(
        "profile {profile:?} has {found}, and {taken} are taken; have another program write the temporary credentials of \
         such a profile into one of those, and name that"
    )
}
