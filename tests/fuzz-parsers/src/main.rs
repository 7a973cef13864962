//! libFuzzer on one [`claw_fuzz_parsers::Target`], which `FUZZ_TARGET` names; the arguments are libFuzzer's.
//!
//! `FUZZ_TARGET=list` prints the names; `FUZZ_SEEDS=folder` writes the target's examples there, to begin from.

#![no_main]

use std::sync::LazyLock;
use std::{env, fs, process};

use claw_fuzz_parsers::{Target, all};
use libfuzzer_sys::fuzz_target;

static TARGET: LazyLock<Target> = LazyLock::new(chosen);

fn chosen() -> Target {
    let wanted = env::var("FUZZ_TARGET").unwrap_or_default();
    let targets = all().expect("the catalogue's examples make channels");
    let names: Vec<String> = targets.iter().map(|target| target.name.clone()).collect();
    if wanted == "list" {
        println!("{}", names.join("\n"));
        process::exit(0);
    }
    let Some(target) = targets.into_iter().find(|target| target.name == wanted) else {
        eprintln!("FUZZ_TARGET={wanted}: there is no such target; choose one of {}", names.join(", "));
        process::exit(2);
    };
    if let Ok(folder) = env::var("FUZZ_SEEDS") {
        for (n, seed) in target.seeds.iter().enumerate() {
            fs::write(format!("{folder}/seed-{n}"), seed)
                .expect("the folder of FUZZ_SEEDS can be written to");
        }
    }
    target
}

fuzz_target!(init: { LazyLock::force(&TARGET); }, |data: &[u8]| (TARGET.run)(data));
