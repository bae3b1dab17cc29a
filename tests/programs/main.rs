//! Third-party programs and `wavegate` itself, as people run them: nginx, HAProxy, Caddy, Redis, curl,
//! OpenSSL, FFmpeg, Prometheus and Chromium.
//!
//! If its program is absent, a test prints one line that it is skipped; with `CI=true` it fails.

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

mod browser;
mod commands;
mod container;
mod disk;
mod doctor;
mod fleet;
mod full_disk;
mod init;
mod nginx;
mod openssl_keys;
mod playable_formats;
mod players;
mod prometheus;
mod proxies;
mod reloads;
mod secret_files;
mod service;
mod wav_ends;
