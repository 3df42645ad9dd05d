//! `destination.maxcompute`: connection, table and table partition.

use std::path::PathBuf;

use crate::limits::{NAME_BYTES_MAX, PARTITION_KEYS_MAX};
use crate::{PartitionSpec, TableName};

use super::checked::{BlockFormat, Compression, MaxComputeConnection, MaxComputeTarget, WriteMode};
use super::secret::Secret;
use super::sources::{Connection, Environment, Kind};
use super::walk::{Field, Section, Walk, shown};
use super::yaml::Value;

/// The keys that a data source may hold in the job's stead.
pub(super) const CONNECTION_KEYS: [&str; 15] = [
    "endpoint",
    "tunnel_endpoint",
    "project",
    "schema",
    "quota",
    "region",
    "block_format",
    "compression",
    "access_id",
    "access_secret",
    "security_token",
    "profile",
    "credentials_file",
    "ca_file",
    "proxy",
];

/// All keys of `destination.maxcompute`.
const KEYS: [&str; 19] = [
    "datasource",
    "endpoint",
    "tunnel_endpoint",
    "project",
    "schema",
    "quota",
    "region",
    "block_format",
    "compression",
    "access_id",
    "access_secret",
    "security_token",
    "profile",
    "credentials_file",
    "ca_file",
    "proxy",
    "table",
    "partition",
    "write",
];

const WRITE_MODES: [(&str, WriteMode); 2] = [
    ("replace", WriteMode::Replace),
    ("append", WriteMode::Append),
];

const BLOCK_FORMATS: [(&str, BlockFormat); 2] = [
    ("arrow", BlockFormat::Arrow),
    ("record", BlockFormat::Record),
];

const COMPRESSIONS: [(&str, Compression); 5] = [
    ("none", Compression::None),
    ("deflate", Compression::Deflate),
    ("zstd", Compression::Zstd),
    ("lz4", Compression::Lz4),
    ("snappy", Compression::Snappy),
];

