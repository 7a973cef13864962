//! The generated types of the internal RPC. Only `claw-rpc` uses them; nothing behind it sees one.

/// Version 1.
#[allow(missing_docs, unused_qualifications, clippy::all, clippy::pedantic, reason = "generated")]
pub mod v1 {
    tonic::include_proto!("iiclaw.v1");

    /// The services' own description, for reflection.
    pub const FILE_DESCRIPTOR_SET: &[u8] = tonic::include_file_descriptor_set!("iiclaw.v1");
}
