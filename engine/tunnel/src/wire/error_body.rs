//! What the server says when it refuses, and what that means.

use std::time::Duration;

use serde::Deserialize;

use super::excerpt;
use crate::{ErrorKind, Missing};

/// The body of an error answer, as far as it could be read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ErrorBody {
    /// The server's code, such as `NoSuchTable`.
    pub code: Option<String>,
    /// What the server says, or the beginning of a body that isn't one of the known forms.
    pub message: String,
    /// The request's id, where the body has it.
    pub request_id: Option<String>,
    /// How long the server wants the client to hold back.
    pub hold: Option<Duration>,
}

/// Both forms have the same names: XML from REST, JSON from the tunnel.
#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Fields {
    code: Option<String>,
    message: Option<String>,
    request_id: Option<String>,
    hold_client_millis: Option<u64>,
}

/// Reads the body of an error answer: XML, JSON, or anything else as text.
pub fn parse_error_body(body: &[u8]) -> ErrorBody {
    let fields = std::str::from_utf8(body).ok().and_then(|text| {
        let xml = || quick_xml::de::from_str::<Fields>(text).ok();
        let json = || serde_json::from_str::<Fields>(text).ok();
        if text.trim_start().starts_with('<') {
            xml()
        } else {
            json()
        }
    });
    match fields {
        Some(fields) if fields.code.is_some() || fields.message.is_some() => ErrorBody {
            code: fields.code.filter(|code| !code.is_empty()),
            message: fields.message.unwrap_or_default().trim().to_owned(),
            request_id: fields.request_id.filter(|id| !id.is_empty()),
            hold: fields.hold_client_millis.map(Duration::from_millis),
        },
        _ => ErrorBody {
            message: excerpt(body),
            ..ErrorBody::default()
        },
    }
}

/// What an error answer means. `missing` is what the request was about: a 404 that doesn't say more is about that.
pub fn classify(status: u16, code: Option<&str>, missing: Missing) -> ErrorKind {
    if let Some(kind) = code.and_then(|code| classify_code(code, missing)) {
        return kind;
    }
    match status {
        401 => ErrorKind::Unauthorized,
        403 => ErrorKind::PermissionDenied,
        404 => ErrorKind::NotFound(missing),
        408 => ErrorKind::Timeout,
        409 => ErrorKind::StatusConflict,
        429 => ErrorKind::Throttled,
        // A route that moved: the same request finds the new one.
        308 | 500..=599 => ErrorKind::Server,
        400..=499 => ErrorKind::InvalidRequest,
        _ => ErrorKind::Protocol,
    }
}

