//! Whether buttons can stand below a part.

use claw_types::ButtonAction;

use super::{Content, Piece};
use crate::caps::{ButtonRoom, Most};

impl Piece {
    /// Whether a platform with this room shows the part with all of its buttons.
    pub(super) fn fits(&self, room: Option<&ButtonRoom>) -> bool {
        let buttons = || self.buttons.iter().flatten();
        let count = buttons().count();
        let Some(room) = room.filter(|_| count > 0) else { return true };
        let has_url = buttons().any(|button| matches!(button.action, ButtonAction::Url(_)));
        let most = match &self.content {
            Content::Text(text) if has_url && room.unit.count(&text.body) > room.url_text => Most::NONE,
            Content::Text(_) => room.text,
            Content::Media { caption: None, .. } if !room.bare_media => Most::NONE,
            Content::Media { .. } => room.media,
            Content::Location(_) => room.place,
            Content::Album { .. }
            | Content::Poll(_)
            | Content::Edit { .. }
            | Content::Delete { .. }
            | Content::React { .. } => Most::NONE,
        };
        count <= if has_url { most.with_url } else { most.choices }
    }
}
