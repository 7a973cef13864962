//! Where inbound attachments are kept: a folder of this machine, or a bucket of an S3 service.
//!
//! A platform hands an attachment out slowly, sometimes once, often under a link with the bot's token in it. So it is
//! fetched from there once ([`MediaStore::fetch_once`]) and served from here afterwards, in whole or in part.
//!
//! The trait behind it is `object_store`'s; this crate adds what an attachment needs: a limit of size and time, nothing
//! visible of an upload that failed, the media type kept with the bytes, one fetch for many callers, and an end of life.
//!
//! Must hold: an object that can be found is whole, and its media type can be read. Both come from one rule: an
//! attachment is one object, its type in a header of fixed size before its bytes (see `header`), and the object
//! appears by one rename or one completed upload. The price is that the files are not for other programs.

mod error;
mod expire;
mod flight;
mod header;
mod key;
mod location;
pub mod range;
mod s3;
mod store;
mod upload;

pub use error::{Error, Result};
pub use expire::Expired;
pub use flight::Incoming;
pub use key::MediaKey;
pub use location::{Bucket, LocationError, MediaLocation};
pub use s3::{S3Keys, S3Options};
pub use store::{MediaStore, Stored};
pub use upload::Limits;
