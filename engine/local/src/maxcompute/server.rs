//! The server's life: start, the layers around every route, stop.

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use std::{fmt, fs};

use axum::Router;
use axum::extract::{Request, State};
use axum::http::HeaderValue;
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse as _, Response};
use jiff::tz::TimeZone;
use rusqlite::InterruptHandle;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, oneshot};
use tokio::task::JoinSet;

use super::auth::{self, Credential};
use super::catalog::Catalog;
use super::clock::Clock;
use super::connection::{Connection, Connections};
use super::error::{Code, Error, ServiceError, Style};
use super::faults::{self, Faults};
use super::ids::Ids;
use super::request::Head;
use super::routes;
use super::sql::Engine;

/// Statements that run at the same time; more wait.
const STATEMENTS_MAX: usize = 8;
/// How long [`MaxCompute::stop`] waits for requests that are being answered.
const STOP: Duration = Duration::from_secs(10);
/// How often it looks whether the folder is free then.
const RELEASE_POLL: Duration = Duration::from_millis(1);

/// What a server is started with.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where files and catalog are; created where it is missing. One server at a time may use it.
    pub data_dir: PathBuf,
    /// The address to listen on; port 0 takes a free one. Beyond loopback it needs `credentials`.
    pub listen: SocketAddr,
    /// The only project.
    pub project: String,
    /// Who may sign requests. Empty: signatures are not looked at.
    pub credentials: Vec<Credential>,
    /// The server's clock.
    pub clock: Clock,
    /// What is to go wrong, for tests.
    pub faults: Faults,
}

impl Config {
    /// A server for everybody on this machine, on a free port.
    pub fn new(data_dir: impl Into<PathBuf>, project: impl Into<String>) -> Self {
        Self {
            data_dir: data_dir.into(),
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            project: project.into(),
            credentials: Vec::new(),
            clock: Clock::system(),
            faults: Faults::new(),
        }
    }
}

/// A running server. Dropped, it stops without waiting for anybody.
#[derive(Debug)]
pub struct MaxCompute {
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    serving: JoinSet<()>,
    app: Arc<App>,
}

impl MaxCompute {
    /// Opens the data folder and answers requests from then on, on the caller's runtime.
    ///
    /// # Errors
    /// When the folder, its catalog or the address can't be used.
    pub async fn start(config: Config) -> Result<Self, Error> {
        if config.credentials.is_empty() && !config.listen.ip().is_loopback() {
            return Err(Error::Open {
                address: config.listen,
            });
        }
        let listener = TcpListener::bind(config.listen)
            .await
            .map_err(|source| Error::Listen {
                address: config.listen,
                source,
            })?;
        let address = listener.local_addr().map_err(|source| Error::Listen {
            address: config.listen,
            source,
        })?;
        let app = tokio::task::spawn_blocking(|| App::open(config)).await;
        let app = app.map_err(|error| Error::Io {
            path: PathBuf::new(),
            source: std::io::Error::other(error),
        })??;
        let (stop, stopped) = oneshot::channel::<()>();
        let router = router(Arc::clone(&app));
        let mut serving = JoinSet::new();
        serving.spawn(async move {
            let connections = Connections(listener);
            let service = router.into_make_service_with_connect_info::<Connection>();
            let serve = axum::serve(connections, service).with_graceful_shutdown(async {
                // Both a message and a dropped sender end the server.
                drop(stopped.await);
            });
            // Serving ends by shutdown only: failed connections are retried inside.
            drop(serve.await);
        });
        Ok(Self {
            address,
            stop: Some(stop),
            serving,
            app,
        })
    }

    /// The address that is listened on.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The endpoint that clients are given: `http://127.0.0.1:PORT/api`. The tunnel is on the same port.
    pub fn endpoint(&self) -> String {
        format!("http://{}/api", self.address)
    }

    /// Stops accepting, lets requests that are being answered end for up to 10 s, and interrupts statements.
    pub async fn stop(mut self) {
        drop(self.stop.take());
        let finished = async { while self.serving.join_next().await.is_some() {} };
        drop(tokio::time::timeout(STOP, finished).await);
        self.serving.shutdown().await;
        self.app.interrupt_all();
        let mut tasks = std::mem::take(&mut *self.app.lock_tasks());
        while tasks.join_next().await.is_some() {}
        drop(tasks);
        // What a request had begun on another thread may go on a little, with the folder and its lock.
        let catalog = Arc::downgrade(&self.app.catalog);
        drop(self);
        let released = async {
            while catalog.strong_count() > 0 {
                tokio::time::sleep(RELEASE_POLL).await;
            }
        };
        drop(tokio::time::timeout(STOP, released).await);
    }
}

/// What all routes share.
pub(crate) struct App {
    pub(crate) catalog: Arc<Catalog>,
    pub(crate) project: String,
    pub(crate) clock: Clock,
    pub(crate) ids: Ids,
    /// When the server was started, which passes for the project's birth.
    pub(crate) started_ms: i64,
    statements: Arc<Semaphore>,
    pub(crate) faults: Faults,
    credentials: Vec<Credential>,
    tasks: Mutex<JoinSet<()>>,
    running: Mutex<HashMap<String, InterruptHandle>>,
}

impl fmt::Debug for App {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("App")
            .field("project", &self.project)
            .finish_non_exhaustive()
    }
}

