//! The promises of the gateway, each kept over real sockets against the simulated PBX.

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

mod harness;
mod programs;
mod wire;

mod admin;
mod attacks;
mod audit;
mod authorize;
mod browser;
mod cache;
mod commands;
mod config;
mod cors;
mod crowd;
mod dialects;
mod doctor;
mod download;
mod drain;
mod fairness;
mod faults;
mod field;
mod fixtures;
mod init;
mod issuers;
mod limits;
mod links;
mod list;
mod logins;
mod memory;
mod mending;
mod metrics;
mod nginx;
mod pages;
mod players;
mod proxies;
mod ranges;
mod rates;
mod revocation;
mod secrets;
mod session;
mod several;
mod tls;
mod tokens;
