//! What the operator asks of a shard.

use super::Core;
use crate::b2bua::CallId;
use crate::command::{self, Answer, Command, Ticket};
use crate::context::Context;
use crate::directory::{Bindings, Delta};

impl Core {
    pub(crate) fn command(&mut self, ticket: Ticket, command: Command, cx: &mut Context<'_>) {
        let answer = match command {
            Command::Apply(delta) => {
                let delta = *delta;
                // Bindings live in the journal, which only their shard writes.
                let bindings = match &delta {
                    Delta::AccountRemoved(address) => Some((address.clone(), Bindings::default())),
                    Delta::Bindings(address, bindings) => Some((address.clone(), bindings.clone())),
                    Delta::Account(_)
                    | Delta::Number(..)
                    | Delta::Mailbox(..)
                    | Delta::Texts(..)
                    | Delta::Answering(..)
                    | Delta::Agent(..)
                    | Delta::WakeUp(..)
                    | Delta::CallBack(..)
                    | Delta::Rights(..)
                    | Delta::Banned(_)
                    | Delta::BanLifted(_)
                    | Delta::Limits(..) => None,
                };
                self.apply(delta, cx);
                if let Some((address, bindings)) = bindings.filter(|(one, _)| self.is_home(one, cx)) {
                    // To others what we said of it before may come after the command.
                    self.change(&address, bindings, cx);
                }
                Answer::Done
            }
            Command::Status => Answer::Status(command::Status {
                accounts: self.directory.accounts(),
                bindings: self.directory.live_bindings(cx.unix()).count(),
                transactions: self.transactions.len(),
                ringing: self.proxy.ringing() + self.bridged.ringing(),
                anchored: self.proxy.anchored(),
                free_ports: self.proxy.free_ports(cx.now),
                subscriptions: self.presence.len(),
                leaving: self.trunks.leaving(cx.now),
            }),
            Command::Calls => {
                let mut calls = self.proxy.calls(cx);
                calls.extend(self.bridged.live(cx));
                Answer::Calls(calls)
            }
            Command::HangUp(call_id) => Answer::HungUp(self.hang_up(&call_id, cx)),
            Command::Connect(account, to) => self.connect(&account, &to, cx),
            Command::PressButton(camera) => self.press_button(&camera, cx),
            Command::Conferences => {
                let (bridged, mut env, services) = self.bridged(cx);
                Answer::Conferences(services.guests(bridged, &mut env))
            }
            Command::Moderate(asked) => Answer::Moderated(self.moderate(&asked, cx)),
            Command::Trunks => Answer::Trunks(self.trunk_reports(cx.now)),
            Command::TryTrunk(name, number) => {
                let at = self.config.trunks.iter().position(|trunk| trunk.name == name);
                if let Some(at) = at {
                    self.tend(cx, |trunks, desk| trunks.try_call(at, &number, desk));
                }
                Answer::Done
            }
            Command::CheckTrunk(name) => {
                let at = self.config.trunks.iter().position(|trunk| trunk.name == name);
                if let Some(at) = at {
                    self.tend(cx, |trunks, desk| trunks.check(at, desk));
                }
                Answer::Done
            }
            Command::Lines(lines) => {
                self.take_over(&lines, cx);
                Answer::Done
            }
            Command::Configure(config) => {
                self.configure(&config, cx);
                Answer::Done
            }
            Command::Rates(rates) => {
                self.proxy.active.spending.rates = rates;
                Answer::Done
            }
            Command::Spending(account) => {
                let now = cx.epoch.unix(cx.now);
                Answer::Spending(self.proxy.active.spending.reports(account.as_ref(), now))
            }
            Command::Kept { shard, ticket, is_kept } => {
                if shard == cx.shard {
                    let (bridged, mut env, services) = self.bridged(cx);
                    services.kept(bridged, &mut env, (CallId(ticket), is_kept));
                }
                Answer::Done
            }
            Command::Queues => {
                let (bridged, mut env, services) = self.bridged(cx);
                Answer::Queues(services.queues(bridged, &mut env))
            }
            Command::Groups => Answer::Groups(self.group_reports(cx)),
            Command::Devices => Answer::Devices(self.directory.devices(cx.unix())),
        };
        cx.out.answers.push((ticket, answer));
    }
}
