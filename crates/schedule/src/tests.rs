//! Both halves of the crate, from outside.

mod bounds;
mod parse;
mod runs;
