//! The whole server as one state machine.

use std::time::Instant;

use offhook_media::lease::PortBlock;
use offhook_sip_stack::transaction::Owner;
use offhook_sip_stack::{Rng, Timers};
use rand::SeedableRng as _;

use crate::config::{Config, Epoch};
use crate::context::{Alarm, Context};
use crate::core::Core;
use crate::io::{Input, Outbox, ShardMessage};

/// One shard: everything that belongs to the calls it owns, and its copy of the directory.
pub struct Shard {
    number: u8,
    epoch: Epoch,
    core: Core,
    rng: Rng,
    sip_timers: Timers<Owner>,
    timers: Timers<Alarm>,
}

impl Shard {
    /// A shard with an empty directory.
    ///
    /// `seed` makes its tags and branches: the same seed gives the same run. `ports` are the media ports lent to
    /// it.
    pub fn new(number: u8, config: Config, epoch: Epoch, seed: [u8; 32], ports: &[PortBlock]) -> Self {
        let mut timers = Timers::new();
        timers.arm(epoch.instant + Core::SWEEP, Alarm::Sweep);
        let core = Core::new(number, config, ports);
        core.trunks_kept().for_each(|at| timers.arm(epoch.instant + Core::FIRST, Alarm::Trunk(at)));
        Self { number, epoch, core, rng: Rng::from_seed(seed), sip_timers: Timers::new(), timers }
    }

    /// Takes one input at the moment `now`, after whatever was due before it.
    pub fn handle(&mut self, now: Instant, input: Input, out: &mut Outbox) {
        let events = out.events.len();
        let mut cx = Context {
            now,
            shard: self.number,
            epoch: self.epoch,
            rng: &mut self.rng,
            sip_timers: &mut self.sip_timers,
            timers: &mut self.timers,
            out,
        };
        loop {
            if let Some((deadline, owner)) = cx.sip_timers.pop_due(now) {
                self.core.transaction_timeout(owner, deadline, &mut cx);
            } else if let Some((_, alarm)) = cx.timers.pop_due(now) {
                self.core.alarm(alarm, &mut cx);
            } else if !self.core.due(&mut cx) {
                break;
            }
            self.core.attend(&mut cx);
        }
        match input {
            Input::Datagram { flow, bytes } | Input::StreamMessage { flow, bytes } => {
                self.core.receive(flow, bytes, &mut cx);
            }
            Input::FromShard(ShardMessage::Datagram { flow, bytes }) => {
                self.core.receive_handed_over(flow, bytes, &mut cx);
            }
            Input::BrokenStream { flow, head } => self.core.broken_stream(flow, &head, &mut cx),
            Input::Proven(connection, domains) => self.core.proven(connection, domains),
            Input::FlowFailed(flow) => self.core.flow_failed(&flow, &mut cx),
            Input::FromShard(ShardMessage::Delta(delta)) => self.core.apply(delta, &mut cx),
            Input::FromShard(ShardMessage::Watched { account, watched }) => {
                self.core.watched_elsewhere(account, watched);
            }
            Input::FromShard(ShardMessage::TextKept { account, tried }) => {
                self.core.text_kept(&account, tried, &mut cx);
            }
            Input::FromShard(ShardMessage::Line { shard, account, line }) => {
                self.core.has_line(shard, &account, line, &mut cx);
            }
            Input::FromShard(ShardMessage::Supervise(asked)) => self.core.supervise_here(&asked, &mut cx),
            Input::FromShard(ShardMessage::Supervised { room, heard }) => {
                self.core.supervised(room, heard, &mut cx);
            }
            Input::FromShard(ShardMessage::Activity { shard, account, calls }) => {
                self.core.active_elsewhere(shard, account, calls);
            }
            Input::FromShard(ShardMessage::Member { shard, account, calls }) => {
                self.core.member_elsewhere(shard, account, calls, now);
            }
            Input::FromShard(ShardMessage::CallBack(news)) => self.core.call_back_news(&news, &mut cx),
            Input::FromShard(ShardMessage::Queue { shard, number, share }) => {
                self.core.queue_elsewhere(shard, &number, *share, &mut cx);
            }
            Input::FromShard(ShardMessage::Handed(handed)) => self.core.handed(handed, &mut cx),
            Input::FromShard(ShardMessage::Halves(said)) => self.core.halves(said, &mut cx),
            Input::FromShard(ShardMessage::Spending { shard, account, day, share }) => {
                self.core.note_spending(shard, account, day, *share, &mut cx);
            }
            Input::FromShard(ShardMessage::Trunk { trunk, state }) => self.core.note_trunk(trunk, *state),
            Input::FromShard(ShardMessage::TrunkLoad { shard, trunk, calls, begun }) => {
                self.core.note_trunk_load(shard, trunk, calls, begun, now);
            }
            Input::Media(report) => self.core.media(report, &mut cx),
            Input::Resolved(ticket, answer) => self.core.resolved(ticket, answer, &mut cx),
            Input::Fetched(ticket, answer) => self.core.fetched(ticket, answer, &mut cx),
            Input::Stored(ticket, answer) => self.core.stored(ticket, answer, &mut cx),
            Input::Command(ticket, command) => self.core.command(ticket, command, &mut cx),
            Input::Mailbox(folder, files) => self.core.mailbox(&folder, &files, &mut cx),
            Input::Watches(all) => self.core.restore_watches(&all, &mut cx),
            Input::Waited(waited) => self.core.waited(waited, &mut cx),
            Input::Deadline => {}
            Input::Drain => self.core.drain(&mut cx),
        }
        self.core.attend(&mut cx);
        self.core.tell_services(&mut cx);
        self.core.follow_members(events, &cx);
        self.core.follow_call_backs(&mut cx);
        self.core.tell_activity(&mut cx);
        self.core.follow_calls(events, &mut cx);
    }

    /// When to call [`Shard::handle`] at the latest.
    pub fn next_deadline(&self) -> Option<Instant> {
        let above = [self.timers.next_deadline(), self.core.next_deadline()];
        above.into_iter().chain([self.sip_timers.next_deadline()]).flatten().min()
    }

    /// How many transactions are not over.
    pub fn transactions(&self) -> usize {
        self.core.transactions()
    }

    /// Whether new calls are being refused because more comes than can be done.
    pub fn is_refusing(&self) -> bool {
        self.core.is_refusing()
    }

    /// Whether no transaction, call or lent port is left.
    pub fn is_idle(&self) -> bool {
        self.core.is_idle()
    }
}
