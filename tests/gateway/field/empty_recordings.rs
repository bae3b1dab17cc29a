//! A recording without a byte.
