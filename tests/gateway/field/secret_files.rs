//! Secrets as containers hand them out.
