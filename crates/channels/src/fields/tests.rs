use serde_json::{Value, json};

use super::*;

const FIELDS: &[Field] = &[
    Field::new("token", "Token", FieldKind::Secret, "the token.").required(),
    Field::new("users", "Users", FieldKind::List, ""),
    Field::new("secs", "Seconds", FieldKind::Number, "").up_to(60),
    Field::new("loud", "Loud", FieldKind::Bool, ""),
    Field::new("server", "Server", FieldKind::Url, "").receives(&["token"]),
    Field::new("mood", "Mood", FieldKind::Choice(&["calm", "wild"]), ""),
    Field::new("days", "Days", FieldKind::Items(&["mon", "tue"]), ""),
    Field::new("owners", "Owners", FieldKind::Ids, ""),
    Field::new("names", "Names", FieldKind::Words, ""),
    Field::new("sign", "Sign", FieldKind::Emoji, ""),
];

fn merge(on: Fields, given: Value) -> Result<Fields, FieldError> {
    let Value::Object(given) = given else { panic!("an object") };
    on.merge("test", FIELDS, given)
}

#[test]
fn fields_print_their_keys_alone() {
    let fields = merge(Fields::default(), json!({"token": "hunter2", "users": "hunter3"})).unwrap();
    assert_eq!(format!("{fields:?}"), r#"Fields { config: ["users"], secrets: ["token"] }"#);
}

#[test]
fn a_secret_may_be_a_file_of_json_in_any_of_its_forms() {
    let file = "{\n  \"id\": \"7\",\n  \"key\": \"a\\nb\"\n}\n";
    let token = |value: Value| merge(Fields::default(), json!({"token": value}));
    let fields = token(json!(file)).unwrap();
    assert_eq!(fields.secrets["token"], r#"{"id":"7","key":"a\nb"}"#);
    assert_eq!(token(json!({"id": "7", "key": "a\nb"})).unwrap(), fields);
    assert_eq!(token(fields.secrets["token"].clone()).unwrap(), fields);
    assert!(matches!(token(json!("{\n cut")), Err(FieldError::Type { .. })));
    assert!(matches!(token(json!("two\nlines")), Err(FieldError::Type { .. })));
}

#[test]
fn strings_and_native_values_are_the_same() {
    let strings =
        merge(Fields::default(), json!({"token": "t", "users": "1, 2,, 3", "secs": "5", "loud": "true"}));
    let native =
        merge(Fields::default(), json!({"token": "t", "users": [1, "2", 3], "secs": 5, "loud": true}));
    assert_eq!(strings, native);
    let fields = strings.unwrap();
    assert_eq!(Value::Object(fields.config), json!({"users": ["1", "2", "3"], "secs": 5, "loud": true}));
    assert_eq!(Value::Object(fields.secrets), json!({"token": "t"}));
    let lines =
        merge(Fields::default(), json!({"token": "t", "users": "a: one, two\r\n\n b: three \n"})).unwrap();
    assert_eq!(lines.config["users"], json!(["a: one, two", "b: three"]), "lines may have commas in them");
    for users in ["1, 2, 3\n", "1, 2,\n3"] {
        let commas = merge(Fields::default(), json!({"token": "t", "users": users})).unwrap();
        assert_eq!(commas.config["users"], json!(["1", "2", "3"]), "{users:?}");
    }
}

#[test]
fn words_are_few_and_can_be_found() {
    let names = |value: Value| merge(Fields::default(), json!({ "names": value }));
    let given = names(json!("claw, hey bot")).unwrap();
    assert_eq!(given.config["names"], json!(["claw", "hey bot"]));
    assert_eq!(names(json!(["claw", "hey bot"])).unwrap(), given);
    assert!(names(json!(vec!["x".repeat(WORD_LIMIT); MOST_WORDS])).is_ok());
    let many = names(json!(vec!["x"; MOST_WORDS + 1]));
    assert_eq!(many, Err(FieldError::TooMany { key: "names", most: MOST_WORDS }));
    for wrong in ["!?".to_owned(), "x".repeat(WORD_LIMIT + 1)] {
        let refused = names(json!(["claw", wrong])).unwrap_err().to_string();
        assert!(refused.contains("a letter or a digit"), "{refused}");
    }
    assert!(matches!(names(json!(["a\u{0}b"])), Err(FieldError::Type { .. })));
}

#[test]
fn an_update_merges_and_an_absent_or_empty_secret_stays() {
    let stored = merge(Fields::default(), json!({"token": "t", "users": "1", "secs": "5"})).unwrap();
    let merged = merge(stored, json!({"token": "", "users": "", "loud": "false"})).unwrap();
    assert_eq!(Value::Object(merged.config), json!({"secs": 5, "loud": false}));
    assert_eq!(Value::Object(merged.secrets), json!({"token": "t"}));
}

#[test]
fn a_stored_secret_stays_with_its_server() {
    let at = |server: Value| merge(Fields::default(), json!({"token": "t", "server": server})).unwrap();
    let elsewhere = Err(FieldError::Elsewhere { key: "server", secret: "token" });
    for (before, after) in [
        (json!("https://a.org/x"), json!("https://b.org/x")),
        (json!("https://a.org"), json!("http://a.org")),
        (json!("https://a.org"), json!("https://a.org:444")),
        (json!("https://a.org"), json!("")),
        (Value::Null, json!("https://a.org")),
        (json!("https://a.org"), json!("nonsense")),
    ] {
        assert_eq!(merge(at(before.clone()), json!({"server": after})), elsewhere, "{before} {after}");
        let empty = json!({"server": after, "token": ""});
        assert_eq!(merge(at(before.clone()), empty), elsewhere, "{before} {after}");
        let again = merge(at(before.clone()), json!({"server": after, "token": "t2"})).unwrap();
        assert_eq!(again.secrets["token"], "t2", "{before} {after}");
    }
    let same = merge(at(json!("https://a.org/x")), json!({"server": "https://A.org:443/y", "loud": true}));
    assert_eq!(same.unwrap().config["server"], "https://A.org:443/y");
    let replaced = |given: Value| {
        let Value::Object(given) = given else { panic!("an object") };
        at(json!("https://a.org")).replace("test", FIELDS, given)
    };
    assert_eq!(replaced(json!({"loud": true})), elsewhere, "what is left out is taken away");
    assert!(replaced(json!({"server": "https://a.org/y"})).is_ok());
}

#[test]
fn a_stored_secret_stays_with_its_host_and_port() {
    const HOSTED: &[Field] = &[
        Field::new("token", "Token", FieldKind::Secret, "the token."),
        Field::new("host", "Host", FieldKind::Text, "").receives(&["token"]),
        Field::new("port", "Port", FieldKind::Number, "").receives(&["token"]),
    ];
    let laid = |before: Fields, given: Value| {
        let Value::Object(given) = given else { panic!("an object") };
        before.merge("test", HOSTED, given)
    };
    let before = laid(Fields::default(), json!({"token": "t", "host": "a.org", "port": "993"})).unwrap();
    for (given, key) in
        [(json!({"host": "b.org"}), "host"), (json!({"port": 994}), "port"), (json!({"port": null}), "port")]
    {
        let elsewhere = Err(FieldError::Elsewhere { key, secret: "token" });
        assert_eq!(laid(before.clone(), given), elsewhere);
    }
    assert!(laid(before.clone(), json!({"host": "A.org", "port": 993})).is_ok());
    assert!(laid(before, json!({"host": "b.org", "port": 994, "token": "u"})).is_ok());
}

#[test]
fn errors_say_what_to_change() {
    let error = |given| merge(Fields::default(), given).unwrap_err().to_string();
    assert_eq!(
        error(json!({"tokn": "t"})),
        "the field \"tokn\" does not exist for \"test\"; its fields are: token, users, secs, loud, server, mood, days, owners, names, sign"
    );
    assert_eq!(error(json!({"secs": "abc"})), "the field \"secs\" must be a whole number, not this text");
    for secs in [json!(61), json!("61")] {
        assert_eq!(error(json!({ "secs": secs })), "the field \"secs\" can be at most 60");
    }
    assert_eq!(error(json!({"loud": {}})), "the field \"loud\" must be true or false, not an object");
    for sign in [json!("👀 👀"), json!("x".repeat(65))] {
        assert_eq!(
            error(json!({ "sign": sign })),
            "the field \"sign\" must be one emoji, without white space, not this text"
        );
    }
    let seen = merge(Fields::default(), json!({"sign": " 👀 "})).unwrap();
    assert_eq!(seen.config["sign"], "👀");
    for mood in [json!("sad"), json!(1), json!(["calm"])] {
        assert_eq!(error(json!({"mood": mood})), "the field \"mood\" must be one of: calm, wild");
    }
    assert_eq!(
        error(json!({"owners": "42, @ada"})),
        "the field \"owners\" takes the platform's ids, not the name \"@ada\": another person may have it tomorrow"
    );
    let ids = merge(Fields::default(), json!({"owners": [42, "@ada:example.org"]})).unwrap();
    assert_eq!(ids.config["owners"], json!(["42", "@ada:example.org"]));
    let calm = merge(Fields::default(), json!({"mood": " calm "})).unwrap();
    assert_eq!(calm.config["mood"], "calm");
    for days in [json!("mon, wed"), json!(["tue", "MON"]), json!([1])] {
        assert_eq!(error(json!({"days": days})), "the field \"days\" may list only: mon, tue");
    }
    assert_eq!(
        error(json!({"days": 1})),
        "the field \"days\" must be a list, or a text with commas, not a number of another kind"
    );
    let both = merge(Fields::default(), json!({"days": " tue,mon, "})).unwrap();
    assert_eq!(both.config["days"], json!(["tue", "mon"]));
    let missing = Fields::default().complete("test", FIELDS).unwrap_err().to_string();
    assert_eq!(missing, "the field \"token\" is required for \"test\": the token.");
}
