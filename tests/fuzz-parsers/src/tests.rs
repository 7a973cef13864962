use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::{Config, TestRunner};

use super::*;

/// Inputs for each target; the long search is `make fuzz-parsers`.
const CASES: u32 = 400;

#[test]
fn every_adapter_has_a_target_with_examples() {
    let targets = all().unwrap();
    for entry in claw_channels::ALL {
        let name = format!("adapter-{}", entry.name);
        let target = targets.iter().find(|target| target.name == name);
        assert!(target.is_some_and(|target| !target.seeds.is_empty()), "{name}: its exam has no payloads");
    }
}

/// One change to an input: some bytes taken out, and others put in their place.
#[derive(Debug, Clone)]
struct Change {
    at: Index,
    taken: usize,
    put: Vec<u8>,
}

fn changes() -> impl Strategy<Value = Vec<Change>> {
    let word = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..4),
        prop::sample::select(vec![
            "\"", "{", "}", "[", "]", "null", "-1", "1e999", "\\ud800", "\u{0}", "\u{202e}", "```", "| "
        ])
        .prop_map(|text| text.as_bytes().to_vec()),
        "\\PC{0,6}".prop_map(String::into_bytes),
    ];
    let change = (any::<Index>(), 0_usize..8, word).prop_map(|(at, taken, put)| Change { at, taken, put });
    prop::collection::vec(change, 1..6)
}

fn changed(seed: &[u8], changes: &[Change]) -> Vec<u8> {
    let mut input = seed.to_vec();
    for Change { at, taken, put } in changes {
        let at = at.index(input.len() + 1);
        let end = (at + taken).min(input.len());
        input.splice(at..end, put.iter().copied());
    }
    input
}

/// What a panic would say is the input, made small.
#[test]
fn no_parser_panics_on_what_becomes_of_its_examples() {
    for target in all().unwrap() {
        let mut runner =
            TestRunner::new(Config { cases: CASES, failure_persistence: None, ..Config::default() });
        let inputs = (prop::sample::select(target.seeds.clone()), changes());
        let outcome = runner.run(&inputs, |(seed, changes)| {
            (target.run)(seed);
            (target.run)(&changed(seed, &changes));
            Ok(())
        });
        if let Err(error) = outcome {
            panic!("{}: {error}", target.name);
        }
    }
}

/// Deep nesting overflows the stack of a parser that recurses without a bound.
#[test]
fn no_parser_overflows_the_stack_on_deep_nesting() {
    let nested = ["[", "{\"a\":", "> ", "- ", "*", "_", "{{", "(", "![", "`", "<b>", "\t"];
    for target in all().unwrap() {
        for piece in nested {
            (target.run)(piece.repeat(5_000).as_bytes());
        }
    }
}
