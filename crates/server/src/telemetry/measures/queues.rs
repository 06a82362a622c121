//! Measures of queues. Their label is the name of the queue, which is no person's.

use offhook_exchange::command::QueueReport;
use offhook_exchange::directory::AgentState;

use super::Text;

/// What queues count and how they are, in the same format; nothing where there are none.
pub(crate) fn queues_text(queues: &[QueueReport]) -> String {
    let mut text = Text::default();
    if queues.is_empty() {
        return text.0;
    }
    type Measured = fn(&QueueReport) -> u64;
    let measures: [(&str, &str, &str, Measured); 6] = [
        ("queue_waiting", "Callers who wait", "gauge", |one| one.waiting as u64),
        ("queue_longest_wait_seconds", "For how long the first of them has", "gauge", |one| one.longest_wait),
        ("queue_answered_total", "Callers whom an agent has answered", "counter", |one| one.answered),
        ("queue_abandoned_total", "Callers who gave up", "counter", |one| one.abandoned),
        (
            "queue_overflowed_total",
            "Callers who were sent on, or told that nobody can take their call",
            "counter",
            |one| one.overflowed,
        ),
        (
            "queue_wait_seconds_total",
            "For how long those who were answered had waited, all together",
            "counter",
            |one| one.waited,
        ),
    ];
    for (name, help, kind, measured) in measures {
        text.head(name, help, kind);
        for queue in queues {
            text.line(name, &format!("{{queue=\"{}\"}}", escaped(&queue.name)), measured(queue) as f64);
        }
    }
    text.head("queue_agents", "Agents, by how they are", "gauge");
    for queue in queues {
        for state in ["free", "in_call", "paused", "logged_out"] {
            let count = queue.agents.iter().filter(|one| word(one.state, one.in_call) == state).count();
            let labels = format!("{{queue=\"{}\",state=\"{state}\"}}", escaped(&queue.name));
            text.line("queue_agents", &labels, count as f64);
        }
    }
    text.0
}

fn word(state: AgentState, in_call: bool) -> &'static str {
    match state {
        AgentState::LoggedOut => "logged_out",
        AgentState::Paused => "paused",
        AgentState::LoggedIn if in_call => "in_call",
        AgentState::LoggedIn => "free",
    }
}

/// As a label's value is written.
fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use offhook_exchange::command::AgentReport;

    use super::*;

    #[test]
    fn queues_are_measured_under_their_names() {
        let agent = |state, in_call| AgentReport { account: "sip:a@b".into(), state, in_call };
        let queue = QueueReport {
            number: "610".into(),
            name: "Su\"pport".into(),
            waiting: 2,
            longest_wait: 31,
            answered: 5,
            abandoned: 1,
            overflowed: 0,
            waited: 77,
            agents: vec![
                agent(AgentState::LoggedIn, true),
                agent(AgentState::LoggedIn, false),
                agent(AgentState::Paused, false),
            ],
        };
        let text = queues_text(&[queue]);
        for line in [
            "offhook_queue_waiting{queue=\"Su\\\"pport\"} 2",
            "offhook_queue_longest_wait_seconds{queue=\"Su\\\"pport\"} 31",
            "offhook_queue_answered_total{queue=\"Su\\\"pport\"} 5",
            "offhook_queue_wait_seconds_total{queue=\"Su\\\"pport\"} 77",
            "offhook_queue_agents{queue=\"Su\\\"pport\",state=\"in_call\"} 1",
            "offhook_queue_agents{queue=\"Su\\\"pport\",state=\"logged_out\"} 0",
            "# TYPE offhook_queue_answered_total counter",
        ] {
            assert!(text.lines().any(|one| one == line), "{line}\n{text}");
        }
        assert_eq!(queues_text(&[]), "");
        assert!(!text.contains("sip:a@b"));
    }
}
