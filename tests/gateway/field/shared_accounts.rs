//! An account that another program uses as well.
