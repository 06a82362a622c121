//! `offhook rates`: what calls by trunks cost.

use std::path::PathBuf;

use clap::Subcommand;
use serde_json::json;

use crate::exit::{Failure, PROBLEMS_FOUND};
use crate::print;

/// What to do with rates.
#[derive(Subcommand, Debug)]
pub(crate) enum Rates {
    /// Looks whether a CSV file of rates can be used: each wrong line is told with its column
    #[command(after_help = "The columns are prefix,per_minute,connection,increments,currency.\n\n\
                      Example: offhook rates check rates.csv --number +49301234567")]
    Check {
        /// The file
        file: PathBuf,
        /// Says what a call to this number costs, too
        #[arg(long, value_name = "NUMBER")]
        number: Option<String>,
        /// One JSON object
        #[arg(long)]
        json: bool,
    },
}

impl Rates {
    pub(crate) fn run(self) -> Result<(), Failure> {
        let Self::Check { file, number, json } = self;
        let rates = match offhook_server::read_rates(&file) {
            Ok(rates) => rates,
            Err(mistakes) => {
                if json {
                    print::line(&json!({ "prices": 0, "mistakes": mistakes }).to_string());
                }
                return Err(Failure::new(PROBLEMS_FOUND, mistakes.join("\n")));
            }
        };
        let price = number.as_deref().and_then(|number| rates.price(number).zip(rates.prefix(number)));
        if json {
            let price = price.map(|(price, prefix)| {
                json!({
                    "prefix": prefix,
                    "per_minute": price.per_minute.to_string(),
                    "connection": price.connection.to_string(),
                    "increments": format!("{}/{}", price.first, price.then),
                })
            });
            let currency = rates.currency();
            let all = json!({ "prices": rates.len(), "currency": currency, "mistakes": [], "price": price });
            print::line(&all.to_string());
        } else {
            print::line(&format!("{} prices in {}", rates.len(), rates.currency()));
            if let Some((price, prefix)) = price {
                let (currency, increments) = (rates.currency(), format!("{}/{}", price.first, price.then));
                print::line(&format!(
                    "{prefix}: {} {currency} a minute, {} {currency} once, paid by {increments} seconds",
                    price.per_minute, price.connection
                ));
            }
        }
        match (&number, price) {
            (Some(number), None) => Err(Failure::new(PROBLEMS_FOUND, format!("{number} has no price"))),
            _ => Ok(()),
        }
    }
}
