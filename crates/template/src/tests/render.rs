use proptest::prelude::*;
use serde_json::{Value, json};

use super::{context, map, render};
use crate::{Context, FILTERS, FieldMap, TESTS, Template, TemplateError};

fn push() -> Value {
    json!({
        "repository": {"name": "claw", "stars": 5, "rate": 1.5, "private": false, "parent": null},
        "commits": [{"id": "a1", "message": "First"}, {"id": "b2", "message": "<Second> & last"}],
        "tags": ["x", 7, true],
        "body": "not this one",
    })
}

#[test]
fn what_templates_do() {
    for (source, text) in [
        (
            "{{ repository.name }} {{ body.repository.name }} {{ body['repository'][\"name\"] }}",
            "claw claw claw",
        ),
        ("{{ headers['x-github-event'] }} {{ query.team }} {{ headers.nothing }}.", "push ops ."),
        // The body's own key `body` is reached as `body.body`.
        ("{{ body.body }}", "not this one"),
        // What is not there, however deep, is nothing; so is null.
        ("[{{ no.such.thing[3].at.all }}{{ repository.parent }}{{ repository.parent.name }}]", "[]"),
        ("{{ repository.stars }} {{ repository.rate }} {{ repository.private }}", "5 1.5 false"),
        // No escaping: it is text, not HTML.
        (
            "{% for c in commits %}{{ loop.index }}. {{ c.message }}\n{% endfor %}",
            "1. First\n2. <Second> & last\n",
        ),
        ("{% for key in repository %}{{ key }};{% endfor %}", "name;parent;private;rate;stars;"),
        ("{% for c in commits if c.id == 'b2' %}{{ c.id }}{% else %}none{% endfor %}", "b2"),
        ("{% for c in nothing %}x{% else %}none{% endfor %}", "none"),
        (
            "{{ tags }} {{ repository }}",
            "[\"x\",7,true] {\"name\":\"claw\",\"parent\":null,\"private\":false,\"rate\":1.5,\"stars\":5}",
        ),
        ("{{ commits[1].id }} {{ commits[9].id }} {{ tags.0 }}", "b2  x"),
        ("{% set n = repository.name %}{{ n ~ '/' ~ 1 }}", "claw/1"),
        (
            "{% if repository.stars > 4 and repository.name in ['claw', 'x'] %}yes{% elif 1 %}no{% endif %}",
            "yes",
        ),
        ("{{ 'x' in tags }} {{ 'aw' in repository.name }} {{ 'name' in repository }}", "true true true"),
        ("{{ 'a' if repository.private else 'b' }} {{ not repository.private }}", "b true"),
        (
            "{{ repository.stars / 2 }} {{ repository.stars - 1 }} {{ repository.stars // 2 }} {{ -repository.stars }}",
            "2.5 4 2 -5",
        ),
        ("{# a comment #}{% raw %}{{ x }}{% endraw %}", "{{ x }}"),
        ("{{ tags is sequence }} {{ repository is mapping }} {{ x is defined }}", "true true false"),
        ("{{ repository.name is startingwith 'cl' }} {{ repository is endingwith 'w' }}", "true false"),
    ] {
        assert_eq!(render(source, &push()).as_deref(), Ok(text), "{source}");
    }
}

