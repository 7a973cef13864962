use claw_types::{Act, ButtonAction, Format};
use proptest::prelude::*;

use super::*;
use crate::caps::{Albums, ButtonRoom, Most, Reports, TextUnit};

const ALBUMS: Albums =
    Albums { max: 3, groups: &[&[MediaKind::Image, MediaKind::Video], &[MediaKind::File]] };

/// Has everything, and little room.
const RICH: Caps = Caps {
    max_text: 20,
    max_caption: 5,
    uncaptioned: &[],
    unit: TextUnit::Utf16,
    markdown: Dialect::Html,
    media: &[MediaKind::Image, MediaKind::Video, MediaKind::File],
    albums: Some(&ALBUMS),
    threads: true,
    reply_to: true,
    only_texts_reply: false,
    buttons: ButtonCaps::ALL,
    polls: true,
    location: true,
    edit: true,
    delete: true,
    reactions: true,
    typing: true,
    typing_every: None,
    reports: Reports::NONE,
    commands: false,
    tells_programs: true,
    placeholders: true,
    drafts: false,
    limits: None,
    lacks: &[],
};

const POOR: Caps = Caps { max_text: 500, ..Caps::TEXT_ONLY };

fn media(kinds: &[MediaKind]) -> Vec<Media> {
    kinds.iter().map(|&kind| Media { kind, url: "https://x/y_z".into(), filename: None }).collect()
}

fn message(text: &str, kinds: &[MediaKind]) -> Outbound {
    let text = Some(text.to_owned()).filter(|text| !text.is_empty());
    Outbound { recipient: "1".into(), text, media: media(kinds), ..Outbound::default() }
}

fn data(text: &str) -> Button {
    Button { text: text.into(), action: ButtonAction::Data("d".into()) }
}

fn link(text: &str) -> Button {
    Button { text: text.into(), action: ButtonAction::Url("https://x/a_b".into()) }
}

fn everything() -> Outbound {
    Outbound {
        thread_id: Some("t".into()),
        reply_to: Some("5".into()),
        buttons: vec![vec![data("Yes *really*"), link("Site")], vec![data("No")]],
        poll: Some(Poll {
            question: "Which?".into(),
            options: vec!["a_b_".into(), "c".into()],
            multiple: false,
            anonymous: true,
        }),
        location: Some(Location {
            latitude: 48.5,
            longitude: -2.25,
            title: Some("Here".into()),
            address: None,
        }),
        ..message("See **this**", &[MediaKind::Image])
    }
}

fn texts(plan: &Plan) -> Vec<&str> {
    plan.parts.iter().filter_map(body).collect()
}

fn body(piece: &Piece) -> Option<&str> {
    match &piece.content {
        Content::Text(text) => Some(&text.body),
        Content::Media { caption, .. } | Content::Album { caption, .. } => {
            caption.as_ref().map(|text| text.body.as_str())
        }
        Content::Edit { text, .. } => text.as_ref().map(|text| text.body.as_str()),
        _ => None,
    }
}

#[test]
fn a_text_goes_behind_what_has_no_caption() {
    let caps = Caps { uncaptioned: &[MediaKind::File], ..RICH };
    let parts = plan(&message("look", &[MediaKind::File]), &caps).unwrap().parts;
    assert!(matches!(&parts[0].content, Content::Media { caption: None, .. }), "{parts:?}");
    assert!(matches!(&parts[1].content, Content::Text(text) if text.body == "look"), "{parts:?}");
    let parts = plan(&message("look", &[MediaKind::Image]), &caps).unwrap().parts;
    assert!(
        matches!(&parts[..], [Piece { content: Content::Media { caption: Some(_), .. }, .. }]),
        "{parts:?}"
    );
}

#[test]
fn a_caption_that_fits_goes_with_the_picture() {
    let short = plan(&message("**hello**", &[MediaKind::Image]), &RICH).unwrap();
    assert_eq!((short.parts.len(), texts(&short)), (1, vec!["<b>hello</b>"]));
    let long = plan(&message("more than five", &[MediaKind::Image]), &RICH).unwrap();
    assert_eq!((long.parts.len(), body(&long.parts[0])), (2, None));
    assert_eq!(long.degraded, []);
}

#[test]
fn what_the_platform_has_is_not_degraded() {
    let plan = plan(&everything(), &RICH).unwrap();
    assert_eq!(plan.degraded, []);
    let kinds: Vec<_> = plan.parts.iter().map(|piece| std::mem::discriminant(&piece.content)).collect();
    assert_eq!(kinds.len(), 4, "the picture, the text, the place, the poll");
    let replies: Vec<_> = plan.parts.iter().map(|piece| piece.reply_to.is_some()).collect();
    assert_eq!(replies, [true, false, false, false]);
    let buttons: Vec<_> = plan.parts.iter().map(|piece| piece.buttons.len()).collect();
    assert_eq!(buttons, [0, 0, 0, 2]);
    assert!(matches!(plan.parts[3].content, Content::Poll(_)));
}

