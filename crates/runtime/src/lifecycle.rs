//! Start, drain, stop: two shutdown tokens and a tracker.
//!
//! `soft` asks everything to finish what it has and take nothing new. `hard` ends what did not finish within the
//! grace period, or at a second signal. A task that panics begins the shutdown of the whole process: a role with a
//! dead part is worse than a restarted one, because nothing accepted is lost by a restart.

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use futures::FutureExt as _;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{error, info, warn};

/// Why the process did not end well.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// A part of it failed.
    #[error("{0}")]
    Task(String),
    /// Something did not finish in time.
    #[error("did not finish within the grace period of {0:?}; unfinished messages stay safe in the database")]
    Grace(Duration),
    /// The signal handlers could not be set.
    #[error("can't listen for signals")]
    Signals(#[source] std::io::Error),
}

/// Owns the tasks of a process. Cheap to clone.
#[derive(Clone, Default)]
pub struct Lifecycle {
    soft: CancellationToken,
    hard: CancellationToken,
    tracker: TaskTracker,
    failure: Arc<OnceLock<String>>,
}

impl Lifecycle {
    /// Nothing runs yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Cancelled when a shutdown begins.
    pub fn soft(&self) -> CancellationToken {
        self.soft.clone()
    }

    /// Cancelled when the grace period is over.
    pub fn hard(&self) -> CancellationToken {
        self.hard.clone()
    }

    /// Runs `task` until it ends by itself or is forced to; shutdown waits for it.
    pub fn spawn(&self, name: &'static str, task: impl Future<Output = ()> + Send + 'static) {
        let this = self.clone();
        self.tracker.spawn(async move {
            let hard = this.hard.clone();
            let guarded = AssertUnwindSafe(task).catch_unwind();
            tokio::select! {
                biased;
                result = guarded => if result.is_err() {
                    this.fail(format!("the task {name:?} panicked"));
                },
                () = hard.cancelled() => {}
            }
        });
    }

    /// Ends the process because of `reason`; the first reason is the one reported.
    pub fn fail(&self, reason: String) {
        error!(%reason, "shutting down: {reason}");
        drop(self.failure.set(reason));
        self.soft.cancel();
    }

    /// Begins the shutdown.
    pub fn shutdown(&self) {
        self.soft.cancel();
    }

    /// Waits for SIGTERM, SIGINT or a failure, then for every task, at most `grace` long.
    ///
    /// # Errors
    /// When a part failed or did not finish in time.
    pub async fn run_until_signal(self, grace: Duration) -> Result<(), Failure> {
        let mut term = signal(SignalKind::terminate()).map_err(Failure::Signals)?;
        let mut int = signal(SignalKind::interrupt()).map_err(Failure::Signals)?;
        tokio::select! {
            _ = term.recv() => info!("SIGTERM: draining"),
            _ = int.recv() => info!("interrupted: draining"),
            () = self.soft.cancelled() => {}
        }
        tokio::select! {
            result = self.clone().finish(grace) => result,
            _ = term.recv() => self.abort().await,
            _ = int.recv() => self.abort().await,
        }
    }

    async fn abort(self) -> Result<(), Failure> {
        warn!("second signal: not waiting any longer");
        self.finish(Duration::ZERO).await
    }

    /// Shuts down and waits for every task, at most `grace` long.
    ///
    /// # Errors
    /// When a part failed or did not finish in time.
    pub async fn finish(self, grace: Duration) -> Result<(), Failure> {
        self.soft.cancel();
        self.tracker.close();
        let in_time = tokio::time::timeout(grace, self.tracker.wait()).await.is_ok();
        self.hard.cancel();
        self.tracker.wait().await;
        match self.failure.get() {
            Some(reason) => Err(Failure::Task(reason.clone())),
            None if in_time => Ok(()),
            None => Err(Failure::Grace(grace)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_ends_the_process_with_its_name() {
        let lifecycle = Lifecycle::new();
        lifecycle.spawn("fragile", async { panic!("on purpose") });
        lifecycle.soft().cancelled().await;
        let failure = lifecycle.finish(Duration::from_secs(1)).await.unwrap_err();
        assert_eq!(failure.to_string(), "the task \"fragile\" panicked");
    }

    #[tokio::test(start_paused = true)]
    async fn a_task_that_does_not_end_is_ended() {
        let lifecycle = Lifecycle::new();
        lifecycle.spawn("stubborn", std::future::pending());
        let failure = lifecycle.finish(Duration::from_secs(5)).await.unwrap_err();
        assert!(matches!(failure, Failure::Grace(_)));
    }

    #[tokio::test]
    async fn a_task_may_finish_what_it_has() {
        let lifecycle = Lifecycle::new();
        let soft = lifecycle.soft();
        let (done, finished) = tokio::sync::oneshot::channel();
        lifecycle.spawn("polite", async move {
            soft.cancelled().await;
            done.send(()).unwrap();
        });
        lifecycle.finish(Duration::from_secs(5)).await.unwrap();
        finished.await.unwrap();
    }
}
