//! Cameras: fetches what RTSP sources (RFC 2326) send while somebody watches, and goes on trying while one does not.
//!
//! A camera has one session however many watch. It begins with the first of them and ends some seconds after the last. RTP comes
//! within the RTSP connection, so nothing but that has to be let through. Where a camera sends us elsewhere, we do not go.

mod fetch;
#[doc(hidden)]
pub mod fuzz;
mod source;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use offhook_media::camera::{Ask, CameraId, Feed};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::sync::watch;
use tokio::time::{Instant, sleep};

pub use source::{Source, SourceError};

/// Takes what cameras send; `false`: there is no room for it, and it is lost.
pub type Sink = Arc<dyn Fn(Feed) -> bool + Send + Sync>;

/// How a camera is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum State {
    /// Nobody watches.
    #[default]
    Idle,
    /// Its session is being set up.
    Connecting,
    /// It sends.
    Live,
    /// It cannot be reached or has stopped sending, for this reason; it is tried again.
    Away(String),
}

/// A camera as an operator sees it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Its name.
    pub name: String,
    /// How it is.
    pub state: State,
    /// What of it is left out, and why; known since its last session.
    pub left_out: Vec<String>,
}

/// How all cameras are; a handle.
#[derive(Clone, Debug, Default)]
pub struct States(Arc<Mutex<BTreeMap<CameraId, Report>>>);

impl States {
    /// All of them, in the order of the configuration.
    pub fn all(&self) -> Vec<Report> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    fn change(&self, id: CameraId, change: impl FnOnce(&mut Report)) {
        let mut reports = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(report) = reports.get_mut(&id) {
            change(report);
        }
    }
}

/// Begins to look after cameras, until nobody can ask any more. Called within a tokio runtime.
pub fn start(sources: Vec<Source>, mut asks: UnboundedReceiver<Ask>, sink: Sink) -> States {
    let states = States::default();
    let mut doors = BTreeMap::new();
    for source in sources {
        let report = Report { name: source.name.clone(), state: State::Idle, left_out: Vec::new() };
        states.0.lock().unwrap_or_else(PoisonError::into_inner).insert(source.id, report);
        let (door, wanted) = watch::channel(false);
        doors.insert(source.id, door);
        let keeper =
            Keeper { source, sink: Arc::clone(&sink), states: states.clone(), since: Instant::now() };
        tokio::spawn(keeper.run(wanted));
    }
    tokio::spawn(async move {
        while let Some(ask) = asks.recv().await {
            let (Ask::Open(id) | Ask::Close(id)) = ask;
            if let Some(door) = doors.get(&id) {
                door.send_replace(matches!(ask, Ask::Open(_)));
            }
        }
    });
    states
}

/// Looks after one camera.
struct Keeper {
    source: Source,
    sink: Sink,
    states: States,
    /// What its timestamps count from.
    since: Instant,
}

/// Why a session is over.
enum Over {
    /// Nobody watches any more.
    Unwanted,
    /// This went wrong; `had`: after it had sent something.
    Failed { why: String, had: bool },
}

impl Keeper {
    async fn run(self, mut wanted: watch::Receiver<bool>) {
        while wanted.wait_for(|wanted| *wanted).await.is_ok() {
            self.serve(&mut wanted).await;
            self.set(State::Idle);
        }
    }

    /// Has sessions with it, one after the other, as long as somebody watches.
    async fn serve(&self, wanted: &mut watch::Receiver<bool>) {
        let mut pause = FIRST_PAUSE;
        loop {
            self.set(State::Connecting);
            let Over::Failed { why, had } = self.fetch(wanted).await else {
                tracing::info!(camera = %self.source.name, "nobody watches this camera any more");
                return;
            };
            tracing::warn!(camera = %self.source.name, error = %why, "this camera is not there; it is tried again");
            self.set(State::Away(why));
            self.tell(false);
            if had {
                pause = FIRST_PAUSE;
            }
            if !self.wait(pause, wanted).await {
                return;
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// Lets time pass; `false`: nobody watches any more.
    async fn wait(&self, pause: Duration, wanted: &mut watch::Receiver<bool>) -> bool {
        let over = sleep(pause);
        tokio::pin!(over);
        loop {
            tokio::select! {
                () = &mut over => return *wanted.borrow_and_update(),
                changed = wanted.changed() => {
                    if changed.is_err() {
                        return false;
                    }
                    // Who comes now has not heard of it.
                    if *wanted.borrow_and_update() {
                        self.tell(false);
                    }
                }
            }
        }
    }

    fn tell(&self, is_up: bool) {
        (self.sink)(Feed::State { camera: self.source.id, is_up });
    }

    fn set(&self, state: State) {
        self.states.change(self.source.id, |report| report.state = state);
    }
}

const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