fn classify_code(code: &str, missing: Missing) -> Option<ErrorKind> {
    Some(match code {
        "NoSuchObject" => ErrorKind::NotFound(missing),
        "NoSuchProject" => ErrorKind::NotFound(Missing::Project),
        "NoSuchSchema" => ErrorKind::NotFound(Missing::Schema),
        "NoSuchTable" | "ODPS-0130131" => ErrorKind::NotFound(Missing::Table),
        "NoSuchPartition" => ErrorKind::NotFound(Missing::Partition),
        "NoSuchUpload" | "NoSuchDownload" | "NoSuchData" => ErrorKind::NotFound(Missing::Session),
        "Unauthorized"
        | "AuthorizationRequired"
        | "SignatureNotMatch"
        | "AuthenticationRequestExpired"
        | "RequestTimeTooSkewed"
        | "InvalidStsToken" => ErrorKind::Unauthorized,
        // The service's own numbers for authentication, and the words of Alibaba Cloud's gateways, which say more behind
        // a dot: `InvalidSecurityToken.Expired`.
        code if [
            "ODPS-0410",
            "InvalidAccessKeyId",
            "InvalidSecurityToken",
            "SecurityTokenExpired",
        ]
        .iter()
        .any(|prefix| code.starts_with(prefix)) =>
        {
            ErrorKind::Unauthorized
        }
        "AccessDenied" | "NoPermission" | "ODPS-0130013" => ErrorKind::PermissionDenied,
        "FlowExceeded" | "QPSExceeded" | "SlotExceeded" | "RequestQuotaExceeded" => {
            ErrorKind::Throttled
        }
        // Their statuses aren't certain, so that a status of the server's failures may come with them.
        "MissingPartitionSpec"
        | "InvalidPartitionSpec"
        | "InvalidBlockID"
        | "InvalidRowRange"
        | "InvalidColumnSpec"
        | "InvalidArgument"
        | "InvalidURI"
        | "MalformedHeaderValue"
        | "MissingContentLength"
        | "InvalidProjectTable"
        | "InvalidResourceSpec"
        | "OverwriteModeNotAllowed"
        | "MethodNotAllowed" => ErrorKind::InvalidRequest,
        // The table isn't what it was when the session was opened.
        "TableModified" | "SchemaModified" => ErrorKind::SessionExpired,
        "StatusConflict" | "InvalidStatusChange" => ErrorKind::StatusConflict,
        "InConsistentBlockList" => ErrorKind::BlockListDiffers,
        "MalformedDataStream" | "CorruptedDataStream" => ErrorKind::Corrupted,
        "IncompleteBody" | "MissingRequestBodyError" => ErrorKind::Disconnected,
        "DataUnderReplication"
        | "DataVersionConflict"
        | "MetaTransactionFailed"
        | "MetaTransactionAborted"
        | "ServiceUnavailable"
        | "InternalServerError"
        | "DataStoreError"
        | "ODPS-0010000"
        | "ODPS-0420153"
        | "ODPS-0430055" => ErrorKind::Server,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn xml_and_json_say_the_same() {
        let xml = r#"<?xml version="1.0" encoding="UTF-8"?>
            <Error><Code>NoSuchTable</Code><Message><![CDATA[table <t> is gone & away]]></Message>
            <RequestId>r-1</RequestId><HostId>h</HostId></Error>"#;
        let json =
            r#"{"Code":"NoSuchTable","Message":"table <t> is gone & away","RequestId":"r-1"}"#;
        let expected = ErrorBody {
            code: Some("NoSuchTable".into()),
            message: "table <t> is gone & away".into(),
            request_id: Some("r-1".into()),
            hold: None,
        };
        assert_eq!(parse_error_body(xml.as_bytes()), expected);
        assert_eq!(parse_error_body(json.as_bytes()), expected);
        let held = parse_error_body(br#"{"Code":"FlowExceeded","HoldClientMillis":1500}"#);
        assert_eq!(held.hold, Some(Duration::from_millis(1500)));
    }

    #[test]
    fn other_bodies_are_shown_by_their_beginning() {
        let page = parse_error_body(b"<html><body>502 Bad Gateway</body></html>");
        assert_eq!(page.code, None);
        assert_eq!(page.message, "<html><body>502 Bad Gateway</body></html>");
        assert_eq!(parse_error_body(b"{}").message, "{}");
        let long = parse_error_body("字".repeat(1000).as_bytes()).message;
        assert_eq!(long.chars().count(), 201);
        assert!(long.ends_with('…'));
    }

    #[test]
    fn codes_tell_more_than_the_status() {
        let table = Missing::Table;
        for (status, code, kind) in [
            (404, None, ErrorKind::NotFound(Missing::Table)),
            (
                404,
                Some("NoSuchObject"),
                ErrorKind::NotFound(Missing::Table),
            ),
            (
                404,
                Some("NoSuchPartition"),
                ErrorKind::NotFound(Missing::Partition),
            ),
            (
                404,
                Some("NoSuchUpload"),
                ErrorKind::NotFound(Missing::Session),
            ),
            (403, Some("SignatureNotMatch"), ErrorKind::Unauthorized),
            (403, Some("Whatever"), ErrorKind::PermissionDenied),
            (401, None, ErrorKind::Unauthorized),
            (409, Some("StatusConflict"), ErrorKind::StatusConflict),
            (409, Some("MetaTransactionAborted"), ErrorKind::Server),
            (400, Some("MissingPartitionSpec"), ErrorKind::InvalidRequest),
            (400, Some("CorruptedDataStream"), ErrorKind::Corrupted),
            (405, Some("MethodNotAllowed"), ErrorKind::InvalidRequest),
            (429, Some("QPSExceeded"), ErrorKind::Throttled),
            (429, None, ErrorKind::Throttled),
            (308, None, ErrorKind::Server),
            (302, None, ErrorKind::Protocol),
            (408, None, ErrorKind::Timeout),
            (502, None, ErrorKind::Server),
        ] {
            assert_eq!(classify(status, code, table), kind, "{status} {code:?}");
        }
    }

    proptest! {
        #[test]
        fn no_body_panics(body in prop::collection::vec(any::<u8>(), 0..300), text in "[<>/a-zCodeMsg&;!\\[\\]{}\":,]{0,80}") {
            parse_error_body(&body);
            parse_error_body(text.as_bytes());
            parse_error_body(format!("<Error><Code>{text}</Code></Error>").as_bytes());
        }
    }
}
