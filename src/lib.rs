//! Wavegate: a download gateway for the call recordings of a Yeastar PBX.
//!
//! The modules below are a ladder, ground first. A module imports from modules that stand before it
//! in this list, never from one behind it; `cargo test --test tidy` holds the same list and fails
//! on an import that goes up.
//!
//! The library exists for the program of the same name, its tests and its benches; it promises no
//! stable interface.

// Vocabulary: plain values without I/O, configuration or clock.

// Values that no log line may show.
pub mod secret;

// Names of recordings, and the facts that a name tells.
pub mod recording;

// The id of the caller that a request counts for.
mod principal;

// Mechanisms: they know nothing of credentials, rights or the APIs of PBXs.

// Secrets read from files.
pub mod secret_files;

// The version of a file, to see that it has changed.
mod file_version;

// Ranges, conditions, tags, header fields and problem documents.
pub mod http;

// Certificates, pins, trust in a peer.
pub mod tls;

// Counters and gauges for Prometheus.
mod metrics;

// The log of the process.
pub mod log;

// The instances of one fleet, and the store that they share.
pub mod fleet;

// Bounds: rate, concurrency, fair queue, bandwidth.
pub mod limits;

// Domains.

// The caller: tokens, keys, links, sessions, revocations.
pub mod auth;

// The rights: Cedar policies.
pub mod policy;

// The audit log, its chain and its heads.
pub mod audit;

// The list of recordings: filter, page, cursor.
mod list;

// One PBX: account, tickets, downloads, lists, dialects.
pub mod pbx;

// Recordings in memory.
pub mod cache;

// The body of an answer, and the watch over it.
pub mod relay;

// Requests.

// From a request to its answer.
pub mod gateway;

// The process.

// The configuration file.
pub mod config;

// The public listener.
mod server;

// The listener for the operator.
mod admin;

// The composition root.
pub mod app;

// Tools.

// A simulated PBX.
#[cfg(feature = "simulator")]
pub mod simulator;

// The commands.
pub mod cli;
