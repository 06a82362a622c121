//! `[[queue]]`: callers who wait for agents.

use std::sync::Arc;
use std::time::Duration;

use offhook_exchange::schedule::Schedule;
use offhook_exchange::services::{Queue, Strategy};

use super::Meaning;
use super::group::{flag, members, number, shown, time};
use super::plan::{Wrong, mistake, text};
use super::schedule::hours;
use crate::config_file::{Object, Value};

impl Meaning<'_> {
    pub(super) fn queues(&mut self, schedules: &[Arc<Schedule>]) -> Vec<Queue> {
        let mut queues: Vec<Queue> = Vec::new();
        for object in self.written.objects.iter().filter(|object| object.list == "queue") {
            match queue(object, schedules) {
                Ok(one) => queues.push(one),
                // What could not be read has been told of already.
                Err(_) if !object.complete => {}
                Err((key, what)) => self.mistakes.push(mistake(object, key, what)),
            }
        }
        queues
    }
}

fn queue(object: &Object, schedules: &[Arc<Schedule>]) -> Result<Queue, Wrong> {
    let number = number(object, "queue")?;
    let name = text(object, "name").unwrap_or_else(|| number.clone());
    shown(&name).map_err(|what| ("name", what))?;
    let strategy = text(object, "strategy").and_then(|word| Strategy::of(&word));
    let then = text(object, "then");
    if then.as_ref() == Some(&number) {
        return Err(("then", "that is the queue itself".into()));
    }
    Ok(Queue {
        name,
        agents: members(object, "agents", "queue")?,
        log_in: flag(object, "log_in", true),
        strategy: strategy.unwrap_or(Strategy::LongestIdle),
        rings_for: time(object, "rings_for", Duration::from_secs(15))?,
        wrap_up: length(object, "wrap_up", Duration::from_secs(10)),
        pause_after: count(object, "pause_after", 3) as u32,
        max_waiting: count(object, "max_waiting", 50) as usize,
        max_wait: length(object, "max_wait", Duration::from_secs(600)),
        announce: length(object, "announce", Duration::from_secs(30)),
        then,
        hours: hours(object, schedules)?,
        say_refusal: flag(object, "say_refusal", false),
        number,
    })
}

/// A time, of which off is none.
fn length(object: &Object, key: &str, usual: Duration) -> Duration {
    match object.values.get(key).map(|entry| &entry.value) {
        Some(Value::Time(time)) => *time,
        _ => usual,
    }
}

fn count(object: &Object, key: &str, usual: u64) -> u64 {
    match object.values.get(key).map(|entry| &entry.value) {
        Some(Value::Count(count)) => *count,
        _ => usual,
    }
}
