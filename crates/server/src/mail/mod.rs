//! Mails about voice messages. A message that is left is written down as a mail that waits, before it appears in its
//! mailbox; one task takes what waits to the mail server, and tries again as long as it has to.

mod letter;
mod post;
mod queue;

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Cursor};
use std::path::PathBuf;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::tz::TimeZone;
use offhook_exchange::directory::AddressOfRecord;
use offhook_exchange::mailbox::{self, Contents};
use offhook_exchange::speech::Language;
use offhook_media::recorder;
use offhook_store::{Store, StoreError};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::timeout;

use crate::clock;
use crate::settings::{Mail, Settings};
use letter::{Letter, Sound};
use post::{Post, Unsent};
use queue::{Folder, MOST, Waiting, id};

/// How it is with mails; shared between those who write and those who look.
#[derive(Debug, Default)]
pub(crate) struct Health {
    waiting: AtomicUsize,
    sent: AtomicUsize,
    given_up: AtomicUsize,
    /// Why the mail server cannot be used now.
    trouble: Mutex<Option<String>>,
}

impl Health {
    /// What an operator should look at.
    pub(crate) fn trouble(&self) -> Option<String> {
        let trouble = self.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone()?;
        let waiting = self.waiting.load(Relaxed);
        Some(format!("mails cannot be sent ({waiting} wait): {trouble}"))
    }

    /// How many wait, were sent, and were given up.
    pub(crate) fn counts(&self) -> [usize; 3] {
        [&self.waiting, &self.sent, &self.given_up].map(|one| one.load(Relaxed))
    }

    fn set_trouble(&self, trouble: Option<String>) {
        *self.trouble.lock().unwrap_or_else(PoisonError::into_inner) = trouble;
    }
}

/// Where the thread of recordings notes what was left.
#[derive(Clone)]
pub(crate) struct Notices {
    folder: Folder,
    news: UnboundedSender<(String, Waiting)>,
    health: Arc<Health>,
}

impl Notices {
    /// A recording is about to appear under this name. If it is a message, a mail about it waits from now on, even if the
    /// process ends before it is [announced](Notices::announce).
    pub(crate) fn note(&self, file: &str) -> Option<Noted> {
        let is_message = file.split_once('/').is_some_and(|(folder, rest)| {
            let contents = Contents::read(&[rest.to_owned()]);
            mailbox::owner(folder).is_some() && contents.messages.first().is_some_and(|one| one.is_new)
        });
        if !is_message {
            return None;
        }
        if self.health.waiting.load(Relaxed) >= MOST {
            tracing::error!(%file, "there is no mail about this message: too many wait already");
            return None;
        }
        let waiting = Waiting { message: file.to_owned(), since: clock::unix().as_secs(), tries: 0, next: 0 };
        match self.folder.write(&waiting) {
            Ok(name) => Some(Noted(name, waiting)),
            Err(error) => {
                tracing::error!(%file, %error, "there is no mail about this message");
                None
            }
        }
    }

    /// The message is there, or could not be written after all.
    pub(crate) fn announce(&self, Noted(name, waiting): Noted, is_there: bool) {
        if is_there {
            self.health.waiting.fetch_add(1, Relaxed);
            // The other end is gone at the end of the process only; the file is there at the next start.
            let _ = self.news.send((name, waiting));
        } else {
            self.folder.remove(&name);
        }
    }
}

/// A mail that waits, of which nobody knows yet.
pub(crate) struct Noted(String, Waiting);

/// The task that sends.
pub(crate) struct Mailer {
    mail: Mail,
    store: Store,
    folder: Folder,
    voicemail: PathBuf,
    /// Of those who have none of their own.
    language: Language,
    zone: TimeZone,
    number: Option<String>,
    waiting: BTreeMap<String, Waiting>,
    news: UnboundedReceiver<(String, Waiting)>,
    health: Arc<Health>,
    /// How often the server could not be used, in a row.
    failures: u32,
}

/// What has become of a mail.
enum Fate {
    Sent,
    /// There is nothing to send any more, or nobody to send it to.
    Moot(String),
    Refused(String),
    Later(String),
    Lost(String),
}

