//! Wavegate: a download gateway for the call recordings of a Yeastar PBX.
//!
//! The life of a request is the shape of the code:
//!
//! ```text
//! accept → route   → authenticate → authorize   → admit → permit → ticket → stream → relay
//! server   gateway   auth           auth::policy  relay   pbx ─────────────────────→ relay
//! ```
//!
//! The library exists for the program of the same name, its tests and its benches; it promises no stable interface.

mod admin;
pub mod app;
mod audit;
pub mod auth;
mod cache;
pub mod cli;
pub mod config;
mod doctor;
mod gateway;
mod jwks;
mod list;
mod metrics;
mod pbx;
mod permits;
mod rates;
pub mod recording;
mod relay;
pub mod response;
mod revocations;
mod server;
#[cfg(feature = "simulator")]
pub mod simulator;
mod telemetry;
