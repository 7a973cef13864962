//! The generated types of the internal RPC. Only `claw-rpc` uses them; nothing behind it sees one.

/// Version 1.
#[allow(missing_docs, unused_qualifications, clippy::all, clippy::pedantic, reason = "generated")]
pub mod v1 {
    tonic::include_proto!("iiclaw.v1");
}