/// Makes both ends, if mails are to be sent.
///
/// # Errors
/// When the folder of mails cannot be used.
pub(crate) fn open(settings: &Settings, store: &Store) -> io::Result<Option<(Notices, Mailer)>> {
    let Some(mail) = settings.mail.clone() else { return Ok(None) };
    let folder = Folder::open(&settings.data_dir)?;
    let waiting = folder.all();
    let health = Arc::<Health>::default();
    health.waiting.store(waiting.len(), Relaxed);
    let (sender, news) = unbounded_channel();
    let notices = Notices { folder: folder.clone(), news: sender, health: Arc::clone(&health) };
    let mailer = Mailer {
        mail,
        store: store.clone(),
        folder,
        voicemail: crate::voicemail::place(&settings.data_dir),
        language: settings.services.language,
        zone: settings.plan.time_zone.clone(),
        number: settings.services.voicemail.number.clone(),
        waiting,
        news,
        health,
        failures: 0,
    };
    Ok(Some((notices, mailer)))
}

/// Whether the mail server can be reached and takes us in.
///
/// # Errors
/// What is in the way, in words.
pub(crate) async fn check(mail: &Mail) -> Result<(), String> {
    Post::open(mail).await?.close().await;
    Ok(())
}

impl Mailer {
    /// How it is with mails, while the task runs.
    pub(crate) fn health(&self) -> Arc<Health> {
        Arc::clone(&self.health)
    }

    /// Runs until nobody leaves messages any more.
    pub(crate) async fn run(mut self) {
        loop {
            let rest = self.pass(clock::unix().as_secs()).await;
            match timeout(rest, self.news.recv()).await {
                Ok(Some((name, waiting))) => {
                    self.waiting.insert(name, waiting);
                }
                Ok(None) => return,
                Err(_) => {}
            }
        }
    }

    /// Sends what is due at `now` (Unix seconds); returns for how long nothing will be.
    async fn pass(&mut self, now: u64) -> Duration {
        let give_up = self.mail.give_up.as_secs();
        for name in self.names(|one| now.saturating_sub(one.since) > give_up) {
            self.end(&name, &Fate::Refused("it could not be sent for too long".into()));
        }
        let mut post: Option<Post> = None;
        for name in self.names(|one| one.next <= now) {
            let Some(waiting) = self.waiting.get(&name).cloned() else { continue };
            post = post.filter(Post::is_usable);
            if post.is_none() {
                match Post::open(&self.mail).await {
                    Ok(opened) => {
                        self.failures = 0;
                        self.health.set_trouble(None);
                        post = Some(opened);
                    }
                    Err(error) => return self.pause(error),
                }
            }
            let Some(open) = &mut post else { continue };
            match self.send(&waiting, open).await {
                Fate::Later(why) => self.put_off(&name, &why, now),
                Fate::Lost(why) => {
                    // Perhaps it is this mail that the server cannot bear: others come first next time.
                    self.put_off(&name, &why, now);
                    return self.pause(why);
                }
                fate => self.end(&name, &fate),
            }
        }
        if let Some(post) = post.filter(Post::is_usable) {
            post.close().await;
        }
        let next = self.waiting.values().map(|one| one.next).min();
        let rest = next.map_or(LONG, |next| Duration::from_secs(next.saturating_sub(now)));
        rest.clamp(SHORT, LONG)
    }

    /// The names of some of those that wait, the oldest first.
    fn names(&self, of: impl Fn(&Waiting) -> bool) -> Vec<String> {
        let mut some: Vec<_> = self.waiting.iter().filter(|(_, one)| of(one)).collect();
        some.sort_by_key(|(_, one)| one.since);
        some.into_iter().map(|(name, _)| name.clone()).collect()
    }

    /// The server is of no use; nothing is sent for a while.
    fn pause(&mut self, error: String) -> Duration {
        let rest = SHORT.saturating_mul(1 << self.failures.min(20)).min(LONGEST_PAUSE);
        if self.failures == 0 {
            tracing::warn!(%error, waiting = self.waiting.len(), "mails cannot be sent");
        }
        self.failures = self.failures.saturating_add(1);
        self.health.set_trouble(Some(error));
        rest
    }

