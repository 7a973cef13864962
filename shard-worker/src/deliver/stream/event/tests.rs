use proptest::prelude::*;

use super::*;

/// The texts of the messages and what is wrong, when the bytes come in pieces of this size.
fn folded(stream: &[u8], size: usize) -> (Vec<String>, Vec<String>) {
    let (mut reader, mut folded) = (Reader::new(), Folded::default());
    for chunk in stream.chunks(size) {
        reader.read(Bytes::copy_from_slice(chunk), &mut folded);
    }
    reader.end(&mut folded);
    let (replies, trouble) = folded.finish().unwrap();
    (replies.iter().map(|reply| reply.get().to_owned()).collect(), trouble)
}

/// The one text of an answer that nothing is wrong with.
fn text(stream: &str) -> String {
    let (replies, trouble) = folded(stream.as_bytes(), usize::MAX);
    assert_eq!(trouble, Vec::<String>::new(), "{stream}");
    let [reply] = replies.as_slice() else { panic!("{replies:?} of {stream}") };
    serde_json::from_str(reply).unwrap()
}

fn trouble(stream: &str) -> (Vec<String>, String) {
    let (replies, trouble) = folded(stream.as_bytes(), usize::MAX);
    let [trouble] = trouble.as_slice() else { panic!("{trouble:?} of {stream}") };
    (replies, trouble.clone())
}

/// How an answer ends whose body is this.
fn end(stream: &str) -> End {
    let (mut reader, mut folded) = (Reader::new(), Folded::default());
    reader.read(Bytes::copy_from_slice(stream.as_bytes()), &mut folded);
    reader.end(&mut folded);
    folded.end().cloned().unwrap()
}

/// As `curl` shows it of <https://platform.openai.com/docs/api-reference/chat/create> with `stream`.
const CHAT: &str = concat!(
    r#"data: {"id":"chatcmpl-B9","object":"chat.completion.chunk","created":1741569952,"model":"gpt-5.4","system_fingerprint":"fp_44","choices":[{"index":0,"delta":{"role":"assistant","content":""},"logprobs":null,"finish_reason":null}]}"#,
    "\n\n",
    r#"data: {"id":"chatcmpl-B9","object":"chat.completion.chunk","created":1741569952,"model":"gpt-5.4","choices":[{"index":0,"delta":{"content":"Hello"},"logprobs":null,"finish_reason":null}]}"#,
    "\n\n",
    r#"data: {"id":"chatcmpl-B9","object":"chat.completion.chunk","created":1741569952,"model":"gpt-5.4","choices":[{"index":1,"delta":{"content":"Another"},"finish_reason":null}]}"#,
    "\n\n",
    r#"data: {"id":"chatcmpl-B9","object":"chat.completion.chunk","created":1741569952,"model":"gpt-5.4","choices":[{"index":0,"delta":{"content":" there"},"finish_reason":null}],"error":null}"#,
    "\n\n",
    r#"data: {"id":"chatcmpl-B9","object":"chat.completion.chunk","created":1741569952,"model":"gpt-5.4","choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"arguments":"{"}}]},"finish_reason":null}]}"#,
    "\n\n",
    r#"data: {"id":"chatcmpl-B9","object":"chat.completion.chunk","created":1741569952,"model":"gpt-5.4","choices":[{"index":0,"delta":{},"logprobs":null,"finish_reason":"stop"}]}"#,
    "\n\n",
    r#"data: {"id":"chatcmpl-B9","object":"chat.completion.chunk","choices":[],"usage":{"total_tokens":12}}"#,
    "\n\ndata: [DONE]\n\n",
    r#"data: {"choices":[{"index":0,"delta":{"content":"never"}}]}"#,
    "\n\n",
);

/// <https://platform.openai.com/docs/api-reference/responses-streaming>.
const RESPONSES: &str = concat!(
    "event: response.created\n",
    r#"data: {"type":"response.created","response":{"id":"resp_67","object":"response","status":"in_progress","error":null,"output":[],"text":{"format":{"type":"text"}}}}"#,
    "\n\nevent: response.output_item.added\n",
    r#"data: {"type":"response.output_item.added","output_index":0,"item":{"id":"msg_67","type":"message","status":"in_progress","role":"assistant","content":[]}}"#,
    "\n\nevent: response.reasoning_summary_text.delta\n",
    r#"data: {"type":"response.reasoning_summary_text.delta","delta":"thinking"}"#,
    "\n\nevent: response.output_text.delta\n",
    r#"data: {"type":"response.output_text.delta","item_id":"msg_67","output_index":0,"content_index":0,"delta":"Hi"}"#,
    "\n\nevent: response.output_text.delta\n",
    r#"data: {"type":"response.output_text.delta","item_id":"msg_67","output_index":0,"content_index":0,"delta":" there!"}"#,
    "\n\nevent: response.output_text.done\n",
    r#"data: {"type":"response.output_text.done","item_id":"msg_67","output_index":0,"content_index":0,"text":"Hi there!"}"#,
    "\n\nevent: response.completed\n",
    r#"data: {"type":"response.completed","response":{"id":"resp_67","status":"completed","error":null}}"#,
    "\n\n",
);

