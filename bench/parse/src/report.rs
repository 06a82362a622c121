//! The table, as people and later versions of it want to read it.

use crate::measure::Outcome;
use crate::subject::{Subject, Task};
use crate::{invite, machine};
use std::fmt::Write;

/// All results as a page of Markdown.
pub(crate) fn text(
    subjects: &[Subject],
    results: &[Vec<Outcome>],
    rounds: usize,
    load_before: &str,
) -> String {
    let mut out = String::new();
    let size = invite::received().len();
    let _ = writeln!(out, "# One INVITE of {size} bytes with SDP, {}\n", machine::date());
    for (task, outcomes) in Task::ALL.iter().zip(results) {
        table(&mut out, *task, subjects, outcomes);
    }
    let _ = writeln!(out, "{}\n", NOTES.trim());
    let _ =
        writeln!(out, "Command: `make bench` ({rounds} rounds). `crates/sip` as of {}.", machine::commit());
    let _ = writeln!(out, "Machine: {}.", machine::describe());
    let _ = writeln!(out, "Load averages before and after: {load_before}; {}.", machine::load());
    out
}

fn table(out: &mut String, task: Task, subjects: &[Subject], outcomes: &[Outcome]) {
    let ours = outcomes[0].median();
    let _ = writeln!(out, "## {}\n", task.title());
    let _ = writeln!(out, "| | ns, median | min – max | × ours | allocations | bytes allocated |");
    let _ = writeln!(out, "|---|--:|--:|--:|--:|--:|");
    for (subject, outcome) in subjects.iter().zip(outcomes) {
        let (ns, allocations) = (&outcome.nanoseconds, outcome.allocations);
        let _ = writeln!(
            out,
            "| {} {} | {:.0} | {:.0} – {:.0} | {:.1} | {} | {} |",
            subject.name,
            machine::version(subject.package),
            outcome.median(),
            ns[0],
            ns[ns.len() - 1],
            outcome.median() / ours,
            allocations.count,
            allocations.bytes,
        );
    }
    out.push('\n');
}

const NOTES: &str = "
Processor time of one thread, for one message, freeing what was made included. The crates take turns in every
round. Each starts from a receive buffer (`&[u8]`) and copies it if its types ask for that. What each does with
the message is in `bench/parse/src/subject/`; the forwarded messages are checked before anything is measured.
How much a crate checks while parsing differs: ours checks the start line and the mandatory headers.
";
