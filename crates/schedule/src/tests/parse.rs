//! What is taken, what is refused, and what the refusal says.

use crate::{Cron, Limits, Schedule, ScheduleError};
use proptest::prelude::*;
use serde_json::{Value, json};

fn parse(object: Value) -> Result<Schedule, ScheduleError> {
    let Value::Object(object) = object else { panic!("an object") };
    Schedule::parse(&object, Limits { min_every_secs: 60 })
}

fn refused(object: Value) -> String {
    parse(object).unwrap_err().to_string()
}

#[test]
fn the_three_kinds() {
    let every = parse(json!({"type": "every", "every_secs": 300})).unwrap();
    assert_eq!(every, parse(json!({"type": "every", "every_secs": " 300 "})).unwrap());
    assert_eq!((every.schedule_type(), every.describe().unwrap().as_str()), ("every", "Every 300 seconds."));

    let cron = parse(json!({"type": "cron", "expr": " 0 9 * * mon-fri ", "tz": "America/New_York"})).unwrap();
    assert_eq!(cron.schedule_type(), "cron");
    let said = cron.describe().unwrap();
    assert_eq!(said, "At 09:00, on Monday, Tuesday, Wednesday, Thursday, and Friday (America/New_York)");

    let at = parse(json!({"type": "at", "at": "2026-12-01T10:00:00.250+01:00"})).unwrap();
    assert_eq!(at, parse(json!({"type": "at", "at": "2026-12-01T09:00:00.250Z"})).unwrap());
    assert_eq!(
        (at.schedule_type(), at.describe().unwrap().as_str()),
        ("at", "Once, at 2026-12-01T09:00:00.250Z.")
    );
}

#[test]
fn without_a_zone_it_is_utc() {
    for object in [
        json!({"type": "cron", "expr": "0 9 * * *"}),
        json!({"type": "cron", "expr": "0 9 * * *", "tz": null}),
        json!({"type": "cron", "expr": "0 9 * * *", "tz": ""}),
    ] {
        let Schedule::Cron(cron) = parse(object).unwrap() else { panic!("a cron") };
        assert_eq!((cron.tz(), cron.expr()), ("UTC", "0 9 * * *"));
    }
}

#[test]
fn a_refusal_says_what_to_change() {
    let kind = "\"type\" of the schedule must be \"every\", \"cron\" or \"at\"";
    let seconds = "\"every_secs\" must be a whole number of seconds";
    let at = "\"at\" must be a time with its offset like \"2026-12-01T09:00:00Z\" (RFC 3339)";
    let table = [
        (json!({}), kind),
        (json!({"type": "Every", "every_secs": 60}), kind),
        (json!({"type": 1}), kind),
        (
            json!({"type": "every", "every_secs": 60, "tz": "UTC"}),
            "the key \"tz\" does not exist in a schedule of type \"every\"; its keys are: type, every_secs",
        ),
        (
            json!({"type": "cron", "cron": "0 9 * * *"}),
            "the key \"cron\" does not exist in a schedule of type \"cron\"; its keys are: type, expr, tz",
        ),
        (
            json!({"type": "every", "every_secs": null}),
            "a schedule of type \"every\" needs \"every_secs\", a whole number of seconds",
        ),
        (json!({"type": "every", "every_secs": 60.5}), seconds),
        (json!({"type": "every", "every_secs": -60}), seconds),
        (json!({"type": "every", "every_secs": "+60"}), seconds),
        (json!({"type": "every", "every_secs": ""}), seconds),
        (json!({"type": "every", "every_secs": [60]}), seconds),
        (json!({"type": "every", "every_secs": 59}), "\"every_secs\" must be from 60 to 31622400, not 59"),
        (
            json!({"type": "every", "every_secs": u64::MAX}),
            "\"every_secs\" must be from 60 to 31622400, not 18446744073709551615",
        ),
        (
            json!({"type": "cron", "expr": ["0 9 * * *"]}),
            "\"expr\" must be a text of five fields like \"0 9 * * 1-5\"",
        ),
        (
            json!({"type": "cron", "expr": "0 9 * * *", "tz": 1}),
            "\"tz\" must be the name of a time zone like \"Europe/Berlin\"",
        ),
        (
            json!({"type": "cron", "expr": "0 9 * * *", "tz": "Mars/Base"}),
            "\"Mars/Base\" in \"tz\" is not an IANA time zone; write one like \"Europe/Berlin\", or leave it out \
             for UTC",
        ),
        (json!({"type": "at", "at": "2026-12-01T09:00:00"}), at),
        (json!({"type": "at", "at": 1_796_115_600}), at),
        (json!({"type": "at", "at": "tomorrow"}), at),
    ];
    for (object, sentence) in table {
        assert_eq!(refused(object.clone()), sentence, "{object}");
    }
}

#[test]
fn no_interval_is_zero_whatever_the_limit() {
    let Value::Object(zero) = json!({"type": "every", "every_secs": 0}) else { panic!("an object") };
    let refused = Schedule::parse(&zero, Limits { min_every_secs: 0 }).unwrap_err();
    assert_eq!(refused, ScheduleError::Every { min: 1, max: Schedule::MAX_EVERY_SECS, given: 0 });
}

