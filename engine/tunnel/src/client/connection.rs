//! How endpoints are connected to: certificates, proxies, and what is said when it doesn't work.

use std::fs;
use std::io;

use reqwest::{Certificate, Proxy, Url};

use super::Server;
use crate::error::Failure;
use crate::{ClientConfig, ErrorKind};

/// Connections to `rest` and the tunnel that belongs to it.
pub(super) fn http(config: &ClientConfig, rest: &Server) -> Result<reqwest::Client, Failure> {
    let mut http = reqwest::Client::builder()
        .http1_only()
        .redirect(reqwest::redirect::Policy::none())
        .referer(false)
        .connect_timeout(config.timeouts.connect)
        .user_agent(&config.user_agent);
    if let Some(address) = &config.proxy {
        http = http.proxy(proxy(address)?);
    } else if rest.is_loopback() {
        http = http.no_proxy();
    }
    for certificate in certificates(config)? {
        http = http.add_root_certificate(certificate);
    }
    http.build()
        .map_err(|error| Failure::new(ErrorKind::Config, error.without_url().to_string()))
}

fn proxy(address: &str) -> Result<Proxy, Failure> {
    // The address itself isn't shown: someone may have put a password into it.
    let failed = |problem: &str| {
        let text = format!("`proxy` {problem}; it should look like http://host:port");
        Failure::new(ErrorKind::Config, text)
    };
    let url = Url::parse(address).map_err(|error| failed(&format!("is no URL ({error})")))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(failed("is neither http nor https"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(failed(
            "has a user name or password in it, which only HTTPS_PROXY of the environment may have",
        ));
    }
    Proxy::all(url).map_err(|error| failed(&error.without_url().to_string()))
}

/// The certificates of `ca_file`.
fn certificates(config: &ClientConfig) -> Result<Vec<Certificate>, Failure> {
    let Some(path) = &config.ca_file else {
        return Ok(Vec::new());
    };
    let failed = |problem: String| {
        let text = format!("`ca_file` {} {problem}", path.display());
        Failure::new(ErrorKind::Config, text)
    };
    let bytes = fs::read(path).map_err(|error| failed(format!("can't be read: {error}")))?;
    let certificates = Certificate::from_pem_bundle(&bytes).unwrap_or_default();
    if certificates.is_empty() {
        let problem = "holds no certificate; it should have `-----BEGIN CERTIFICATE-----` in it";
        return Err(failed(problem.to_owned()));
    }
    Ok(certificates)
}

/// Why `server` couldn't be reached, and what to look at.
pub(super) fn unreachable(server: &Server, config: &ClientConfig, reason: &str) -> String {
    let Server { base, setting, .. } = server;
    let proxy = config.proxy.as_ref().map_or("", |_| ", `proxy`");
    format!("cannot reach {base}: {reason}; check `{setting}`{proxy} and the network")
}

/// The certificate of `server` isn't trusted, which no other try will change.
pub(super) fn untrusted(server: &Server, config: &ClientConfig, reason: &str) -> Failure {
    let Server { base, setting, .. } = server;
    let advice = match &config.ca_file {
        Some(path) => format!(
            "`ca_file` {} does not hold the authority that signed it, and the system has none either",
            path.display()
        ),
        None => "name a file with the authority that signed it as `ca_file`".to_owned(),
    };
    let text = format!("{base} is not trusted: {reason}; check `{setting}`: {advice}");
    Failure {
        unsent: true,
        ..Failure::new(ErrorKind::Config, text)
    }
}

/// Whether a connection failed for the certificate of the other side. OpenSSL's errors have no type to tell it by.
pub(super) fn is_untrusted(reason: &str) -> bool {
    reason.contains("certificate verify failed")
}

/// The innermost error says what happened; those around it only where.
pub(super) fn reason(error: &(dyn std::error::Error + 'static)) -> String {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    match innermost.downcast_ref::<io::Error>().map(io::Error::kind) {
        Some(
            kind @ (io::ErrorKind::ConnectionRefused
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::BrokenPipe
            | io::ErrorKind::HostUnreachable
            | io::ErrorKind::NetworkUnreachable
            | io::ErrorKind::TimedOut),
        ) => kind.to_string(),
        _ => innermost.to_string(),
    }
}
