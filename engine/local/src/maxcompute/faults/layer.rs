//! The layer around the routes that counts calls and makes their faults happen.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use axum::body::Body;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderName, HeaderValue, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use http_body::Frame;

use super::{Effect, Route};
use crate::maxcompute::connection::Connection;
use crate::maxcompute::error::Injected;
use crate::maxcompute::request::Params;
use crate::maxcompute::server::App;

/// Around every route: the fault that the call meets, if any.
pub(crate) async fn around(
    State(app): State<Arc<App>>,
    ConnectInfo(connection): ConnectInfo<Connection>,
    request: Request,
    next: Next,
) -> Response {
    let target = request.uri().path_and_query();
    let target = target.map_or("/", |target| target.as_str());
    let route = route(request.method(), target);
    let Some((effect, delay)) = app.faults.meet(route, target) else {
        return next.run(request).await;
    };
    tokio::time::sleep(delay).await;
    match effect {
        Effect::Nothing => next.run(request).await,
        Effect::Answer {
            status,
            code,
            headers,
        } => answer(status, code, &headers),
        Effect::CutRequest(0) => {
            connection.cut();
            StatusCode::OK.into_response()
        }
        Effect::CutRequest(bytes) => {
            let (parts, body) = request.into_parts();
            let cut = CutBody::new(body, bytes, Some(connection));
            next.run(Request::from_parts(parts, Body::new(cut))).await
        }
        Effect::CutAnswer(bytes) => {
            let (parts, body) = next.run(request).await.into_parts();
            Response::from_parts(parts, Body::new(CutBody::new(body, bytes, None)))
        }
        Effect::LoseAnswer => {
            let answer = next.run(request).await;
            connection.cut();
            answer
        }
    }
}

/// An error that the outer layer renders as the route has them.
fn answer(status: u16, code: String, headers: &[(String, String)]) -> Response {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = status.into_response();
    for (name, value) in headers {
        let name = HeaderName::try_from(name.as_str());
        if let (Ok(name), Ok(value)) = (name, HeaderValue::try_from(value.as_str())) {
            response.headers_mut().insert(name, value);
        }
    }
    response.extensions_mut().insert(Injected(code));
    response
}

/// What a call is for.
pub(super) fn route(method: &Method, target: &str) -> Route {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let params = Params::parse(query);
    let has = |name: &str| params.has(name);
    let segments: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    let segments = match segments.as_slice() {
        ["api", rest @ ..] => rest,
        all => all,
    };
    let resource = match segments {
        ["projects", _, "schemas", _, rest @ ..] | ["projects", _, rest @ ..] => rest,
        ["tenants"] | ["logview", "host"] => return Route::Project,
        _ => return Route::Other,
    };
    match (resource, method) {
        (["tables", _, "preview"], _) => Route::Read,
        (["tables" | "instances", _], &Method::PUT) if has("uploadid") => Route::PutBlock,
        (["tables", _], &Method::POST) if has("uploads") => Route::CreateUpload,
        (["tables", _], &Method::POST) if has("uploadid") => Route::Commit,
        (["tables", _], &Method::GET) if has("uploadid") => Route::ReloadUpload,
        (["tables" | "instances", _], &Method::POST) if has("downloads") => Route::CreateDownload,
        (["tables" | "instances", _], &Method::GET) if has("data") => Route::Read,
        (["tables" | "instances", _], &Method::GET) if has("downloadid") => Route::ReloadDownload,
        (["tables", ..], _) => Route::Metadata,
        (["instances"], _) => Route::Submit,
        (["instances", _], _) => Route::Instance,
        ([] | ["tunnel" | "logs" | "schemas"], _) => Route::Project,
        _ => Route::Other,
    }
}

/// A body that breaks behind its first bytes.
struct CutBody {
    inner: Body,
    left: u64,
    /// Cut with the body, as soon as the bytes came. Without one, only a body that has more bytes breaks.
    connection: Option<Connection>,
    state: CutState,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum CutState {
    Whole,
    /// There is more than may pass. The next poll is put off, so that whoever sends the body sends what came before.
    More,
    Broken,
}

impl CutBody {
    fn new(inner: Body, left: u64, connection: Option<Connection>) -> Self {
        Self {
            inner,
            left,
            connection,
            state: CutState::Whole,
        }
    }
}

impl http_body::Body for CutBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        if let (0, Some(connection)) = (self.left, &self.connection) {
            connection.cut();
            self.state = CutState::Broken;
        }
        match self.state {
            CutState::Whole => {}
            CutState::More => {
                self.state = CutState::Broken;
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            CutState::Broken => {
                return Poll::Ready(Some(Err(io::ErrorKind::ConnectionReset.into())));
            }
        }
        let frame = match ready!(Pin::new(&mut self.inner).poll_frame(cx)) {
            None => return Poll::Ready(None),
            Some(frame) => frame.map_err(io::Error::other)?,
        };
        let mut data = match frame.into_data() {
            Ok(data) => data,
            Err(trailers) => return Poll::Ready(Some(Ok(trailers))),
        };
        let bytes = u64::try_from(data.len()).unwrap_or(u64::MAX);
        if bytes > self.left {
            self.state = CutState::More;
            data.truncate(usize::try_from(self.left).unwrap_or(usize::MAX));
        }
        self.left = self.left.saturating_sub(bytes);
        Poll::Ready(Some(Ok(Frame::data(data))))
    }
}
