//! `Line`: drives a user agent with real sockets, a real clock and real sound.
//!
//! One loop on one thread. Whoever owns a line gives it commands and awaits [`Line::next`]; all that the agent
//! wants done happens inside.

use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use offhook_net::{NetInput, resolve};
use offhook_sip_stack::Transport;
use offhook_ua::{
    CallId, Command, Event, Input, Listener, MediaPort, MediaReport, Outbox, Question, QuestionId, RequestId,
    UserAgent,
};
use tokio::sync::mpsc;
use tokio::time::{sleep_until, timeout_at};

use crate::Failure;
use crate::clock;
use crate::console::Console;
use crate::ladder::Way;
use crate::network::Network;
use crate::sound::Sound;
use crate::tap::Tap;
use crate::wire::{MediaInput, MediaPorts, Wire};

/// A phone line that is open.
#[derive(Debug)]
pub(crate) struct Line {
    pub(crate) agent: UserAgent,
    pub(crate) tap: Tap,
    out: Outbox,
    wire: Wire,
    ports: MediaPorts,
    messages: mpsc::Receiver<NetInput>,
    packets: mpsc::Receiver<MediaInput>,
    answers: mpsc::Receiver<Answer>,
    answering: mpsc::Sender<Answer>,
    sounds: BTreeMap<CallId, Sound>,
    happened: VecDeque<Event>,
    /// Of a line that may find itself in another network.
    network: Option<Network>,
    /// When the next 20 ms of sound are due; absolute, so that the clock does not drift.
    next_frame: Option<Instant>,
}

/// What the resolver said of a name.
type Answer = (QuestionId, String, Vec<(Transport, std::net::SocketAddr)>);

/// The sockets of a line and what arrives by them.
pub(crate) struct Sockets {
    pub(crate) wire: Wire,
    pub(crate) messages: mpsc::Receiver<NetInput>,
    pub(crate) ports: MediaPorts,
    pub(crate) packets: mpsc::Receiver<MediaInput>,
}

impl Line {
    /// Puts the parts together.
    pub(crate) fn new(agent: UserAgent, tap: Tap, sockets: Sockets) -> Self {
        let (answering, answers) = mpsc::channel(64);
        let Sockets { wire, messages, ports, packets } = sockets;
        Self {
            agent,
            tap,
            out: Outbox::default(),
            wire,
            ports,
            messages,
            packets,
            answers,
            answering,
            sounds: BTreeMap::new(),
            happened: VecDeque::new(),
            network: None,
            next_frame: None,
        }
    }

    /// Goes on from another address when that is the one by which the next hop is reached.
    pub(crate) fn follow(&mut self, network: Network) {
        self.network = Some(network);
    }

    /// The terminal.
    pub(crate) fn console(&mut self) -> &mut Console {
        &mut self.tap.console
    }

    /// Does what a user wants.
    pub(crate) fn command(&mut self, command: Command) {
        self.handle(Input::Command(command));
    }

    /// Places a call with this sound.
    pub(crate) fn call(
        &mut self,
        target: offhook_sip::Uri,
        options: offhook_ua::CallOptions,
        sound: Sound,
    ) -> CallId {
        let call = self.agent.next_call();
        self.attach(call, sound);
        self.command(Command::Call { call, target, options });
        call
    }

    /// A number for a request.
    pub(crate) fn next_request(&mut self) -> RequestId {
        self.agent.next_request()
    }

    /// Gives a call its sound.
    pub(crate) fn attach(&mut self, call: CallId, sound: Sound) {
        self.sounds.insert(call, sound);
    }

    /// The sound of a call.
    pub(crate) fn sound(&mut self, call: CallId) -> Option<&mut Sound> {
        self.sounds.get_mut(&call)
    }

    /// The sound of a call that is over, to ask what was heard.
    pub(crate) fn take_sound(&mut self, call: CallId) -> Option<Sound> {
        self.sounds.remove(&call)
    }

    /// What the sound of a call is like so far.
    pub(crate) fn media_report(&self, call: CallId) -> Option<MediaReport> {
        self.agent.media_report(call)
    }

    /// Works until something happens. May be dropped at any moment and called again.
    pub(crate) async fn next(&mut self) -> Event {
        loop {
            if let Some(event) = self.happened.pop_front() {
                return event;
            }
            self.step(None).await;
        }
    }

