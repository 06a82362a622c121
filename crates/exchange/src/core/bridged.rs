//! The door to bridged calls and to the services that make them.

use std::time::Instant;

use offhook_media::command::Report;
use offhook_sip::{Method, Request, Uri};
use offhook_sip_stack::Flow;
use offhook_sip_stack::transaction::ServerId;

use super::Core;
use super::outward::Way;
use crate::b2bua::{Arriving, Env, Table};
use crate::context::Context;
use crate::identity::Caller;
use crate::proxy::{Forwarding, Target};
use crate::refusal::Refusal;
use crate::services::Services;

impl Core {
    /// The bridged calls, what they work with, and the services that may take a call.
    pub(super) fn bridged<'a, 'b>(
        &'a mut self,
        cx: &'a mut Context<'b>,
    ) -> (&'a mut Table, Env<'a, 'b>, &'a mut Services) {
        let env = Env {
            config: &self.config,
            directory: &self.directory,
            transactions: &mut self.transactions,
            anchors: &mut self.proxy.anchors,
            active: &mut self.proxy.active,
            usages: &mut self.usages,
            cx,
        };
        (&mut self.bridged, env, &mut self.services)
    }

    /// Takes a request to a user of ours: to a service, or to where the user is.
    pub(super) fn reach(
        &mut self,
        server: ServerId,
        (request, from): (Request, Flow),
        caller: Caller,
        (user, uri): (Option<String>, &Uri),
        cx: &mut Context<'_>,
    ) -> Result<(), Refusal> {
        let dialled = user.clone().unwrap_or_default();
        if self.incoming((server, &request, from), (&caller, &dialled), cx)? {
            return Ok(());
        }
        let way = match self.whereabouts(user, uri, &caller, &from, cx.unix())? {
            Way::Phones(targets) => {
                match self.routed((server, &request, from), (&caller, &dialled), targets, cx)? {
                    Some(targets) => Way::Phones(targets),
                    None => return Ok(()),
                }
            }
            out @ Way::Out(_) => out,
        };
        self.go(server, (request, from), caller, way, cx)
    }

    /// Sends a request on its way.
    pub(super) fn go(
        &mut self,
        server: ServerId,
        (request, from): (Request, Flow),
        caller: Caller,
        way: Way,
        cx: &mut Context<'_>,
    ) -> Result<(), Refusal> {
        match way {
            Way::Phones(targets) => {
                let forwarding = Forwarding { request, from, caller, targets };
                self.proxy.start(server, forwarding, &self.config, &mut self.transactions, cx)
            }
            Way::Out(to) => self.outward(server, (request, from, caller), to, cx),
        }
    }

    /// Lets services take a call whose caller is known; true if one has.
    fn incoming(
        &mut self,
        (server, request, flow): (ServerId, &Request, Flow),
        (caller, dialled): (&Caller, &str),
        cx: &mut Context<'_>,
    ) -> Result<bool, Refusal> {
        if *request.method() != Method::Invite || self.draining {
            return Ok(false);
        }
        let arriving = Arriving { server, request, flow, caller, dialled, targets: Vec::new() };
        let (bridged, mut env, services) = self.bridged(cx);
        services.incoming(bridged, &mut env, arriving)
    }

    /// Lets services take a call whose targets are known; returns the targets if none does.
    fn routed(
        &mut self,
        (server, request, flow): (ServerId, &Request, Flow),
        (caller, dialled): (&Caller, &str),
        targets: Vec<Target>,
        cx: &mut Context<'_>,
    ) -> Result<Option<Vec<Target>>, Refusal> {
        if *request.method() != Method::Invite {
            return Ok(Some(targets));
        }
        let arriving = Arriving { server, request, flow, caller, dialled, targets };
        let (bridged, mut env, services) = self.bridged(cx);
        services.routed(bridged, &mut env, arriving)
    }

    pub(crate) fn media(&mut self, report: Report, cx: &mut Context<'_>) {
        if let Report::Heard { stream, heard } = report {
            let anchors = &self.proxy.anchors;
            let call = anchors.of_stream(stream).and_then(|anchor| anchors.bridged(anchor));
            let (bridged, mut env, _) = self.bridged(cx);
            return call.map(|call| bridged.heard(call, heard, &mut env)).unwrap_or_default();
        }
        let Some((number, trouble)) = self.proxy.anchors.report(report, &self.config, cx.now) else { return };
        match self.proxy.anchors.bridged(number) {
            Some(call) => {
                let (bridged, mut env, _) = self.bridged(cx);
                bridged.trouble(call, number, trouble, &mut env);
            }
            None => self.proxy.trouble(number, trouble, &self.config, &mut self.transactions, cx),
        }
    }

    /// A folder of recordings holds these now.
    pub(crate) fn mailbox(&mut self, folder: &str, files: &[String]) {
        self.services.mailbox(folder, files);
    }

    /// Tells services what has happened to their calls, and what comes of that.
    pub(crate) fn tell_services(&mut self, cx: &mut Context<'_>) {
        while !self.usages.points.is_empty() {
            for (call, service, point) in std::mem::take(&mut self.usages.points) {
                let (bridged, mut env, services) = self.bridged(cx);
                services.point(bridged, &mut env, (call, service, point));
            }
        }
    }

    /// Ends the calls with this Call-ID, at an operator's wish; returns how many there are.
    pub(super) fn hang_up(&mut self, call_id: &str, cx: &mut Context<'_>) -> usize {
        let forwarded = self.proxy.hang_up(call_id, &self.config, &mut self.transactions, cx);
        let (bridged, mut env, _) = self.bridged(cx);
        forwarded + bridged.hang_up(call_id, &mut env)
    }

    /// Does what is due for a leg of a bridged call; false if nothing is.
    pub(crate) fn due(&mut self, cx: &mut Context<'_>) -> bool {
        let (bridged, mut env, _) = self.bridged(cx);
        bridged.due(&mut env)
    }

    /// When [`Core::due`] has something to do.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        self.usages.next_deadline()
    }
}
