//! The store of text messages in the world: what is in it outlives the exchange.

use std::collections::BTreeSet;

use offhook_exchange::directory::{AddressOfRecord, Delta};
use offhook_exchange::message::{KeptText, Text, TextAnswer, TextRequest, TextState};

/// All text messages, in the order in which they came.
#[derive(Default)]
pub struct Texts {
    all: Vec<(KeptText, TextState)>,
    /// As many messages may wait for one account.
    pub most: Option<usize>,
}

impl Texts {
    /// Each message with what has become of it.
    pub fn all(&self) -> impl Iterator<Item = (&Text, TextState)> {
        self.all.iter().map(|(kept, state)| (&kept.text, *state))
    }

    /// The answer to a question, if it has one.
    pub(crate) fn answer(&mut self, request: TextRequest) -> Option<TextAnswer> {
        match request {
            TextRequest::Keep(text) => {
                let waiting = self.waiting(&text.account).count();
                if self.most.is_some_and(|most| waiting >= most) {
                    return Some(TextAnswer::Full);
                }
                self.put(text, TextState::Kept);
                Some(TextAnswer::Kept)
            }
            TextRequest::Next(account, after) => {
                let next = self.waiting(&account).find(|kept| kept.id > after).cloned();
                Some(TextAnswer::Next(next.map(Box::new)))
            }
            TextRequest::Settle(id, state) => {
                if let Some(one) = self.all.iter_mut().find(|(kept, _)| kept.id == id) {
                    one.1 = state;
                }
                None
            }
            TextRequest::Note(text) => {
                self.put(text, TextState::Delivered);
                None
            }
        }
    }

    /// What shards must know after a start.
    pub(crate) fn load(&self) -> Vec<Delta> {
        let waiting = self.all.iter().filter(|(_, state)| *state == TextState::Kept);
        let accounts: BTreeSet<_> = waiting.map(|(kept, _)| kept.text.account.clone()).collect();
        accounts.into_iter().map(|account| Delta::Texts(account, true)).collect()
    }

    fn waiting(&self, account: &AddressOfRecord) -> impl Iterator<Item = &KeptText> {
        let waits = move |(kept, state): &&(KeptText, TextState)| {
            kept.text.account == *account && *state == TextState::Kept
        };
        self.all.iter().filter(waits).map(|(kept, _)| kept)
    }

    fn put(&mut self, text: Text, state: TextState) {
        let id = self.all.len() as i64 + 1;
        self.all.push((KeptText { id, text }, state));
    }
}
