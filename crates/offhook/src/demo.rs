//! `offhook demo`: an exchange to try, with two accounts and somebody who answers.

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::{OpenOptionsExt as _, symlink};
use std::path::Path;
use std::process::ExitCode;

use clap::Args;
use offhook_phone::{EchoAccount, EchoPhone};
use offhook_server::{RunFile, Server, Transport, banner};
use offhook_web::Problem;
use serde_json::{Value, json};

use crate::Everywhere;
use crate::api::segment;
use crate::exit::Failure;
use crate::place::{DEMO_DATA, Place};
use crate::serve::{Log, announce, greet, until_end};

/// Flags of the command.
#[derive(Args, Debug)]
pub(crate) struct Demo {
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    log: Log,
}

/// An account of the demo.
struct Person {
    user: &'static str,
    name: &'static str,
    number: &'static str,
}

impl Demo {
    pub(crate) fn run(self, everywhere: Everywhere) -> Result<ExitCode, Failure> {
        let format = self.log.start();
        let settings = self.place.or_data(DEMO_DATA).settings()?;
        let data_dir = settings.data_dir.clone();
        let dialled = settings.services().filter_map(|one| Some(format!("{} {}", one.number?, one.name)));
        let dialled = dialled.collect::<Vec<_>>().join("   ");
        let mut server = Server::start(settings)?;
        let [alice, bob] = PEOPLE.map(|person| account(&server, &data_dir, &person));
        let ((alice, alice_password), (bob, bob_password)) = (alice?, bob?);
        server.lend_account(&alice, &alice_password).map_err(Failure::other)?;
        point_to(&data_dir);
        let echo = echo_phone(&server, &bob, &bob_password)?;
        let language = everywhere.language();
        let accounts = language.pick("Accounts", "账号    ");
        let echoes = language.pick("a phone of this demo: answers with an echo", "演示话机：接听并回声");
        let mut notes = vec![
            format!("{accounts}   1001 alice  {alice_password}"),
            format!("           1002 bob    {bob_password}   ({echoes})"),
            format!("{}   {alice}", language.pick("Address ", "地址    ")),
        ];
        if !dialled.is_empty() {
            notes.push(format!("{}   {dialled}", language.pick("Dial    ", "拨打    ")));
        }
        let mut lines = banner(&server, &notes);
        let next = language.pick("Next, in another terminal:", "接下来，在另一个终端：");
        lines.push(format!("  {next}  offhook call 1002 --ladder"));
        let signals = server.heed_signals().map_err(Failure::other)?;
        greet(format, &lines);
        if everywhere.json {
            let accounts = [(&PEOPLE[0], &alice, &alice_password), (&PEOPLE[1], &bob, &bob_password)];
            let shown = accounts.map(|(person, address, password)| {
                json!({ "address": address, "number": person.number, "password": password })
            });
            announce(&server, shown.into());
        }
        // The phone takes its leave while the exchange still listens.
        Ok(until_end(server, signals, move || drop(echo)))
    }
}

/// Lets phones that are started elsewhere find this demo. Without it they still do in this directory.
fn point_to(data_dir: &Path) {
    if let (Some(pointer), Ok(target)) =
        (offhook_phone::demo_pointer(), RunFile::path(data_dir).canonicalize())
    {
        if let Some(folder) = pointer.parent() {
            let _ = fs::create_dir_all(folder);
        }
        let _ = fs::remove_file(&pointer);
        let _ = symlink(target, &pointer);
    }
}

/// A phone that registers as this account and answers with an echo, as long as the value lives.
fn echo_phone(server: &Server, account: &str, password: &str) -> Result<Option<EchoPhone>, Failure> {
    // Somebody may have turned UDP off.
    let Some(server) = server.local_sip(Transport::Udp) else { return Ok(None) };
    let account = EchoAccount { uri: account.to_owned(), password: password.to_owned(), server };
    offhook_phone::echo(account).map(Some).map_err(|error| Failure::other(error.to_string()))
}

/// Makes the account if there is none. Returns its address and its password, which a demo keeps beside the store.
fn account(server: &Server, data_dir: &Path, person: &Person) -> Result<(String, String), Failure> {
    let domain = server.about().domains.first().cloned().unwrap_or_default();
    let address = format!("sip:{}@{domain}", person.user);
    let place = data_dir.join(PASSWORDS);
    let mut kept: BTreeMap<String, String> =
        fs::read(&place).ok().and_then(|text| serde_json::from_slice(&text).ok()).unwrap_or_default();
    let known = kept.get(&address).cloned();
    let new = json!({ "address": address, "name": person.name, "password": known });
    let made = match ask(server, "POST", "/api/v1/accounts", &new) {
        // The password is set again: somebody may have changed it, and the demo's phone must know it.
        Err(problem) if problem.status == 409 => {
            let path = format!("/api/v1/accounts/{}", segment(&address));
            ask(server, "PATCH", &path, &json!({ "password": known }))?
        }
        other => other?,
    };
    give_number(server, person.number, &address)?;
    let password = made["password"].as_str().map(str::to_owned).or(known).unwrap_or_default();
    if kept.insert(address.clone(), password.clone()).as_ref() != Some(&password) {
        keep(&place, &kept).map_err(|error| Failure::other(format!("{}: {error}", place.display())))?;
    }
    Ok((address, password))
}

fn give_number(server: &Server, number: &str, address: &str) -> Result<(), Failure> {
    let patch = json!({ "account": address, "from_anyone": true });
    match ask(server, "PATCH", &format!("/api/v1/numbers/{number}"), &patch) {
        Err(problem) if problem.status == 404 => {
            ask(server, "POST", "/api/v1/numbers", &json!({ "number": number, "account": address }))?;
        }
        other => {
            other?;
        }
    }
    Ok(())
}

fn ask(server: &Server, method: &str, path: &str, body: &Value) -> Result<Value, Problem> {
    let answer = server.ask(method, path, body.to_string().into_bytes())?;
    serde_json::from_slice(&answer).map_err(|error| Problem::failed(error.to_string()))
}

fn keep(place: &Path, kept: &BTreeMap<String, String>) -> std::io::Result<()> {
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(place)?;
    writeln!(file, "{}", json!(kept))
}

const PEOPLE: [Person; 2] = [
    Person { user: "alice", name: "Alice", number: "1001" },
    Person { user: "bob", name: "Bob", number: "1002" },
];
const PASSWORDS: &str = "demo.json";
