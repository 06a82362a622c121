//! Subscriptions (RFC 6665): [`Notifier`], who is asked and tells, and [`Subscriber`], who asks and is told.

mod notifier;
mod subscriber;
#[cfg(test)]
mod tests;

pub use notifier::{Ended, Grant, Notifier};
pub use subscriber::{Subscriber, SubscriberEvent, SubscriptionSettings};
