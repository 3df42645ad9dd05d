//! What every route needs to know of a request: its query parameters, its host, how it wants errors.

use axum::http::header::HOST;
use axum::http::request::Parts;
use engine_model::{ColumnType, PartitionSpec};
use percent_encoding::percent_decode_str;

use super::error::{Code, ServiceError};
use super::table::Table;

/// Query parameters, decoded once, a `+` read as a space. Names compare exactly.
#[derive(Clone, Debug, Default)]
pub(crate) struct Params(Vec<(String, String)>);

impl Params {
    pub(crate) fn parse(query: &str) -> Self {
        let decode = |text: &str| {
            let spaced = text.replace('+', " ");
            percent_decode_str(&spaced).decode_utf8_lossy().into_owned()
        };
        let pair = |pair: &str| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decode(name), decode(value))
        };
        Self(
            query
                .split('&')
                .filter(|pair| !pair.is_empty())
                .map(pair)
                .collect(),
        )
    }

    /// A name that is there twice: which of its values a signature covers would be anybody's guess.
    pub(crate) fn doubled(&self) -> Option<&str> {
        let mut names: Vec<&str> = self.0.iter().map(|(name, _)| name.as_str()).collect();
        names.sort_unstable();
        names
            .iter()
            .zip(names.iter().skip(1))
            .find(|(name, next)| name == next)
            .map(|(name, _)| *name)
    }

    /// Whether the parameter is there, with a value or without.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.0.iter().any(|(found, _)| found == name)
    }

    /// The value of the parameter; empty where it has none.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0
            .iter()
            .find(|(found, _)| found == name)
            .map(|(_, value)| value.as_str())
    }

    /// Whether the parameter is there and is not `false`.
    pub(crate) fn flag(&self, name: &str) -> bool {
        self.get(name)
            .is_some_and(|value| !value.eq_ignore_ascii_case("false"))
    }
}

/// The parts of a request's head that handlers read.
#[derive(Clone, Debug)]
pub(crate) struct Head {
    pub(crate) params: Params,
    /// The `Host` header, which discovery answers with.
    pub(crate) host: String,
    /// Whether errors are JSON: tunnel calls.
    pub(crate) json_errors: bool,
    /// Whether the Java SDK asks, which reads Arrow columns in the order asked for.
    pub(crate) java: bool,
    /// `Content-Encoding`, empty where there is none.
    pub(crate) content_encoding: String,
    /// `Accept-Encoding`, empty where there is none.
    pub(crate) accept_encoding: String,
}

impl Head {
    pub(crate) fn of(parts: &Parts) -> Self {
        let header = |name: &str| {
            let value = parts
                .headers
                .get(name)
                .and_then(|value| value.to_str().ok());
            value.unwrap_or_default().to_owned()
        };
        let params = Params::parse(parts.uri.query().unwrap_or_default());
        let tunnel = ["uploads", "uploadid", "downloads", "downloadid"];
        let json_errors = parts.headers.contains_key("x-odps-tunnel-version")
            || tunnel.into_iter().any(|name| params.has(name));
        Self {
            params,
            host: header(HOST.as_str()),
            json_errors,
            java: header("user-agent").starts_with("JavaSDK"),
            content_encoding: header("content-encoding"),
            accept_encoding: header("accept-encoding"),
        }
    }
}

/// Reads `k='v',k2=v2` (or with `/` between the levels) against the keys of `table` and returns every level in the
/// table's order.
///
/// # Errors
/// `InvalidPartitionSpec` for keys that are missing, unknown or double, and for values that no partition can have.
pub(crate) fn partition_spec(table: &Table, text: &str) -> Result<PartitionSpec, ServiceError> {
    let mut pairs = Vec::new();
    for part in text
        .split([',', '/'])
        .filter(|part| !part.trim().is_empty())
    {
        let (key, value) = part.split_once('=').ok_or_else(|| {
            ServiceError::new(
                Code::InvalidPartitionSpec,
                format!("partition {text:?}: {part:?} has no `=`"),
            )
        })?;
        let unquoted = value.trim().trim_matches(['\'', '"']);
        pairs.push((key.trim().to_owned(), unquoted.to_owned()));
    }
    table_partition(table, &pairs)
}

/// Orders and checks the values of one table partition.
pub(crate) fn table_partition(
    table: &Table,
    pairs: &[(String, String)],
) -> Result<PartitionSpec, ServiceError> {
    let invalid = |text: String| ServiceError::new(Code::InvalidPartitionSpec, text);
    let keys = &table.columns.partition_keys;
    if pairs.len() != keys.len() {
        return Err(invalid(format!(
            "table {} has {} partition keys, the partition names {}",
            table.name,
            keys.len(),
            pairs.len()
        )));
    }
    let mut spec = PartitionSpec::default();
    for key in keys {
        let named = pairs
            .iter()
            .find(|(name, _)| name.eq_ignore_ascii_case(&key.name));
        let (_, value) = named.ok_or_else(|| {
            invalid(format!(
                "the partition names no value for key {:?}",
                key.name
            ))
        })?;
        if let Some(reason) = PartitionSpec::value_error(value) {
            return Err(invalid(format!(
                "invalid partition value {value:?} of key {:?}: {reason}",
                key.name
            )));
        }
        spec.0.push((
            key.name.clone(),
            canonical_value(&key.column_type, value).ok_or_else(|| {
                invalid(format!(
                    "partition value {value:?} is no {}",
                    key.column_type
                ))
            })?,
        ));
    }
    Ok(spec)
}

/// A partition value as it is stored: integer keys without leading zeros, everything else as given.
fn canonical_value(key: &ColumnType, value: &str) -> Option<String> {
    let (min, max) = match key {
        ColumnType::TinyInt => (i64::from(i8::MIN), i64::from(i8::MAX)),
        ColumnType::SmallInt => (i64::from(i16::MIN), i64::from(i16::MAX)),
        ColumnType::Int => (i64::from(i32::MIN), i64::from(i32::MAX)),
        ColumnType::BigInt => (i64::MIN, i64::MAX),
        _ => return Some(value.to_owned()),
    };
    let number = value
        .parse()
        .ok()
        .filter(|number| (min..=max).contains(number))?;
    Some(number.to_string())
}