#[test]
fn where_only_texts_can_reply_the_first_bare_one_does() {
    let caps = Caps { only_texts_reply: true, max_caption: 0, ..RICH };
    let replying = |message: Outbound| {
        let plan = plan(&Outbound { reply_to: Some("5".into()), ..message }, &caps).unwrap();
        let on: Vec<_> = plan.parts.iter().map(|piece| piece.reply_to.as_deref() == Some("5")).collect();
        (on, plan.degraded)
    };
    let left_out = Degraded { feature: "reply_to", how: "sent without the reference" };
    let picture = [MediaKind::Image];
    let pressed = |message: Outbound| Outbound { buttons: vec![vec![data("a")]], ..message };
    assert_eq!(replying(message("hi", &[])), (vec![true], vec![]));
    assert_eq!(replying(message("hi", &picture)), (vec![false, true], vec![]));
    assert_eq!(replying(message("", &picture)), (vec![false], vec![left_out]));
    assert_eq!(replying(pressed(message("hi", &[]))), (vec![false], vec![left_out]));
    let long = pressed(message("more than twenty characters", &[]));
    assert_eq!(replying(long), (vec![true, false], vec![]), "the buttons are below its end");
}

#[test]
fn what_the_platform_does_not_have_becomes_text() {
    let plan = plan(&everything(), &POOR).unwrap();
    let features: Vec<_> = plan.degraded.iter().map(|degraded| degraded.feature).collect();
    assert_eq!(features, ["media", "location", "poll", "buttons", "reply_to", "thread_id", "format"]);
    let map = "https://www.openstreetmap.org/?mlat=48.5&mlon=-2.25#map=16/48.5/-2.25";
    let expected = format!(
        "See this\n\nhttps://x/y_z\n\nHere\n{map}\n\nWhich?\n1. a_b_\n2. c\n\n\
         1. Yes *really*\n2. No\nSite: https://x/a_b"
    );
    assert_eq!(texts(&plan), [expected.as_str()]);
    assert_eq!(plan.parts[0].reply_to, None);
}

#[test]
fn a_plain_text_stays_as_it_is() {
    let message = Outbound { format: Format::Plain, ..everything() };
    let degraded = plan(&message, &POOR).unwrap();
    assert!(texts(&degraded)[0].starts_with("See **this**\n\nhttps://x/y_z\n\nHere\n"), "{degraded:?}");
    assert!(texts(&degraded)[0].contains("Which?\n1. a_b_\n2. c"), "{degraded:?}");
    let Content::Text(text) = plan(&message, &RICH).unwrap().parts.swap_remove(1).content else {
        panic!("a text")
    };
    assert_eq!((text.body.as_str(), text.formatted), ("See **this**", false));
}

#[test]
fn what_is_added_is_not_swallowed_by_an_open_fence() {
    for open in ["```", "~~~ rust", "````"] {
        let mut message = message(&format!("{open}\ncode"), &[MediaKind::Voice]);
        message.buttons = vec![vec![data("Go")]];
        let plan = plan(&message, &POOR).unwrap();
        assert_eq!(texts(&plan), ["code\n\nhttps://x/y_z\n\n1. Go"], "{open}");
    }
    // Code within a line, which opens nothing.
    let plan = plan(&message("```x```", &[MediaKind::Voice]), &POOR).unwrap();
    assert_eq!(texts(&plan), ["x\n\nhttps://x/y_z"]);
}

#[test]
fn neighbours_that_go_together_are_an_album() {
    use MediaKind::{File, Image, Video, Voice};
    let lengths = |kinds: &[MediaKind], caps: &Caps| {
        let plan = plan(&message("", kinds), caps).unwrap();
        let length = |piece: &Piece| match &piece.content {
            Content::Album { media, .. } => media.len(),
            _ => 1,
        };
        (plan.parts.iter().map(length).collect::<Vec<_>>(), plan.degraded.len())
    };
    assert_eq!(lengths(&[Image, Video, Image, Image], &RICH), (vec![3, 1], 0));
    assert_eq!(lengths(&[Image, File, File], &RICH), (vec![1, 2], 0));
    let single = Caps { albums: None, ..RICH };
    assert_eq!(lengths(&[Image, Image], &single), (vec![1, 1], 1));
    assert_eq!(
        lengths(&[Image, Image], &Caps { media: &[Voice], max_text: 99, ..RICH }).0,
        vec![1],
        "links are one text"
    );
}

