use claw_runtime::SeededRandom;
use proptest::prelude::*;
use uuid::Uuid;

use super::*;

/// A breaker, a clock that is moved by hand, and names.
struct World {
    breaker: Breaker,
    random: SeededRandom,
    now: Instant,
    messages: u128,
}

impl World {
    fn new() -> Self {
        Self::pausing(OWN)
    }

    fn pausing(pauses: Backoff) -> Self {
        Self { breaker: Breaker::new(pauses), random: SeededRandom::new(7), now: Instant::now(), messages: 0 }
    }

    fn admit(&mut self, tenant: &str) -> Admission {
        self.breaker.admit(&tenant.parse().unwrap(), self.now, &self.random)
    }

    fn settle(&mut self, tenant: &str, message: u128, sign: Sign, probe: Option<u64>) -> Option<Changed> {
        let author =
            Author { tenant: &tenant.parse().unwrap(), message: MessageId(Uuid::from_u128(message)) };
        self.breaker.settle(author, sign, probe, self.now, &self.random)
    }

    /// A message of this tenant is answered 503 with a `Retry-After`; whether it did not rest.
    fn rest(&mut self, tenant: &str, seconds: u64) -> bool {
        self.breaker.rest(&tenant.parse().unwrap(), Duration::from_secs(seconds), Sign::Silent, self.now)
    }

    /// The same with 429.
    fn limit(&mut self, tenant: &str, seconds: u64) -> bool {
        self.breaker.rest(&tenant.parse().unwrap(), Duration::from_secs(seconds), Sign::Answered, self.now)
    }

    /// Another message of this tenant ends so.
    fn ends(&mut self, tenant: &str, sign: Sign) -> Option<Changed> {
        self.messages += 1;
        self.settle(tenant, self.messages, sign, None)
    }

    fn trip(&mut self, tenant: &str, sign: Sign) {
        for n in 1..=TRIPS {
            let changed = self.ends(tenant, sign);
            assert_eq!(changed, (n == TRIPS).then_some(Changed::Opened), "{n}");
        }
    }

    fn pass(&mut self, seconds: f64) {
        self.now += Duration::from_secs_f64(seconds);
    }

    /// The probe that may be made now.
    fn probe(&mut self, tenant: &str) -> Option<u64> {
        match self.admit(tenant) {
            Admission::Probe(number) => Some(number),
            _ => None,
        }
    }

    fn waits(&mut self, tenant: &str) -> bool {
        matches!(self.admit(tenant), Admission::Wait(_))
    }
}

#[test]
fn refused_connections_in_a_row_open_it_for_everybody() {
    let mut world = World::new();
    for _ in 1..TRIPS {
        world.ends("ada", Sign::Unreachable);
    }
    assert_eq!(world.ends("ada", Sign::Answered), None);
    assert_eq!(world.admit("ada"), Admission::Go, "the count began anew");
    world.trip("ada", Sign::Unreachable);
    assert!(world.waits("ada") && world.waits("bob"));
}

#[test]
fn one_message_that_fails_again_and_again_opens_nothing() {
    for sign in [Sign::Silent, Sign::Failing] {
        let mut world = World::new();
        for _ in 0..10 * TRIPS {
            assert_eq!(world.settle("ada", 1, sign, None), None);
        }
        assert_eq!(world.admit("ada"), Admission::Go);
    }
}

#[test]
fn errors_to_everybody_and_nothing_else_open_it_for_everybody() {
    let mut world = World::pausing(SHARED);
    let users = ["ada", "bob", "cy", "dan", "eve"];
    for user in &users[1..] {
        assert_eq!(world.ends(user, Sign::Failing), None);
    }
    assert_eq!(world.ends("ada", Sign::Answered), None, "a 404, say");
    let changed: Vec<_> = users.iter().filter_map(|user| world.ends(user, Sign::Failing)).collect();
    assert_eq!(changed, [Changed::Opened], "the count began anew");
    assert!(world.waits("fay"), "and who has not posted at all waits");
    world.pass(1.0);
    let probe = world.probe("fay");
    assert_eq!(world.settle("fay", 99, Sign::Failing, probe), None);
    assert!(world.waits("ada"), "still");
    world.pass(2.0);
    let probe = world.probe("ada");
    assert_eq!(world.settle("ada", 1, Sign::Answered, probe), Some(Changed::Closed));
    assert!(users.iter().all(|user| world.admit(user) == Admission::Go), "the first success lets all go on");
}

