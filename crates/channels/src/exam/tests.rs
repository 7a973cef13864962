//! The exam as tests of each adapter, and what holds for the contract as a whole.

mod a_bad_examinee;
mod cells;
mod guide;

use std::fs;
use std::path::{Path, PathBuf};

use super::room::Room;
use super::secrets::Notes;
use super::*;
use crate::ALL;

/// Makes a test of each requirement for an adapter; stands once beside each.
macro_rules! conformance {
    ($adapter:ty) => {
        mod conformance {
            use super::*;

            $crate::exam::conformance! { @tests $adapter:
                configuration documentation payloads forged replayed own_messages mention session_key edits deletions
                peoples_reactions replies receipts probe text long_text image video audio voice file albums data_buttons
                url_buttons location poll reply_to threads edit delete reaction typing commands described_calls
                rate_limited server_error time_out cut_connection unreachable revoked_token stop secret_free_addresses
                secrets
            }
        }
    };
    (@tests $adapter:ty: $($name:ident)+) => {
        #[test]
        fn every_requirement_has_a_test() {
            let all = $crate::exam::Requirement::ALL.iter().map(|requirement| requirement.name());
            assert_eq!([$(stringify!($name)),+].as_slice(), all.collect::<Vec<_>>());
        }

        $(#[tokio::test]
        async fn $name() {
            let channel_type = <$adapter as $crate::Adapter>::NAME;
            $crate::exam::tests::is_met(channel_type, stringify!($name)).await;
        })+
    };
}
pub(crate) use conformance;

/// Fails unless an adapter meets a requirement, or its platform can't.
pub(crate) async fn is_met(channel_type: &str, name: &str) {
    let entry = crate::registry::find(channel_type).unwrap();
    if std::env::var_os("II_CLAW_EXAM_UPDATE").is_some() {
        update(entry, name).await;
        return;
    }
    let requirement = *Requirement::ALL.iter().find(|requirement| requirement.name() == name).unwrap();
    let outcome = match requirement {
        Requirement::Secrets => examine(entry).await.outcomes.pop().unwrap().1,
        _ => sit(entry, requirement, &Notes::default()).await,
    };
    if let Outcome::Failed(why) = outcome {
        panic!("{channel_type} does not meet {name}: {why}");
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn payloads_of(entry: &Entry) -> PathBuf {
    root().join("crates/channels/src/adapters").join(entry.name).join("payloads")
}

/// Writes what the code says today to where the exam expects it, to be looked at and committed.
async fn update(entry: &'static Entry, name: &str) {
    match name {
        // Those of an adapter in one file stand in it.
        "payloads" if payloads_of(entry).is_dir() => {
            let notes = Notes::default();
            for payload in (entry.examinee)().payloads() {
                let room = Room::enter(entry, &notes).await.unwrap();
                let read = record::of(&room.read(payload).await.unwrap());
                let file = payloads_of(entry).join(format!("{}.read.json", payload.name));
                fs::write(file, format!("{read:#}\n")).unwrap();
            }
        }
        "documentation" if !(entry.examinee)().page().is_empty() => {
            let old = (entry.examinee)().page();
            let by_hand = old.find(WRITTEN_BY_HAND).map_or(WRITTEN_BY_HAND, |at| &old[at..]).trim_end();
            let page = format!("{}\n{by_hand}\n", page::of(entry));
            fs::write(root().join(format!("docs/channels/{}.md", entry.name)), page).unwrap();
        }
        _ => {}
    }
}

/// What is read but does not lie there does not compile.
#[test]
fn every_payload_that_lies_there_is_read() {
    let with_files = || ALL.iter().filter(|entry| payloads_of(entry).is_dir());
    assert!(with_files().count() > 10, "the folders are somewhere else");
    for entry in with_files() {
        let names = (entry.examinee)().payloads().iter().map(|payload| payload.name);
        let read: Vec<_> =
            names.flat_map(|name| [format!("{name}.json"), format!("{name}.read.json")]).collect();
        for file in fs::read_dir(payloads_of(entry)).unwrap() {
            let name = file.unwrap().file_name().into_string().unwrap();
            assert!(read.contains(&name), "{}: nothing reads payloads/{name}", entry.name);
        }
    }
}

/// The rows of the contract: the requirement in words, and the test that it names.
fn rows(contract: &str) -> Vec<(&str, &str)> {
    let cells =
        contract.lines().filter_map(|line| line.strip_prefix("| ")?.strip_suffix(" |")?.rsplit_once(" | "));
    cells.filter_map(|(must, test)| Some((must, test.strip_prefix('`')?.strip_suffix('`')?))).collect()
}

fn sources(folder: &Path, into: &mut String) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, into);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            into.push_str(&fs::read_to_string(path).unwrap());
        }
    }
}

#[test]
fn the_contract_names_tests_that_exist_and_every_requirement() {
    let contract = fs::read_to_string(root().join("crates/channels/CONTRACT.md")).unwrap();
    let rows = rows(&contract);
    let mut code = String::new();
    for folder in [
        "crates/channels/src",
        "crates/intake/src",
        "gateway/src",
        "shard-worker/src",
        "tests/fuzz-parsers/src",
    ] {
        sources(&root().join(folder), &mut code);
    }
    let requirements: Vec<_> = Requirement::ALL.iter().map(|requirement| requirement.name()).collect();
    for (must, test) in &rows {
        let exists = match test.strip_prefix("conformance::") {
            Some(name) => requirements.contains(&name),
            None => code.contains(&format!("fn {}(", test.rsplit("::").next().unwrap())),
        };
        assert!(exists, "{test} does not exist: {must}");
    }
    for name in requirements {
        let named = rows.iter().any(|(_, test)| *test == format!("conformance::{name}"));
        assert!(named, "no row of CONTRACT.md names conformance::{name}");
    }
}

#[tokio::test]
async fn what_is_logged_is_searched_for_secrets() {
    let entry = crate::registry::find("webhook").unwrap();
    let fields = (entry.examinee)().fields("http://127.0.0.1");
    let secret = fields["secret_env"].as_str().unwrap();
    for spill in [true, false] {
        let notes = Notes::default();
        notes
            .listen(async {
                if spill {
                    tracing::trace!("it is {secret}");
                }
            })
            .await;
        notes.said(&crate::ChannelError::Permanent("no".to_owned()));
        assert_eq!(secrets::kept(entry, &notes) == Outcome::Met, !spill);
    }
    let notes = Notes::default();
    notes.said(&crate::ChannelError::Permanent(secret.to_owned()));
    assert!(matches!(secrets::kept(entry, &notes), Outcome::Failed(_)));
}