    /// Works until something happens or the moment comes; `None` if that was first.
    pub(crate) async fn next_until(&mut self, until: Instant) -> Option<Event> {
        timeout_at(until.into(), self.next()).await.ok()
    }

    /// Works for some time and forgets what happens meanwhile: until every request is answered, at most for
    /// `patience`, and not at all if nobody ever answered.
    pub(crate) async fn settle(&mut self, patience: Duration) {
        let until = clock::now() + patience;
        while self.tap.is_waiting() && self.tap.received() > 0 && clock::now() < until {
            self.step(Some(until)).await;
            self.happened.clear();
        }
    }

    /// Waits for one thing and handles it.
    async fn step(&mut self, until: Option<Instant>) {
        let deadline = self.agent.next_deadline();
        let look = self.network.as_ref().map(Network::next_look);
        let wake = [deadline, self.next_frame, until, look].into_iter().flatten().min();
        let wake = wake.unwrap_or_else(|| clock::now() + IDLE);
        tokio::select! {
            () = sleep_until(wake.into()) => self.wake(),
            Some(packet) = self.packets.recv() => self.packet(packet),
            Some(input) = self.messages.recv() => self.message(input),
            Some((question, host, addresses)) = self.answers.recv() => {
                addresses.iter().for_each(|(_, address)| self.wire.expect(*address, &host));
                self.handle(Input::Resolved { question, addresses });
            }
        }
        let found = self.network.as_mut().and_then(|network| network.look(clock::now()));
        if let Some(Err(failure)) = found.map(|ours| self.move_to(ours)) {
            self.tap.console.note(&format!("offhook: {failure}"));
        }
    }

    /// Takes other sockets, for our address is this one now, and goes on with them. What waited in the former ones is lost, as
    /// it is with the network.
    fn move_to(&mut self, ours: IpAddr) -> Result<(), Failure> {
        let bound = self.wire.local().ip();
        let ip = if bound.is_unspecified() { bound } else { ours };
        let (wire, messages) = self.wire.again(ip)?;
        let cannot = |error| Failure::other(format!("no ports for sound at {ours}: {error}"));
        let (ports, packets) = self.ports.again(ip).map_err(cannot)?;
        let local = wire.local();
        let advertised = SocketAddr::new(ours, local.port());
        let listeners = self.agent.config().listeners.iter();
        let listeners = listeners.map(|one| Listener { local, advertised, ..*one }).collect();
        let media_ports =
            ports.locals().map(|port| MediaPort { advertised: SocketAddr::new(ours, port.port()) }).collect();
        (self.wire, self.messages, self.ports, self.packets) = (wire, messages, ports, packets);
        self.tap.set_ours(advertised);
        let before = self.network.as_mut().map(|network| network.moved(ours));
        let before = before.map(|before| format!(", it was {before}")).unwrap_or_default();
        self.tap.console.note(&format!("offhook: our address is {ours}{before}"));
        self.handle(Input::Moved { listeners, media_ports });
        Ok(())
    }

    fn wake(&mut self) {
        let now = clock::now();
        if self.agent.next_deadline().is_some_and(|deadline| deadline <= now) {
            self.handle(Input::Deadline);
        }
        while let Some(due) = self.next_frame.filter(|due| *due <= now) {
            // After a long sleep of the machine, what was missed is not made up for.
            let late = now.saturating_duration_since(due) > LATEST;
            self.next_frame = Some(if late { now + FRAME_TIME } else { due + FRAME_TIME });
            self.frame();
        }
    }

    /// Moves 20 ms of sound through every call.
    fn frame(&mut self) {
        let now = clock::now();
        for (call, sound) in self.sounds.iter_mut().filter(|(_, sound)| sound.is_moving()) {
            let rate = self.agent.sample_rate(*call);
            let said = sound.say(rate);
            let mut heard = vec![0; said.len()];
            self.agent.audio(now, *call, &said, &mut heard, &mut self.out);
            sound.hear(&heard, rate);
            if let Some(failure) = sound.take_failure() {
                self.tap.console.note(&format!("offhook: {failure}"));
            }
        }
        self.flush();
    }

