//! The flags that all softphone commands share, as written.
#![allow(rustdoc::broken_intra_doc_links, reason = "the brackets are those of the command line")]

use std::path::PathBuf;
use std::time::Duration;

use crate::Language;
use crate::language::language_of_locale;
use crate::measure::parse_duration;

/// The common flags.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = "Common options")]
pub struct Flags {
    /// Who we are, e.g. sip:alice@example.com
    ///
    /// On the machine of a running `offhook demo` the account flags may be left out.
    #[arg(long, value_name = "URI")]
    pub account: Option<String>,
    /// The account's password (visible in the process list: prefer --password-file)
    #[arg(long, value_name = "P", env = "OFFHOOK_PASSWORD", hide_env_values = true)]
    pub password: Option<String>,
    /// A file with the account's password in its first line
    #[arg(long, value_name = "FILE")]
    pub password_file: Option<PathBuf>,
    /// The exchange; left out: the host of the account
    #[arg(long, value_name = "HOST[:PORT]")]
    pub server: Option<String>,
    /// udp, tcp, tls, ws or wss
    #[arg(long, value_name = "T", default_value = "udp")]
    pub transport: String,
    /// An authority to trust besides those of the system, in PEM; that of a demo on this machine is known
    #[arg(long, value_name = "FILE")]
    pub tls_ca: Option<PathBuf>,
    /// Believe any certificate: for tests only
    #[arg(long)]
    pub insecure: bool,
    /// The address of ours to use
    #[arg(long, value_name = "ADDR[:PORT]")]
    pub local: Option<String>,
    /// The codecs to offer and accept, best first, of opus, g722, pcma and pcmu (in this order by default)
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    pub codec: Vec<String>,
    /// Encrypted sound (SRTP): off, prefer or require
    ///
    /// off: who insists on it is refused. prefer: encrypted if both can; over TLS and WSS, and with keys from DTLS, that is
    /// offered first, elsewhere plain sound, and when it is refused, the call is placed once more with the other. require: who
    /// cannot is refused.
    #[arg(long, value_name = "WHEN", default_value = "off")]
    pub srtp: String,
    /// Where its keys come from: sdes (the default) or dtls
    ///
    /// sdes: they stand in the messages (SDP) and are as secret as these: over UDP, TCP and WS whoever sees them can read the
    /// keys. A call that offers a DTLS handshake is taken too. dtls: from a handshake on the way of the sound, and from nowhere
    /// else.
    #[arg(long, value_name = "FROM")]
    pub srtp_keys: Option<String>,
    /// Find a way for the sound by ICE, where the other side does it too
    #[arg(long)]
    pub ice: bool,
    /// A STUN server, which tells our address behind a NAT; with it, ICE is done
    #[arg(long, value_name = "HOST[:PORT]")]
    pub stun: Option<String>,
    /// A TURN server and credentials for it; with it, ICE is done
    ///
    /// USER:PASSWORD@HOST[:PORT], or a file with what `offhook device turn ADDRESS --json` has printed.
    #[arg(long, value_name = "TURN", hide_env_values = true, env = "OFFHOOK_TURN")]
    pub turn: Option<String>,
    /// How the TURN server is spoken to: udp, tcp or tls
    #[arg(long, value_name = "TRANSPORT", default_value = "udp")]
    pub turn_transport: String,
    /// A header field for every request, e.g. 'X-Test: 1'; may be given several times
    #[arg(long, value_name = "X: Y")]
    pub header: Vec<String>,
    /// Show every SIP message (on stderr)
    #[arg(long)]
    pub trace: bool,
    /// Show every SIP message as an arrow with a word of explanation
    #[arg(long)]
    pub ladder: bool,
    /// Write SIP and RTP, as sent and received, to a capture file
    #[arg(long, value_name = "FILE")]
    pub pcap: Option<PathBuf>,
    /// How long to wait for the whole thing
    #[arg(long, value_name = "T", value_parser = parse_duration)]
    pub timeout: Option<Duration>,
    /// One JSON object instead of sentences
    #[arg(long)]
    pub json: bool,
    /// The language of explanations: en or zh; left out: as the locale says
    #[arg(long, value_name = "L", value_parser = Language::parse)]
    pub lang: Option<Language>,
}

impl Flags {
    /// The language to speak.
    pub fn language(&self) -> Language {
        self.lang.unwrap_or_else(language_of_locale)
    }
}
