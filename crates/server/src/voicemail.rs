//! Mailboxes, as the API sees them: the folders that the thread of recordings writes.

use std::fs::{self, DirBuilder, File};
use std::io::{self, BufReader, BufWriter};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use offhook_exchange::directory::AddressOfRecord;
use offhook_exchange::mailbox::{Contents, GREETING, Message, folder};
use offhook_media::player::Player;
use offhook_media::recorder::{self, RecordError, Recorder};
use offhook_media::voice::RATE;
use offhook_web::calendar::rfc3339;
use offhook_web::{Problem, VoiceMessage, Voicemail};

use crate::lines::LineDesk;
use crate::recordings::{Files, list};

/// The mailboxes of a place.
pub(crate) struct Mailboxes {
    place: PathBuf,
    /// Who is to know of changes, where a server runs.
    files: Option<Files>,
    /// Has the settings in force.
    lines: Arc<LineDesk>,
}

/// Where messages are.
pub(crate) fn place(data_dir: &Path) -> PathBuf {
    data_dir.join("voicemail")
}

impl Mailboxes {
    /// Those of the settings in force.
    pub(crate) fn new(lines: Arc<LineDesk>, files: Option<Files>) -> Self {
        Self { place: place(&lines.settings().data_dir), files, lines }
    }

    fn folder(account: &str) -> Result<String, Problem> {
        let account = AddressOfRecord::parse(account).map_err(|error| Problem::bad(error.to_string()))?;
        Ok(folder(&account))
    }

    fn contents(&self, folder: &str) -> Contents {
        Contents::read(&list(&self.place, folder))
    }

    /// The folder of a message, and that. What is asked for is compared with names that are there, and leads nowhere else.
    fn find(&self, account: &str, id: &str) -> Result<(String, Message), Problem> {
        let folder = Self::folder(account)?;
        let message = self.contents(&folder).messages.into_iter().find(|one| one.id() == id);
        message
            .map(|message| (folder, message))
            .ok_or_else(|| Problem::not_found(format!("there is no message {id}")))
    }

    fn shown(&self, folder: &str, message: &Message) -> VoiceMessage {
        let file = File::open(self.place.join(message.file(folder)));
        VoiceMessage {
            id: message.id().to_owned(),
            new: message.is_new,
            from: message.caller().to_owned(),
            at: rfc3339(Duration::from_secs(message.at)),
            seconds: file.ok().and_then(|file| recorder::seconds(BufReader::new(file))).unwrap_or_default(),
        }
    }
}

impl Mailboxes {
    /// Those who look at a folder are to know of what has changed in it.
    fn changed(&self, folder: String) {
        if let Some(files) = &self.files {
            files.changed(folder);
        }
    }

    /// Puts it in its place when it is complete.
    fn keep_greeting(&self, folder: &str, samples: &[i16]) -> Result<(), RecordError> {
        let folder = self.place.join(folder);
        DirBuilder::new().recursive(true).mode(0o700).create(&folder)?;
        let temporary = folder.join(format!("{GREETING}.part"));
        let mut recorder = Recorder::new(BufWriter::new(File::create(&temporary)?), RATE)?;
        recorder.write(samples)?;
        recorder.finish()?;
        File::open(&temporary)?.sync_all()?;
        fs::rename(&temporary, folder.join(GREETING))?;
        Ok(())
    }
}

impl Voicemail for Mailboxes {
    fn list(&self, account: &str) -> Result<Vec<VoiceMessage>, Problem> {
        let folder = Self::folder(account)?;
        Ok(self.contents(&folder).messages.iter().map(|message| self.shown(&folder, message)).collect())
    }

    fn sound(&self, account: &str, id: &str) -> Result<Vec<u8>, Problem> {
        let (folder, message) = self.find(account, id)?;
        fs::read(self.place.join(message.file(&folder))).map_err(|error| failed(id, &error))
    }

    fn remove(&self, account: &str, id: &str) -> Result<(), Problem> {
        let (folder, message) = self.find(account, id)?;
        fs::remove_file(self.place.join(message.file(&folder))).map_err(|error| failed(id, &error))?;
        self.changed(folder);
        Ok(())
    }

    fn forward(&self, account: &str, id: &str, to: &str) -> Result<(), Problem> {
        let (folder, message) = self.find(account, id)?;
        let other = Self::folder(to)?;
        if other == folder {
            return Err(Problem::bad("a message is forwarded to the mailbox of another account"));
        }
        let there = self.contents(&other).messages;
        if there.iter().any(|one| one.id() == id) {
            return Err(Problem::conflict(format!("message {id} is in the mailbox of {to} already")));
        }
        let most = self.lines.settings().services.voicemail.most;
        if there.len() >= most {
            return Err(Problem::conflict(format!("the mailbox of {to} is full: {most} messages")));
        }
        // It writes the mail about it.
        let files = self.files.as_ref().ok_or_else(Problem::not_running)?;
        let copied = files.copy(message.file(&folder), message.forwarded().file(&other));
        copied.map_err(|error| failed(id, &error))
    }

    fn set_greeting(&self, account: &str, sound: &[u8]) -> Result<(), Problem> {
        let folder = Self::folder(account)?;
        let player = Player::new(sound, "this greeting", false);
        let samples = player.map_err(|error| Problem::bad(error.to_string()))?.into_samples(RATE);
        if samples.len() > MOST_GREETING {
            return Err(Problem::bad("a greeting lasts five minutes at the most"));
        }
        let kept = self.keep_greeting(&folder, &samples);
        kept.map_err(|error| Problem::failed(format!("the greeting of {account}: {error}")))?;
        self.changed(folder);
        Ok(())
    }