    fn packet(&mut self, packet: MediaInput) {
        let MediaInput { port, component, from, bytes } = packet;
        if let Some(local) = self.ports.local(port, component) {
            self.tap.datagram(Way::Received, local, from, &bytes);
        }
        self.handle(Input::Media { port, component, from, bytes });
    }

    fn message(&mut self, input: NetInput) {
        match input {
            NetInput::Message { bytes, flow } => {
                self.wire.hear();
                if bytes.iter().any(|byte| !byte.is_ascii_whitespace()) {
                    self.tap.message(clock::now(), Way::Received, &flow, &bytes);
                }
                self.handle(Input::Message { bytes, flow });
            }
            NetInput::ConnectionLost(flow) => self.handle(Input::FlowFailed(flow)),
            NetInput::SendFailed(failed) => {
                if let Some(network) = &mut self.network {
                    network.doubt(clock::now());
                }
                let flow = failed.transmit.flow;
                let note = format!("offhook: {} {}: {}", flow.transport, flow.remote, failed.failure);
                self.tap.console.note(&note);
                self.handle(Input::FlowFailed(flow));
            }
            // The end of the connection is reported too.
            NetInput::ConnectionOpened(_) | NetInput::ConnectionProven(..) | NetInput::BadFrame { .. } => {}
        }
    }

    fn handle(&mut self, input: Input) {
        self.agent.handle(clock::now(), input, &mut self.out);
        self.flush();
    }

    /// Does what the outbox says.
    fn flush(&mut self) {
        loop {
            let now = clock::now();
            let mut failed = Vec::new();
            for transmit in std::mem::take(&mut self.out.sip.transmits) {
                self.tap.message(now, Way::Sent, &transmit.flow, &transmit.bytes);
                failed.extend(self.wire.send(transmit).err());
            }
            for close in self.out.sip.closes.drain(..) {
                self.wire.close(close.0);
            }
            for transmit in std::mem::take(&mut self.out.media) {
                if let Some(local) = self.ports.local(transmit.port, transmit.component) {
                    self.tap.datagram(Way::Sent, local, transmit.to, &transmit.bytes);
                }
                self.ports.send(&transmit);
            }
            for question in std::mem::take(&mut self.out.questions) {
                tokio::spawn(answer(question, self.answering.clone()));
            }
            for event in std::mem::take(&mut self.out.events) {
                self.observe(&event);
                if self.happened.len() < MAX_EVENTS {
                    self.happened.push_back(event);
                }
            }
            if failed.is_empty() {
                return;
            }
            for flow in failed {
                self.agent.handle(now, Input::FlowFailed(flow), &mut self.out);
            }
        }
    }

    /// Starts and stops the sound of calls.
    fn observe(&mut self, event: &Event) {
        match event {
            Event::Progress { call, early_media: true, .. } => self.begin(*call, Sound::early),
            Event::Answered { call, .. } => self.begin(*call, Sound::answered),
            Event::Ended { call, .. } => {
                if let Some(sound) = self.sounds.get_mut(call) {
                    sound.ended();
                }
                if !self.sounds.values().any(Sound::is_moving) {
                    self.next_frame = None;
                }
            }
            _ => {}
        }
    }

    fn begin(&mut self, call: CallId, how: fn(&mut Sound)) {
        if let Some(sound) = self.sounds.get_mut(&call) {
            how(sound);
            self.next_frame.get_or_insert_with(clock::now);
        }
    }
}

/// Looks a name up (RFC 3263 without DNS records beyond addresses: the transport asked for, else UDP).
async fn answer(question: Question, answers: mpsc::Sender<Answer>) {
    let transport = question.transport.unwrap_or(Transport::Udp);
    let port = question.port.unwrap_or(transport.default_port());
    let found = resolve(&question.host, port).await.unwrap_or_default();
    let addresses = found.into_iter().map(|address| (transport, address)).collect();
    let _ = answers.send((question.id, question.host, addresses)).await;
}

/// The sound clock's step.
const FRAME_TIME: Duration = Duration::from_millis(20);
/// Sound that is later than this is left out.
const LATEST: Duration = Duration::from_millis(500);
/// How long to sleep when nothing is due.
const IDLE: Duration = Duration::from_secs(3600);
/// Events that may wait for a command that does not ask for them.
const MAX_EVENTS: usize = 10_000;
