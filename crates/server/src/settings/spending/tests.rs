use offhook_exchange::spending::{Limits, Money};

use crate::Settings;
use crate::config_file::{Mistakes, Sources};

fn settings(text: &str, rates: &str) -> Result<Settings, Mistakes> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("offhook.toml");
    std::fs::write(&file, text).unwrap();
    std::fs::write(folder.path().join("rates.csv"), rates).unwrap();
    Settings::read(&Sources { file: Some(file), ..Sources::default() })
}

const RATES: &str = "prefix,per_minute,connection,increments,currency\n+49,0.01,0,60/60,EUR\n";
const LIMITED: &str = "rates = { file = \"rates.csv\" }\n\
                       [security]\nlimits = { minutes_per_day = 60, money_per_day = \"5.00\" }\n\
                       [[account]]\naddress = \"sip:a@b\"\nlimits = { calls = 2, money_per_day = \"0.5\" }\n";

#[test]
fn limits_and_rates_are_read_beside_the_file_that_names_them() {
    let settings = settings(LIMITED, RATES).unwrap_or_else(|mistakes| panic!("{mistakes}"));
    let (minutes_per_day, money_per_day) = (Some(60), Some(Money(5_000_000)));
    assert_eq!(settings.limits, Limits { calls: None, minutes_per_day, money_per_day });
    let own = Limits { calls: Some(2), minutes_per_day: None, money_per_day: Some(Money(500_000)) };
    assert_eq!(settings.accounts[0].limits, own);
    assert!(settings.rates.price("+49301").is_some() && settings.warnings.is_empty());
}

#[test]
fn each_wrong_row_and_each_limit_without_a_price_is_told() {
    let told = |text: &str, rates: &str| settings(text, rates).unwrap_err().to_string();
    let wrong =
        told(LIMITED, "prefix,per_minute,connection,increments,currency\n4x,1,1,60,EUR\n+1,x,0,1/1,EUR\n");
    for place in ["rates.csv: line 2, column 1", "rates.csv: line 2, column 4", "rates.csv: line 3, column 2"]
    {
        assert!(wrong.contains(place), "{wrong}");
    }
    let limits = "[security.limits]\nmoney_per_day = \"5,00\"\n";
    assert!(told(limits, RATES).contains("an amount is digits"));
    let without = told("[security.limits]\nmoney_per_day = \"5.00\"\n", RATES);
    assert!(without.contains("without rates.file no call has a price"), "{without}");
    let odd = told("[[account]]\naddress = \"sip:a@b\"\nlimits = { cals = 2 }\n", RATES);
    assert!(odd.contains("limits must be { calls = 2"), "{odd}");
}
