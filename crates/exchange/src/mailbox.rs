//! What is in mailboxes, by the names of files: `FOLDER/new/AT-UNIQUE-CALLER.wav`, the same under `old`, and
//! `FOLDER/greeting.wav`. The files are all there is: no list could be wrong about them.

use crate::directory::AddressOfRecord;

/// One mailbox.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Contents {
    /// The new ones first, each kind in the order in which they came.
    pub messages: Vec<Message>,
    /// Whether its owner has recorded a greeting.
    pub greeting: bool,
}

/// A message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Whether nobody has heard it.
    pub is_new: bool,
    /// When it was left, in Unix seconds.
    pub at: u64,
    /// The name of its file in the folder of its kind.
    name: String,
}

impl Contents {
    /// From the names of its files within its folder. Others than ours are not looked at.
    pub fn read(files: &[String]) -> Self {
        let mut contents = Self { messages: Vec::new(), greeting: files.iter().any(|file| file == GREETING) };
        contents.messages = files.iter().filter_map(|file| Message::read(file)).collect();
        contents.messages.sort_by(|a, b| (!a.is_new, a.at, &a.name).cmp(&(!b.is_new, b.at, &b.name)));
        contents
    }

    /// How many are new, and how many are not.
    pub fn count(&self) -> (u32, u32) {
        let new = self.messages.iter().filter(|one| one.is_new).count();
        (new as u32, (self.messages.len() - new) as u32)
    }
}

impl Message {
    fn read(file: &str) -> Option<Self> {
        let (kind, name) = file.split_once('/')?;
        let is_new = match kind {
            NEW => true,
            OLD => false,
            _ => return None,
        };
        let mut parts = name.strip_suffix(".wav")?.splitn(3, '-');
        let (at, _, _) = (parts.next()?.parse().ok()?, parts.next()?, parts.next()?);
        Some(Self { is_new, at, name: name.to_owned() })
    }

    /// A new one; `unique` tells it from others of the same second.
    pub fn new(at: u64, unique: u64, caller: &str) -> Self {
        let caller: String =
            caller.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '+').take(32).collect();
        Self { is_new: true, at, name: format!("{at:010}-{unique:x}-{caller}.wav") }
    }

    /// The same in another mailbox, where nobody has heard it.
    pub fn forwarded(&self) -> Self {
        Self { is_new: true, ..self.clone() }
    }

    /// Who left it: a number, or letters of a name.
    pub fn caller(&self) -> &str {
        self.name.trim_end_matches(".wav").splitn(3, '-').nth(2).unwrap_or_default()
    }

    /// By which it is known, new or not.
    pub fn id(&self) -> &str {
        self.name.trim_end_matches(".wav")
    }

    /// Its file, in the place of all mailboxes.
    pub fn file(&self, folder: &str) -> String {
        format!("{folder}/{}/{}", if self.is_new { NEW } else { OLD }, self.name)
    }
}

/// The folder of an account's mailbox. Signs that mean something to a file system are escaped, so that no two accounts
/// share one and none leads elsewhere.
pub fn folder(account: &AddressOfRecord) -> String {
    let mut folder = String::new();
    for byte in account.as_str().bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'+' | b'@' => folder.push(byte.into()),
            // Not the first: such names are hidden, or mean other folders.
            b'.' if !folder.is_empty() => folder.push('.'),
            other => folder.push_str(&format!("%{other:02x}")),
        }
    }
    folder
}

/// The account of a folder, if it is one's.
pub fn owner(folder: &str) -> Option<AddressOfRecord> {
    let mut bytes = Vec::with_capacity(folder.len());
    let mut rest = folder.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let digits = [rest.next()?, rest.next()?];
            bytes.push(u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?);
        } else {
            bytes.push(byte);
        }
    }
    let (user, host) = std::str::from_utf8(&bytes).ok()?.rsplit_once('@')?;
    Some(AddressOfRecord::new(user, host))
}

/// The recorded greeting.
pub const GREETING: &str = "greeting.wav";
const NEW: &str = "new";
const OLD: &str = "old";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_of_one_account_and_leads_nowhere_else() {
        for user in ["alice", "../../etc", ".hidden", "a b/c", "Ünal", "100%", "a%2fb"] {
            let account = AddressOfRecord::new(user, "example.com");
            let folder = folder(&account);
            assert!(!folder.contains('/') && !folder.starts_with('.'), "{folder}");
            assert_eq!(owner(&folder), Some(account));
        }
    }

    #[test]
    fn messages_are_read_from_the_names_of_files() {
        let files =
            ["old/0000000005-1-alice.wav", "new/0000000009-0-+49301.wav", "new/0000000007-2-.wav", GREETING]
                .map(str::to_owned);
        let contents = Contents::read(&files);
        assert_eq!((contents.count(), contents.greeting), ((2, 1), true));
        let told: Vec<_> = contents.messages.iter().map(|one| (one.at, one.caller())).collect();
        assert_eq!(told, [(7, ""), (9, "+49301"), (5, "alice")]);
        assert_eq!(contents.messages[1].file("a@b"), "a@b/new/0000000009-0-+49301.wav");
        let odd =
            ["new/x.wav", "new/1-2.wav", "other/0000000005-1-a.wav", "new", "tmp.part"].map(str::to_owned);
        assert_eq!(Contents::read(&odd), Contents::default());
    }

    #[test]
    fn a_new_message_reads_as_it_was_written() {
        let message = Message::new(1_800_000_000, 31, "+49 (30) 1/../x");
        let file = message.file("box");
        assert_eq!(file, "box/new/1800000000-1f-+49301x.wav");
        assert_eq!(Message::read(file.strip_prefix("box/").unwrap()), Some(message));
    }
}
