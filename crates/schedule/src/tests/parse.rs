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
    assert_eq!((every.schedule_type(), every.describe().as_str()), ("every", "Every 5 minutes"));

    let cron = parse(json!({"type": "cron", "expr": " 0 9 * * mon-fri ", "tz": "America/New_York"})).unwrap();
    assert_eq!(cron.schedule_type(), "cron");
    assert_eq!(cron.describe(), "At 09:00 on Monday to Friday, New York time (America/New_York)");

    let at = parse(json!({"type": "at", "at": "2026-12-01T10:00:00.250+01:00"})).unwrap();
    assert_eq!(at, parse(json!({"type": "at", "at": "2026-12-01T09:00:00.250Z"})).unwrap());
    assert_eq!(
        (at.schedule_type(), at.describe().as_str()),
        ("at", "Once on Tuesday, 1 December 2026 at 09:00:00.250, UTC")
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
    let counted = Cron::parse("0 0 9 * * 1-5", "").unwrap_err().to_string();
    assert_eq!(
        counted,
        "\"expr\" must have five fields (minute, hour, day of month, month, day of week), not 6; there are none for \
         seconds and years"
    );
    for (expr, count) in [("", 0), ("0 9 * *", 4), ("0 0 9 * * *", 6), ("0 0 9 * * * 2026", 7)] {
        assert_eq!(Cron::parse(expr, "").unwrap_err(), ScheduleError::FieldCount(count), "{expr:?}");
    }
    for alias in ["@reboot", "@every 5m", "@"] {
        assert_eq!(Cron::parse(alias, "").unwrap_err(), ScheduleError::Alias(alias.to_owned()));
    }
    let long = format!("0 9 * * {}1", "1,".repeat(1_000));
    assert_eq!(Cron::parse(&long, "").unwrap_err(), ScheduleError::Long { max: 512 });
}

/// What is right in other schedulers, or nearly right here: the refusal says what to write.
#[test]
fn known_mistakes_get_a_hint() {
    for (expr, hint) in [
        ("0 9 ? * 1", "write * for any"),
        ("0 9 1 * ?", "write * for any"),
        ("0,*,5 * * * *", "* means all, and stands alone"),
        ("0, * * * *", "a comma stands between two items"),
        (
            "0 9 15W * *",
            "the nearest working day (W) can't be asked for; write the day, or 1-5 as the day of week",
        ),
        (
            "0 9 LW * *",
            "the nearest working day (W) can't be asked for; write the day, or 1-5 as the day of week",
        ),
        ("0 9 L-3 * *", "days before the last can't be counted; write L for the last day, or a day like 28"),
        ("0 9 * * L", "say which weekday: 5L is the last Friday of the month"),
        ("5/10 * * * *", "a step needs a range; write 5-59/10"),
        ("0 9 * * MON/2", "a step needs a range; write MON-6/2"),
        ("*/90 * * * *", "a step of the minute is 1 to 59"),
        ("0 */0 * * *", "a step of the hour is 1 to 23"),
        ("0 22-6 * * *", "a range goes upwards; write 22-23,0-6"),
        ("0 9 * * FRI-MON", "a range goes upwards; write FRI-6,0-MON"),
        ("0 9 * NOV-FEB *", "a range goes upwards; write NOV-12,1-FEB"),
        ("0 9 * * Monday", "write MON"),
        ("0 9 * january *", "write JAN"),
        ("H * * * *", "write 0 to 59, like 5, 0-30, */15 or 0,30"),
    ] {
        let refused = Cron::parse(expr, "").unwrap_err();
        let said = matches!(&refused, ScheduleError::Field { expected, .. } if expected == hint);
        assert!(said, "{expr}: {refused}");
    }
    for written in ["5-59/10 * * * *", "0 9 * * MON-6/2", "0 22-23,0-6 * * *", "0 9 * * FRI-6,0-MON"] {
        Cron::parse(written, "").unwrap();
    }
    let every = Cron::parse("@every 5m", "").unwrap_err().to_string();
    assert!(every.ends_with("@annually, or make a schedule of type \"every\""), "{every}");
}

#[test]
fn a_wrong_zone_gets_the_nearest_names() {
    for (zone, hint) in [
        ("Berlin", "did you mean \"Europe/Berlin\"?"),
        ("europe/berlin", "did you mean \"Europe/Berlin\"?"),
        ("Europe/Berln", "did you mean \"Europe/Berlin\"?"),
        ("Asia/Berlin", "did you mean \"Europe/Berlin\"?"),
        ("New York", "did you mean \"America/New_York\"?"),
        ("america/new-york", "did you mean \"America/New_York\"?"),
        ("Australia/Lord Howe", "did you mean \"Australia/Lord_Howe\"?"),
        ("PST", "did you mean \"America/Los_Angeles\"?"),
        ("cest", "did you mean \"Europe/Berlin\"?"),
        ("utc+2", "that offset is \"Etc/GMT-2\" (the sign is the other way round there)"),
        ("-05:00", "that offset is \"Etc/GMT+5\" (the sign is the other way round there)"),
        ("+05:30", "write one like \"Europe/Berlin\", or leave it out for UTC"),
        ("Mars/Base", "write one like \"Europe/Berlin\", or leave it out for UTC"),
        ("/", "write one like \"Europe/Berlin\", or leave it out for UTC"),
    ] {
        let refused = Cron::parse("0 9 * * *", zone).unwrap_err().to_string();
        assert_eq!(refused, format!("{zone:?} in \"tz\" is not an IANA time zone; {hint}"));
    }
}

#[test]
fn intervals_and_instants_in_english() {
    for (every_secs, said) in [
        (1, "Every second"),
        (45, "Every 45 seconds"),
        (60, "Every minute"),
        (90, "Every 1 minute and 30 seconds"),
        (300, "Every 5 minutes"),
        (3_600, "Every hour"),
        (3_661, "Every 1 hour, 1 minute and 1 second"),
        (5_400, "Every 1 hour and 30 minutes"),
        (7_200, "Every 2 hours"),
        (86_400, "Every 24 hours"),
        (90_000, "Every 25 hours"),
        (172_800, "Every 2 days"),
        (604_800, "Every 7 days"),
        (31_622_400, "Every 366 days"),
    ] {
        assert_eq!(Schedule::Every { every_secs }.describe(), said);
    }
    for (at, said) in [
        ("2026-12-01T09:00:00Z", "Once on Tuesday, 1 December 2026 at 09:00, UTC"),
        ("2028-02-29T23:59:59+14:00", "Once on Tuesday, 29 February 2028 at 09:59:59, UTC"),
    ] {
        assert_eq!(parse(json!({"type": "at", "at": at})).unwrap().describe(), said);
    }
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
    fn no_expression_panics(
        expr in "([0-9A-Z*,/#L@-]{1,8} ){3,6}|[*0-9]{1,2}([,/-][0-9]{1,2})? [*0-9]{1,2} [L*1-9] (\\*|JAN|1-[0-9]) [0-7](#[1-5L]|L)?",
        anything in any::<String>(),
    ) {
        let _ = Cron::parse(&anything, &anything);
        if let Ok(cron) = Cron::parse(&expr, "Europe/Berlin") {
            let _ = Schedule::Cron(Box::new(cron)).describe();
        }
    }
}
