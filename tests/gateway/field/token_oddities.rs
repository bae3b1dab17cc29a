//! What an identity provider writes into a token that does not decide anything.
