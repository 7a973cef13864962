//! The guide's example is what the guide says: its code, and how little of the project knows it.

use std::fs;
use std::path::Path;

use super::root;

const EXAMPLE: &str = "crates/channels/src/adapters/acme.rs";
const REGISTRY: &str = "crates/channels/src/adapters/mod.rs";

/// The blocks of Rust in a page of Markdown.
fn blocks(page: &str) -> impl Iterator<Item = &str> {
    page.split("\n```rust\n").skip(1).filter_map(|behind| behind.split("\n```").next())
}

#[test]
fn code_in_the_guide_is_the_examples() {
    let guide = fs::read_to_string(root().join("docs/write-an-adapter.md")).unwrap();
    let example = fs::read_to_string(root().join(EXAMPLE)).unwrap();
    let mut shown = 0;
    for block in blocks(&guide) {
        assert!(example.contains(block), "this stands in the guide and not in {EXAMPLE}:\n{block}");
        shown += 1;
    }
    assert!(shown > 3, "only {shown} blocks of the guide were read");
}

/// The lines below a path that have the word, each as `file: line`.
fn lines_with(word: &str, path: &Path, found: &mut Vec<String>) {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    if name.starts_with('.') || ["target", "node_modules", "__pycache__"].contains(&&*name) {
        return;
    }
    if path.is_dir() {
        for entry in fs::read_dir(path).unwrap() {
            lines_with(word, &entry.unwrap().path(), found);
        }
        return;
    }
    // What is no text names nobody.
    let text = fs::read_to_string(path).unwrap_or_default();
    let file = path.strip_prefix(root()).unwrap().display().to_string();
    found.extend(
        text.lines().filter(|line| line.contains(word)).map(|line| format!("{file}: {}", line.trim())),
    );
}

/// What an adapter takes beside its own file: nothing but its line in the registry, in all that is built, tested or deployed.
#[test]
fn the_example_is_one_file_and_one_line() {
    let mut found = Vec::new();
    let parts =
        "clients crates deploy gateway helm migrations proto scheduler-leader scripts shard-worker tests";
    for part in parts.split(' ') {
        lines_with("acme", &root().join(part), &mut found);
    }
    let this = file!();
    let is_own = |line: &String| line.starts_with(EXAMPLE) || line.starts_with(this);
    assert!(found.iter().any(is_own), "the example is somewhere else");
    found.retain(|line| !is_own(line));
    assert_eq!(found, [format!("{REGISTRY}: #[cfg(test)] acme::Acme,")]);
}
