//! The page of a type's documentation, made of what its adapter declares.
//!
//! What the fields can't say is written by hand below a line of the page and is nobody's business here.

use std::fmt::Write as _;

use crate::catalogue::{Capabilities, FieldInfo};
use crate::{Entry, Feature, TypeInfo, Whose};

/// The line below which a page is written by hand.
pub const WRITTEN_BY_HAND: &str = "<!-- Above: made of the adapter's code. Below: written by hand. -->";

/// The part of the page that is made of the code.
pub(super) fn of(entry: &Entry) -> String {
    let info = TypeInfo::of(entry);
    let mut page = format!(
        "# {}\n\n{}\n\nThe type is `{}`. [What all types have in common](../channels.md), such as who may write, is not \
         repeated here.\n\n## Set-up\n\n",
        info.display_name, info.description, info.name
    );
    for (number, step) in info.setup.iter().enumerate() {
        line(&mut page, format_args!("{}. {step}", number + 1));
    }
    line(&mut page, format_args!("\nThe platform explains it at <{}>.\n\n## Fields\n", info.docs_url));
    line(&mut page, format_args!("| field | | kind | meaning |\n| --- | --- | --- | --- |"));
    let common = crate::common::COMMON;
    let own = info.fields.iter().filter(|field| !common.iter().any(|common| common.key == field.key));
    own.for_each(|own| field(&mut page, own));
    line(&mut page, format_args!("\n## What it can carry\n\n| | |\n| --- | --- |"));
    for (what, how) in carried(&info.capabilities) {
        line(&mut page, format_args!("| {what} | {how} |"));
    }
    let commands = if entry.caps.commands { "those of the field `commands`" } else { "no" };
    line(&mut page, format_args!("| {} | {commands} |", Feature::Commands.name()));
    if !entry.caps.lacks.is_empty() {
        line(&mut page, format_args!("\n## What it does not carry\n\n| | | why |\n| --- | --- | --- |"));
    }
    for lack in entry.caps.lacks {
        let what: Vec<_> = lack.features.iter().map(|feature| feature.name()).collect();
        let whose = match lack.whose {
            Whose::Platform => "the platform can't",
            Whose::Ours => "not built",
        };
        line(&mut page, format_args!("| {} | {whose} | {} |", what.join(", "), lack.told()));
    }
    page
}

fn line(page: &mut String, text: std::fmt::Arguments<'_>) {
    // Writing into a text can't fail.
    let _ = writeln!(page, "{text}");
}

fn field(page: &mut String, field: &FieldInfo) {
    let needed = match (field.required, field.required_unless) {
        (true, None) => "required".to_owned(),
        (true, Some(other)) => format!("required, or `{other}`"),
        (false, _) => "optional".to_owned(),
    };
    let mut meaning = field.help.trim_end_matches('.').to_owned();
    if !field.choices.is_empty() {
        meaning.push_str(": `");
        meaning.push_str(&field.choices.join("`, `"));
        meaning.push('`');
    }
    if let Some(most) = field.maximum {
        let _ = write!(meaning, "; at most {most}");
    }
    if !field.receives.is_empty() {
        let _ = write!(meaning, "; it is sent `{}`", field.receives.join("`, `"));
    }
    // A bar would end the cell.
    let meaning = meaning.replace('|', "\\|");
    line(page, format_args!("| `{}` | {needed} | {} | {meaning} |", field.key, field.r#type));
}

fn carried(caps: &Capabilities) -> Vec<(&'static str, String)> {
    let yes = |has: bool, otherwise: &str| if has { "yes".to_owned() } else { otherwise.to_owned() };
    let kinds: Vec<_> = caps.media.iter().map(|kind| kind.as_str()).collect();
    let media = if kinds.is_empty() { "as links".to_owned() } else { kinds.join(", ") };
    let unit = match caps.text_unit {
        "utf16" => "UTF-16 code units",
        unit => unit,
    };
    let album =
        if caps.album > 1 { format!("up to {} as one message", caps.album) } else { "one by one".to_owned() };
    let reports = [
        ("edits", caps.reports_edits),
        ("deletions", caps.reports_deletions),
        ("reactions", caps.reports_reactions),
        ("replies", caps.reports_replies),
        ("receipts", caps.reports_receipts),
    ];
    let told: Vec<_> = reports.iter().filter(|(_, has)| *has).map(|(name, _)| *name).collect();
    vec![
        ("text of one message", format!("{} {unit}; longer ones are cut into parts", caps.max_text)),
        ("caption of an attachment", format!("{} {unit}", caps.max_caption)),
        ("Markdown", yes(caps.markdown, "taken out")),
        ("attachments", media),
        ("several attachments", album),
        ("`thread_id`", yes(caps.threads, "ignored")),
        ("`reply_to`", yes(caps.reply_to, "left out")),
        ("buttons with `data`", yes(caps.data_buttons, "numbered lines")),
        ("buttons with `url`", yes(caps.url_buttons, "links")),
        ("poll", yes(caps.polls, "numbered lines")),
        ("location", yes(caps.location, "a link to a map")),
        ("edit", yes(caps.edit, "refused")),
        ("delete", yes(caps.delete, "refused")),
        ("react", yes(caps.reactions, "refused")),
        ("typing", yes(caps.typing, "no")),
        ("an answer that grows while it is written", yes(caps.shows_drafts, "no")),
        ("the platform tells of", if told.is_empty() { "nothing".to_owned() } else { told.join(", ") }),
    ]
}
