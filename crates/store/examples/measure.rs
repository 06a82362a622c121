//! Prints how long the store takes here: to add accounts, to append registrations, to be ready after a crash; and
//! what it costs later to keep the journal short.
//!
//! `cargo run --release -p offhook-store --example measure -- [PHONES [SHARDS [ACCOUNTS]]]`

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use offhook_exchange::directory::{AddressOfRecord, Binding, Bindings, Delta};
use offhook_exchange::io::StoreRequest;
use offhook_sip_stack::{Flow, Transport};
use offhook_store::{NewAccount, Options, Password, Store, Use};

const NOW: u64 = 1_700_000_000;
/// Registrations that are written at once, as by a busy signal thread.
const BATCH: usize = 32;
/// How often each phone registers.
const ROUNDS: usize = 4;

type Outcome = Result<(), Box<dyn std::error::Error>>;

#[tokio::main]
async fn main() -> Outcome {
    let words: Vec<String> = std::env::args().skip(1).collect();
    if let [word, directory, shards] = words.as_slice()
        && word == "restart"
    {
        return restart(Path::new(directory), shards.parse()?).await;
    }
    let phones: usize = words.first().map_or(Ok(10_000), |number| number.parse())?;
    let shards: u8 = words.get(1).map_or(Ok(1), |number| number.parse())?;
    let accounts: usize = words.get(2).map_or(Ok(phones), |number| number.parse())?;
    let directory = std::env::temp_dir().join(format!("offhook-measure-{}", std::process::id()));
    fill(&directory, phones, shards, accounts).await?;
    for _ in 0..2 {
        // A process of its own, so that its memory is that of a start.
        Command::new(std::env::current_exe()?)
            .arg("restart")
            .args([directory.as_os_str(), shards.to_string().as_ref()])
            .status()?;
    }
    Ok(std::fs::remove_dir_all(directory)?)
}

/// Makes the accounts, and registers all phones a few times.
async fn fill(directory: &Path, phones: usize, shards: u8, accounts: usize) -> Outcome {
    let store = Store::open(Options::new(directory, Use::Server)).await?;
    let all = (0..accounts).map(account).collect::<Result<Vec<_>, _>>()?;
    let took = clock();
    store.declare_accounts(all, NOW).await?;
    println!("{accounts} accounts declared: {:?}", took());

    let (writer, mut journals) = store.journals(shards)?;
    let running = tokio::spawn(writer.run(|| NOW));
    for round in 1..=ROUNDS {
        let (mut appending, mut slowest) = (Duration::ZERO, Duration::ZERO);
        let before = processor();
        let mut numbers = 0..phones;
        while !numbers.is_empty() {
            let mut batch: Vec<_> = numbers.by_ref().take(BATCH).map(registration).collect();
            let of = numbers.start / BATCH % journals.len();
            let took = clock();
            journals[of].append(&mut batch)?;
            appending += took();
            slowest = slowest.max(took());
        }
        tokio::time::sleep(Duration::from_secs(3)).await;
        let all = processor() - before;
        println!(
            "{phones} registrations, round {round}: {appending:?}, slowest batch {slowest:?}; \
             processor with what follows {all:?}; on the disk {} KiB, in memory {} KiB",
            on_disk(directory)? >> 10,
            memory("VmRSS:"),
        );
    }
    drop(journals);
    let took = clock();
    running.await?;
    println!("rest of them synced: {:?}", took());
    store.close().await;
    Ok(())
}

/// Starts as a server does.
async fn restart(directory: &Path, shards: u8) -> Outcome {
    let took = clock();
    let store = Store::open(Options::new(directory, Use::Server)).await?;
    let opened = took();
    let deltas = store.load(NOW).await?;
    let loaded = took() - opened;
    let (writer, mut journals) = store.journals(shards)?;
    let (ready, used) = (took(), processor());
    println!("restart: opened {opened:?}, loaded {loaded:?}, with journals {ready:?}, processor {used:?}");
    let bindings = deltas.iter().filter(|delta| matches!(delta, Delta::Bindings(..))).count();
    let peak = memory("VmHWM:");
    println!("  {} facts, {bindings} of them bindings; memory at most {peak} KiB", deltas.len());
    let took = clock();
    store.accounts().await?;
    println!("  of it accounts about {:?}", took());
    drop(deltas);
    let before = processor();
    let running = tokio::spawn(writer.run(|| NOW));
    for _ in 0..4 {
        tokio::time::sleep(Duration::from_secs(1)).await;
        journals.iter_mut().try_for_each(|journal| journal.append(&mut Vec::new()))?;
    }
    println!(
        "  processor in four seconds after it {:?}, on the disk {} KiB",
        processor() - before,
        on_disk(directory)? >> 10
    );
    drop(journals);
    running.await?;
    store.close().await;
    Ok(())
}

/// How long ago it was made.
#[expect(clippy::disallowed_methods, reason = "this program is about real time")]
fn clock() -> impl Fn() -> Duration {
    let start = Instant::now();
    move || start.elapsed()
}

/// The time that all threads have used the processor, where the system says so in `/proc`.
fn processor() -> Duration {
    let text = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = text.rsplit(')').next().unwrap_or_default().split_whitespace();
    let ticks: u64 = fields.skip(11).take(2).filter_map(|field| field.parse::<u64>().ok()).sum();
    Duration::from_millis(ticks * 10)
}

/// Memory in KiB: `VmRSS:` what is in use, `VmHWM:` the most that ever was; where the system says so in `/proc`.
fn memory(which: &str) -> u64 {
    let text = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix(which));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or_default()
}

/// The octets of all files of the journal.
fn on_disk(directory: &Path) -> std::io::Result<u64> {
    let mut sum = 0;
    for entry in std::fs::read_dir(directory)? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with("bindings-") {
            sum += entry.metadata()?.len();
        }
    }
    Ok(sum)
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
        language: None,
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
        media: None,
    };
    StoreRequest::Bindings(address(number), Bindings(vec![binding]))
}
