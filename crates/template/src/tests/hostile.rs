//! Each of these would take hours, gigabytes or the process with minijinja and its fuel alone, or is close to one
//! that would. That the tests end is what they prove; those with `on_a_small_stack` prove that the stack holds.

use std::thread;

use serde_json::{Value, json};

use super::{context, map, render};
use crate::{Context, FieldMap, Template, TemplateError};

fn assert_refused(source: &str, reason: &str) {
    let error = Template::compile(source).unwrap_err().to_string();
    assert!(error.contains(reason), "{source:.80}: {error}");
}

/// Half of what a tokio worker has, in a debug build whose frames are several times as large.
fn on_a_small_stack(work: impl FnOnce() + Send + 'static) {
    thread::Builder::new().stack_size(1 << 20).spawn(work).unwrap().join().unwrap();
}

/// A body with a long list, a large text and deep nesting: all that a sender can do.
fn large() -> Value {
    let deep = (0..120).fold(json!("x"), |inner, _| json!([inner]));
    let text = "a".repeat(500_000);
    let list: Vec<Value> = (0..20_000).map(|n| json!({"n": n})).collect();
    json!({"list": list, "again": list, "a": text, "b": text, "deep": deep})
}

#[test]
fn nothing_makes_lists_or_objects() {
    let doubled = format!("{{% set x = [1] %}}{}{{{{ x == x }}}}", "{% set x = [x, x] %}".repeat(60));
    assert_refused(&doubled, "only lists of fixed texts");
    assert_refused("{% for x in [[y, y]] %}{% endfor %}", "only lists of fixed texts");
    assert_refused("{{ [[1], [2]] }}", "only lists of fixed texts");
    assert_refused("{% set x = (x, x) %}", "only lists of fixed texts");
    assert_refused("{% set x = x, x %}", "");
    assert_refused("{% set x = {'a': x} %}", "only lists of fixed texts");
    assert_refused("{% for i in list %}{% set x = [x] %}{% endfor %}", "only lists of fixed texts");
    assert_refused("{% set x = x[:] %}", "cut out");
    assert_refused("{% set x = namespace(a=1) %}", "no functions");
    assert_refused("{% set x = dict(a=x) %}", "no functions");
    assert_refused("{{ list.items() }}", "no functions");
    for operation in ["x + x", "x * 2", "2 ** x", "'a' * 10 ** 9", "[1] * 10 ** 9", "10 ** 10 ** 10"] {
        assert_refused(&format!("{{% set x = {operation} %}}"), "+, * and **");
    }
    for filter in ["list", "map", "batch(1)", "slice(2)", "zip(x)", "items", "sort", "groupby('a')", "pprint"]
    {
        assert_refused(&format!("{{{{ list|{filter} }}}}"), "there is no filter");
    }
}

#[test]
fn nothing_is_called() {
    assert_refused("{{ range(10 ** 9) }}", "no functions");
    assert_refused("{{ debug() }}", "no functions");
    assert_refused("{% for x in list recursive %}{{ loop(x) }}{% endfor %}", "recursive");
    assert_refused("{{ loop(list) }}", "no functions");
    assert_refused("{% macro m() %}{{ m() }}{% endmacro %}", "unknown statement");
    for statement in ["include 'x'", "extends 'x'", "import 'x' as x", "block x", "call x()"] {
        assert_refused(&format!("{{% {statement} %}}"), "unknown statement");
    }
    assert_refused("{% do x() %}", "do");
    assert_refused("{% with x = 1 %}{% endwith %}", "with");
    assert_refused("{% set x %}{{ body }}{% endset %}", "a block");
    assert_refused("{% filter upper %}{% endfilter %}", "filter");
    assert_refused("{% autoescape true %}{% endautoescape %}", "autoescape");
    assert_refused("{{ x|default(*list) }}", "unpacked");
    assert_refused("{% set body.x = 1 %}", "");
}

