//! Making, changing and removing trunks and routes that are not declared in files.

use clap::Args;
use serde_json::{Map, Value, json};

use crate::account::Flags;
use crate::api::{Api, segment};
use crate::exit::{Failure, USAGE};
use crate::print;

/// Keys of the configuration file and their values.
#[derive(Args, Debug)]
pub(crate) struct Keys {
    /// KEY=VALUE as in the configuration file; an empty value takes a key away; @FILE reads it from a file
    #[arg(value_name = "KEY=VALUE")]
    keys: Vec<String>,
}

impl Keys {
    /// As JSON: what is no value of a configuration file is text.
    fn read(&self) -> Result<Map<String, Value>, Failure> {
        let pair = |text: &String| {
            let (key, value) = text
                .split_once('=')
                .ok_or_else(|| Failure::new(USAGE, format!("{text}: write KEY=VALUE")))?;
            let value = match value.strip_prefix('@') {
                Some(file) => {
                    let read = std::fs::read_to_string(file);
                    let text = read.map_err(|error| Failure::other(format!("{file}: {error}")))?;
                    Value::from(text.trim_end_matches(['\r', '\n']))
                }
                None if value.is_empty() => Value::Null,
                None => offhook_server::config_file::value_as_json(value),
            };
            Ok((key.trim().to_owned(), value))
        };
        self.keys.iter().map(pair).collect()
    }

    /// Makes a trunk (`trunks`) or a route (`routes`).
    pub(crate) fn add(&self, list: &str, name: &str, common: &Flags) -> Result<(), Failure> {
        let mut body = self.read()?;
        body.insert("name".into(), name.into());
        let made =
            Api::open(&common.place)?.ask("POST", &format!("/api/v1/{list}"), Some(&Value::Object(body)))?;
        show(&made, common);
        Ok(())
    }

    /// Changes what is named of one.
    pub(crate) fn set(&self, list: &str, name: &str, common: &Flags) -> Result<(), Failure> {
        let path = format!("/api/v1/{list}/{}", segment(name));
        let changed = Api::open(&common.place)?.ask("PATCH", &path, Some(&Value::Object(self.read()?)))?;
        show(&changed, common);
        Ok(())
    }
}

/// Removes a trunk or a route.
pub(crate) fn remove(list: &str, name: &str, common: &Flags) -> Result<(), Failure> {
    Api::open(&common.place)?.ask("DELETE", &format!("/api/v1/{list}/{}", segment(name)), None)?;
    if common.json {
        print::line(&json!({ "removed": name }).to_string());
    }
    Ok(())
}

fn show(line: &Value, common: &Flags) {
    if common.json {
        return print::line(&line.to_string());
    }
    print::line(&format!("{:<22} {}", "name", print::word(&line["name"])));
    for (key, value) in line["settings"].as_object().into_iter().flatten() {
        let value = if value.is_string() { print::word(value) } else { value.to_string() };
        print::line(&format!("{key:<22} {value}"));
    }
}
