//! The API, of the running server or, when none runs, of its store.

use std::cell::OnceCell;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::time::Duration;

use offhook_server::{Offline, RunFile, Settings};
use offhook_web::Problem;
use serde_json::Value;

use crate::exit::{CANNOT_CONNECT, Failure, NOT_RUNNING};
use crate::place::Place;

/// Who answers.
pub(crate) enum Api {
    /// A running server.
    Server { url: String, token: String, agent: ureq::Agent },
    /// This process, with the store open from the first question on.
    Store(Box<AtRest>),
}

/// A store that no server uses.
pub(crate) struct AtRest {
    settings: Settings,
    opened: OnceCell<Offline>,
}

impl AtRest {
    /// Opens it, and makes it if something is to be kept. To look into what is not there would only make it.
    fn open(&self, method: &str) -> Result<&Offline, Failure> {
        if let Some(opened) = self.opened.get() {
            return Ok(opened);
        }
        let place = &self.settings.data_dir;
        if method == "GET" && !place.exists() {
            let text = format!(
                "no server runs, and there is no data directory {}; -c FILE or --data DIR names another",
                place.display()
            );
            return Err(Failure::new(NOT_RUNNING, text));
        }
        let offline = Offline::open(&self.settings).map_err(|error| match api_is_off(place) {
            Some(why) if error.is_in_use() => why,
            _ => Failure::from(error),
        })?;
        for warning in &offline.warnings {
            eprintln!("offhook: {warning}");
        }
        Ok(self.opened.get_or_init(|| offline))
    }
}

impl Api {
    /// The running server, or else the store.
    pub(crate) fn open(place: &Place) -> Result<Self, Failure> {
        let settings = place.settings()?;
        if let Some(server) = running(&settings.data_dir) {
            return Ok(server);
        }
        Ok(Self::Store(Box::new(AtRest { settings, opened: OnceCell::new() })))
    }

    /// The running server.
    pub(crate) fn of_running(place: &Place) -> Result<Self, Failure> {
        let settings = place.settings()?;
        running(&settings.data_dir).ok_or_else(|| {
            if let Some(why) = api_is_off(&settings.data_dir) {
                return why;
            }
            let text = format!("no server runs with the data directory {}", settings.data_dir.display());
            Failure::new(NOT_RUNNING, text)
        })
    }

    /// Asks, and reads the answer as JSON.
    pub(crate) fn ask(&self, method: &str, path: &str, body: Option<&Value>) -> Result<Value, Failure> {
        let body = body.map(Value::to_string).unwrap_or_default();
        let answer = self.send(method, path, body.into_bytes())?;
        if answer.is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_slice(&answer).map_err(Failure::other)
    }

    /// Asks for something that does not end, line by line.
    pub(crate) fn follow(&self, path: &str) -> Result<impl BufRead + use<>, Failure> {
        let Self::Server { url, token, agent } = self else {
            return Err(Problem::not_running().into());
        };
        let request = agent.get(format!("{url}{path}")).header("Authorization", format!("Bearer {token}"));
        // Only the head of the answer has to come soon.
        let request = request.config().timeout_global(None).timeout_recv_response(Some(PATIENCE)).build();
        let mut response =
            request.call().map_err(|error| Failure::new(CANNOT_CONNECT, format!("{url}: {error}")))?;
        if response.status().is_success() {
            return Ok(BufReader::new(response.into_body().into_reader()));
        }
        let bytes = response.body_mut().read_to_vec().map_err(Failure::other)?;
        let problem = serde_json::from_slice::<Problem>(&bytes);
        Err(problem.map_or_else(Failure::other, Failure::from))
    }

    /// Asks, and returns the answer as it is.
    pub(crate) fn send(&self, method: &str, path: &str, body: Vec<u8>) -> Result<Vec<u8>, Failure> {
        match self {
            Self::Store(store) => Ok(store.open(method)?.ask(method, path, body)?),
            Self::Server { url, token, agent } => over_http(agent, url, token, method, path, body),
        }
    }
}

/// The server that left its run file there, if it lives.
fn running(data_dir: &Path) -> Option<Api> {
    let file = RunFile::read(data_dir)?;
    let url = file.url?;
    let config = ureq::Agent::config_builder().http_status_as_error(false).timeout_global(Some(PATIENCE));
    let agent: ureq::Agent = config.build().into();
    agent.get(format!("{url}/health/live")).call().ok()?;
    Some(Api::Server { url, token: file.token, agent })
}

/// What whoever asks is told when a server runs there that has no API.
fn api_is_off(data_dir: &Path) -> Option<Failure> {
    let file = RunFile::read(data_dir)?;
    let lives = Path::new("/proc").join(file.pid.to_string()).exists();
    let text = format!(
        "the server of the data directory {} (process {}) has no API: web.http is off; with an address, such as \
         \"127.0.0.1:8080\", it has one when it is started again",
        data_dir.display(),
        file.pid
    );
    (file.url.is_none() && lives).then(|| Failure::new(CANNOT_CONNECT, text))
}

fn over_http(
    agent: &ureq::Agent,
    url: &str,
    token: &str,
    method: &str,
    path: &str,
    body: Vec<u8>,
) -> Result<Vec<u8>, Failure> {
    let kind = if body.first() == Some(&b'{') { "application/json" } else { "text/csv" };
    let request = ureq::http::Request::builder()
        .method(method)
        .uri(format!("{url}{path}"))
        .header("Authorization", format!("Bearer {token}"))
        .header("Content-Type", kind)
        .body(body)
        .map_err(Failure::other)?;
    let mut response =
        agent.run(request).map_err(|error| Failure::new(CANNOT_CONNECT, format!("{url}: {error}")))?;
    let bytes =
        response.body_mut().with_config().limit(MOST_ANSWERED).read_to_vec().map_err(Failure::other)?;
    let status = response.status().as_u16();
    if response.status().is_success() {
        return Ok(bytes);
    }
    let problem = serde_json::from_slice::<Problem>(&bytes);
    Err(problem.map_or_else(|_| Failure::other(format!("{url} answers {status}")), Failure::from))
}

/// A part of a path: an address or a number.
pub(crate) fn segment(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~@:".contains(&byte) {
            escaped.push(char::from(byte));
        } else {
            escaped.push_str(&format!("%{byte:02X}"));
        }
    }
    escaped
}

const PATIENCE: Duration = Duration::from_secs(20);
const MOST_ANSWERED: u64 = 256 << 20;