#[test]
fn errors_of_one_tenants_messages_keep_nobody_else_waiting() {
    let mut world = World::pausing(SHARED);
    world.trip("ada", Sign::Failing);
    assert!(world.waits("ada"));
    // For days, while others have a 500 now and then.
    for probe in 0..10 * TRIPS {
        for user in ["bob", "cy", "dan"] {
            assert_eq!(world.ends(user, Sign::Answered), None);
            assert_eq!(world.ends(user, Sign::Failing), None);
            assert_eq!(world.admit(user), Admission::Go, "{user}, probe {probe}");
        }
        world.pass(3.0);
        let number = world.probe("ada");
        assert!(number.is_some(), "probe {probe}");
        world.settle("ada", 1_000 + probe as u128, Sign::Failing, number);
    }
    // Until nobody is answered any more.
    world.ends("dan", Sign::Answered);
    for user in ["bob", "cy", "dan", "eve"] {
        world.ends(user, Sign::Failing);
        assert_eq!(world.admit(user), Admission::Go);
    }
    world.ends("fay", Sign::Failing);
    assert!(["bob", "cy", "dan", "eve", "fay", "gus"].into_iter().all(|user| world.waits(user)));
}

#[test]
fn a_probe_that_nobody_makes_is_noticed_by_those_whom_it_is_for() {
    let mut world = World::new();
    world.trip("ada", Sign::Failing);
    world.pass(1.0);
    let unasked = |world: &World, user: &str| world.breaker.is_unasked(&user.parse().unwrap(), world.now);
    assert!(!unasked(&world, "ada"), "due, but not for long");
    world.now += UNASKED;
    assert!(unasked(&world, "ada") && !unasked(&world, "bob"));
    let probe = world.probe("ada");
    assert!(!unasked(&world, "ada"), "somebody asks");
    world.settle("ada", 99, Sign::Failing, probe);
    assert!(!unasked(&world, "ada"), "somebody has asked");
}

#[test]
fn one_tenants_poison_opens_it_for_this_tenant_alone() {
    let mut world = World::new();
    world.trip("ada", Sign::Silent);
    assert!(world.waits("ada"));
    assert_eq!(world.admit("bob"), Admission::Go);
    assert_eq!(world.ends("bob", Sign::Answered), None);
    assert!(world.waits("ada"), "that others are well was known");
    // A third tenant without an answer, and it is not their bodies.
    world.ends("bob", Sign::Silent);
    assert!(world.waits("bob"));
    assert_eq!(world.admit("cy"), Admission::Go);
    world.ends("cy", Sign::Silent);
    assert!(world.waits("dan"));
}

#[test]
fn who_was_asked_to_wait_rests_until_then_whoever_is_answered() {
    let mut world = World::pausing(SHARED);
    assert!(world.rest("ada", 600) && !world.rest("ada", 2), "it says so once");
    world.ends("ada", Sign::Answered);
    world.ends("bob", Sign::Answered);
    let Admission::Wait(wait) = world.admit("ada") else { panic!("she goes on") };
    assert!((600.0..=601.0).contains(&wait.as_secs_f64()), "{wait:?}");
    assert_eq!(world.admit("bob"), Admission::Go);
    world.pass(599.0);
    assert!(world.waits("ada"));
    world.pass(1.0);
    assert_eq!(world.admit("ada"), Admission::Go);
    assert!(world.rest("ada", 1), "another time");
}

