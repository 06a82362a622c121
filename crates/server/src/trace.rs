//! What passed lately: each signal thread keeps the messages of its shard, and what belongs to them, in a ring of fixed
//! size; whoever asks gets the parts of the ring and searches them in a thread of its own.

mod recorder;
mod search;

use std::time::Duration;

use offhook_exchange::event::{EndedBy, Event, Reception};

pub(crate) use recorder::{Excerpt, Recorder};
pub(crate) use search::{follow, ladder};

/// Keeps of an event what the messages do not say.
pub(crate) fn keep(recorder: &mut Recorder, unix: Duration, event: &Event) {
    match event {
        Event::LegStarted { call, leg } => recorder.leg(unix, call, leg),
        Event::CallAnswered { call, anchored, .. } => {
            recorder.note(unix, call, if *anchored { ANCHORED } else { DIRECT });
        }
        Event::CallEnded { call, by: EndedBy::Exchange } => recorder.note(unix, call, BY_EXCHANGE),
        Event::CallEnded { call, by: EndedBy::Operator }
        | Event::CallFailed { call, by: Some(EndedBy::Operator), .. } => {
            recorder.note(unix, call, BY_OPERATOR)
        }
        Event::MediaEnded { call, leg: None, heard } => {
            match heard.map(|heard| heard.map(|heard| heard.packets)) {
                [Some(0), Some(0)] => recorder.note(unix, call, FROM_NEITHER),
                [Some(0), _] => recorder.note(unix, call, FROM_CALLER),
                [_, Some(0)] => recorder.note(unix, call, FROM_CALLEE),
                _ => {}
            }
            for (whose, heard) in [CALLERS, CALLEES].into_iter().zip(heard) {
                if let Some(trouble) = heard.and_then(trouble) {
                    recorder.note(unix, call, &format!("{whose}{trouble}"));
                }
            }
        }
        Event::MediaEnded { leg: Some(_), .. }
        | Event::LegEnded { .. }
        | Event::CallFailed { .. }
        | Event::CallEnded { .. }
        | Event::CallStarted { .. }
        | Event::CallCame { .. }
        | Event::CallVerified { .. }
        | Event::CallSent { .. }
        | Event::CallStayed { .. }
        | Event::SpendingStopped { .. }
        | Event::CallRinging { .. }
        | Event::Dropped { .. }
        | Event::Refused { .. }
        | Event::CallRefused { .. }
        | Event::Overload { .. }
        | Event::Trunk { .. }
        | Event::Recording { .. }
        | Event::Supervised { .. }
        | Event::AuthenticationFailed { .. }
        | Event::Registered { .. } => {}
    }
}

/// What was wrong with the way that sound came, if it was worth a remark.
fn trouble(heard: Reception) -> Option<String> {
    let Reception { packets, lost, jitter, .. } = heard;
    let percent = lost as f64 * 100.0 / (packets + lost).max(1) as f64;
    let jitter = jitter.as_millis();
    (packets > 0 && (percent >= 1.0 || jitter >= UNEVEN))
        .then(|| format!("{percent:.1} % lost, jitter {jitter} ms"))
}

/// Milliseconds of jitter that are heard as delay or gaps.
const UNEVEN: u128 = 30;
/// The remarks of a ladder, in the words that `offhook_web::explain` knows.
const ANCHORED: &str = "answered: the sound goes through the exchange";
const DIRECT: &str = "answered: the sound goes directly between the phones";
const FROM_NEITHER: &str = "no sound came from either side";
const FROM_CALLER: &str = "no sound came from the caller";
const FROM_CALLEE: &str = "no sound came from the one who was called";
const CALLERS: &str = "sound from the caller: ";
const CALLEES: &str = "sound from the one who was called: ";
const BY_EXCHANGE: &str = "ended by the exchange";
const BY_OPERATOR: &str = "ended by the operator";
