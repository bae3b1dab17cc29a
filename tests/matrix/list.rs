//! Lists of any length and in every spelling of the PBX, faults while they are read, and the memory
//! that a long one takes.

mod faults;
mod memory;
mod switches;
mod walk;
