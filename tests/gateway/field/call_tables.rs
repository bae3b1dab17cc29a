//! One odd row in a table of calls.
