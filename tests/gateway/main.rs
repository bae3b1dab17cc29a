//! The promises of the gateway, each kept over real sockets against the simulated PBX.

mod harness;

mod config;
mod download;
