//! Cameras: who calls one sees and hears it, and its button makes it call others, who then do.
//!
//! What a camera sends comes from outside (`offhook_media::camera`); this service says who gets it. A phone that shows no
//! pictures, or none of this kind, gets the sound alone.

use std::collections::BTreeMap;
use std::time::Duration;

use offhook_media::camera::{CameraId, Coding};
use offhook_media::voice::Clip;

use super::{Kind, Service, Settings as All, Verdict};
use crate::b2bua::{CallId, Calls, Dial, Dialled, Endpoint, Point, ShownAs};
use crate::directory::AddressOfRecord;
use crate::speech::Speech;

pub(super) const KIND: Kind = Kind {
    name: "camera",
    summary: "shows a camera or door station, which may call others: [[camera]]",
    number: |settings| settings.cameras.first().map(|camera| camera.number.as_str()),
    make: |settings| Box::new(Cameras::new(settings)),
};

/// A camera.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Camera {
    /// By which media knows it.
    pub id: CameraId,
    /// What it is called; shown to those whom it calls.
    pub name: String,
    /// What is dialled for it.
    pub number: String,
    /// How its pictures are coded; `None`: only its sound is wanted.
    pub coding: Option<Coding>,
    /// Whom its button calls: numbers and names of accounts.
    pub calls: Vec<String>,
    /// For how long they ring.
    pub rings_for: Duration,
}

impl Camera {
    fn endpoint(&self) -> Endpoint {
        self.coding.map_or(Endpoint::Voice, |coding| Endpoint::Camera(self.id, coding))
    }
}

struct Cameras {
    cameras: Vec<Camera>,
    calls: BTreeMap<CallId, Watching>,
}

/// A call with a camera.
struct Watching {
    /// The place of the camera.
    camera: usize,
    step: Step,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// The camera calls, and nobody has answered.
    Rings,
    /// It is seen and heard, or it is said that it is not there.
    Watches,
    /// It is told that too many watch, and goes.
    Goes,
}

impl Cameras {
    fn new(settings: &All) -> Self {
        Self { cameras: settings.cameras.clone(), calls: BTreeMap::new() }
    }

    fn place(&self, number: &str) -> Option<usize> {
        self.cameras.iter().position(|camera| camera.number == number)
    }

    fn begin(&mut self, call: CallId, at: usize, calls: &mut Calls<'_, '_, '_>) {
        calls.play(call, vec![Clip::Live(self.cameras[at].id)]);
        self.calls.insert(call, Watching { camera: at, step: Step::Watches });
    }
}

impl Service for Cameras {
    fn incoming(&mut self, call: CallId, calls: &mut Calls<'_, '_, '_>) -> Verdict {
        let Some(at) = calls.dialled(call).and_then(|number| self.place(number)) else {
            return Verdict::Continue;
        };
        if !calls.is_from_account(call) && calls.diverted_by(call).is_none() {
            return Verdict::Continue;
        }
        let answered = calls.answer(call, self.cameras[at].endpoint());
        if answered.is_ok() {
            self.begin(call, at, calls);
        }
        answered.into()
    }

    fn given(
        &mut self,
        call: CallId,
        (to, _): (&str, Option<&AddressOfRecord>),
        calls: &mut Calls<'_, '_, '_>,
    ) -> bool {
        let Some(at) = self.place(to).filter(|_| calls.take(call)) else { return false };
        self.begin(call, at, calls);
        true
    }

    fn pressed(&mut self, name: &str, calls: &mut Calls<'_, '_, '_>) -> Option<Result<(), &'static str>> {
        let at = self.cameras.iter().position(|camera| camera.name == name)?;
        let camera = &self.cameras[at];
        if camera.calls.is_empty() {
            return Some(Err("This camera calls nobody: its [[camera]] has no calls"));
        }
        // Who presses again while it rings is not there twice.
        let rings = |one: &Watching| one.camera == at && one.step == Step::Rings;
        if !self.calls.values().any(rings) {
            let shown = ShownAs::Exchange(camera.number.clone(), camera.name.clone());
            let (to, rings_for) = (camera.calls.clone(), camera.rings_for);
            let dial = Dial { to, rings_for, endpoint: camera.endpoint(), ..Dial::new("", None, shown) };
            self.calls.insert(calls.originate(dial), Watching { camera: at, step: Step::Rings });
        }
        Some(Ok(()))
    }

    fn point(&mut self, call: CallId, point: Point, calls: &mut Calls<'_, '_, '_>) {
        let Some(watching) = self.calls.get_mut(&call) else { return };
        let live = Clip::Live(self.cameras[watching.camera].id);
        let speech = Speech::new().pause(SETTLE_MS);
        match (watching.step, point) {
            (_, Point::Ended | Point::Dialled(Dialled::Failed(_))) => _ = self.calls.remove(&call),
            (Step::Rings, Point::Dialled(Dialled::Answered(_))) => {
                watching.step = Step::Watches;
                calls.play(call, vec![live]);
            }
            // It has gone away, or was not there; it may come back at any time.
            (Step::Watches, Point::Played) => {
                calls.say(call, speech.say("camera-unreachable").pause(AGAIN_MS).clip(live));
            }
            (Step::Watches, Point::Closed(_)) => {
                watching.step = Step::Goes;
                calls.say(call, speech.say("camera-full").pause(200));
            }
            (Step::Goes, Point::Played) => calls.hang_up(call),
            (
                Step::Rings | Step::Watches | Step::Goes,
                Point::Digit(_)
                | Point::Played
                | Point::Recorded(_)
                | Point::Room(_)
                | Point::Closed(_)
                | Point::Dialled(_),
            ) => {}
        }
    }
}

/// What a phone needs until it is at the caller's ear.
const SETTLE_MS: u32 = 500;
/// How long it is before it is said again that a camera is not there.
const AGAIN_MS: u32 = 4_000;