/// <https://docs.anthropic.com/en/docs/build-with-claude/streaming>.
const MESSAGES: &str = concat!(
    "event: message_start\r\n",
    r#"data: {"type":"message_start","message":{"id":"msg_1n","type":"message","role":"assistant","content":[],"stop_reason":null,"usage":{"input_tokens":25,"output_tokens":1}}}"#,
    "\r\n\r\nevent: content_block_start\r\n",
    r#"data: {"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}"#,
    "\r\n\r\nevent: ping\r\ndata: {\"type\": \"ping\"}\r\n\r\nevent: content_block_delta\r\n",
    r#"data: {"type":"content_block_delta","index":0,"delta":{"type":"thinking_delta","thinking":"hm"}}"#,
    "\r\n\r\nevent: content_block_delta\r\n",
    r#"data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"Hello"}}"#,
    "\r\n\r\nevent: content_block_delta\r\n",
    r#"data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"!"}}"#,
    "\r\n\r\nevent: content_block_stop\r\ndata: {\"type\":\"content_block_stop\",\"index\":0}\r\n\r\n",
    "event: message_delta\r\n",
    r#"data: {"type":"message_delta","delta":{"stop_reason":"end_turn","stop_sequence":null},"usage":{"output_tokens":15}}"#,
    "\r\n\r\nevent: message_stop\r\ndata: {\"type\":\"message_stop\"}\r\n\r\n",
);

#[test]
fn every_shape_becomes_one_text() {
    let table = [
        (CHAT, "Hello there"),
        (RESPONSES, "Hi there!"),
        (MESSAGES, "Hello!"),
        ("event: delta\ndata: one\n\nevent: delta\ndata:  two\n\n", "one two"),
        ("event: delta\ndata: {\"delta\": \"one\"}\n\ndata: {\"delta\":\" two\"}\n\n", "one two"),
        (
            "data: {\"text\": \"one\"}\n\ndata: {\"text\": \" two\"}\n\nevent: done\ndata: {}\n\ndata: x\n\n",
            "one two",
        ),
        ("data: plain\n\ndata:  text\n\n", "plain text"),
        ("data: two\ndata: lines\n\n", "two\nlines"),
        ("data: {\n\ndata: code }\n\n", "{code }"),
        (": a comment\n\nid: 7\nretry: 10\ndata: a\n\n", "a"),
        ("data: the last empty line is missing", "the last empty line is missing"),
        ("event: usage\ndata: 5 pieces\n\ndata: a\n\n", "a"),
        ("data: {\"usage\": 5}\n\ndata: {\"text\": 5}\n\ndata: {\"choices\": {}}\n\ndata: a\n\n", "a"),
        ("data: a\0b\n\n", "ab"),
    ];
    for (stream, expected) in table {
        assert_eq!(text(stream), expected, "{stream}");
    }
}

#[test]
fn an_answer_that_comes_whole_takes_the_place_of_its_pieces() {
    assert_eq!(text("data: draft\n\ndata: {\"reply\": \"final\"}\n\ndata: more\n\n"), "final");
    let several = "data: draft\n\ndata: {\"replies\": [\"a\", {\"message\": \"b\"}]}\n\n";
    assert_eq!(folded(several.as_bytes(), 7).0, ["\"a\"", "{\"message\": \"b\"}"]);
    let mut kept = Folded::default();
    let stream =
        "data: {\"immediate_reply\": \"wait\"}\n\ndata: {\"immediate_reply\": \"again\"}\n\ndata: a\n\n";
    Reader::new().read(stream.into(), &mut kept);
    assert_eq!(kept.immediate().map(RawValue::get), Some("\"wait\""));
    assert_eq!((kept.text(), kept.end()), ("a", None));
    assert_eq!(folded(b"data:  \n\n", 1).0, [""; 0], "nothing to be seen is nothing");
}

