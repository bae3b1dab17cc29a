//! The promises of the gateway, each tested over real sockets against the simulated PBX.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    missing_docs,
    reason = "a test that cannot go on fails"
)]

#[path = "../harness/mod.rs"]
mod harness;

mod admin;
mod audit;
mod authorize;
mod cache;
mod config;
mod cors;
mod download;
mod drain;
mod fairness;
mod fixtures;
mod issuers;
mod limits;
mod links;
mod list;
mod logins;
mod metrics;
mod pages;
mod proxies;
mod rates;
mod revocation;
mod session;
mod several;
mod tls;
mod tokens;
