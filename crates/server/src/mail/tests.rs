use offhook_store::{AccountChange, NewAccount, Options, Use};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpSocket};

use super::*;
use crate::settings::MailTls;

const NOW: u64 = 1_800_000_000;
const DAY: u64 = 24 * 3600;
const MESSAGE: &str = "alice@example.com/new/1800000000-1-1002.wav";

/// An exchange whose Alice, who reads Chinese, has a message, of which a mail waits.
async fn office(data: &std::path::Path) -> Store {
    let store = Store::open(Options::new(data, Use::Server)).await.unwrap();
    let address = AddressOfRecord::new("alice", "example.com");
    let new = NewAccount {
        address: address.clone(),
        password: None,
        name: Some("Alice 王".into()),
        number: None,
        email: Some("alice@mail.example".into()),
        language: None,
        realm: "example.com".into(),
    };
    store.add_account(new, NOW).await.unwrap();
    let change = AccountChange { language: Some(Some(Language::Chinese)), ..AccountChange::default() };
    store.set_account(&address, change).await.unwrap();
    let file = crate::voicemail::place(data).join(MESSAGE);
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    fs::write(file, b"RIFF").unwrap();
    let waiting = Waiting { message: MESSAGE.into(), since: NOW, tries: 0, next: 0 };
    Folder::open(data).unwrap().write(&waiting).unwrap();
    store
}

/// The task as it begins with the process: what waits is what stands in the folder.
fn mailer(data: &std::path::Path, store: &Store, port: u16) -> Mailer {
    let mail = Mail {
        server: "127.0.0.1".into(),
        port,
        tls: MailTls::Off,
        credentials: None,
        from: "pbx@example.com".parse().unwrap(),
        ca: None,
        attach: true,
        give_up: Duration::from_secs(5 * DAY),
    };
    let folder = Folder::open(data).unwrap();
    let waiting = folder.all();
    let health = Arc::<Health>::default();
    health.waiting.store(waiting.len(), Relaxed);
    Mailer {
        mail,
        store: store.clone(),
        folder,
        voicemail: crate::voicemail::place(data),
        language: Language::English,
        zone: TimeZone::UTC,
        number: None,
        waiting,
        news: unbounded_channel().1,
        health,
        failures: 0,
    }
}

/// Takes one mail and returns it.
async fn take(listener: TcpListener) -> String {
    let (mut stream, _) = listener.accept().await.unwrap();
    let (reader, mut writer) = stream.split();
    let (mut lines, mut mail, mut is_mail) = (BufReader::new(reader).lines(), String::new(), false);
    writer.write_all(b"220 mail.example\r\n").await.unwrap();
    while let Some(line) = lines.next_line().await.unwrap() {
        let answer = match (is_mail, line.as_str()) {
            (true, ".") => {
                is_mail = false;
                "250 taken\r\n"
            }
            (true, line) => {
                mail.push_str(line);
                mail.push('\n');
                continue;
            }
            (false, "DATA") => {
                is_mail = true;
                "354 go on\r\n"
            }
            (false, "QUIT") => {
                writer.write_all(b"221 bye\r\n").await.unwrap();
                break;
            }
            (false, _) => "250 mail.example\r\n",
        };
        writer.write_all(answer.as_bytes()).await.unwrap();
    }
    mail
}

fn run<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work)
}

#[test]
fn a_server_that_is_down_for_a_day_gets_the_mail_afterwards_also_over_a_restart() {
    run(async {
        let data = tempfile::tempdir().unwrap();
        let store = office(data.path()).await;
        // A port that is taken, and where nobody listens.
        let server = TcpSocket::new_v4().unwrap();
        server.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let port = server.local_addr().unwrap().port();
        let mut now = NOW;
        let mut tries = 0;
        for until in [NOW + DAY / 2, NOW + DAY] {
            let mut mailer = mailer(data.path(), &store, port);
            while now < until {
                now += mailer.pass(now).await.as_secs();
                tries += 1;
            }
            assert_eq!(mailer.health.counts(), [1, 0, 0]);
            assert!(mailer.health.trouble().unwrap().contains(&port.to_string()));
        }
        assert!((90..150).contains(&tries), "it is asked again, and not without a pause: {tries}");
        let (mut mailer, taken) = (mailer(data.path(), &store, port), server.listen(1).unwrap());
        let (mail, _) = tokio::join!(take(taken), mailer.pass(now));
        assert_eq!(mailer.health.counts(), [0, 1, 0]);
        assert!(mailer.health.trouble().is_none() && Folder::open(data.path()).unwrap().all().is_empty());
        assert!(mail.contains("alice@mail.example") && mail.contains("Subject: =?utf-8?b?"), "{mail}");
    });
}

#[test]
fn a_server_that_is_down_for_longer_than_is_waited_for_loses_the_mail_and_not_the_message() {
    run(async {
        let data = tempfile::tempdir().unwrap();
        let store = office(data.path()).await;
        let server = TcpSocket::new_v4().unwrap();
        server.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let mut mailer = mailer(data.path(), &store, server.local_addr().unwrap().port());
        mailer.pass(NOW + 5 * DAY).await;
        assert_eq!(mailer.health.counts(), [1, 0, 0]);
        mailer.pass(NOW + 5 * DAY + 1).await;
        assert_eq!(mailer.health.counts(), [0, 0, 1]);
        assert!(Folder::open(data.path()).unwrap().all().is_empty());
        assert!(crate::voicemail::place(data.path()).join(MESSAGE).exists());
    });
}
