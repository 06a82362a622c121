//! A server to test, and clients for it.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::path::Path;
use std::time::Duration;

use offhook_server::config_file::Sources;
use offhook_server::{Server, Settings, Transport};
use offhook_sip::digest::{Algorithm, Parts, Qop, ha1, response};
use offhook_sip::{Message, Name, Response};

/// Settings of a server that listens on loopback only, with these keys besides.
pub(crate) fn settings(data: &Path, more: &[(&str, &str)]) -> Settings {
    settings_of(Path::new("/dev/null"), data, more)
}

/// The same with what this file says.
pub(crate) fn settings_of(file: &Path, data: &Path, more: &[(&str, &str)]) -> Settings {
    let data = data.display().to_string();
    let fixed = [
        ("data_dir", data.as_str()),
        ("sip.udp", "127.0.0.1:0"),
        ("sip.tcp", "127.0.0.1:0"),
        ("sip.tls", "127.0.0.1:0"),
        ("web.http", "127.0.0.1:0"),
        ("web.listen", "127.0.0.1:0"),
        ("domains", "example.com,127.0.0.1"),
    ];
    let set = |(key, value): &(&str, &str)| ("--set".to_owned(), (*key).to_owned(), (*value).to_owned());
    let flags = fixed.iter().chain(more).map(set).collect();
    Settings::read(&Sources { file: Some(file.to_owned()), flags, ..Sources::default() }).unwrap()
}

pub(crate) fn server(data: &Path, more: &[(&str, &str)]) -> Server {
    Server::start(settings(data, more)).unwrap()
}

pub(crate) fn add_account(server: &Server, address: &str, password: &str) {
    let body = format!("{{\"address\":\"{address}\",\"password\":\"{password}\"}}");
    server.ask("POST", "/api/v1/accounts", body.into_bytes()).unwrap();
}

/// A way to send messages and to receive one.
pub(crate) trait Wire {
    const NAME: &'static str;
    fn local(&self) -> SocketAddr;
    fn send(&mut self, bytes: &[u8]);
    fn receive(&mut self) -> Response;

    /// Sends a request and returns its final response.
    fn ask(&mut self, request: &str) -> Response {
        self.send(request.as_bytes());
        loop {
            let response = self.receive();
            if response.status().code() >= 200 {
                return response;
            }
        }
    }

    /// A request without a body, with these lines besides.
    fn request(&self, method: &str, uri: &str, call: &str, cseq: u32, more: &str) -> String {
        let (name, local) = (Self::NAME, self.local());
        format!(
            "{method} {uri} SIP/2.0\r\nVia: SIP/2.0/{name} {local};branch=z9hG4bK{call}{cseq};rport\r\n\
             Max-Forwards: 70\r\nFrom: <{uri}>;tag=1\r\nTo: <{uri}>\r\nCall-ID: {call}\r\nCSeq: {cseq} {method}\r\n\
             {more}Content-Length: 0\r\n\r\n"
        )
    }

    /// Registers a contact with digest. Returns the status of each of the two answers.
    fn register(&mut self, user: &str, password: &str, algorithm: Algorithm) -> (u16, u16) {
        let (address, uri) = (format!("sip:{user}@example.com"), "sip:example.com");
        let contact =
            format!("Contact: <sip:{user}@{};transport={}>\r\n", self.local(), Self::NAME.to_lowercase());
        let call = format!("{user}{}{}", algorithm.name(), Self::NAME);
        let ask = |wire: &mut Self, cseq, more: &str| {
            let request = wire.request("REGISTER", &address, &call, cseq, &format!("{contact}{more}"));
            wire.ask(&request.replacen(&address, uri, 1))
        };
        let challenged = ask(self, 1, "");
        let challenges = challenged.challenges(Name::WwwAuthenticate).flatten();
        let challenge = challenges.into_iter().find(|one| one.algorithm() == Some(algorithm)).unwrap();
        let (realm, nonce) = (challenge.realm().unwrap(), challenge.nonce().unwrap());
        let qop = Some(Qop::Auth { nc: "00000001", cnonce: "abc" });
        let parts = Parts { method: "REGISTER", uri, nonce: &nonce, qop };
        let proof = response(algorithm, &ha1(algorithm, user, &realm, password), &parts);
        let credentials = format!(
            "Authorization: Digest username=\"{user}\", realm=\"{realm}\", nonce=\"{nonce}\", uri=\"{uri}\", \
             response=\"{proof}\", algorithm={}, qop=auth, nc=00000001, cnonce=\"abc\"\r\n",
            algorithm.name()
        );
        (challenged.status().code(), ask(self, 2, &credentials).status().code())
    }
}

pub(crate) struct Udp(UdpSocket);

impl Udp {
    pub(crate) fn to(server: &Server) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.connect(server.local_sip(Transport::Udp).unwrap()).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        Self(socket)
    }
}

impl Wire for Udp {
    const NAME: &'static str = "UDP";

    fn local(&self) -> SocketAddr {
        self.0.local_addr().unwrap()
    }

    fn send(&mut self, bytes: &[u8]) {
        self.0.send(bytes).unwrap();
    }

    fn receive(&mut self) -> Response {
        let mut buffer = vec![0; 65_535];
        let length = self.0.recv(&mut buffer).expect("an answer");
        parse(&buffer[..length])
    }
}

pub(crate) struct Tcp(TcpStream);

impl Tcp {
    pub(crate) fn to(server: &Server) -> Self {
        let stream = TcpStream::connect(server.local_sip(Transport::Tcp).unwrap()).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        Self(stream)
    }
}

impl Wire for Tcp {
    const NAME: &'static str = "TCP";

    fn local(&self) -> SocketAddr {
        self.0.local_addr().unwrap()
    }

    fn send(&mut self, bytes: &[u8]) {
        self.0.write_all(bytes).unwrap();
    }

    fn receive(&mut self) -> Response {
        let mut message = Vec::new();
        // None of these responses has a body.
        while !message.ends_with(b"\r\n\r\n") {
            let mut octet = [0];
            self.0.read_exact(&mut octet).expect("an answer");
            message.push(octet[0]);
        }
        parse(&message)
    }
}

fn parse(bytes: &[u8]) -> Response {
    match Message::parse(bytes::Bytes::copy_from_slice(bytes)) {
        Ok(Message::Response(response)) => response,
        other => panic!("no response: {other:?}"),
    }
}

/// Only a broken server is waited for that long.
const PATIENCE: Duration = Duration::from_secs(60);
