//! The content of what a PBX sends: its kind, its format, and a digest to compare it by.
//!
//! Knows bytes. Does not know where they come from. Pure.

pub(in crate::pbx) mod digest;
pub(crate) mod riff;
pub(in crate::pbx) mod sniff;
