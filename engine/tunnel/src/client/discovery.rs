//! Where the tunnel is.

use std::sync::Arc;

use super::tries::{Repeat, Small};
use super::{Client, Server};
use crate::wire::{AnswerError, Method, Request};
use crate::{Missing, Result};

impl Client {
    /// The tunnel endpoint: as set, or asked for once. It has the scheme of the REST endpoint.
    pub(super) async fn tunnel(&self) -> Result<&Server> {
        self.inner
            .tunnel
            .get_or_try_init(|| self.discover())
            .await
            .map(Arc::as_ref)
    }

    async fn discover(&self) -> Result<Arc<Server>> {
        let config = &self.inner.config;
        let project = &config.project;
        let mut request = Request::new(Method::Get, ["projects", project, "tunnel"])
            .flag("service")
            .param("curr_project", project);
        if let Some(quota) = &config.quota {
            request = request.param("quotaName", quota);
        }
        let small = Small {
            request,
            body: None,
            missing: Missing::Project,
            repeat: Repeat::Safe,
            action: format!("ask for the tunnel endpoint of project {project}"),
        };
        let scheme = self
            .inner
            .rest
            .base
            .split_once("://")
            .map_or("http", |(scheme, _)| scheme);
        self.call(&self.inner.rest, small, |answer| {
            let host = answer.text().trim().to_owned();
            let plain = |c: char| c.is_ascii_alphanumeric() || ".:-_[]".contains(c);
            if host.is_empty() || !host.chars().all(plain) {
                return Err(AnswerError::new(
                    "the answer is no host; set `tunnel_endpoint`",
                ));
            }
            Server::new(&format!("{scheme}://{host}"), "tunnel_endpoint")
                .map(Arc::new)
                .map_err(|failure| AnswerError::new(failure.message))
        })
        .await
    }
}
