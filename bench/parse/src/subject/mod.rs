//! What is measured. A subject is one file that does the three tasks in the way its crate offers.

mod ezk;
mod offhook;
mod rsip;
mod rsipstack;

/// A crate that reads SIP messages.
pub(crate) struct Subject {
    pub(crate) name: &'static str,
    /// The package whose version is printed.
    pub(crate) package: &'static str,
    /// Start line and header fields found and split, body found. Returns the number of fields.
    pub(crate) parse: fn(&[u8]) -> usize,
    /// The same, then Via, From, To, CSeq, Contact and Call-ID as typed values. Returns what depends on them all.
    pub(crate) typed: fn(&[u8]) -> usize,
    /// Parse; Via and Record-Route put on top, Max-Forwards one less, the Request-URI replaced; the bytes to send.
    pub(crate) forward: fn(&[u8], &mut Send<'_>),
}

/// Takes the bytes of a forwarded message, as a socket would.
pub(crate) type Send<'a> = dyn FnMut(&[u8]) + 'a;

/// Everything that is compared, ours first.
pub(crate) fn all() -> [Subject; 4] {
    [offhook::SUBJECT, rsipstack::SUBJECT, rsip::SUBJECT, ezk::SUBJECT]
}

/// What is done with a message.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Task {
    Parse,
    Typed,
    Forward,
}

impl Task {
    pub(crate) const ALL: [Task; 3] = [Task::Parse, Task::Typed, Task::Forward];

    pub(crate) fn title(self) -> &'static str {
        match self {
            Task::Parse => "Parse",
            Task::Typed => "Parse, and typed Via, From, To, CSeq, Contact, Call-ID",
            Task::Forward => "Parse, and forward: Via, Record-Route, Max-Forwards, Request-URI, to bytes",
        }
    }
}

impl Subject {
    /// Does it once.
    pub(crate) fn perform(&self, task: Task, message: &[u8]) {
        match task {
            Task::Parse => {
                std::hint::black_box((self.parse)(message));
            }
            Task::Typed => {
                std::hint::black_box((self.typed)(message));
            }
            Task::Forward => (self.forward)(message, &mut |bytes| {
                std::hint::black_box(bytes);
            }),
        }
    }
}
