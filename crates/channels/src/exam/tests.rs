//! The exam as tests of each adapter, and what holds for the contract as a whole.

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
                configuration documentation payloads forged replayed own_messages mention session_key probe text
                long_text image video audio voice file albums data_buttons url_buttons location poll reply_to threads edit delete reaction
                typing described_calls rate_limited server_error time_out cut_connection unreachable revoked_token
                stop secret_free_addresses secrets
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

/// A platform that is not as its adapter says fails the exam: it would be worth nothing otherwise.
mod a_bad_examinee {
    use claw_types::MediaKind;
    use serde_json::json;

    use super::*;
    use crate::{Caps, Feature, Lack};

    /// The webhook's examinee with one thing made worse.
    struct Worse(Lie);

    type Lie = fn(&mut Lies);

    #[derive(Default)]
    struct Lies {
        case: Option<Case>,
        secret: Option<&'static str>,
        never_repeated: bool,
        strict: bool,
        answered: Option<&'static str>,
    }

    fn honest() -> &'static dyn Examinee {
        (crate::registry::find("webhook").unwrap().examinee)()
    }

    impl Worse {
        fn lies(&self) -> Lies {
            let mut lies = Lies::default();
            (self.0)(&mut lies);
            lies
        }
    }

    impl Examinee for Worse {
        fn fields(&self, server: &str) -> Value {
            honest().fields(server)
        }
        fn page(&self) -> &'static str {
            "# Something else"
        }
        fn road(&self) -> Road {
            let Road::Webhook { secret, sign } = honest().road() else { panic!("a webhook") };
            Road::Webhook { secret: self.lies().secret.unwrap_or(secret), sign }
        }
        fn payloads(&self) -> &'static [Payload] {
            honest().payloads()
        }
        fn own(&self) -> Case {
            self.lies().case.unwrap_or_else(|| honest().own())
        }
        fn addressed(&self) -> Case {
            self.lies().case.unwrap_or_else(|| honest().addressed())
        }
        fn unaddressed(&self) -> Case {
            honest().unaddressed()
        }
        fn chat(&self) -> (&'static str, Option<&'static str>) {
            honest().chat()
        }
        fn message_id(&self) -> &'static str {
            honest().message_id()
        }
        fn texts(&self, _: &[u8]) -> Vec<String> {
            vec!["cut".to_owned()]
        }
        fn answered(&self, _: &[u8]) -> Vec<String> {
            self.lies().answered.map(str::to_owned).into_iter().collect()
        }
        fn platform(&self) -> Option<&'static dyn Platform> {
            Some(Box::leak(Box::new(Self(self.0))))
        }
    }

    impl Platform for Worse {
        fn answer(&self, _: &Asked) -> Answer {
            Answer::json(200, &json!({}))
        }
        fn refusal(&self, _: u16) -> Answer {
            Answer::json(400, &json!({}))
        }
        fn check(&self, asked: &Asked) -> Result<(), String> {
            if self.lies().strict { Err(format!("{} is unknown", asked.path())) } else { Ok(()) }
        }
        fn described_by(&self) -> Option<&'static str> {
            Some("https://example.org")
        }
        fn knows_repeated_calls(&self) -> bool {
            !self.lies().never_repeated
        }
        fn media_url(&self, server: &str, _: MediaKind) -> String {
            server.to_owned()
        }
        fn secret_in_addresses(&self) -> Option<&'static str> {
            Some("it is not")
        }
    }

    async fn outcome(requirement: Requirement, lies: Lie) -> Outcome {
        let entry = crate::registry::find("webhook").unwrap();
        let notes = Notes::default();
        let room = Room::enter_as(entry, Box::leak(Box::new(Worse(lies))), &notes).await.unwrap();
        judge(&room, requirement).await.unwrap_or_else(Outcome::Failed)
    }

    #[tokio::test]
    async fn fails() {
        use Requirement as R;
        let lies: [(R, Lie); 14] = [
            (R::Documentation, |_| {}),
            (R::Payloads, |lies| lies.secret = Some("another")),
            (R::Forged, |lies| lies.secret = Some("another")),
            (R::Replayed, |lies| lies.secret = Some("another")),
            (R::OwnMessages, |lies| lies.case = Some(Case::PlatformCant("it shows none"))),
            (R::OwnMessages, |lies| lies.case = Some(Case::Payload("text"))),
            (R::Mention, |lies| lies.case = Some(Case::PlatformCant("it has no groups"))),
            (R::Mention, |lies| lies.case = Some(Case::Payload("unaddressed"))),
            (R::LongText, |_| {}),
            (R::Text, |lies| lies.strict = true),
            (R::RateLimited, |_| {}),
            (R::ServerError, |_| {}),
            (R::TimeOut, |lies| lies.never_repeated = true),
            (R::SecretFreeAddresses, |_| {}),
        ];
        for (requirement, lies) in lies {
            let found = outcome(requirement, lies).await;
            assert!(matches!(found, Outcome::Failed(_)), "{}: {found:?}", requirement.name());
        }
    }

    #[tokio::test]
    async fn does_not_say_why_something_is_missing() {
        const WHY: Lack = Lack::not_built(&[Feature::Polls], "nobody did", "");
        static SILENT: Caps = Caps::TEXT_ONLY;
        static HONEST: Caps = Caps { lacks: &[WHY], ..Caps::TEXT_ONLY };
        let notes = Notes::default();
        let mut found = Vec::new();
        for caps in [&SILENT, &HONEST] {
            let entry = Box::leak(Box::new(crate::registry::find("webhook").unwrap().with_caps(caps)));
            let room = Room::enter_as(entry, honest(), &notes).await.unwrap();
            found.push(judge(&room, Requirement::Poll).await);
        }
        assert!(matches!(&found[0], Err(why) if why.contains("say no reason")), "{found:?}");
        assert_eq!(found[1], Ok(Outcome::NotBuilt("nobody did".to_owned())));
    }

    /// The call goes well and its id comes back, so what it names has to be looked at.
    #[tokio::test]
    async fn names_no_message_that_it_answers_or_always_one() {
        let lies: [(Lie, &str); 3] = [
            (|_| {}, "answers [] and not [\"m-1\"]"),
            (|lies| lies.answered = Some("m-1"), "answers [\"m-1\"] and not []"),
            (|lies| lies.answered = Some("m-2"), "answers [\"m-2\"] and not []"),
        ];
        for (lie, why) in lies {
            let found = outcome(Requirement::ReplyTo, lie).await;
            assert!(matches!(&found, Outcome::Failed(said) if said.contains(why)), "{found:?}");
        }
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
