//! The DTLS handshake of one end by itself, for who sends and receives without a [`crate::session`] (RFC 5763, RFC 5764).

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use offhook_rtp::srtp::{MasterKey, Suite};

use crate::command::{DtlsRole, Fingerprint, InsecureReason};
use crate::identity::Identity;
use crate::secure::dtls::{Dtls, Ended, Source};

/// A handshake with one peer.
#[derive(Debug)]
pub struct Handshake {
    dtls: Dtls,
    peer: SocketAddr,
}

/// What a step of a handshake led to.
#[derive(Debug, Default)]
pub struct Step {
    /// Datagrams for the peer, in order.
    pub send: Vec<Bytes>,
    /// How it ended, if it has.
    pub ended: Option<Result<Agreed, InsecureReason>>,
}

/// The keys that were agreed.
#[derive(Debug)]
pub struct Agreed {
    /// Of both directions.
    pub suite: Suite,
    /// What we protect with.
    pub ours: MasterKey,
    /// What the peer protects with.
    pub theirs: MasterKey,
}

impl Handshake {
    /// With whoever has the certificate of this fingerprint, at this address.
    #[must_use]
    pub fn new(identity: Arc<Identity>, role: DtlsRole, theirs: Fingerprint, peer: SocketAddr) -> Self {
        Self { dtls: Dtls::new(identity, role, theirs), peer }
    }

    /// Takes a DTLS record that came from the peer.
    pub fn receive(&mut self, now: Instant, packet: &[u8]) -> Step {
        self.step(|dtls, peer, flight| dtls.receive(now, (peer, Source::Signalled), packet, flight))
    }

    /// Begins, as the client; sends again what seems to be lost; gives up in the end. To be called every few
    /// milliseconds.
    pub fn pass(&mut self, now: Instant) -> Step {
        if self.dtls.must_begin() {
            self.step(|dtls, peer, flight| dtls.begin(now, peer, flight))
        } else if self.dtls.deadline().is_some_and(|deadline| deadline <= now) {
            self.step(|dtls, _, flight| dtls.timeout(now, flight))
        } else {
            Step::default()
        }
    }

    fn step(
        &mut self,
        take: impl FnOnce(&mut Dtls, SocketAddr, &mut Vec<(SocketAddr, Bytes)>) -> Option<Ended>,
    ) -> Step {
        let mut flight = Vec::new();
        let ended = take(&mut self.dtls, self.peer, &mut flight).map(|ended| match ended {
            Ended::Secured { keys, .. } => {
                Ok(Agreed { suite: keys.suite, ours: keys.ours, theirs: keys.theirs })
            }
            Ended::Insecure(reason) => Err(reason),
        });
        Step { send: flight.into_iter().map(|(_, packet)| packet).collect(), ended }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rcgen::{CertificateParams, KeyPair};

    use super::*;

    fn identity() -> Arc<Identity> {
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::default().self_signed(&key).unwrap();
        Arc::new(Identity::new(certificate.der().to_vec(), key.serialize_der()).unwrap())
    }

    /// How the handshake ends at the client and at the server, when the client was promised this certificate.
    fn shake(promised: impl Fn(&Identity) -> Fingerprint) -> [Option<Result<Agreed, InsecureReason>>; 2] {
        #[allow(clippy::disallowed_methods, reason = "a moment to begin with; nothing depends on it")]
        let mut now = Instant::now();
        let (one, two) = (identity(), identity());
        let (client, server) = ("192.0.2.1:4000".parse().unwrap(), "192.0.2.2:4000".parse().unwrap());
        let mut ends = [
            Handshake::new(one.clone(), DtlsRole::Client, promised(&two), server),
            Handshake::new(two, DtlsRole::Server, one.fingerprint(), client),
        ];
        let mut ended = [None, None];
        for _ in 0..100 {
            for from in [0, 1] {
                let mut step = ends[from].pass(now);
                ended[from] = step.ended.take().or(ended[from].take());
                let mut send = step.send;
                // What one says leads to what the other says.
                let mut side = from;
                while !send.is_empty() {
                    side = 1 - side;
                    let steps: Vec<Step> =
                        send.iter().map(|packet| ends[side].receive(now, packet)).collect();
                    send = Vec::new();
                    for step in steps {
                        ended[side] = step.ended.or(ended[side].take());
                        send.extend(step.send);
                    }
                }
            }
            now += Duration::from_millis(10);
        }
        ended
    }

    #[test]
    fn both_ends_agree_on_keys() {
        let [Some(Ok(client)), Some(Ok(server))] = shake(Identity::fingerprint) else {
            panic!("no keys");
        };
        assert_eq!(client.suite, server.suite);
        assert_eq!((client.ours, client.theirs), (server.theirs, server.ours));
    }

    #[test]
    fn another_certificate_than_the_promised_one_ends_it() {
        let [client, _] = shake(|_| identity().fingerprint());
        assert!(matches!(client, Some(Err(InsecureReason::FingerprintMismatch))), "{client:?}");
    }
}
