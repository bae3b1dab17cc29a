//! Request heads that two readers could read in two ways.
