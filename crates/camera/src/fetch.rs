//! One session with a camera, from DESCRIBE until something ends it.

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures_util::{FutureExt as _, StreamExt as _};
use offhook_media::camera::{Coding, Feed, LARGEST_PICTURE};
use retina::client::{
    Demuxed, Described, InitialTimestampPolicy, PlayOptions, Session, SessionOptions, SetupOptions, Stream,
};
use retina::codec::{CodecItem, FrameFormat, VideoFrame};
use tokio::sync::watch;
use tokio::time::{Instant, timeout, timeout_at};

use crate::{Keeper, Over, State};

/// What of a camera's streams is fetched.
#[derive(Default)]
struct Chosen {
    pictures: Option<usize>,
    /// And whether it is A-law.
    sound: Option<(usize, bool)>,
    left_out: Vec<String>,
}

/// How far a session is.
#[derive(Default)]
struct Progress {
    /// What is added to the timestamps of its pictures, once it has sent any.
    base: Option<u32>,
    /// Whether a picture was lost, so that those which build on it are useless.
    lost: bool,
    has_told: bool,
}

impl Keeper {
    /// Fetches what the camera sends until nobody watches or it does not go on.
    pub(crate) async fn fetch(&self, wanted: &mut watch::Receiver<bool>) -> Over {
        let mut had = false;
        let session = async {
            let mut session =
                timeout(SET_UP, self.open()).await.map_err(|_| "it does not answer".to_owned())??;
            self.take(&mut session, &mut had).await
        };
        // Some descriptions that are none make their reader panic; what a camera says may end its session and nothing else.
        let session = AssertUnwindSafe(session).catch_unwind();
        let ended = tokio::select! {
            () = unwanted(wanted) => return Over::Unwanted,
            ended = session => ended,
        };
        let Err(why) = ended.unwrap_or_else(|_| Err("what it says cannot be read".to_owned()));
        Over::Failed { why, had }
    }

    async fn open(&self) -> Result<(Demuxed, Chosen), String> {
        let options = SessionOptions::default()
            .creds(self.source.credentials())
            .user_agent(concat!("offhook/", env!("CARGO_PKG_VERSION")).to_owned());
        let mut session = Session::describe(self.source.url().clone(), options).await.map_err(said)?;
        let chosen = choose(session.streams(), self.source.coding);
        let left_out = chosen.left_out.clone();
        self.states.change(self.source.id, |report| report.left_out = left_out);
        if chosen.pictures.is_none() && chosen.sound.is_none() {
            return Err(format!("it sends nothing that can be passed on: {}", chosen.left_out.join("; ")));
        }
        for stream in chosen.pictures.into_iter().chain(chosen.sound.map(|(stream, _)| stream)) {
            set_up(&mut session, stream).await?;
        }
        let options = PlayOptions::default().initial_timestamp(InitialTimestampPolicy::Permissive);
        let playing = session.play(options).await.map_err(said)?;
        Ok((playing.demuxed().map_err(said)?, chosen))
    }

    /// Hands on what comes; ends only with why it does.
    async fn take(
        &self,
        (session, chosen): &mut (Demuxed, Chosen),
        had: &mut bool,
    ) -> Result<std::convert::Infallible, String> {
        let mut progress = Progress::default();
        let mut stalls = Instant::now() + STALL;
        loop {
            let item = timeout_at(stalls, session.next()).await;
            let item = item.map_err(|_| format!("it has sent nothing for {} s", STALL.as_secs()))?;
            let item = item.ok_or("it has ended the session")?.map_err(said)?;
            let is_media = match item {
                CodecItem::VideoFrame(frame) => {
                    self.picture(frame, &mut progress);
                    true
                }
                CodecItem::AudioFrame(frame) => {
                    if let Some((_, is_a_law)) = chosen.sound {
                        let bytes = frame.data().to_vec().into();
                        (self.sink)(Feed::Sound { camera: self.source.id, is_a_law, bytes });
                    }
                    true
                }
                _ => false,
            };
            if is_media {
                stalls = Instant::now() + STALL;
                *had = true;
                if !std::mem::replace(&mut progress.has_told, true) {
                    tracing::info!(camera = %self.source.name, "this camera is watched");
                    self.set(State::Live);
                    self.tell(true);
                }
            }
        }
    }

