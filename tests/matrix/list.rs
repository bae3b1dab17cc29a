//! Lists, however the PBX writes them and whatever fails while they are read, and the memory that a long one takes.

mod faults;
mod memory;
mod switches;
