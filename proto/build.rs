//! Compiles the services with protox: no protoc has to be installed.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo::rerun-if-changed=iiclaw");
    let files = ["iiclaw/v1/worker.proto", "iiclaw/v1/scheduler.proto"];
    tonic_prost_build::configure().compile_fds(protox::compile(files, ["."])?)?;
    Ok(())
}
