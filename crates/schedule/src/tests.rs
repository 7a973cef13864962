//! Both halves of the crate, from outside.

mod bounds;
mod brute;
mod parse;
mod runs;
