//! `offhook group`: one number for several accounts.

use clap::Subcommand;
use serde_json::Value;

use crate::account::Flags;
use crate::api::Api;
use crate::exit::Failure;
use crate::print;

/// What to do with groups.
#[derive(Subcommand, Debug)]
pub(crate) enum Group {
    /// Lists the groups, and how their members are
    #[command(after_help = "Example: offhook group list --json")]
    List {
        #[command(flatten)]
        common: Flags,
    },
}

impl Group {
    pub(crate) fn run(self) -> Result<(), Failure> {
        let Self::List { common } = self;
        let answer = Api::of_running(&common.place)?.ask("GET", "/api/v1/groups", None)?;
        if common.json {
            print::line(&answer.to_string());
            return Ok(());
        }
        let rows: Vec<Vec<String>> =
            answer["groups"].as_array().into_iter().flatten().flat_map(rows_of).collect();
        print::table(&["GROUP", "NAME", "STRATEGY", "MEMBER", "ACCOUNT", "STATE"], &rows);
        Ok(())
    }
}

/// A row for each member; what is of the group stands in the first.
fn rows_of(group: &Value) -> Vec<Vec<String>> {
    let is_open = group["open"] == true;
    let row = |(at, member): (usize, &Value)| {
        let of_group = |key: &str| if at == 0 { print::word(&group[key]) } else { String::new() };
        vec![
            of_group("number"),
            of_group("name"),
            of_group("strategy"),
            print::word(&member["member"]),
            print::word(&member["account"]),
            state(member, is_open).to_owned(),
        ]
    };
    group["members"].as_array().into_iter().flatten().enumerate().map(row).collect()
}

fn state(member: &Value, is_open: bool) -> &'static str {
    if member["account"].is_null() {
        "no such account"
    } else if member["do_not_disturb"] == true {
        "do not disturb"
    } else if member["phones"] == 0 {
        "no phone"
    } else if member["calls"] != 0 {
        "in a call"
    } else if is_open {
        "free"
    } else {
        "closed"
    }
}
