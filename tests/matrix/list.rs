//! Lists: however long they are and however the PBX writes them, whatever fails while they are read,
//! and the memory that a long one takes.

mod faults;
mod memory;
mod switches;
mod walk;
