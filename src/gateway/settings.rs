//! The settings of the gateway itself, typed and checked.
//!
//! Knows what each value means. Does not know the configuration file.

pub mod cors;
pub mod embed;
pub mod limits;
pub mod login;
