//! Value-added services. Each is a file that implements `Service` and a line in [`SERVICES`].

mod add;
#[cfg(test)]
mod added;
mod all;
mod call_back;
mod camera;
mod click;
mod clock;
mod codes;
mod conference;
mod consult;
mod echo;
mod fetch;
mod forward;
mod group;
mod guesses;
mod in_call_codes;
mod intercom;
mod keys;
mod menu;
mod page;
mod park;
mod pickup;
mod privacy;
mod queue;
mod recording;
mod supervise;
mod transfer;
mod trunk;
mod voicemail;
mod wake_up;

use std::sync::Arc;
use std::time::Duration;

use crate::b2bua::{CallId, Calls, Dialled, LegId, Point};
use crate::command::{Guest, Moderation, QueueReport};
use crate::directory::{AddressOfRecord, Delta};
use crate::proxy::Target;
use crate::refusal::Refusal;
use crate::schedule::Schedule;
use crate::speech::{Language, Speech};
pub(crate) use all::Services;
pub use call_back::{CallBackNews, Settings as CallBackSettings};
pub use camera::Camera;
pub use codes::Settings as CodeSettings;
pub use conference::Settings as ConferenceSettings;
pub(crate) use group::Hunt;
pub use group::{Group, Hours, Strategy};
pub use menu::{Action as MenuAction, MOST_KEYS, Menu, Menus, Opening, PROMPTS, Prompt};
pub use page::Page;
pub use park::Settings as ParkSettings;
pub use queue::{Queue, QueueShare, Settings as AgentSettings};
pub(crate) use recording::Wish;
pub use recording::{Announce, Announced, Settings as RecordingSettings};
pub use supervise::Settings as SuperviseSettings;
pub use voicemail::Settings as VoicemailSettings;

/// All services, in the order in which they are asked about a call.
pub const SERVICES: &[Kind] = &[
    #[cfg(test)]
    added::KIND,
    echo::KIND,
    clock::KIND,
    codes::KIND,
    conference::KIND,
    group::KIND,
    queue::KIND,
    wake_up::KIND,
    call_back::KIND,
    menu::KIND,
    // Before `pickup`, whose code is how theirs begins.
    intercom::KIND,
    page::KIND,
    park::KIND,
    pickup::KIND,
    fetch::KIND,
    transfer::KIND,
    add::KIND,
    consult::KIND,
    click::KIND,
    camera::KIND,
    recording::KIND,
    supervise::KIND,
    forward::KIND,
    voicemail::KIND,
    privacy::KIND,
    trunk::KIND,
    in_call_codes::KIND,
];

/// What a service is.
pub struct Kind {
    /// By which its settings and measures are known.
    pub name: &'static str,
    /// What it does for those who dial it.
    pub summary: &'static str,
    /// What is dialled for it; `None`: nothing is, or it is turned off.
    pub number: fn(&Settings) -> Option<&str>,
    make: fn(&Settings) -> Box<dyn Service>,
}

/// The settings of all services.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// What is dialled for the echo test; `None`: there is none.
    pub echo_number: Option<String>,
    /// What is dialled for the speaking clock; `None`: there is none.
    pub clock_number: Option<String>,
    /// Codes that change where one's calls go.
    pub codes: CodeSettings,
    /// Of rooms in which all hear each other.
    pub conference: ConferenceSettings,
    /// What is dialled to take a call that rings; `None`: nothing.
    pub pickup_number: Option<String>,
    /// What is dialled to take one's own call from another phone; `None`: nothing.
    pub fetch_number: Option<String>,
    /// What is pressed in a call to have a third party come to it; `None`: nothing.
    pub add_code: Option<String>,
    /// What is pressed in a call to transfer the other party; `None`: nothing.
    pub transfer_code: Option<String>,
    /// What is pressed in a call to talk with somebody before the other party is transferred there; `None`: nothing.
    pub consult_code: Option<String>,
    /// Whether these three, and those of recordings, are heard in calls between phones that would be forwarded otherwise.
    pub codes_in_all_calls: bool,
    /// Of call park.
    pub park: ParkSettings,
    /// Of voicemail.
    pub voicemail: VoicemailSettings,
    /// Hours by which others go.
    pub schedules: Vec<Arc<Schedule>>,
    /// The groups.
    pub groups: Vec<Group>,
    /// The queues.
    pub queues: Vec<Queue>,
    /// What agents of queues dial.
    pub agents: AgentSettings,
    /// What is dialled before a time to be woken then; `None`: nothing.
    pub wake_up_code: Option<String>,
    /// Of call backs.
    pub call_back: CallBackSettings,
    /// Voice menus.
    pub menus: Menus,
    /// What is dialled before the number of an account whose phones are to answer by themselves; `None`: nothing is.
    pub intercom: Option<String>,
    /// Groups of phones to which one speaks.
    pub pages: Vec<Page>,
    /// Cameras that are called.
    pub cameras: Vec<Camera>,
    /// Of supervision.
    pub supervise: SuperviseSettings,
    /// Of recording.
    pub recording: RecordingSettings,
    /// What is spoken.
    pub language: Language,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            echo_number: Some("*43".into()),
            clock_number: Some("*60".into()),
            codes: CodeSettings::default(),
            conference: ConferenceSettings::default(),
            transfer_code: Some("*2".into()),
            consult_code: Some("*6".into()),
            codes_in_all_calls: false,
            pickup_number: Some("*8".into()),
            fetch_number: Some("*71".into()),
            add_code: Some("*4".into()),
            park: ParkSettings::default(),
            voicemail: VoicemailSettings::default(),
            schedules: Vec::new(),
            groups: Vec::new(),
            queues: Vec::new(),
            agents: AgentSettings::default(),
            wake_up_code: Some("*55".into()),
            call_back: CallBackSettings::default(),
            menus: Menus::default(),
            intercom: Some("*80".into()),
            pages: Vec::new(),
            cameras: Vec::new(),
            supervise: SuperviseSettings::default(),
            recording: RecordingSettings::default(),
            language: Language::default(),
        }
    }
}