#[test]
fn an_event_that_is_cut_off_is_not_shown_and_a_stream_of_unknown_ones_is_told() {
    assert_eq!(text("data: {\"text\": \"a\"}\n\ndata: {\"text\": \"b"), "a");
    assert_eq!(text("data: {\"text\": \"a\"}\n\ndata: {\"text\": \"b\"}"), "ab");
    let (replies, told) = trouble("data: {\"token\": \"a\"}\n\nevent: usage\ndata: 5\n\n");
    assert_eq!((replies.len(), told.as_str()), (0, "no event of it is one that is understood"));
    let of_tools = "data: {\"type\": \"message_start\"}\n\ndata: {\"type\": \"message_stop\"}\n\n";
    assert_eq!(folded(of_tools.as_bytes(), 9), (Vec::new(), Vec::new()), "an answer may be empty");
}

#[test]
fn what_came_before_an_error_is_the_answer() {
    let table = [
        (
            r#"event: error
data: {"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}"#,
            "Overloaded",
        ),
        (
            r#"data: {"error":{"message":"The server had an error","type":"server_error","code":null}}"#,
            "The server had an error",
        ),
        (
            r#"data: {"type":"response.failed","response":{"error":{"code":"server_error","message":"It failed."}}}"#,
            "It failed.",
        ),
        (r#"data: {"type":"error","code":"rate","message":"Slower","sequence_number":1}"#, "Slower"),
        (
            r#"data: {"type":"response.incomplete","response":{"incomplete_details":{"reason":"max_output_tokens"}}}"#,
            "max_output_tokens",
        ),
        ("event: error\ndata: no idea", "no idea"),
        (
            r#"event: error
data: {"message": "no idea"}"#,
            "no idea",
        ),
        (r#"data: {"error": 5}"#, "5"),
        (r#"data: {"replies": 5}"#, "invalid type"),
    ];
    for (event, why) in table {
        let (replies, told) = trouble(&format!("data: so far\n\n{event}\n\ndata: behind it\n\n"));
        assert_eq!(replies, ["\"so far\""], "{event}");
        assert!(told.contains(why), "{told} of {event}");
    }
}

#[test]
fn an_error_before_any_answer_is_none() {
    let overloaded = concat!(
        "event: error\n",
        r#"data: {"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}"#,
        "\n\n",
    );
    for before in [
        "",
        "data:  \n\n",
        "data: {\"immediate_reply\": \"wait\"}\n\n",
        "data: {\"type\":\"message_start\"}\n\n",
    ] {
        let why = "the backend broke it off: Overloaded".to_owned();
        assert_eq!(end(&format!("{before}{overloaded}data: x\n\n")), End::Failed(why), "{before}");
    }
    let others = [
        r#"data: {"error":{"message":"no"}}"#,
        r#"data: {"type":"response.failed","response":{"error":{"message":"no"}}}"#,
        "event: error\ndata: no",
    ];
    for event in others {
        let why = "the backend broke it off: no".to_owned();
        assert_eq!(end(&format!("{event}\n\n")), End::Failed(why), "{event}");
    }
    assert_eq!(end(&format!("data: so far\n\n{overloaded}")), End::Answer);
    let spent = r#"data: {"type":"response.incomplete","response":{"incomplete_details":{"reason":"max_output_tokens"}}}"#;
    assert_eq!(end(&format!("{spent}\n\n")), End::Answer, "asked again, it would say the same");
}

#[test]
fn a_services_stream_is_whole_when_it_says_so_and_any_other_when_it_ends() {
    let chat = |delta: &str, reason: &str| {
        format!("data: {{\"choices\":[{{\"index\":0,\"delta\":{delta},\"finish_reason\":{reason}}}]}}\n\n")
    };
    let text = chat("{\"content\":\"a\"}", "null");
    let delta =
        "data: {\"type\":\"content_block_delta\",\"delta\":{\"type\":\"text_delta\",\"text\":\"a\"}}\n\n";
    let response = "data: {\"type\":\"response.output_text.delta\",\"delta\":\"a\"}\n\n";
    let table = [
        (text.clone(), End::Cut),
        (chat("{\"content\":\"a\"}", "\"\""), End::Cut),
        (
            format!("{text}{}", text.replace("\"index\":0", "\"index\":1").replace("null", "\"stop\"")),
            End::Cut,
        ),
        (format!("{text}data: {{\"choi"), End::Cut),
        (format!("{text}{}", chat("{}", "\"stop\"")), End::Answer),
        (chat("{\"content\":\"a\"}", "\"length\""), End::Answer),
        (format!("{text}data: [DONE]"), End::Answer),
        (format!("{text}event: done\ndata: {{}}\n\n"), End::Answer),
        (format!("{text}data: {{\"reply\": \"b\"}}\n\n"), End::Answer),
        (delta.to_owned(), End::Cut),
        ("data: {\"type\":\"message_start\"}\n\n".to_owned(), End::Cut),
        (format!("{delta}data: {{\"type\":\"message_stop\"}}\n\n"), End::Answer),
        (
            format!(
                "{delta}data: {{\"type\":\"message_delta\",\"delta\":{{\"stop_reason\":\"end_turn\"}}}}\n\n"
            ),
            End::Answer,
        ),
        (response.to_owned(), End::Cut),
        ("data: {\"type\":\"response.created\"}\n\n".to_owned(), End::Cut),
        (format!("{response}data: {{\"type\":\"response.completed\"}}\n\n"), End::Answer),
        ("data: a\n\n".to_owned(), End::Answer),
        ("data: {\"delta\": \"a\"}\n\n".to_owned(), End::Answer),
        (String::new(), End::Answer),
    ];
    for (stream, expected) in table {
        assert_eq!(end(&stream), expected, "{stream}");
    }
    for whole in [CHAT, RESPONSES, MESSAGES] {
        assert_eq!(end(whole), End::Answer);
        let cut = whole.rfind("data: [DONE]").or(whole.rfind("event: response.completed"));
        let cut = cut.or(whole.rfind("event: message_stop")).unwrap();
        let ends = if whole == RESPONSES { End::Cut } else { End::Answer };
        assert_eq!(end(&whole[..cut]), ends, "a reason why it ended is a mark, too: {}", &whole[..cut]);
    }
}

#[test]
fn what_is_cut_is_an_answer_if_something_of_it_was_written() {
    let (mut reader, mut folded) = (Reader::new(), Folded::default());
    assert!(!folded.cut("too long".to_owned()) && folded.end().is_none());
    reader.read("data: so far\n\n".into(), &mut folded);
    assert!(folded.cut("too long".to_owned()));
    assert_eq!(folded.end(), Some(&End::Answer));
    let (replies, trouble) = folded.finish().unwrap();
    assert_eq!((replies[0].get(), trouble), ("\"so far\"", vec!["too long".to_owned()]));
}

#[test]
fn there_is_an_end_to_an_event_and_to_an_answer() {
    let (replies, told) =
        trouble(&format!("data: so far\n\ndata: {}\n\ndata: more\n\n", "x".repeat(MAX_EVENT + 1)));
    assert_eq!(
        (replies.as_slice(), told.as_str()),
        (["\"so far\"".to_owned()].as_slice(), "an event of it has more than 256 KiB")
    );
    let piece = format!("data: {}\n\n", "ä".repeat(1_000));
    let (replies, told) = trouble(&piece.repeat(101));
    let text: String = serde_json::from_str(&replies[0]).unwrap();
    assert_eq!(text.chars().count(), TEXT_LIMIT);
    assert!(told.contains("more than 100000 characters"), "{told}");
    assert_eq!(self::text(&piece.repeat(100)).chars().count(), TEXT_LIMIT, "as many as fit");
}

fn streams() -> impl Strategy<Value = String> {
    let event = prop::sample::select(vec![
        "data: a\n\n",
        "event: delta\n",
        "data: {\"text\": \"ü\"}\r\n\r\n",
        ": c\n",
        "\r",
        "\n",
        "data",
        ":",
        " ",
        "\u{feff}",
        "data: {\"reply\": \"x\"}\n\n",
        "data: [DONE]\n\n",
        "event: error\ndata: e\n\n",
        "data: {\"immediate_reply\": 1}\n\n",
        "data: {\"choices\":[{\"delta\":{\"content\":\"😀\"}}]}\n\n",
        "retry: 5\n",
        "id: \0\n",
    ]);
    prop::collection::vec(prop_oneof![4 => event.prop_map(str::to_owned), 1 => "\\PC{0,5}"], 0..20)
        .prop_map(|events| events.concat())
}

proptest! {
    #[test]
    fn how_the_bytes_are_cut_makes_no_difference(stream in streams(), size in 1_usize..9) {
        prop_assert_eq!(folded(stream.as_bytes(), size), folded(stream.as_bytes(), usize::MAX));
    }
}
