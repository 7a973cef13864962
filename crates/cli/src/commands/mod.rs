//! One command, one file.

pub(crate) mod backends;
pub(crate) mod channels;
pub(crate) mod cluster;
pub(crate) mod cron;
pub(crate) mod dead_letters;
pub(crate) mod doctor;
mod exam;
pub(crate) mod keys;
pub(crate) mod messages;
pub(crate) mod migrate;
pub(crate) mod reseal;
pub(crate) mod reshard;
pub(crate) mod roles;
pub(crate) mod shell;
pub(crate) mod up;
pub(crate) mod users;