impl App {
    fn open(config: Config) -> Result<Arc<Self>, Error> {
        let on_folder = |source| Error::Io {
            path: config.data_dir.clone(),
            source,
        };
        fs::create_dir_all(&config.data_dir).map_err(on_folder)?;
        let catalog = Catalog::open(&config.data_dir)?;
        let started_ms = config.clock.now_ms();
        let failed = catalog.fail_running_instances(started_ms);
        failed.map_err(|error| on_folder(std::io::Error::other(error.to_string())))?;
        Ok(Arc::new(Self {
            catalog,
            project: config.project,
            clock: config.clock,
            ids: Ids::new(),
            started_ms,
            statements: Arc::new(Semaphore::new(STATEMENTS_MAX)),
            faults: config.faults,
            credentials: config.credentials,
            tasks: Mutex::new(JoinSet::new()),
            running: Mutex::new(HashMap::new()),
        }))
    }

    /// A new identifier.
    pub(crate) fn id(&self) -> String {
        self.ids.next(self.clock.now())
    }

    /// Whether `name` is the server's project.
    ///
    /// # Errors
    /// `NoSuchProject` for any other.
    pub(crate) fn check_project(&self, name: &str) -> Result<(), ServiceError> {
        if name.eq_ignore_ascii_case(&self.project) {
            return Ok(());
        }
        let text = format!(
            "there is no project {name:?} here; this server has {:?}",
            self.project
        );
        Err(ServiceError::new(Code::NoSuchProject, text))
    }

    /// Runs `work`, which may block, and waits for it.
    pub(crate) async fn blocking<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&App) -> Result<T, ServiceError> + Send + 'static,
    ) -> Result<T, ServiceError> {
        let app = Arc::clone(self);
        tokio::task::spawn_blocking(move || work(&app)).await?
    }

    /// Runs `work` on the SQL engine, which may block, once one of its places is free, and waits for it. Instants are read
    /// and shown in `zone`.
    pub(crate) async fn with_engine<T: Send + 'static>(
        self: &Arc<Self>,
        zone: TimeZone,
        work: impl FnOnce(&App, &Engine) -> Result<T, ServiceError> + Send + 'static,
    ) -> Result<T, ServiceError> {
        // The semaphore is never closed.
        let permit = Arc::clone(&self.statements).acquire_owned().await;
        let answer = self.blocking(move |app| {
            let engine = Engine {
                catalog: Arc::clone(&app.catalog),
                project: app.project.clone(),
                zone,
                now: app.clock.now(),
                result_id: app.id(),
            };
            work(app, &engine)
        });
        let answer = answer.await;
        drop(permit);
        answer
    }

    /// Tasks that outlive the request that started them.
    pub(crate) fn tasks(&self, start: impl FnOnce(&mut JoinSet<()>)) {
        let mut tasks = self.lock_tasks();
        while tasks.try_join_next().is_some() {}
        start(&mut tasks);
    }

    /// Remembers how to interrupt a running instance, or forgets it.
    pub(crate) fn set_running(&self, instance: &str, handle: Option<InterruptHandle>) {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        match handle {
            Some(handle) => running.insert(instance.to_owned(), handle),
            None => running.remove(instance),
        };
    }

    /// Interrupts an instance if it runs.
    pub(crate) fn interrupt(&self, instance: &str) {
        let running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(handle) = running.get(instance) {
            handle.interrupt();
        }
    }

    fn interrupt_all(&self) {
        let running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        running.values().for_each(InterruptHandle::interrupt);
    }

    fn lock_tasks(&self) -> std::sync::MutexGuard<'_, JoinSet<()>> {
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// All routes, with the `/api` that REST endpoints have and without, as the tunnel's.
fn router(app: Arc<App>) -> Router {
    let routes = routes::router();
    Router::new()
        .nest("/api", routes.clone())
        .merge(routes)
        .fallback(|| async {
            ServiceError::new(Code::InvalidURI, "the server knows no such path").into_response()
        })
        .method_not_allowed_fallback(|| async {
            let text = "the server knows the path, but not with this method";
            ServiceError::new(Code::MethodNotAllowed, text).into_response()
        })
        .layer(from_fn_with_state(Arc::clone(&app), faults::around))
        .layer(from_fn_with_state(Arc::clone(&app), around))
        .with_state(app)
}

/// Around every route: checks the signature, renders errors as the route has them, and names the request.
async fn around(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let now = app.clock.now();
    let request_id = app.ids.next(now);
    let (parts, body) = request.into_parts();
    let head = Head::of(&parts);
    let (json, host) = (head.json_errors, head.host.clone());
    let refused = match head.params.doubled() {
        Some(name) => {
            let text = format!("the parameter {name:?} is there twice");
            Err(ServiceError::new(Code::InvalidArgument, text))
        }
        None => auth::verify(&parts, &app.credentials, now),
    };
    let mut response = if let Err(error) = refused {
        error.into_response()
    } else {
        let mut request = Request::from_parts(parts, body);
        request.extensions_mut().insert(Arc::new(head));
        next.run(request).await
    };
    let style = Style {
        json,
        request_id: &request_id,
        host: &host,
    };
    style.render(&mut response);
    if let Ok(value) = HeaderValue::from_str(&request_id) {
        response.headers_mut().insert("x-odps-request-id", value);
    }
    response
}
