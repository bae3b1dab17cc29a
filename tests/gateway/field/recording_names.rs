//! Names whose parties cannot be told, but whose time can.