#[test]
fn an_open_one_is_not_probed_while_it_asks_to_be_left_alone() {
    let mut world = World::new();
    world.rest("ada", 600);
    world.trip("ada", Sign::Silent);
    let unasked = |world: &World| world.breaker.is_unasked(&"ada".parse().unwrap(), world.now);
    for _ in 0..599 {
        world.pass(1.0);
        assert!(world.waits("ada") && !unasked(&world));
    }
    world.pass(1.0);
    assert!(unasked(&world), "now somebody has to");
    let probe = world.probe("ada");
    assert!(probe.is_some());
    world.rest("ada", 30);
    world.settle("ada", 99, Sign::Silent, probe);
    world.pass(29.0);
    assert!(world.waits("ada"), "again");
    world.pass(1.5);
    let probe = world.probe("ada");
    assert_eq!(world.settle("ada", 99, Sign::Answered, probe), Some(Changed::Closed));
    assert_eq!(world.admit("ada"), Admission::Go);
}

#[test]
fn when_more_than_a_few_were_asked_to_wait_everybody_rests_while_they_do() {
    let mut world = World::pausing(SHARED);
    world.rest("ada", 3_600);
    world.rest("bob", 60);
    assert_eq!(world.admit("dan"), Admission::Go, "it may be theirs alone");
    world.rest("cy", 30);
    assert!(world.waits("dan"));
    world.pass(30.0);
    assert_eq!((world.admit("cy"), world.admit("dan")), (Admission::Go, Admission::Go));
    assert!(world.waits("bob"));
    world.rest("dan", 10);
    assert!(world.waits("eve"));
    world.pass(30.0);
    assert_eq!((world.admit("bob"), world.admit("eve")), (Admission::Go, Admission::Go));
    assert!(world.waits("ada"), "it asked her for an hour");
}

#[test]
fn however_many_are_over_limits_of_their_own_nobody_else_rests() {
    let mut world = World::pausing(SHARED);
    let limited: Vec<String> = (0..10).map(|n| format!("limited-{n}")).collect();
    for user in &limited {
        assert!(world.limit(user, 60));
    }
    assert!(limited.iter().all(|user| world.waits(user)), "each of them rests");
    assert_eq!(world.admit("dan"), Admission::Go);
    // Nor do limits count with two who were told that the service is away, though one of them is over a limit for longer.
    world.rest("ada", 60);
    world.rest(&limited[0], 30);
    assert_eq!(world.admit("dan"), Admission::Go);
    world.rest("cy", 600);
    assert!(world.waits("dan"), "the third one");
    world.pass(30.0);
    assert_eq!(world.admit("dan"), Admission::Go, "what is left of the third one's is a limit");
    assert!(world.waits(&limited[0]));
    world.pass(30.0);
    assert_eq!(world.admit(&limited[0]), Admission::Go);
    assert!(world.waits("cy"));
}

#[test]
fn one_probe_at_a_time_decides() {
    let mut world = World::new();
    world.trip("ada", Sign::Unreachable);
    world.pass(1.0);
    let first = world.probe("bob");
    assert!(first.is_some() && world.waits("ada"), "one is under way");
    assert_eq!(world.settle("bob", 99, Sign::Unreachable, first), None);
    world.pass(1.0);
    assert!(world.waits("ada"), "the second pause is longer");
    world.pass(1.0);
    let second = world.probe("ada");
    assert!(second.is_some() && second != first);
    assert_eq!(world.settle("ada", 98, Sign::Answered, second), Some(Changed::Closed));
    assert_eq!(world.admit("bob"), Admission::Go);
}

#[test]
fn a_probe_of_an_earlier_time_says_nothing_about_the_present_one() {
    let mut world = World::new();
    world.trip("ada", Sign::Unreachable);
    world.pass(1.0);
    let early = world.probe("ada");
    // Something that was posted before it opened is answered after all; then it is away again.
    assert_eq!(world.ends("bob", Sign::Answered), Some(Changed::Closed));
    world.trip("ada", Sign::Unreachable);
    world.pass(1.0);
    let late = world.probe("bob");
    assert!(late.is_some());
    world.settle("ada", 99, Sign::Unreachable, early);
    world.pass(60.0);
    assert!(world.waits("ada"), "the present probe is under way");
    world.breaker.abandon(late.unwrap());
    assert!(world.probe("ada").is_some(), "one that ended without a word leaves room for another");
}

