//! Asks phones that registered over TLS how they protect media (OPTIONS, RFC 3261 §11), so that the first offer is one
//! that they take.

use std::collections::HashMap;

use offhook_sdp::{MediaKind, Profile, Sdp};
use offhook_sip::{Method, Name, Request, RequestBuilder, Response, Uri, Via};
use offhook_sip_stack::transaction::{ClientId, Transactions};
use offhook_sip_stack::{ConnectionId, Transport};

use crate::config::{Config, SrtpPolicy};
use crate::context::Context;
use crate::directory::{AddressOfRecord, Binding, Bindings};

/// What has been asked and not been answered.
#[derive(Default)]
pub(crate) struct Inquiries(HashMap<ClientId, Asked>);

/// Whom we have asked.
#[derive(Clone)]
pub(crate) struct Asked {
    pub(crate) record: AddressOfRecord,
    pub(crate) connection: ConnectionId,
}

impl Inquiries {
    /// Of an account's phones those that there is something to ask, which are few.
    pub(crate) fn whom(
        &self,
        record: &AddressOfRecord,
        bindings: &Bindings,
        config: &Config,
    ) -> Vec<(AddressOfRecord, Binding)> {
        let is_asked = |id| self.0.values().any(|one| one.connection == id);
        let is_open = |one: &&Binding| {
            one.flow.transport == Transport::Tls
                && one.media.is_none()
                && one.path.is_empty()
                && config.srtp != SrtpPolicy::Off
                && one.flow.connection.is_some_and(|id| !is_asked(id))
        };
        let room = MOST.saturating_sub(self.0.len());
        let open = bindings.0.iter().filter(is_open).take(room);
        open.map(|one| (record.clone(), one.clone())).collect()
    }

    /// Asks a phone.
    pub(crate) fn ask(
        &mut self,
        record: AddressOfRecord,
        binding: &Binding,
        config: &Config,
        transactions: &mut Transactions,
        cx: &mut Context<'_>,
    ) {
        let Some(connection) = binding.flow.connection else { return };
        if let Some(options) = options(binding, config, cx) {
            let client = transactions.send_request_on(options, binding.flow, &mut cx.sip());
            self.0.insert(client, Asked { record, connection });
        }
    }

    /// Takes a final answer: whom it is of, and the profile of the sound that the phone would offer.
    pub(crate) fn answered(&mut self, client: ClientId, response: &Response) -> Option<(Asked, Profile)> {
        if response.status().is_provisional() {
            return None;
        }
        let asked = self.0.remove(&client)?;
        let sdp = Sdp::parse(response.body()).ok()?;
        let sound = sdp.media().find(|media| media.kind() == MediaKind::Audio)?;
        Some((asked, sound.profile()))
    }

    /// No answer comes any more.
    pub(crate) fn ended(&mut self, client: ClientId) {
        self.0.remove(&client);
    }

    /// Whether nothing is asked.
    pub(crate) fn is_idle(&self) -> bool {
        self.0.is_empty()
    }
}

fn options(binding: &Binding, config: &Config, cx: &mut Context<'_>) -> Option<Request> {
    let target: Uri = binding.contact.parse().ok()?;
    let flow = &binding.flow;
    let (branch, tag, call_id) = (cx.sip().branch(), cx.sip().tag(), cx.sip().call_id());
    let via = Via::new(flow.transport.into(), config.sent_by(flow), &branch).with_rport();
    let options = RequestBuilder::new(Method::Options, &target)
        .header(Name::Via, via)
        .header(Name::MaxForwards, 70)
        .header(Name::From, format_args!("<sip:{}>;tag={tag}", config.realm))
        .header(Name::To, format_args!("<{target}>"))
        .header(Name::CallId, call_id)
        .header(Name::CSeq, "1 OPTIONS")
        .header(Name::Accept, "application/sdp");
    Some(options.finish())
}

/// At one time; who is not asked is offered one way after the other.
const MOST: usize = 1_000;