    fn picture(&self, frame: VideoFrame, progress: &mut Progress) {
        let Some(coding) = self.source.coding else { return };
        let is_key = frame.is_random_access_point();
        let elapsed = frame.timestamp().elapsed() as u32;
        // Its own clock begins anew with each session; ours goes on.
        let ours = (self.since.elapsed().as_millis() as u32).wrapping_mul(CLOCK / 1000);
        let base = *progress.base.get_or_insert_with(|| ours.wrapping_sub(elapsed));
        progress.lost |= frame.loss() > 0;
        if frame.data().len() > LARGEST_PICTURE {
            tracing::warn!(camera = %self.source.name, octets = frame.data().len(), "a picture is too large");
            progress.lost = true;
            return;
        }
        if progress.lost && !is_key {
            return;
        }
        let timestamp = base.wrapping_add(elapsed);
        let (camera, units) = (self.source.id, frame.into_data().into());
        progress.lost = !(self.sink)(Feed::Picture { camera, coding, units, timestamp, is_key });
    }
}

/// Returns when nobody watches, and nobody has come back for a while.
async fn unwanted(wanted: &mut watch::Receiver<bool>) {
    loop {
        if wanted.wait_for(|wanted| !*wanted).await.is_err() {
            return;
        }
        if !matches!(timeout(LINGER, wanted.wait_for(|wanted| *wanted)).await, Ok(Ok(_))) {
            return;
        }
    }
}

async fn set_up(session: &mut Session<Described>, stream: usize) -> Result<(), String> {
    // Units with their lengths, parameter sets before each picture that stands for itself.
    let format = FrameFormat::default();
    session.setup(stream, SetupOptions::default().frame_format(format)).await.map_err(said)
}

/// The first stream of pictures and the first of sound that can be passed on; why others cannot.
fn choose(streams: &[Stream], coding: Option<Coding>) -> Chosen {
    let mut chosen = Chosen::default();
    for (number, stream) in streams.iter().enumerate() {
        let name = stream.encoding_name().to_ascii_lowercase();
        match stream.media() {
            "video" => match coding {
                Some(coding) if coding.name().eq_ignore_ascii_case(&name) => {
                    chosen.pictures.get_or_insert(number);
                }
                Some(coding) => chosen.left_out.push(format!(
                    "its pictures are {name}, and {} is wanted (the key video of its [[camera]])",
                    coding.name()
                )),
                None => {}
            },
            "audio" if matches!(name.as_str(), "pcma" | "pcmu") && stream.clock_rate_hz() == 8000 => {
                chosen.sound.get_or_insert((number, name == "pcma"));
            }
            "audio" => chosen.left_out.push(format!("its sound is {name}, and only G.711 can be passed on")),
            _ => {}
        }
    }
    if chosen.pictures.is_some() {
        chosen.left_out.retain(|one| !one.starts_with("its pictures"));
    }
    if chosen.sound.is_some() {
        chosen.left_out.retain(|one| !one.starts_with("its sound"));
    }
    chosen
}

/// An error in one line.
fn said(error: retina::Error) -> String {
    let text = error.to_string();
    let line: String = text.lines().map(str::trim).filter(|line| !line.is_empty()).take(1).collect();
    line.chars().take(LONGEST_ERROR).collect()
}

/// For so long a camera may take until it sends.
const SET_UP: Duration = Duration::from_secs(10);
/// A camera that sends nothing for so long has stalled.
const STALL: Duration = Duration::from_secs(10);
/// For so long a session goes on when nobody watches: who hangs up often calls again.
const LINGER: Duration = Duration::from_secs(5);
const LONGEST_ERROR: usize = 200;
/// Of pictures, in Hz.
const CLOCK: u32 = 90_000;
