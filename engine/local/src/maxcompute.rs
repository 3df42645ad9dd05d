//! A MaxCompute-compatible server over Parquet files and SQLite.
//!
//! It answers the REST API (project, table metadata, SQL instances) and the tunnel (upload and download sessions) on one
//! port, as far as Alibaba's own clients need it. Rows lie in Parquet files; which files a table partition consists of, and
//! everything else that is known, lies in one SQLite database. Both survive a restart, and a commit is one transaction: after
//! a kill at any instant a table partition has its old rows or its new ones.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use engine_local::maxcompute::{Config, MaxCompute};
//!
//! let server = MaxCompute::start(Config::new("data", "demo")).await?;
//! println!("endpoint {}, project demo", server.endpoint());
//! server.stop().await;
//! # Ok(())
//! # }
//! ```

mod auth;
mod catalog;
mod clock;
mod connection;
mod decimal;
mod error;
mod faults;
mod ids;
mod request;
mod routes;
mod server;
mod sql;
mod storage;
mod table;
mod types;
mod wire;
mod xml;

#[cfg(test)]
mod tests;

pub use auth::Credential;
pub use clock::Clock;
pub use error::Error;
pub use faults::{Call, Fault, Faults, Route};
pub use server::{Config, MaxCompute};
