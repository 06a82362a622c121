//! Prints how long the store takes here: to add accounts, to append registrations, to be ready after a crash.
//!
//! `cargo run --release -p offhook-store --example measure -- [ACCOUNTS]`

use std::time::{Duration, Instant};

use offhook_exchange::directory::{AddressOfRecord, Binding, Bindings};
use offhook_exchange::io::StoreRequest;
use offhook_sip_stack::{Flow, Transport};
use offhook_store::{NewAccount, Options, Password, Store, Use};

const NOW: u64 = 1_700_000_000;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let accounts: usize = std::env::args().nth(1).map_or(Ok(10_000), |number| number.parse())?;
    let directory = std::env::temp_dir().join(format!("offhook-measure-{}", std::process::id()));
    let options = Options::new(&directory, Use::Server);
    let store = Store::open(options.clone()).await?;
    let all = (0..accounts).map(account).collect::<Result<Vec<_>, _>>()?;
    let took = clock();
    store.declare_accounts(all, NOW).await?;
    println!("{accounts} accounts declared                  {:?}", took());

    let (writer, mut journals) = store.journals(1)?;
    let running = tokio::spawn(writer.run(|| NOW));
    let mut slowest = Duration::ZERO;
    let took = clock();
    for number in 0..accounts {
        let took = clock();
        journals[0].append(&mut vec![registration(number)])?;
        slowest = slowest.max(took());
    }
    println!("{accounts} registrations appended one by one  {:?}, the slowest {slowest:?}", took());
    let took = clock();
    let mut batch: Vec<_> = (0..accounts).map(registration).collect();
    journals[0].append(&mut batch)?;
    println!("{accounts} registrations appended in a batch  {:?}", took());
    drop(journals);
    let took = clock();
    running.await?;
    println!("rest of them synced                     {:?}", took());
    store.close().await;

    let took = clock();
    let store = Store::open(options.clone()).await?;
    let deltas = store.load(NOW).await?.len();
    println!("opened and loaded ({deltas} facts)         {:?}", took());
    let (writer, mut journals) = store.journals(1)?;
    journals[0].append(&mut (0..accounts).map(registration).collect())?;
    drop((writer, journals));
    store.close().await;

    let took = clock();
    let store = Store::open(options).await?;
    let opened = took();
    let deltas = store.load(NOW).await?.len();
    println!("the same with twice as many entries ({deltas} facts) {:?} (of it opening {opened:?})", took());
    store.close().await;
    Ok(std::fs::remove_dir_all(directory)?)
}

/// How long ago it was made.
#[expect(clippy::disallowed_methods, reason = "this program is about real time")]
fn clock() -> impl Fn() -> Duration {
    let start = Instant::now();
    move || start.elapsed()
}

fn address(number: usize) -> AddressOfRecord {
    AddressOfRecord::new(&format!("user{number:05}"), "example.com")
}

fn account(number: usize) -> Result<NewAccount, offhook_store::StoreError> {
    Ok(NewAccount {
        address: address(number),
        password: Some(Password::new(format!("secret{number}"))?),
        name: Some(format!("User {number}")),
        number: Some(format!("{}", 1_000_000 + number)),
        email: None,
        realm: "example.com".into(),
    })
}

fn registration(number: usize) -> StoreRequest {
    let [_, _, high, low] = (number as u32).to_be_bytes();
    let remote = std::net::SocketAddr::from(([10, 0, high, low], 5060));
    let flow =
        Flow { transport: Transport::Udp, local: ([0, 0, 0, 0], 5060).into(), remote, connection: None };
    let binding = Binding {
        contact: format!("sip:user{number:05}@{remote};transport=udp"),
        q: 1000,
        expires_at: NOW + 3600,
        flow,
        behind_nat: false,
        path: Vec::new(),
        call_id: format!("{number:032x}"),
        cseq: 2,
        instance: Some(format!("<urn:uuid:00000000-0000-1000-8000-{number:012x}>")),
        reg_id: None,
        user_agent: "Measure/1.0".into(),
    };
    StoreRequest::Bindings(address(number), Bindings(vec![binding]))
}