#[test]
fn what_filters_do() {
    let body = json!({"t": " Größe ", "n": 2.345, "l": ["a", 1, true, null], "o": {"k": [1]}, "e": []});
    let table = [
        ("default", "{{ x|default('d') }} {{ l[3]|default('d') }} {{ n|default('d') }}", "d d 2.345"),
        ("first", "{{ l|first }}{{ e|first }}{{ x|first }}", "a"),
        ("join", "{{ l|join(', ') }} {{ l|join }} {{ x|join }}", "a, 1, true,  a1true "),
        ("last", "{{ o.k|last }}{{ e|last }}", "1"),
        ("length", "{{ l|length }} {{ o|length }} {{ t|length }} {{ x|length }}", "4 1 7 0"),
        ("lower", "[{{ t|lower }}]{{ x|lower }}", "[ größe ]"),
        ("replace", "{{ t|replace('ö', 'oe') }}", " Groeße "),
        ("round", "{{ n|round(1) }} {{ n|round }}", "2.3 2.0"),
        ("tojson", "{{ o|tojson }} {{ t|tojson }} {{ x|tojson }}", "{\"k\":[1]} \" Größe \" null"),
        ("trim", "[{{ t|trim }}]", "[Größe]"),
        (
            "truncate",
            "{{ t|trim|truncate(3) }} {{ t|trim|truncate(5) }} {{ t|truncate(2, '') }}",
            "Grö… Größe  G",
        ),
        ("upper", "{{ t|trim|upper }}", "GRÖSSE"),
    ];
    assert_eq!(table.map(|(name, ..)| name), FILTERS);
    for (_, source, text) in table {
        assert_eq!(render(source, &body).as_deref(), Ok(text), "{source}");
    }
}

#[test]
fn every_filter_and_test_is_there() {
    for name in FILTERS {
        let refused = render(&format!("{{{{ 1|{name} }}}}"), &push()).map_err(|error| error.to_string());
        assert!(!refused.is_err_and(|sentence| sentence.contains("unknown")), "{name}");
    }
    for (name, said) in TESTS
        .iter()
        .zip(["false", "true", "true", "false", "false", "false", "false", "true", "true", "false"])
    {
        let argument = if name.ends_with("with") { "('s')" } else { "" };
        let source = format!("{{{{ 's' is {name}{argument} }}}}");
        assert_eq!(render(&source, &push()).as_deref(), Ok(said), "{source}");
    }
}

#[test]
fn a_refusal_names_the_line() {
    let refused = |source: &str| render(source, &push()).unwrap_err().to_string();
    for (source, sentence) in [
        ("a\nb {{ x", "line 2 of the template: unexpected end of input, expected end of variable block"),
        (
            "{{ x|shout }}",
            "line 1 of the template: there is no filter shout; there are: default, first, join, last, length, lower, \
             replace, round, tojson, trim, truncate, upper",
        ),
        (
            "\n{{ repository|upper }}",
            "line 2 of the template: this filter takes a text or a number; for a list or an object use join or tojson",
        ),
        (
            "{% if 0 %}{{ x is divisibleby(2) }}{% endif %}",
            "line 1 of the template: there is no test divisibleby; there are: boolean, defined, endingwith, mapping, \
             none, number, sequence, startingwith, string, undefined",
        ),
        ("{% include 'x' %}", "line 1 of the template: unknown statement include"),
        ("\n\n{{ range(9) }}", "line 3 of the template: there are no functions or methods here"),
        ("{{ a + b }}", "line 1 of the template: +, * and ** are not available here; join texts with ~"),
        ("{{ a[1:] }}", "line 1 of the template: parts can't be cut out here; use truncate, first or last"),
    ] {
        assert_eq!(refused(source), sentence, "{source}");
    }
    let long = "x".repeat(Template::MAX_SOURCE + 1);
    assert_eq!(refused(&long), "the template has more than 10000 characters; make it shorter");
}

#[test]
fn the_text_is_the_bodys_own_unless_a_template_says_otherwise() {
    let map = FieldMap::compile(None, &map(&[])).unwrap();
    for (body, text) in [
        (json!({"text": "a", "message": "b"}), "a"),
        (json!({"text": " ", "message": "b"}), "b"),
        (json!({"text": {"x": 1}, "content": "c\n"}), "c\n"),
        (json!({"event": "e", "text": 5}), "{\"event\":\"e\",\"text\":5}"),
        (json!([1, "two"]), "[1,\"two\"]"),
        (json!("hello"), "hello"),
        (json!(null), ""),
        (json!({"text": "{{ body }}"}), "{{ body }}"),
    ] {
        assert_eq!(map.render(&context(&body)).unwrap().text, text, "{body}");
    }
}