impl Walk<'_> {
    pub(super) fn maxcompute<'n>(
        &mut self,
        section: &Section<'n>,
        environment: &Environment<'n>,
    ) -> Option<MaxComputeTarget> {
        let inline = self.required_section(section, "maxcompute", &KEYS)?;
        let connection = environment.connection(self, inline, Kind::MaxCompute);
        let found = self.maxcompute_connection(&connection);
        let inline = &connection.inline;
        let table = self.required(inline, "table", "name the table to load into");
        let dotted = "project and schema have keys of their own";
        let table = table.and_then(|field| self.identifier(&field, dotted));
        let partition = match inline.get("partition") {
            Some(field) => self.partition(&field),
            None => Some(PartitionSpec::default()),
        };
        let write = self.choice(inline, "write", &WRITE_MODES, WriteMode::default());
        let connection = found?;
        Some(MaxComputeTarget {
            table: TableName {
                project: connection.project.clone(),
                schema: connection.schema.clone(),
                table: table?,
            },
            connection,
            partition: partition?,
            write,
        })
    }

    fn maxcompute_connection(
        &mut self,
        connection: &Connection<'_>,
    ) -> Option<MaxComputeConnection> {
        let advice = "name a `datasource`, or write `endpoint: \"https://…/api\"` of your region";
        let endpoint = connection.required(self, "endpoint", advice);
        let endpoint = endpoint.and_then(|field| self.url(&field));
        let tunnel_endpoint = connection.get(self, "tunnel_endpoint");
        let tunnel_endpoint = tunnel_endpoint.map(|field| self.url(&field));
        let project = connection.required(self, "project", "name the project of the table");
        let project = project.and_then(|field| self.identifier(&field, "a project is named alone"));
        let schema = connection.get(self, "schema");
        let schema = schema.map(|field| self.identifier(&field, "a schema is named alone"));
        let quota = connection.get(self, "quota").map(|field| self.name(&field));
        let region = connection
            .get(self, "region")
            .map(|field| self.name(&field));
        let block_format = connection.get(self, "block_format");
        let block_format = self.chosen(block_format, &BLOCK_FORMATS, BlockFormat::default());
        let compression = connection.get(self, "compression");
        let compression = self.chosen(compression, &COMPRESSIONS, Compression::default());
        let access_id = connection.get(self, "access_id");
        let access_secret = connection.get(self, "access_secret");
        let security_token = connection.get(self, "security_token");
        if !connection.broken {
            let [id, secret, token] =
                [&access_id, &access_secret, &security_token].map(Option::as_ref);
            self.check_pair(id, secret, token);
        }
        let profile = connection.get(self, "profile");
        let credentials_file = connection.get(self, "credentials_file");
        if let (Some(id), Some(file)) = (&access_id, profile.as_ref().or(credentials_file.as_ref()))
        {
            let message = format!(
                "is one source of the access key, and {} (line {}) is another; keep one of the two",
                file.path, file.place.line
            );
            self.error(id, message);
        }
        let profile = profile.map(|field| self.name(&field));
        let credentials_file = credentials_file.map(|field| self.path(&field));
        let ca_file = connection
            .get(self, "ca_file")
            .map(|field| self.path(&field));
        let proxy = connection
            .get(self, "proxy")
            .map(|field| self.proxy(&field));
        let access_id = access_id.map(|field| self.name(&field));
        let access_secret = access_secret.map(|field| self.secret(&field));
        let security_token = security_token.map(|field| self.secret(&field));
        // A key that is there and can't be read is not the same as one that isn't there.
        Some(MaxComputeConnection {
            endpoint: endpoint?,
            tunnel_endpoint: given(tunnel_endpoint)?,
            project: project?,
            schema: given(schema)?,
            quota: given(quota)?,
            region: given(region)?,
            block_format,
            compression,
            access_id: given(access_id)?,
            access_secret: given(access_secret)?,
            security_token: given(security_token)?,
            profile: given(profile)?,
            credentials_file: given(credentials_file)?,
            ca_file: given(ca_file)?,
            proxy: given(proxy)?,
        })
    }

    /// An access id and its secret come together, and a token only with both.
    fn check_pair(
        &mut self,
        id: Option<&Field<'_>>,
        secret: Option<&Field<'_>>,
        token: Option<&Field<'_>>,
    ) {
        let advice = "write both, or leave both to a `profile` or the environment";
        match (id, secret, token) {
            (Some(id), None, _) => {
                self.error(id, format!("has no `access_secret` beside it; {advice}"));
            }
            (None, Some(secret), _) => {
                self.error(secret, format!("has no `access_id` beside it; {advice}"));
            }
            (None, None, Some(token)) => {
                self.error(
                    token,
                    "has no `access_id` and `access_secret` beside it; write all three or none",
                );
            }
            _ => {}
        }
    }

    fn secret(&mut self, field: &Field<'_>) -> Option<Secret> {
        let text = self.secret_text(field)?;
        if text.text.is_empty() {
            self.error(field, "is empty; write a value or take the key out");
            return None;
        }
        if !text.opaque {
            self.literal_secret(field);
        }
        Some(Secret::new(text.text))
    }

    /// A path, which errors have to name, so that it is plain text even from the environment.
    fn path(&mut self, field: &Field<'_>) -> Option<PathBuf> {
        let text = self.text(field)?.text;
        if text.is_empty() {
            self.error(
                field,
                "is empty; write the path of a file or take the key out",
            );
            return None;
        }
        Some(PathBuf::from(text))
    }

    fn url(&mut self, field: &Field<'_>) -> Option<String> {
        let who = "write `access_id` and `access_secret` instead";
        self.address(field, "endpoint", who)
    }

    fn proxy(&mut self, field: &Field<'_>) -> Option<String> {
        let who = "take the key out and export HTTPS_PROXY, which may hold one";
        self.address(field, "proxy", who)
    }

    /// Reads the URL of an endpoint or proxy; `who` says where a user belongs.
    fn address(&mut self, field: &Field<'_>, noun: &str, who: &str) -> Option<String> {
        let text = self.text(field)?;
        let address = ["http://", "https://"]
            .iter()
            .find_map(|scheme| text.text.strip_prefix(scheme));
        let host = address.and_then(|address| address.split(['/', '?', '#']).next());
        let problem = match host {
            None | Some("") => "write a URL that begins with `https://` or `http://`",
            // The text isn't shown: what stands before the `@` may be a password.
            Some(host) if host.contains('@') => {
                self.error(field, format!("holds a user before `@`; {who}"));
                return None;
            }
            Some(_)
                if text
                    .text
                    .contains(|c: char| c.is_whitespace() || matches!(c, '?' | '#')) =>
            {
                "leave out spaces, `?` and `#`"
            }
            Some(_) => return Some(text.text.trim_end_matches('/').to_owned()),
        };
        self.error(field, format!("{} is no {noun}; {problem}", text.shown()));
        None
    }

    /// The name of a project, schema, table or partition key.
    fn identifier(&mut self, field: &Field<'_>, dotted: &str) -> Option<String> {
        let name = self.open_text(field)?;
        let problem = identifier_problem(&name, dotted);
        if let Some(problem) = problem {
            self.error(field, format!("{} {problem}", shown(&name)));
            return None;
        }
        Some(name)
    }

    fn partition(&mut self, field: &Field<'_>) -> Option<PartitionSpec> {
        if let Value::Scalar(_) = field.value {
            let message = "found a single value where each level of the table partition is expected; write \
                           `{ ds: \"…\" }`, or take the key out for a table without partition keys";
            self.error(field, message);
            return None;
        }
        let section = self.mapping(field)?;
        if section.len() == 0 || section.len() > PARTITION_KEYS_MAX {
            let found = section.len();
            let message = format!(
                "has {found} levels, and a table has 1 to {PARTITION_KEYS_MAX}; write each level, or take the key out for \
                 a table without partition keys"
            );
            self.error(field, message);
            return None;
        }
        let mut levels: Vec<(String, String)> = Vec::new();
        let mut good = true;
        for (key, place, field) in section.fields() {
            let at_key = Field {
                place,
                ..field.clone()
            };
            if let Some(problem) = identifier_problem(key, "a partition key is named alone") {
                self.error(&at_key, format!("{} {problem}", shown(key)));
                good = false;
            } else if levels
                .iter()
                .any(|(other, _)| other.eq_ignore_ascii_case(key))
            {
                self.error(&at_key, "is here twice, for names have no case; keep one");
                good = false;
            }
            let Some(value) = self.open_text(&field) else {
                good = false;
                continue;
            };
            if let Some(problem) = PartitionSpec::value_error(&value) {
                let message = format!(
                    "{} is no partition value: {problem}; change it",
                    shown(&value)
                );
                self.error(&field, message);
                good = false;
            }
            levels.push((key.to_owned(), value));
        }
        good.then_some(PartitionSpec(levels))
    }
}

/// Nothing where there is a value that can't be used.
#[expect(
    clippy::option_option,
    reason = "a key that isn't there and one with a finding differ"
)]
fn given<T>(value: Option<Option<T>>) -> Option<Option<T>> {
    match value {
        None => Some(None),
        Some(value) => value.map(Some),
    }
}

fn identifier_problem(name: &str, dotted: &str) -> Option<String> {
    if name.is_empty() {
        return Some("is empty; write a name".to_owned());
    }
    if name.len() > NAME_BYTES_MAX {
        return Some(format!(
            "has {} bytes, and names have at most {NAME_BYTES_MAX}; check it",
            name.len()
        ));
    }
    if name.contains('.') {
        return Some(format!("holds a dot; {dotted}"));
    }
    let bad = name
        .chars()
        .find(|c| !c.is_ascii_alphanumeric() && *c != '_')?;
    Some(format!(
        "holds {bad:?}, and names are made of letters, digits and `_`; check it"
    ))
}
