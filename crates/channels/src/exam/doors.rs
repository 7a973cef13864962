//! Where a platform is reached by something else than HTTP: ports of the exam's server at which an examinee speaks for its platform.
//!
//! Who speaks there knows how the platform is today and plays it so in its own protocol: refuses, falls silent, hangs up. What it was
//! asked it notes, so that the exam judges it as it judges calls.

use std::sync::Arc;

use futures::future::BoxFuture;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use super::server::{Asked, Mood, Shared, locked};

/// A port.
pub struct Door {
    /// What is spoken there.
    pub name: &'static str,
    /// Speaks with one who came, until it is over.
    pub serve: fn(TcpStream, Stage) -> BoxFuture<'static, ()>,
}

/// What who speaks at a door knows, and what it notes.
#[derive(Clone)]
pub struct Stage(Arc<Shared>);

impl Stage {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self(shared)
    }

    /// How the platform is today.
    pub fn mood(&self) -> Mood {
        *self.0.mood.borrow()
    }

    /// Notes what the platform was asked.
    pub fn note(&self, asked: Asked) {
        locked(&self.0.asked).push(asked);
        self.0.count.send_modify(|count| *count += 1);
    }

    /// Notes that somebody asked for what is new, or waits for it.
    pub fn polled(&self) {
        self.0.polls.send_modify(|polls| *polls += 1);
        self.0.count.send_modify(|count| *count += 1);
    }

    /// Something that nobody was told yet.
    pub fn payload(&self) -> Option<String> {
        locked(&self.0.waiting).pop()
    }
}

pub(super) async fn open(listener: TcpListener, door: &'static Door, stage: Stage) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let Ok((stream, _)) = accepted else { return };
                connections.spawn((door.serve)(stream, stage.clone()));
            }
            Some(_) = connections.join_next() => {}
        }
    }
}
