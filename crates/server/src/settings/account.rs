//! Accounts that are declared in files.

use std::path::{Path, PathBuf};

use offhook_exchange::directory::AddressOfRecord;
use offhook_exchange::speech::Language;
use offhook_exchange::spending::Limits;
use offhook_store::{NewAccount, Password, parse_number};

use crate::config_file::{Mistake, Object, Place, Secret, Value, Written};

/// An `[[account]]`.
#[derive(Clone, Debug)]
pub struct DeclaredAccount {
    /// Its address.
    pub address: AddressOfRecord,
    /// Its password; generated if there is none.
    pub password: Option<Password>,
    /// The name shown to those it calls.
    pub name: Option<String>,
    /// Its number.
    pub number: Option<String>,
    /// Where its owner is reached.
    pub email: Option<String>,
    /// How it is spoken and written to, where that is not as all are.
    pub language: Option<Language>,
    /// What it may do.
    pub limits: Limits,
}

impl DeclaredAccount {
    /// For the store, with secrets for this realm.
    pub(crate) fn for_realm(&self, realm: &str) -> NewAccount {
        NewAccount {
            address: self.address.clone(),
            password: self.password.clone(),
            name: self.name.clone(),
            number: self.number.clone(),
            email: self.email.clone(),
            language: self.language,
            realm: realm.to_owned(),
        }
    }
}

/// All accounts that are declared, as far as they make sense.
pub(super) fn declared(written: &Written, mistakes: &mut Vec<Mistake>) -> Vec<DeclaredAccount> {
    let mut accounts: Vec<DeclaredAccount> = Vec::new();
    for object in written.objects.iter().filter(|object| object.list == "account") {
        let mut reader = Reader { object, mistakes };
        let Some(account) = reader.account() else { continue };
        if accounts.iter().any(|other| other.address == account.address) {
            reader.mistake("address", format!("{} is declared twice", account.address));
        }
        accounts.push(account);
    }
    accounts
}

/// What a secret is. A file is looked for beside the one that names it.
pub(super) fn reveal(secret: &Secret, place: &Place) -> Result<String, String> {
    match secret {
        Secret::Plain(text) => Ok(text.clone()),
        Secret::Variable(name) => {
            std::env::var(name).map_err(|_| format!("{name} is not in the environment"))
        }
        Secret::File(path) => {
            let beside = Path::new(&place.source.name).parent().unwrap_or(Path::new(""));
            let path: PathBuf = beside.join(path);
            let text =
                std::fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
            Ok(text.trim_end_matches(['\r', '\n']).to_owned())
        }
    }
}

struct Reader<'a> {
    object: &'a Object,
    mistakes: &'a mut Vec<Mistake>,
}

impl Reader<'_> {
    fn account(&mut self) -> Option<DeclaredAccount> {
        let password = self.password();
        let number = self.text("number").and_then(|text| match parse_number(&text) {
            Ok(number) => Some(number),
            Err(error) => {
                self.mistake("number", error.to_string());
                None
            }
        });
        let Some(address) = self.text("address") else {
            // A misspelt key has been told of already; it may have been this one.
            if self.object.complete {
                self.mistake("address", "this [[account]] has no address".into());
            }
            return None;
        };
        match AddressOfRecord::parse(&address) {
            Ok(address) => {
                let (name, email) = (self.text("name"), self.text("email"));
                let limits = match self.object.values.get("limits").map(|entry| &entry.value) {
                    Some(Value::Limits(limits)) => *limits,
                    _ => Limits::default(),
                };
                let language = self.text("language").and_then(|code| Language::parse(&code));
                Some(DeclaredAccount { address, password, name, number, email, language, limits })
            }
            Err(error) => {
                self.mistake("address", error.to_string());
                None
            }
        }
    }

    fn password(&mut self) -> Option<Password> {
        let given = self.object.values.get("password").map(|entry| &entry.value);
        if given.is_some() && self.object.values.contains_key("password_file") {
            self.mistake("password_file", "password is given already".into());
            return None;
        }
        let (key, text) = match (given, self.text("password_file")) {
            (Some(Value::Secret(secret)), _) => ("password", reveal(secret, &self.object.place)),
            (_, Some(path)) => ("password_file", reveal(&Secret::File(path), &self.object.place)),
            (_, None) => return None,
        };
        let password = text.and_then(|text| Password::new(text).map_err(|error| error.to_string()));
        password.map_err(|what| self.mistake(key, what)).ok()
    }

    fn text(&self, key: &str) -> Option<String> {
        match &self.object.values.get(key)?.value {
            Value::Text(text) => Some(text.clone()),
            _ => None,
        }
    }

    fn mistake(&mut self, key: &str, what: String) {
        let place = self.object.values.get(key).map_or(&self.object.place, |entry| &entry.place);
        self.mistakes.push(Mistake { place: Some(place.clone()), what, help: None });
    }
}