#[test]
fn pauses_double_up_to_half_a_minute_and_to_three_seconds_where_all_wait() {
    let own = pauses(OWN);
    assert!((0.7..=1.1).contains(&own[0]) && (1.4..=2.1).contains(&own[1]), "{own:?}");
    assert!(own[9] > 22.0 && own.iter().all(|pause| *pause <= 30.2), "{own:?}");
    let shared = pauses(SHARED);
    assert!((0.7..=1.1).contains(&shared[0]), "{shared:?}");
    assert!(shared[9] > 2.2 && shared.iter().all(|pause| *pause <= 3.2), "{shared:?}");
}

/// How long it stays open before each of ten probes that fail, in seconds.
fn pauses(pauses: Backoff) -> Vec<f64> {
    let mut world = World::pausing(pauses);
    world.trip("ada", Sign::Unreachable);
    let mut lasted = Vec::new();
    for message in 1000..1010 {
        let began = world.now;
        let probe = loop {
            if let Some(probe) = world.probe("ada") {
                break probe;
            }
            world.pass(0.1);
        };
        lasted.push(world.now.duration_since(began).as_secs_f64());
        world.settle("ada", message, Sign::Unreachable, Some(probe));
    }
    lasted
}

#[derive(Debug, Clone)]
enum Step {
    Pass(u32),
    Admit(u8),
    /// One of those under way ends.
    End(usize, u8),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        (0..5_000_u32).prop_map(Step::Pass),
        (0..4_u8).prop_map(Step::Admit),
        (any::<usize>(), 0..5_u8).prop_map(|(which, how)| Step::End(which, how)),
    ];
    prop::collection::vec(step, 0..200)
}

proptest! {
    /// Whatever happens: one probe at most at a time, waits that end, and after an answer its tenant goes.
    #[test]
    fn at_most_one_probe_and_never_for_ever(steps in steps()) {
        let mut world = World::new();
        let mut under_way: Vec<(String, u128, Option<u64>)> = Vec::new();
        let mut probing = None;
        for step in steps {
            match step {
                Step::Pass(millis) => world.pass(f64::from(millis) / 1000.0),
                Step::Admit(who) => {
                    let tenant = format!("u{who}");
                    world.messages += 1;
                    match world.admit(&tenant) {
                        Admission::Go => under_way.push((tenant, world.messages, None)),
                        Admission::Probe(number) => {
                            prop_assert_eq!(probing, None);
                            probing = Some(number);
                            under_way.push((tenant, world.messages, probing));
                        }
                        Admission::Wait(time) => {
                            prop_assert!(time > Duration::ZERO && time <= Duration::from_secs(46));
                        }
                    }
                }
                Step::End(which, how) if !under_way.is_empty() => {
                    let (tenant, message, probe) = under_way.swap_remove(which % under_way.len());
                    let sign = match how {
                        0 => None,
                        1 => Some(Sign::Answered),
                        2 => Some(Sign::Unreachable),
                        3 => Some(Sign::Failing),
                        _ => Some(Sign::Silent),
                    };
                    let changed = match (sign, probe) {
                        (Some(sign), probe) => world.settle(&tenant, message, sign, probe),
                        (None, Some(probe)) => {
                            world.breaker.abandon(probe);
                            None
                        }
                        (None, None) => None,
                    };
                    if (probe.is_some() && probe == probing) || changed == Some(Changed::Closed) {
                        probing = None;
                    }
                    if sign == Some(Sign::Answered) {
                        prop_assert_eq!(world.admit(&tenant), Admission::Go);
                    }
                }
                Step::End(..) => {}
            }
        }
        if let Some(probe) = probing {
            world.breaker.abandon(probe);
        }
        world.pass(31.0);
        for tenant in ["u0", "u1", "u2", "u3"] {
            match world.admit(tenant) {
                Admission::Go => {}
                Admission::Probe(number) => world.breaker.abandon(number),
                Admission::Wait(time) => prop_assert!(false, "{tenant} waits for ever: {time:?}"),
            }
        }
    }
}