#[test]
fn buttons_never_stand_below_an_album() {
    let two = [MediaKind::Image, MediaKind::Image];
    let with = |text: &str| Outbound { buttons: vec![vec![data("a")]], ..message(text, &two) };
    let captioned = plan(&with("hi"), &RICH).unwrap();
    assert!(matches!(&captioned.parts[0].content, Content::Album { caption: None, .. }));
    assert!(
        matches!(&captioned.parts[1], Piece { content: Content::Text(_), buttons, .. } if !buttons.is_empty())
    );
    let bare = plan(&with(""), &RICH).unwrap();
    assert_eq!(bare.parts.iter().map(|piece| piece.buttons.len()).collect::<Vec<_>>(), [0, 1]);
    assert!(bare.parts.iter().all(|piece| matches!(piece.content, Content::Media { .. })));
    let single = plan(&Outbound { media: media(&two[..1]), ..with("hi") }, &RICH).unwrap();
    assert!(
        matches!(&single.parts[0], Piece { content: Content::Media { caption: Some(_), .. }, buttons, .. } if buttons.len() == 1)
    );
}

#[test]
fn some_buttons_may_stay() {
    let caps = Caps { buttons: ButtonCaps { data: false, ..ButtonCaps::ALL }, ..RICH };
    let message =
        Outbound { buttons: vec![vec![data("a")], vec![data("b"), link("c")]], ..message("x", &[]) };
    let plan = plan(&message, &caps).unwrap();
    assert_eq!(plan.parts[0].buttons, [[link("c")]]);
    assert_eq!(texts(&plan), ["x\n\n1. a\n2. b"]);
}

#[test]
fn buttons_without_room_are_lines_of_the_text() {
    static ROOM: ButtonRoom = ButtonRoom {
        text: Most { choices: 2, with_url: 1 },
        media: Most { choices: 1, with_url: 0 },
        place: Most::NONE,
        bare_media: false,
        url_text: 5,
        unit: TextUnit::Chars,
    };
    let buttons = ButtonCaps { room: Some(&ROOM), ..ButtonCaps::ALL };
    let caps = Caps { max_text: 100, max_caption: 50, markdown: Dialect::Plain, buttons, ..RICH };
    let (a, site) = (|| data("a"), || link("c"));
    let sent = |message: Outbound, row: Vec<Button>| {
        let plan = plan(&Outbound { buttons: vec![row], ..message }, &caps).unwrap();
        let left = plan.parts.last().map_or(0, |last| last.buttons.iter().flatten().count());
        assert_eq!(plan.degraded.iter().filter(|degraded| degraded.feature == "buttons").count(), 1);
        (texts(&plan).join("|"), left)
    };
    let lines = |text: &str, left: usize| (text.to_owned(), left);
    assert_eq!(sent(message("x", &[]), vec![a(), a(), a()]), lines("x\n\n1. a\n2. a\n3. a", 0));
    assert_eq!(sent(message("x", &[]), vec![a(), site()]), lines("x\n\nc: https://x/a_b", 1));
    assert_eq!(sent(message("longer", &[]), vec![site()]), lines("longer\n\nc: https://x/a_b", 0));
    let picture = [MediaKind::Image];
    assert_eq!(sent(message("x", &picture), vec![a(), a()]), lines("x\n\n1. a\n2. a", 0));
    assert_eq!(sent(message("x", &picture), vec![a(), site()]), lines("x\n\nc: https://x/a_b", 1));
    assert_eq!(sent(message("", &picture), vec![a()]), lines("1. a", 0));
    let place = Outbound { location: everything().location, ..message("", &[]) };
    assert_eq!(sent(place, vec![a()]), lines("1. a", 0));
    let kept = plan(&Outbound { buttons: vec![vec![a(), a()]], ..message("x", &[]) }, &caps).unwrap();
    assert_eq!((kept.parts[0].buttons[0].len(), kept.degraded), (2, Vec::new()));
}

#[test]
fn an_act_that_the_platform_does_not_have_is_refused() {
    let edit = Act::Edit { message_id: "5".into() };
    let delete = Act::Delete { message_ids: vec!["5".into(), "6".into()] };
    let react = Act::React { message_id: "5".into(), emoji: Some("👍".into()) };
    let of =
        |act: &Act, text: &str, caps: &Caps| plan(&Outbound { act: act.clone(), ..message(text, &[]) }, caps);
    assert_eq!(of(&edit, "a", &POOR).unwrap_err().0, "channels of this type can't change a sent message");
    assert_eq!(of(&delete, "", &POOR).unwrap_err().0, "channels of this type can't take a sent message back");
    assert_eq!(of(&react, "", &POOR).unwrap_err().0, "channels of this type can't react to a message");
    assert_eq!(texts(&of(&edit, "*a*", &RICH).unwrap()), ["<i>a</i>"]);
    assert_eq!(
        of(&edit, &"a ".repeat(11), &RICH).unwrap_err().0,
        "the text is longer than one message may be, 20 UTF-16 code units: an edit can't be cut into parts"
    );
    assert_eq!(of(&delete, "", &RICH).unwrap().parts.len(), 2);
    assert_eq!(of(&react, "", &RICH).unwrap().parts[0].content.target(), Some("5"));
}