    async fn send(&self, waiting: &Waiting, post: &mut Post) -> Fate {
        let Some((folder, rest)) = waiting.message.split_once('/') else {
            return Fate::Moot("it is about no message".into());
        };
        let known = Contents::read(&[rest.to_owned()]).messages.into_iter().next();
        let (Some(mut message), Some(owner)) = (known, mailbox::owner(folder)) else {
            return Fate::Moot("it is about no message".into());
        };
        let mut read = fs::read(self.voicemail.join(message.file(folder)));
        if read.is_err() {
            // It was heard meanwhile.
            message.is_new = false;
            read = fs::read(self.voicemail.join(message.file(folder)));
        }
        let Ok(wav) = read else { return Fate::Moot("the message is not there any more".into()) };
        let (email, name, language) = match self.reader(&owner).await {
            Ok(reader) => reader,
            Err(fate) => return fate,
        };
        let seconds = recorder::seconds(Cursor::new(&wav)).unwrap_or_default();
        let sound = match self.mail.attach {
            false => Sound::Left,
            true if wav.len() > MOST_ATTACHED => Sound::TooLarge,
            true => Sound::Attached(wav),
        };
        let letter = Letter {
            from: &self.mail.from,
            to: (&email, name.as_deref()),
            message: &message,
            id: &id(&waiting.message),
            seconds,
            sound,
            language,
            zone: &self.zone,
            number: self.number.as_deref(),
        };
        match letter.write() {
            Err(why) => Fate::Refused(why),
            Ok(letter) => match post.send(&letter).await {
                Ok(()) => Fate::Sent,
                Err(Unsent::Refused(why)) => Fate::Refused(why),
                Err(Unsent::Later(why)) => Fate::Later(why),
                Err(Unsent::Lost(why)) => Fate::Lost(why),
            },
        }
    }

    /// The e-mail address, the name and the language of an account.
    async fn reader(&self, owner: &AddressOfRecord) -> Result<(String, Option<String>, Language), Fate> {
        match self.store.account(owner).await {
            Ok(stored) => {
                let address = || format!("{}@{}", owner.user(), owner.host());
                let language = stored.account.language.unwrap_or(self.language);
                Ok((stored.email.unwrap_or_else(address), stored.account.name, language))
            }
            Err(StoreError::NoAccount(_)) => Err(Fate::Moot("the account is not there any more".into())),
            Err(error) => Err(Fate::Later(error.to_string())),
        }
    }

    fn put_off(&mut self, name: &str, why: &str, now: u64) {
        let Some(waiting) = self.waiting.get_mut(name) else { return };
        waiting.tries = waiting.tries.saturating_add(1);
        let rest = FIRST_REST.saturating_mul(1 << waiting.tries.min(16)).min(LONGEST_REST);
        waiting.next = now + rest.as_secs();
        tracing::warn!(file = waiting.message, why, "a mail is put off");
        if let Err(error) = self.folder.write(waiting) {
            tracing::error!(file = waiting.message, %error, "a mail that waits cannot be written down");
        }
    }

    /// A mail waits no longer.
    fn end(&mut self, name: &str, fate: &Fate) {
        let Some(waiting) = self.waiting.remove(name) else { return };
        self.folder.remove(name);
        self.health.waiting.fetch_sub(1, Relaxed);
        let file = waiting.message;
        match fate {
            Fate::Sent => {
                self.health.sent.fetch_add(1, Relaxed);
                tracing::info!(file, "the mail about a voice message was sent");
            }
            Fate::Moot(why) => tracing::info!(file, why, "no mail about a voice message is needed"),
            Fate::Refused(why) | Fate::Later(why) | Fate::Lost(why) => {
                self.health.given_up.fetch_add(1, Relaxed);
                tracing::error!(file, why, "the mail about a voice message is given up");
            }
        }
    }
}

/// The least between two looks, and the first pause of a server that cannot be used.
const SHORT: Duration = Duration::from_secs(2);
const LONG: Duration = Duration::from_secs(3600);
const LONGEST_PAUSE: Duration = Duration::from_secs(900);
/// Of a mail that the server puts off: twice this at first.
const FIRST_REST: Duration = Duration::from_secs(30);
const LONGEST_REST: Duration = Duration::from_secs(3 * 3600);
/// Octets of a recording; what is larger, mail servers refuse.
const MOST_ATTACHED: usize = 18 << 20;

#[cfg(test)]
mod tests;
