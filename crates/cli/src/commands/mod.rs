//! One command, one file.

pub(crate) mod doctor;
pub(crate) mod migrate;
pub(crate) mod roles;
pub(crate) mod up;
