//! Anchors of bridged calls: between two legs, or between a leg and an end of ours.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use offhook_media::command::{Command, EchoFormat, Order, StreamId};

use super::{Anchors, Answered};
use crate::b2bua::CallId;
use crate::config::Config;
use crate::context::Context;
use crate::proxy::protection::Manner;
use crate::proxy::signed_route::Party;
use crate::proxy::transcoding::numbers;
use crate::route::MediaTerms;

impl Anchors {
    /// An anchor between a party and an end of ours, which is to be treated like a callee with plain media.
    pub(crate) fn open_end(
        &mut self,
        call_id: &str,
        party: Party,
        manner: Manner,
        config: &Config,
        cx: &Context<'_>,
    ) -> u64 {
        let number = self.open(call_id, [party; 2], ([manner, Manner::Plain], false), config, cx);
        if let Some(anchor) = self.anchors.get_mut(&number) {
            anchor.ends_here = true;
        }
        number
    }

    /// The media of its parties has to be like this from now on, where that is not as everywhere.
    pub(crate) fn hold_to(&mut self, number: u64, terms: [Option<Arc<MediaTerms>>; 2]) {
        if let Some(anchor) = self.anchors.get_mut(&number) {
            anchor.terms = terms;
        }
    }

    /// What comes from the party goes back to it, in these formats: for each stream its place and what may come.
    pub(crate) fn echo(&self, number: u64, formats: Vec<(usize, Vec<EchoFormat>)>, cx: &mut Context<'_>) {
        let Some(anchor) = self.anchors.get(&number) else { return };
        for (at, formats) in formats {
            if let Some(Some(stream)) = anchor.streams.get(at) {
                let numbers = numbers(cx);
                cx.out.media.push(Command::Echo { stream: stream.id, formats, numbers });
            }
        }
    }

    /// An order to the end that the stream at this place has with us.
    pub(crate) fn order(&self, number: u64, at: usize, order: Order, cx: &mut Context<'_>) {
        let stream = self.anchors.get(&number).and_then(|anchor| anchor.streams.get(at)?.as_ref());
        cx.out.media.extend(stream.map(|stream| Command::Order { stream: stream.id, order }));
    }

    /// The anchor of a stream.
    pub(crate) fn of_stream(&self, stream: StreamId) -> Option<u64> {
        self.streams.get(&stream).map(|one| one.anchor)
    }

    /// Our address as the party sees it, or as the end of ours would.
    pub(crate) fn address(&self, number: u64) -> Option<IpAddr> {
        self.anchors.get(&number).map(|anchor| anchor.told[0])
    }

    /// A call whose other end is ours has been answered.
    pub(crate) fn answered_by_us(&mut self, number: u64, at: Instant) {
        if let Some(anchor) = self.anchors.get_mut(&number) {
            anchor.answered = Some(Answered { at, callee_tag: String::new(), dialog: None });
        }
    }

    /// The bridged call that an anchor is of.
    pub(crate) fn bridged(&self, number: u64) -> Option<CallId> {
        self.anchors.get(&number)?.bridged
    }
}