#[test]
fn work_is_limited() {
    let body = large();
    let nested = "{% for x in list %}{% for y in list %}{% endfor %}{% endfor %}";
    let doubling = format!("{{% set x = a %}}{}", "{% set x = x ~ x %}".repeat(60));
    let mut sources = vec![nested.to_owned(), doubling];
    for each in [
        "{% set y = x ~ body.a %}",
        "{% set y = list == again %}",
        "{% set y = list < again %}",
        "{% set y = a == b %}",
        "{% set y = a in b %}",
        "{% set y = list in list %}",
        "{% set y = body in 'x' %}",
        "{% set y = list is startingwith 'x' %}",
        "{% set y = 'x' is startingwith a %}",
        "{% set y = body ~ list %}",
        "{% set y = list|tojson %}",
        "{% set y = a|upper|lower|trim %}",
        "{% set y = 'x'|replace('x', a) %}",
        "{% set y = 'x'|default(a) %}",
        "{% set y = deep|tojson %}",
        "{% set y = list|last|length %}",
        "{% for k in body %}{% endfor %}",
        "{% for k in list %}{% set y = k %}{% endfor %}",
    ] {
        sources
            .push(format!("{{% for x in list %}}{{% for z in again %}}{each}{{% endfor %}}{{% endfor %}}"));
    }
    let context = context(&body);
    for source in sources {
        let rendered = Template::compile(&source).unwrap().render(&context);
        assert_eq!(rendered, Err(TemplateError::Work), "{source:.120}");
    }
    // A text grows only as far as the fuel goes, before its memory is taken.
    let grown = "{{ a|replace('a', a) }}";
    assert_eq!(render(grown, &body), Err(TemplateError::Work));
    assert_eq!(
        render("{{ l|join(a) }}", &json!({"l": vec![1; 10_000], "a": "a".repeat(500_000)})),
        Err(TemplateError::Work)
    );
}

#[test]
fn output_is_limited() {
    let text = |len: usize| json!({"t": "ß".repeat(len)});
    assert_eq!(render("{{ t }}", &text(100_000)).unwrap().chars().count(), 100_000);
    assert_eq!(render("{{ t }}", &text(100_001)), Err(TemplateError::Output(100_000)));
    assert_eq!(render("{{ t }}!", &text(100_000)), Err(TemplateError::Output(100_000)));
    assert_eq!(render("{{ body }}", &large()), Err(TemplateError::Output(100_000)));
    // The default text: all of the body, in the language that takes the most bytes.
    let default = FieldMap::compile(None, &map(&[])).unwrap();
    let text = |len: usize| default.render(&context(&json!({"t": "𝄞".repeat(len)})));
    assert_eq!(text(99_992).unwrap().text.chars().count(), 100_000);
    assert_eq!(text(99_993), Err(TemplateError::Output(100_000)));
}

#[test]
fn depth_is_limited() {
    on_a_small_stack(|| {
        let context = context(&large());
        let render = |source: &str| Template::compile(source)?.render(&context);
        let chains = [
            ("(", "1", ")"),
            ("-", "1", ""),
            ("not ", "1", ""),
            ("", "1", " - 1"),
            ("", "1", " ~ 1"),
            ("", "1", " == 1"),
            ("", "1", " and 1"),
            ("", "1", " if 1 else 1"),
            ("", "deep", "[0]"),
            ("", "deep", ".a"),
            ("", "'a'", "|trim"),
            ("deep[", "0", "]"),
            ("[", "1", "]"),
        ];
        for (before, middle, after) in chains {
            for times in [1, 8, 16, 24, 31, 32, 47, 48, 95, 96, 97, 1_500] {
                let source = format!("{{{{ {}{middle}{} }}}}", before.repeat(times), after.repeat(times));
                let _ = render(&source);
                assert!(times < 1_500 || Template::compile(&source).is_err(), "{source:.80}");
            }
        }
        let brackets = |times| format!("{{{{ {}1{} }}}}", "(".repeat(times), ")".repeat(times));
        let innermost = brackets(10);
        let fors = |times| {
            format!("{}{innermost}{}", "{% for x in deep %}".repeat(times), "{% endfor %}".repeat(times))
        };
        let ifs = |times| format!("{}{innermost}{}", "{% if 1 %}".repeat(times), "{% endif %}".repeat(times));
        let elifs = |times: usize| {
            format!("{{% if 0 %}}{}{{% elif 1 %}}{innermost}{{% endif %}}", "{% elif 0 %}".repeat(times - 2))
        };
        for text in [brackets(10), fors(20), ifs(20), elifs(20)] {
            assert_eq!(render(&text).as_deref(), Ok("1"));
            // One after another they are not within each other.
            assert_eq!(render(&text.repeat(3)).as_deref(), Ok("111"));
        }
        assert_refused(&brackets(11), "too many brackets");
        for text in [fors(21), ifs(21), elifs(21)] {
            assert_refused(&text, "too many for, if and elif");
        }
    });
}

#[test]
fn a_body_is_as_deep_as_a_parser_takes() {
    on_a_small_stack(|| {
        let nested = |levels| (0..levels).fold(json!(1), |inner, _| json!({ "a": inner }));
        let printed = render("{{ body }}", &nested(128)).unwrap();
        assert_eq!(printed.len(), 128 * 6 + 1);
        let refused = Context::new(&nested(129), &map(&[]), &map(&[])).unwrap_err();
        assert_eq!(refused, TemplateError::Deep(128));
    });
}