#[test]
fn an_edit_of_buttons_alone_needs_buttons() {
    let message = Outbound {
        act: Act::Edit { message_id: "5".into() },
        buttons: vec![vec![data("a")]],
        ..message("", &[])
    };
    let piece = plan(&message, &RICH).unwrap().parts.remove(0);
    assert_eq!((body(&piece), piece.buttons.len()), (None, 1));
    assert!(plan(&message, &Caps { edit: true, ..POOR }).is_err());
}

fn squeeze(text: &str) -> String {
    text.chars().filter(|c| !c.is_whitespace()).collect()
}

proptest! {
    #[test]
    fn plain_parts_fit_and_lose_nothing(
        text in "([a-z \n\u{1F600}é.*_`]{0,60}|\n```\n){0,6}", kinds in proptest::collection::vec(0_usize..3, 0..5), limit in 20_usize..80,
    ) {
        let kinds: Vec<_> = kinds.iter().map(|i| [MediaKind::Image, MediaKind::File, MediaKind::Voice][*i]).collect();
        let native = kinds.iter().filter(|kind| RICH.media.contains(kind)).count();
        let message = Outbound { format: Format::Plain, ..message(&text, &kinds) };
        for unit in [TextUnit::Utf16, TextUnit::Bytes, TextUnit::Chars] {
            let caps = Caps { max_text: limit, unit, ..RICH };
            let plan = plan(&message, &caps).unwrap();
            for piece in &plan.parts {
                let limit = if matches!(piece.content, Content::Text(_)) { limit } else { caps.max_caption };
                prop_assert!(body(piece).is_none_or(|body| unit.count(body) <= limit));
            }
            let links = "https://x/y_z".repeat(kinds.len() - native);
            prop_assert_eq!(squeeze(&texts(&plan).concat()), squeeze(&text) + &links);
            let carried: usize = plan.parts.iter().map(|piece| match &piece.content {
                Content::Media { .. } => 1,
                Content::Album { media, .. } => media.len(),
                _ => 0,
            }).sum();
            prop_assert_eq!(carried, native);
        }
    }

    #[test]
    fn formatted_parts_fit_and_lose_no_word(
        parts in proptest::collection::vec(("(\\*\\*|_|`| \n> |\n- |\n\n|\n\\| |\n```\n)?", "w[0-9]{1,3}", "(\\*\\*|_|`| \\||\n)?"), 0..60),
        limit in 40_usize..200,
    ) {
        let text: String = parts.iter().flat_map(|(a, word, b)| [a.as_str(), word.as_str(), b.as_str(), " "]).collect();
        for markdown in [Dialect::Html, Dialect::Plain, Dialect::Markdown, Dialect::Slack, Dialect::Discord, Dialect::WhatsApp, Dialect::Teams, Dialect::GoogleChat] {
            let caps = Caps { max_text: limit, markdown, ..RICH };
            let plan = plan(&message(&text, &[]), &caps).unwrap();
            let mut shown = String::new();
            for piece in &plan.parts {
                let Content::Text(text) = &piece.content else { panic!("only texts") };
                prop_assert!(caps.unit.count(&text.plain) <= limit);
                if markdown != Dialect::Html {
                    prop_assert!(caps.unit.count(&text.body) <= limit);
                }
                shown.push_str(&text.plain);
                shown.push(' ');
            }
            let mut rest = shown.as_str();
            for (_, word, _) in &parts {
                let at = rest.find(word.as_str());
                prop_assert!(at.is_some(), "{word} is lost of {text:?}: {shown:?}");
                rest = &rest[at.unwrap_or_default() + word.len()..];
            }
            prop_assert_eq!(&plan, &super::plan(&message(&text, &[]), &caps).unwrap());
        }
    }

    #[test]
    fn escapes_and_signs_are_counted(
        text in "([*_~`<>&#|\\[\\]\\\\\n -]|[a-z\u{1F600}]|```|\n\n){0,300}", limit in 64_usize..200,
    ) {
        for unit in [TextUnit::Utf16, TextUnit::Bytes, TextUnit::Chars] {
            for markdown in [Dialect::Slack, Dialect::Discord, Dialect::WhatsApp, Dialect::Teams, Dialect::GoogleChat] {
                for format in [Format::Markdown, Format::Plain] {
                    let caps = Caps { max_text: limit, unit, markdown, ..RICH };
                    let plan = plan(&Outbound { format, ..message(&text, &[]) }, &caps).unwrap();
                    for text in texts(&plan) {
                        prop_assert!(unit.count(text) <= limit, "{} in {text:?}", unit.count(text));
                    }
                }
            }
        }
    }
}
