//! Harmless oddities from the field must be served.
//!
//! Each file is one kind of oddity: an identity provider, a PBX, a container, a browser or a proxy
//! wrote something that does not decide anything. The tables state what the gateway serves, and
//! beside it what the lenient rule must not permit.

mod addresses;
mod call_tables;
mod empty_recordings;
mod form_blanks;
mod lost_logins;
mod program_or_person;
mod recording_names;
mod request_heads;
mod shared_accounts;
mod token_oddities;
mod wav_ends;
