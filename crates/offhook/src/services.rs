//! `offhook services`: what may be dialled that is no phone.

use clap::Args;
use serde_json::json;

use crate::account::Flags;
use crate::exit::Failure;
use crate::print;

/// Flags of the command.
#[derive(Args, Debug)]
pub(crate) struct Services {
    #[command(flatten)]
    common: Flags,
}

impl Services {
    pub(crate) fn run(self) -> Result<(), Failure> {
        let settings = self.common.place.settings()?;
        if self.common.json {
            let list: Vec<_> = settings
                .services()
                .map(|one| json!({ "name": one.name, "number": one.number, "summary": one.summary }))
                .collect();
            print::line(&json!({ "services": list }).to_string());
            return Ok(());
        }
        let text = |text: &str| text.to_owned();
        let rows: Vec<Vec<String>> = settings
            .services()
            .map(|one| vec![text(one.name), text(one.number.unwrap_or("–")), text(one.summary)])
            .collect();
        print::table(&["SERVICE", "NUMBER", "WHAT IT DOES"], &rows);
        Ok(())
    }
}
