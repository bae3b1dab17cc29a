//! The long tables: every switch, fault and generation, every form of a token and of a range, every
//! failure.

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

mod attacks;
mod crowd;
mod decisions;
mod deliveries;
mod dialects;
mod faults;
mod field;
mod list;
mod memory;
mod mending;
mod pace;
mod ranges;
mod secrets;
mod siege;
