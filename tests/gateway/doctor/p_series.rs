//! P-Series.
