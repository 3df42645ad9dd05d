//! What a request says, before it is signed and sent.

use std::fmt;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// Everything but RFC 3986's unreserved characters is encoded, in paths and in queries, so that no two servers can
/// disagree about what was meant and signed.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// An HTTP method.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// `GET`.
    Get,
    /// `POST`.
    Post,
    /// `PUT`.
    Put,
}

impl Method {
    /// The name on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Put => "PUT",
        }
    }
}

/// Method, path, query and headers of one request, all of them decoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    method: Method,
    segments: Vec<String>,
    query: Vec<(&'static str, String)>,
    headers: Vec<(&'static str, String)>,
}

impl Request {
    /// A request for the resource at `segments`, below the endpoint.
    pub fn new<'a>(method: Method, segments: impl IntoIterator<Item = &'a str>) -> Self {
        let segments = segments.into_iter().map(str::to_owned).collect();
        Self {
            method,
            segments,
            query: Vec::new(),
            headers: Vec::new(),
        }
    }

    /// Adds a parameter without a value. Give each name once.
    #[must_use]
    pub fn flag(self, name: &'static str) -> Self {
        self.param(name, "")
    }

    /// Adds a parameter. Give each name once.
    #[must_use]
    pub fn param(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.query.push((name, value.into()));
        self
    }

    /// Adds a header. Give each name once.
    #[must_use]
    pub fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// The method.
    pub fn method(&self) -> Method {
        self.method
    }

    /// The headers in the order given.
    pub fn headers(&self) -> &[(&'static str, String)] {
        &self.headers
    }

    /// Path and query as they go on the wire, below the endpoint.
    pub fn target(&self) -> String {
        let mut target = String::new();
        for segment in &self.segments {
            target.push('/');
            target.extend(utf8_percent_encode(segment, ENCODED));
        }
        for (position, (name, value)) in self.query.iter().enumerate() {
            target.push(if position == 0 { '?' } else { '&' });
            target.push_str(name);
            if !value.is_empty() {
                target.push('=');
                target.extend(utf8_percent_encode(value, ENCODED));
            }
        }
        target
    }

    /// Path and query as they are signed: decoded, parameters sorted by name.
    pub fn resource(&self) -> String {
        let mut resource = self.path();
        let mut query: Vec<_> = self.query.iter().collect();
        query.sort_by_key(|(name, _)| *name);
        for (position, (name, value)) in query.into_iter().enumerate() {
            resource.push(if position == 0 { '?' } else { '&' });
            resource.push_str(name);
            if !value.is_empty() {
                resource.push('=');
                resource.push_str(value);
            }
        }
        resource
    }

    fn path(&self) -> String {
        self.segments
            .iter()
            .fold(String::new(), |path, segment| path + "/" + segment)
    }
}

/// `GET /projects/p/tables/t`, for errors: without query and headers.
impl fmt::Display for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.method.name(), self.path())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_encoded_on_the_wire_and_plain_where_they_are_signed() {
        let request = Request::new(Method::Post, ["projects", "p", "tables", "表 1"])
            .flag("uploads")
            .param("partition", "ds=2026 a+b&c%20,hh=03");
        assert_eq!(
            request.target(),
            "/projects/p/tables/%E8%A1%A8%201?uploads&partition=ds%3D2026%20a%2Bb%26c%2520%2Chh%3D03"
        );
        assert_eq!(
            request.resource(),
            "/projects/p/tables/表 1?partition=ds=2026 a+b&c%20,hh=03&uploads"
        );
        assert_eq!(request.to_string(), "POST /projects/p/tables/表 1");
    }
}