#[test]
fn fields() {
    let templates = map(&[
        ("repo", "{{ repository.name }}"),
        ("thread_id", " {{ repository.stars }} "),
        ("none", "{{ x }}"),
    ]);
    let mapped = FieldMap::compile(Some("{{ commits|length }} commits"), &templates).unwrap();
    let mapped = mapped.render(&context(&push())).unwrap();
    assert_eq!(
        (mapped.text.as_str(), mapped.fields),
        ("2 commits", map(&[("repo", "claw"), ("thread_id", "5")]))
    );

    let refused = |text, fields| FieldMap::compile(text, &fields).unwrap_err().to_string();
    assert_eq!(
        refused(None, map(&[("Repo", "")])),
        "the field name \"Repo\" must be 1 to 64 of a-z, 0-9 and _"
    );
    assert_eq!(
        refused(None, map(&[(&"n".repeat(65), "")])).len(),
        "the field name \"\" must be 1 to 64 of a-z, 0-9 and _".len() + 64
    );
    assert_eq!(
        refused(None, map(&[("n", "{{ f() }}")])),
        "the field \"n\": line 1 of the template: there are no functions or methods here"
    );
    let many = (0..33).map(|n| (format!("f{n}"), String::new())).collect();
    assert_eq!(refused(None, many), "there are 33 fields; give at most 32");

    let long = FieldMap::compile(None, &map(&[("n", "{{ n }}")])).unwrap();
    let render = |len: usize| long.render(&context(&json!({"text": "t", "n": "ß".repeat(len)})));
    assert_eq!(render(FieldMap::MAX_FIELD_CHARS).unwrap().fields["n"].chars().count(), 4_000);
    let reason = Box::new(TemplateError::Output(4_000));
    assert_eq!(render(4_001), Err(TemplateError::Field { name: "n".to_owned(), reason }));
}

fn json_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 32, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::hash_map("[a-e]|text|body", inner, 0..6)
                .prop_map(|map| map.into_iter().collect()),
        ]
    })
}

/// Pieces that often make a template.
fn source() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "{{",
        "}}",
        "{%",
        "%}",
        "{#",
        "#}",
        "{% for x in",
        "{% endfor %}",
        "{% if",
        "{% else %}",
        "{% endif %}",
        "{% set x =",
        "body",
        "a",
        "b.c",
        "x",
        "text",
        "loop.index",
        "loop",
        "[0]",
        "['a', 1]",
        "(",
        ")",
        "[",
        "]",
        "|",
        "|join('-')",
        "|length",
        "|tojson",
        "|first",
        "|last",
        "|round(1)",
        "|truncate(1)",
        "|upper",
        "|default(1)",
        "|replace('a', x)",
        "~",
        "-",
        "/",
        "//",
        "%",
        "==",
        "<",
        "in",
        "not in",
        "not",
        "and",
        "is defined",
        "is startingwith",
        "1",
        "1.5",
        "'s'",
        "\"",
        "\n",
        "if",
        "else",
        ",",
        ".",
        "0",
        "none",
        "true",
        "é",
    ]);
    prop_oneof![
        prop::collection::vec(piece, 0..14).prop_map(|pieces| pieces.join(" ")),
        "[a-c]([.|][a-e]{1,6}){0,3}"
            .prop_map(|path| format!("{{{{ {path} }}}}{{% for x in {path} %}}{{{{ x }}}}{{% endfor %}}")),
        any::<String>(),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn nothing_panics(source in source(), body in json_value()) {
        let context = Context::new(&body, &map(&[]), &map(&[])).expect("a flat body");
        if let Ok(text) = Template::compile(&source).and_then(|template| template.render(&context)) {
            prop_assert!(text.chars().count() <= 100_000);
        }
        let _ = FieldMap::compile(None, &map(&[("f", &source)])).map(|map| map.render(&context));
    }
}
