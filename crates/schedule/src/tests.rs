//! Both halves of the crate, from outside.

mod parse;
mod runs;