    fn remove_greeting(&self, account: &str) -> Result<(), Problem> {
        let folder = Self::folder(account)?;
        match fs::remove_file(self.place.join(&folder).join(GREETING)) {
            Ok(()) => {
                self.changed(folder);
                Ok(())
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                Err(Problem::not_found(format!("{account} has no greeting of its own")))
            }
            Err(error) => Err(Problem::failed(format!("the greeting of {account}: {error}"))),
        }
    }

    fn forget(&self, account: &str) -> Result<(), Problem> {
        let folder = Self::folder(account)?;
        match fs::remove_dir_all(self.place.join(&folder)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(Problem::failed(format!("the mailbox of {account}: {error}")))
            }
            _ => {
                self.changed(folder);
                Ok(())
            }
        }
    }
}

fn failed(id: &str, error: &io::Error) -> Problem {
    match error.kind() {
        // It was heard or deleted in this moment.
        io::ErrorKind::NotFound => Problem::not_found(format!("there is no message {id} any more")),
        _ => Problem::failed(format!("message {id}: {error}")),
    }
}

/// Samples of a greeting: five minutes.
const MOST_GREETING: usize = 300 * RATE as usize;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Settings;
    use crate::config_file::Sources;

    #[test]
    fn a_greeting_is_any_sound_and_what_is_none_changes_nothing() {
        let place = tempfile::tempdir().unwrap();
        let mailboxes = mailboxes(place.path(), "100");
        let alice = "sip:alice@example.com";
        assert_eq!(mailboxes.remove_greeting(alice).unwrap_err().status, 404);
        let flac = include_bytes!("../../media/src/player/samples/tone.flac");
        mailboxes.set_greeting(alice, flac).unwrap();
        let file = super::place(place.path()).join("alice@example.com").join(GREETING);
        let seconds = recorder::seconds(File::open(&file).unwrap()).unwrap();
        assert!((seconds - 0.5).abs() < 0.05, "{seconds}");
        assert_eq!(mailboxes.set_greeting(alice, b"no sound").unwrap_err().status, 400);
        assert!(file.exists());
        mailboxes.remove_greeting(alice).unwrap();
        assert!(!file.exists());
    }

    #[test]
    fn messages_are_listed_read_and_deleted_and_a_mailbox_ends_with_its_account() {
        let data = tempfile::tempdir().unwrap();
        let (place, mailboxes) = (place(data.path()), mailboxes(data.path(), "100"));
        let alice = "sip:alice@example.com";
        assert_eq!(mailboxes.list(alice).unwrap(), []);
        for (folder, name) in [("old", "0000000005-1-1002"), ("new", "0000000009-2-1003")] {
            let folder = place.join("alice@example.com").join(folder);
            fs::create_dir_all(&folder).unwrap();
            fs::write(folder.join(format!("{name}.wav")), b"no sound").unwrap();
        }
        let listed = mailboxes.list(alice).unwrap();
        let told: Vec<_> = listed.iter().map(|one| (one.from.as_str(), one.new, one.at.as_str())).collect();
        assert_eq!(
            told,
            [("1003", true, "1970-01-01T00:00:09.000Z"), ("1002", false, "1970-01-01T00:00:05.000Z")]
        );
        assert_eq!(mailboxes.sound(alice, "0000000009-2-1003").unwrap(), b"no sound");
        for id in ["../new/0000000009-2-1003", "greeting", ""] {
            assert_eq!(mailboxes.sound(alice, id).unwrap_err().status, 404, "{id}");
        }
        mailboxes.remove(alice, "0000000009-2-1003").unwrap();
        assert_eq!(mailboxes.remove(alice, "0000000009-2-1003").unwrap_err().status, 404);
        mailboxes.forget(alice).unwrap();
        mailboxes.forget(alice).unwrap();
        assert_eq!(mailboxes.list(alice).unwrap(), []);
        assert_eq!(mailboxes.forget("nobody").unwrap_err().status, 400);
    }

    #[test]
    fn a_message_is_forwarded_to_another_mailbox_that_has_room_and_not_the_message() {
        let data = tempfile::tempdir().unwrap();
        let (place, mailboxes) = (place(data.path()), mailboxes(data.path(), "1"));
        let (alice, id) = ("sip:alice@example.com", "0000000005-1-1002");
        let put = |user: &str, name: &str| {
            let folder = place.join(format!("{user}@example.com/old"));
            fs::create_dir_all(&folder).unwrap();
            fs::write(folder.join(format!("{name}.wav")), b"no sound").unwrap();
        };
        put("alice", id);
        put("bob", "0000000006-1-1002");
        put("carol", id);
        let refused = |id: &str, to: &str| {
            let problem = mailboxes.forward(alice, id, &format!("sip:{to}@example.com")).unwrap_err();
            (problem.status, problem.detail)
        };
        assert_eq!(
            refused("0000000005-1-1003", "dave"),
            (404, "there is no message 0000000005-1-1003".into())
        );
        assert_eq!(refused(id, "alice").0, 400);
        assert_eq!(
            refused(id, "bob"),
            (409, "the mailbox of sip:bob@example.com is full: 1 messages".into())
        );
        assert_eq!(refused(id, "carol").0, 409);
        assert_eq!(refused(id, "dave").0, 503, "the exchange writes the mail");
    }

    /// Those of this data directory; so many messages may be in one.
    fn mailboxes(data: &Path, most: &str) -> Mailboxes {
        let file = data.join("offhook.toml");
        fs::write(&file, format!("data_dir = {data:?}\n[services.voicemail]\nmost = {most}\n")).unwrap();
        let settings = Settings::read(&Sources { file: Some(file), ..Sources::default() }).unwrap();
        Mailboxes::new(Arc::new(LineDesk::new(Arc::new(settings), None)), None)
    }
}