#[test]
fn expressions_that_are_refused_name_the_field() {
    for (expr, field, item) in [
        ("60 * * * *", "minute", "60"),
        ("*/90 * * * *", "minute", "*/90"),
        ("*/0 * * * *", "minute", "*/0"),
        ("5/10 * * * *", "minute", "5/10"),
        ("1,,2 * * * *", "minute", ""),
        ("*,1 * * * *", "minute", "*"),
        ("L * * * *", "minute", "L"),
        ("0 24 * * *", "hour", "24"),
        ("0 17-9 * * *", "hour", "17-9"),
        ("0 9 0 * *", "day of month", "0"),
        ("0 9 ? * *", "day of month", "?"),
        ("0 9 * MON *", "month", "MON"),
        ("0 9 * 13 *", "month", "13"),
        ("0 9 * * 8", "day of week", "8"),
        ("0 9 * * L", "day of week", "L"),
        ("0 9 * * FRI-MON", "day of week", "FRI-MON"),
        ("0 9 * * 1#6", "day of week", "1#6"),
        ("0 9 * * +1", "day of week", "+1"),
        ("0 9 * * MONDAY", "day of week", "MONDAY"),
    ] {
        let refused = Cron::parse(expr, "").unwrap_err();
        let said =
            matches!(&refused, ScheduleError::Field { field: f, item: i, .. } if *f == field && i == item);
        assert!(said, "{expr}: {refused}");
    }
    let sentence = Cron::parse("0 9 * * 1-9", "").unwrap_err().to_string();
    assert_eq!(
        sentence,
        "\"1-9\" in the day of week field of \"expr\" is wrong: write 0 to 7 or SUN to SAT (0 and 7 are Sunday), \
         like 1-5, MON,THU, 1#2 for the second Monday of the month or 5#L for the last Friday"
    );
    for (expr, count) in [("", 0), ("0 9 * *", 4), ("0 0 9 * * *", 6), ("0 0 9 * * * 2026", 7)] {
        assert_eq!(Cron::parse(expr, "").unwrap_err(), ScheduleError::FieldCount(count), "{expr:?}");
    }
    for alias in ["@reboot", "@every 5m", "@"] {
        assert_eq!(Cron::parse(alias, "").unwrap_err(), ScheduleError::Alias(alias.to_owned()));
    }
    let long = format!("0 9 * * {}1", "1,".repeat(1_000));
    assert!(matches!(Cron::parse(&long, "").unwrap_err(), ScheduleError::Expr(_)));
}

#[test]
fn what_never_runs_is_refused_from_the_time_given() {
    let now = "2026-08-22T00:00:00Z".parse().unwrap();
    let check = |object: Value| parse(object).unwrap().check(now);
    for expr in ["0 0 30 2 *", "0 0 31 2,4,6,9,11 *", "*/5 * 31 FEB *"] {
        assert_eq!(check(json!({"type": "cron", "expr": expr})), Err(ScheduleError::Never), "{expr}");
    }
    for expr in ["0 0 29 2 *", "0 0 30 2 5#5", "* * * * *"] {
        assert_eq!(check(json!({"type": "cron", "expr": expr})), Ok(()), "{expr}");
    }
    assert_eq!(check(json!({"type": "every", "every_secs": 60})), Ok(()));
    assert_eq!(check(json!({"type": "at", "at": "2026-08-22T00:00:00Z"})), Err(ScheduleError::Past));
    assert_eq!(check(json!({"type": "at", "at": "2026-08-22T00:00:00.001Z"})), Ok(()));
}

#[test]
fn nothing_is_said_of_a_step_within_a_list() {
    assert_eq!(Cron::parse("5,*/20 * * * *", "").unwrap().describe(), None);
    assert_eq!(Cron::parse("0 9-17/2 * * *", "").unwrap().describe(), None);
    assert_eq!(
        Cron::parse("0 */6 * * *", "").unwrap().describe().unwrap(),
        "At minute 0, of every 6 hours (UTC)"
    );
}

fn json_value() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
        "[0-9 *,/#L@A-Z-]{0,20}".prop_map(Value::from),
        Just(json!(["every"])),
        Just(json!("every")),
        Just(json!("cron")),
        Just(json!("at")),
    ]
}

proptest! {
    #[test]
    fn no_object_panics(
        object in prop::collection::hash_map("type|every_secs|expr|tz|at|[a-z]{1,5}", json_value(), 0..5),
    ) {
        let _ = Schedule::parse(&object.into_iter().collect(), Limits::default());
    }

    #[test]
    fn no_expression_panics_and_none_is_lost_between_the_check_and_croner(
        expr in "([0-9A-Z*,/#L@-]{1,8} ){3,6}|[*0-9]{1,2}([,/-][0-9]{1,2})? [*0-9]{1,2} [L*1-9] (\\*|JAN|1-[0-9]) [0-7](#[1-5L]|L)?",
        anything in any::<String>(),
    ) {
        let _ = Cron::parse(&anything, "");
        // Whatever passes the check of the fields, croner must read; or its error, which names no field, is shown.
        let parsed = Cron::parse(&expr, "Europe/Berlin");
        prop_assert!(!matches!(parsed, Err(ScheduleError::Expr(_))), "{parsed:?}");
        if let Ok(cron) = parsed {
            let _ = Schedule::Cron(Box::new(cron)).describe();
        }
    }
}
