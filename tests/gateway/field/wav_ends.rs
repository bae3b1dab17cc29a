//! A WAV header that says more than there is, from a PBX that tells no length.
