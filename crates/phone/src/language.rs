//! The language of explanations; SIP words stay English.

pub use offhook_sip_stack::ladder::Language;

/// The language of the locale.
pub fn language_of_locale() -> Language {
    let set = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
    let locale = set("LC_ALL").or_else(|| set("LC_MESSAGES")).or_else(|| set("LANG"));
    Language::of_locale(&locale.unwrap_or_default())
}
