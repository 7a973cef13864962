//! Who asked to be let in to a channel whose `dm_policy` is `pairing`, who was, and invitations.

pub mod approve;
pub mod invite;
pub mod list;
pub mod revoke;
mod view;
