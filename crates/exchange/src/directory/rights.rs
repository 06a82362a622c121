//! What an account may do, or wants done, beside calling.

/// The default is the usual: nothing of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rights {
    /// When its calls are recorded.
    pub record: Record,
    /// Whom it may listen to: numbers and names of accounts; `*` at the end stands for anything.
    pub supervises: Vec<String>,
    /// Whether its phones may be made to answer by themselves.
    pub intercom: bool,
}

/// When calls are recorded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Record {
    /// Never.
    #[default]
    Never,
    /// While the user wants it.
    OnDemand,
    /// Whenever it talks.
    Always,
}

impl Record {
    /// As it is written.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Never => "never",
            Self::OnDemand => "on-demand",
            Self::Always => "always",
        }
    }

    /// The one that is written so.
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Never, Self::OnDemand, Self::Always].into_iter().find(|one| one.word() == word)
    }
}

impl Rights {
    /// Whether nothing is said, so that nothing has to be kept.
    pub fn is_usual(&self) -> bool {
        *self == Self::default()
    }

    /// Whether it may listen to one who is reached by one of these: its number, its user, its address.
    pub fn may_supervise(&self, names: &[&str]) -> bool {
        self.supervises.iter().any(|one| match one.strip_suffix('*') {
            Some(begin) => names.iter().any(|name| name.starts_with(begin)),
            None => names.contains(&one.as_str()),
        })
    }
}
