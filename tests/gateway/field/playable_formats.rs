//! Which formats browsers play, wherever the header names them.
