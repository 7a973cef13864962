//! A platform that is not as its adapter says fails the exam: it would be worth nothing otherwise.

use claw_types::MediaKind;
use serde_json::json;

use super::*;
use crate::{Caps, Feature, Lack, Reports};

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
    fn secret_in_addresses(&self, _: &Value) -> Option<&'static str> {
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
    let lies: [(R, Lie); 15] = [
        (R::Documentation, |_| {}),
        (R::Payloads, |lies| lies.secret = Some("another")),
        (R::Forged, |lies| lies.secret = Some("another")),
        (R::Replayed, |lies| lies.secret = Some("another")),
        (R::OwnMessages, |lies| lies.case = Some(Case::PlatformCant("it shows none"))),
        (R::OwnMessages, |lies| lies.case = Some(Case::Payload("text"))),
        (R::Mention, |lies| lies.case = Some(Case::PlatformCant("it has no groups"))),
        (R::Mention, |lies| lies.case = Some(Case::NotBuilt("it has groups that are not told of"))),
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

#[tokio::test]
async fn does_not_read_what_it_declares_or_reads_what_it_does_not() {
    use Requirement as R;
    static NOTHING: Caps = Caps::TEXT_ONLY;
    static MORE: Caps =
        Caps { reports: Reports { receipts: true, ..Reports::DEEDS }, commands: true, ..Caps::TEXT_ONLY };
    let notes = Notes::default();
    for (name, caps, requirement, why) in [
        ("google_chat", &MORE, R::Receipts, "no payload is read as such"),
        ("webhook", &NOTHING, R::Edits, "payload \"edit\" is read as such"),
        ("webhook", &NOTHING, R::Deletions, "payload \"delete\" is read as such"),
        ("webhook", &NOTHING, R::PeoplesReactions, "payload \"reaction\" is read as such"),
        ("webhook", &NOTHING, R::Replies, "payload \"reply\" is read as such"),
        ("webhook", &NOTHING, R::Receipts, "payload \"receipt\" is read as such"),
        ("google_chat", &NOTHING, R::Receipts, "say no reason"),
        ("webhook", &MORE, R::Commands, "go together"),
        ("webhook", &NOTHING, R::Commands, "say no reason"),
    ] {
        let entry = Box::leak(Box::new(crate::registry::find(name).unwrap().with_caps(caps)));
        let examinee = (entry.examinee)();
        let room = Room::enter_as(entry, examinee, &notes).await.unwrap();
        let found = judge(&room, requirement).await;
        assert!(matches!(&found, Err(said) if said.contains(why)), "{}: {found:?}", requirement.name());
    }
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
