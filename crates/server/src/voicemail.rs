//! Mailboxes, as the API sees them: the folders that the thread of recordings writes.

use std::fs::{self, File};
use std::io::{self, BufReader};
use std::path::PathBuf;
use std::time::Duration;

use offhook_exchange::directory::AddressOfRecord;
use offhook_exchange::mailbox::{Contents, Message, folder};
use offhook_media::recorder;
use offhook_web::calendar::rfc3339;
use offhook_web::{Problem, VoiceMessage, Voicemail};

use crate::recordings::{Files, list};

/// The mailboxes of a place.
pub(crate) struct Mailboxes {
    pub(crate) place: PathBuf,
    /// Who is to know of changes, where a server runs.
    pub(crate) files: Option<Files>,
}

impl Mailboxes {
    fn folder(account: &str) -> Result<String, Problem> {
        let account = AddressOfRecord::parse(account).map_err(|error| Problem::bad(error.to_string()))?;
        Ok(folder(&account))
    }

    /// A message and its file. What is asked for is compared with names that are there, and leads nowhere else.
    fn find(&self, account: &str, id: &str) -> Result<(String, PathBuf), Problem> {
        let folder = Self::folder(account)?;
        let contents = Contents::read(&list(&self.place, &folder));
        let message = contents.messages.iter().find(|one| one.id() == id);
        let message = message.ok_or_else(|| Problem::not_found(format!("there is no message {id}")))?;
        let file = self.place.join(message.file(&folder));
        Ok((folder, file))
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

impl Voicemail for Mailboxes {
    fn list(&self, account: &str) -> Result<Vec<VoiceMessage>, Problem> {
        let folder = Self::folder(account)?;
        let contents = Contents::read(&list(&self.place, &folder));
        Ok(contents.messages.iter().map(|message| self.shown(&folder, message)).collect())
    }

    fn sound(&self, account: &str, id: &str) -> Result<Vec<u8>, Problem> {
        let (_, file) = self.find(account, id)?;
        fs::read(file).map_err(|error| failed(id, &error))
    }

    fn remove(&self, account: &str, id: &str) -> Result<(), Problem> {
        let (folder, file) = self.find(account, id)?;
        fs::remove_file(file).map_err(|error| failed(id, &error))?;
        if let Some(files) = &self.files {
            files.changed(folder);
        }
        Ok(())
    }
}

fn failed(id: &str, error: &io::Error) -> Problem {
    match error.kind() {
        // It was heard or deleted in this moment.
        io::ErrorKind::NotFound => Problem::not_found(format!("there is no message {id} any more")),
        _ => Problem::failed(format!("message {id}: {error}")),
    }
}
