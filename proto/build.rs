//! Compiles the services with protox: no protoc has to be installed.

use std::path::Path;

use prost::Message as _;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo::rerun-if-changed=iiclaw");
    let files = ["iiclaw/v1/worker.proto", "iiclaw/v1/scheduler.proto", "iiclaw/v1/gateway.proto"];
    let descriptors = protox::compile(files, ["."])?;
    let out = std::env::var_os("OUT_DIR").ok_or("OUT_DIR is not set")?;
    std::fs::write(Path::new(&out).join("iiclaw.v1.bin"), descriptors.encode_to_vec())?;
    tonic_prost_build::configure().compile_fds(descriptors)?;
    Ok(())
}