impl Settings {
    /// The members of groups, by all names that the configuration gives them, addresses without their scheme.
    pub(crate) fn members(&self) -> impl Iterator<Item = String> {
        let member = |member: &String| match AddressOfRecord::parse(member) {
            Ok(address) => address.as_str().to_owned(),
            Err(_) => member.clone(),
        };
        let agents = self.queues.iter().flat_map(|queue| &queue.agents);
        self.groups.iter().flat_map(|group| &group.members).chain(agents).map(member)
    }
}

/// A service, at the points of a call in which it may take part. It has verbs in [`Calls`] and never sees SIP.
pub(crate) trait Service: Send {
    /// Other settings are in force from now on, for calls that come. A service that does not see to that keeps those with which
    /// it began; its keys then need a restart (`reload.rs` of the server).
    fn configure(&mut self, _settings: &Settings) {}

    /// Somebody calls, and it is not known where that goes.
    fn incoming(&mut self, _call: CallId, _calls: &mut Calls<'_, '_, '_>) -> Verdict {
        Verdict::Continue
    }

    /// Something has happened to a call that the service has.
    fn point(&mut self, _call: CallId, _point: Point, _calls: &mut Calls<'_, '_, '_>) {}

    /// What the service wanted kept for a call is in the store, or cannot be.
    fn kept(&mut self, _call: CallId, _is_kept: bool, _calls: &mut Calls<'_, '_, '_>) {}

    /// A fact that services keep has changed.
    fn changed(&mut self, _delta: &Delta, _calls: &mut Calls<'_, '_, '_>) {}

    /// Somebody is free, or has called in vain.
    fn news(&mut self, _news: &CallBackNews, _calls: &mut Calls<'_, '_, '_>) {}

    /// The queues, if the service has any.
    fn queues(&self, _calls: &Calls<'_, '_, '_>) -> Vec<QueueReport> {
        Vec::new()
    }

    /// A time has come that the service has set by [`Calls::remind`].
    fn due(&mut self, _what: u64, _calls: &mut Calls<'_, '_, '_>) {}
    /// A call is sent to what may be a number of the service, for an account if one is known: a service that takes it says so
    /// by [`Calls::take`].
    fn given(
        &mut self,
        _call: CallId,
        (_to, _by): (&str, Option<&AddressOfRecord>),
        _calls: &mut Calls<'_, '_, '_>,
    ) -> bool {
        false
    }

    /// The party of a call of the service gives its place to that of another call: a service that agrees takes that.
    fn replaced(&mut self, _call: CallId, _by: CallId, _calls: &mut Calls<'_, '_, '_>) -> bool {
        false
    }

    /// A call waits in a slot of call park, in another shard; `None`: it is free.
    fn parked(&mut self, _slot: u32, _call: Option<(u8, CallId)>) {}

    /// Somebody wants an account to talk with another, as if it had dialled; false if the service does not see to that.
    fn wish(&mut self, _account: &AddressOfRecord, _to: &str, _calls: &mut Calls<'_, '_, '_>) -> bool {
        false
    }

    /// The button at a camera was pressed; whether something comes of it, or `None`: the service has no such camera.
    fn pressed(&mut self, _camera: &str, _calls: &mut Calls<'_, '_, '_>) -> Option<Result<(), &'static str>> {
        None
    }

    /// A folder of recordings holds these files now; returns whose mailbox it is, with its new messages and the others.
    fn mailbox(&mut self, _folder: &str, _files: &[String]) -> Option<(AddressOfRecord, u32, u32)> {
        None
    }

    /// A key was pressed by the party of a leg, in a call that the exchange hears, whosever it is.
    fn keyed(&mut self, _by: LegId, _key: char, _calls: &mut Calls<'_, '_, '_>) {}

    /// A call that had an end of ours is over, whosever it was.
    fn over(&mut self, _call: CallId, _calls: &mut Calls<'_, '_, '_>) {}

    /// Another shard says what it has of a queue.
    fn shared(&mut self, (_shard, _queue): (u8, &str), _share: QueueShare, _calls: &mut Calls<'_, '_, '_>) {}

    /// Who is in its rooms.
    fn guests(&self, _calls: &Calls<'_, '_, '_>) -> Vec<Guest> {
        Vec::new()
    }

    /// Something is to happen in a room of it; returns to how many it did.
    fn moderate(&mut self, _asked: &Moderation, _calls: &mut Calls<'_, '_, '_>) -> usize {
        0
    }

    /// It is known whom a call is for, and which phones that has, if any.
    fn routed(&mut self, _call: CallId, _calls: &mut Calls<'_, '_, '_>) -> Verdict {
        Verdict::Continue
    }

    /// Nobody takes a call: one of which a service has said that it attends it, or one that cannot ring anywhere.
    fn unanswered(&mut self, _call: CallId, _why: Why, _calls: &mut Calls<'_, '_, '_>) -> Verdict {
        Verdict::Continue
    }
}

/// The points of a call whose party wants that of another: where nothing comes of it a voice says so, and then it ends.
fn connected_or_told(call: CallId, point: Point, why: &str, calls: &mut Calls<'_, '_, '_>) {
    match point {
        Point::Dialled(Dialled::Failed(_)) => calls.say(call, Speech::new().pause(500).say(why).pause(200)),
        Point::Played => calls.hang_up(call),
        Point::Dialled(Dialled::Ringing | Dialled::Answered(_))
        | Point::Digit(_)
        | Point::Recorded(_)
        | Point::Room(_)
        | Point::Closed(_)
        | Point::Ended => {}
    }
}

/// What a service says of a call.
pub(crate) enum Verdict {
    /// It goes on as if the service was not there.
    Continue,
    /// It goes no further.
    Reject(Refusal),
    /// It does not ring: it is as if nobody had taken it for this reason, of which the caller is told this.
    Unanswered(Why, Refusal),
    /// It goes to somebody else.
    Divert(Diversion),
    /// It is for members of a group; only of [`Service::incoming`].
    Hunt(Box<Hunt>),
    /// The service has dealt with it by its verbs.
    Handled,
}

/// Where a call goes on to.
#[derive(Clone, Debug)]
pub(crate) struct Diversion {
    /// A number, the name of an account, or a URI.
    pub(crate) to: String,
    pub(crate) why: Why,
}

/// Why a call is not taken by the one who is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Why {
    /// All its calls go elsewhere.
    Always,
    /// It is busy, or declines.
    Busy,
    /// It does not want to be disturbed.
    DoNotDisturb,
    /// Its phones have rung.
    NoAnswer,
    /// It has no phone that can be reached.
    Unavailable,
    /// A phone has sent the call on by itself.
    Deflected,
}

impl Why {
    /// As a Diversion header says it (RFC 5806 §4).
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Always => "unconditional",
            Self::Busy => "user-busy",
            Self::DoNotDisturb => "do-not-disturb",
            Self::NoAnswer => "no-answer",
            Self::Unavailable => "unavailable",
            Self::Deflected => "deflection",
        }
    }
}

/// What services have made of a call that came in.
pub(crate) enum Incoming {
    /// Nothing.
    Passed,
    /// See [`Verdict::Hunt`].
    Hunt(Box<Hunt>),
    /// A service has dealt with it.
    Handled,
}

/// What services have made of a call that was on its way to phones.
pub(crate) enum Outcome {
    /// It rings there; services are asked again if nobody takes it and one has said so, after so long.
    Phones(Vec<Target>, Option<Option<Duration>>),
    /// See [`Verdict::Unanswered`].
    Unanswered(Why, Refusal),
    /// See [`Verdict::Divert`].
    Diverted(Diversion),
    /// A service has dealt with it.
    Handled,
}

impl From<Result<(), Refusal>> for Verdict {
    fn from(done: Result<(), Refusal>) -> Self {
        done.map_or_else(Self::Reject, |()| Self::Handled)
    }
}
