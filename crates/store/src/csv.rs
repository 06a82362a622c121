//! Accounts as rows of text (RFC 4180): `address,password,name,number,email,language`.

use offhook_exchange::directory::AddressOfRecord;
use offhook_exchange::speech::Language;

use crate::account::{NewAccount, StoredAccount};
use crate::{Password, StoreError};

/// Why a text is no table of accounts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CsvError {
    /// A quote is opened and never closed.
    #[error("line {0}: a quote is not closed")]
    OpenQuote(usize),
    /// Something follows the closing quote of a field.
    #[error("line {0}: after a closing quote there must be a comma or the end of the line")]
    AfterQuote(usize),
    /// A row has more fields than there are columns.
    #[error("line {0}: too many fields; the columns are address,password,name,number,email,language")]
    TooManyFields(usize),
    /// The heading names a column that we do not know.
    #[error("line 1: unknown column; the columns are address,password,name,number,email,language")]
    UnknownColumn,
    /// The heading names no column `address`.
    #[error("line 1: there is no column address")]
    NoAddress,
}

/// Reads accounts. A first row that begins with a column's name is a heading and gives the order.
///
/// # Errors
/// The first mistake, with its line.
pub(crate) fn read_accounts(text: &str, realm: &str) -> Result<Vec<(usize, NewAccount)>, StoreError> {
    let mut rows = rows(text.strip_prefix('\u{feff}').unwrap_or(text))?.into_iter().peekable();
    let heading = rows.peek().and_then(|row| heading(&row.fields));
    let columns = match heading {
        None => COLUMNS.to_vec(),
        Some(named) => {
            rows.next();
            named?
        }
    };
    rows.map(|row| {
        if row.fields.len() > columns.len() {
            return Err(CsvError::TooManyFields(row.line).into());
        }
        let account = account(&row, &columns, realm);
        account.map(|one| (row.line, one)).map_err(|error| error.at_line(row.line))
    })
    .collect()
}

/// Writes accounts, with a heading. The column of passwords is empty: they are not known.
pub(crate) fn write_accounts(accounts: &[StoredAccount]) -> String {
    let mut text = COLUMNS.join(",");
    text.push('\n');
    for stored in accounts {
        let account = &stored.account;
        let fields = [
            account.address.to_string(),
            String::new(),
            account.name.clone().unwrap_or_default(),
            account.number.clone().unwrap_or_default(),
            stored.email.clone().unwrap_or_default(),
            account.language.map_or("", Language::code).to_owned(),
        ];
        text.push_str(&fields.map(|field| quoted(&field)).join(","));
        text.push('\n');
    }
    text
}

fn heading(fields: &[String]) -> Option<Result<Vec<&'static str>, CsvError>> {
    let column = |field: &String| COLUMNS.into_iter().find(|name| name.eq_ignore_ascii_case(field.trim()));
    column(fields.first()?)?;
    let columns: Option<Vec<_>> = fields.iter().map(column).collect();
    Some(match columns {
        None => Err(CsvError::UnknownColumn),
        Some(columns) if !columns.contains(&"address") => Err(CsvError::NoAddress),
        Some(columns) => Ok(columns),
    })
}

fn account(row: &Row, columns: &[&str], realm: &str) -> Result<NewAccount, StoreError> {
    let field = |name| {
        let index = columns.iter().position(|column| *column == name)?;
        row.fields.get(index).map(|text| text.trim()).filter(|text| !text.is_empty())
    };
    let address = AddressOfRecord::parse(field("address").unwrap_or_default())?;
    let language =
        field("language").map(|code| Language::parse(code).ok_or(StoreError::BadLanguage)).transpose()?;
    let owned = |name| field(name).map(str::to_owned);
    Ok(NewAccount {
        address,
        password: field("password").map(Password::new).transpose()?,
        name: owned("name"),
        number: owned("number"),
        email: owned("email"),
        language,
        realm: realm.to_owned(),
    })
}

fn quoted(field: &str) -> String {
    if field.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", field.replace('"', "\"\""))
    } else {
        field.to_owned()
    }
}

struct Row {
    line: usize,
    fields: Vec<String>,
}

/// Cuts a text into rows; empty lines are left out.
fn rows(text: &str) -> Result<Vec<Row>, CsvError> {
    let mut rows = Vec::new();
    let mut line = 1;
    let mut rest = text;
    while !rest.is_empty() {
        let mut row = Row { line, fields: Vec::new() };
        loop {
            let (field, after) = field(rest, &mut line)?;
            row.fields.push(field);
            match after.strip_prefix(',') {
                Some(next) => rest = next,
                None => {
                    rest = after.strip_prefix("\r\n").or_else(|| after.strip_prefix('\n')).unwrap_or(after);
                    line += 1;
                    break;
                }
            }
        }
        if row.fields.iter().any(|field| !field.is_empty()) {
            rows.push(row);
        }
    }
    Ok(rows)
}

/// One field, and what comes after it: a comma, the end of the line or of the text.
fn field<'a>(text: &'a str, line: &mut usize) -> Result<(String, &'a str), CsvError> {
    let Some(mut rest) = text.strip_prefix('"') else {
        let end = text.find([',', '\n']).unwrap_or(text.len());
        let end = if text[..end].ends_with('\r') && !text[end..].starts_with(',') { end - 1 } else { end };
        // A carriage return at the very end has no line feed after it to be taken away with.
        let after = if &text[end..] == "\r" { "" } else { &text[end..] };
        return Ok((text[..end].to_owned(), after));
    };
    let opened = *line;
    let mut field = String::new();
    loop {
        let end = rest.find('"').ok_or(CsvError::OpenQuote(opened))?;
        field.push_str(&rest[..end]);
        *line += rest[..end].matches('\n').count();
        rest = &rest[end + 1..];
        match rest.strip_prefix('"') {
            Some(next) => {
                field.push('"');
                rest = next;
            }
            None => break,
        }
    }
    let ends = rest.is_empty() || rest.starts_with([',', '\n']) || rest.starts_with("\r\n");
    if ends { Ok((field, rest)) } else { Err(CsvError::AfterQuote(opened)) }
}

const COLUMNS: [&str; 6] = ["address", "password", "name", "number", "email", "language"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_read_with_quotes_and_line_ends_of_any_kind() {
        let text = "sip:a@example.com,pw,\"Name, \"\"A\"\"\",1001,a@example.com\r\n\n\"b@example.com\"\nc@example.com,,C\r";
        let accounts = read_accounts(text, "example.com").unwrap();
        assert_eq!(accounts.iter().map(|(line, _)| *line).collect::<Vec<_>>(), [1, 3, 4]);
        assert_eq!(accounts[0].1.name.as_deref(), Some("Name, \"A\""));
        assert_eq!(accounts[0].1.password, Some(Password::new("pw").unwrap()));
        assert_eq!(accounts[1].1.address.as_str(), "b@example.com");
        assert_eq!(accounts[2].1.name.as_deref(), Some("C"));
    }

    #[test]
    fn a_heading_gives_the_order_of_the_columns() {
        let accounts = read_accounts("Number,Address\n1001,a@example.com\n", "example.com").unwrap();
        assert_eq!(accounts[0].1.number.as_deref(), Some("1001"));
        assert!(matches!(
            read_accounts("number,colour\n", "r"),
            Err(StoreError::Csv(CsvError::UnknownColumn))
        ));
        assert!(matches!(read_accounts("number\n", "r"), Err(StoreError::Csv(CsvError::NoAddress))));
    }

    #[test]
    fn a_mistake_names_its_line() {
        let error = read_accounts("a@example.com\nnobody\n", "r").unwrap_err();
        assert!(error.to_string().starts_with("line 2: "), "{error}");
        assert!(matches!(read_accounts("\n\"a", "r"), Err(StoreError::Csv(CsvError::OpenQuote(2)))));
        assert!(matches!(read_accounts("\"a\"b", "r"), Err(StoreError::Csv(CsvError::AfterQuote(1)))));
        assert!(matches!(
            read_accounts("a@b,,,,,zh,x", "r"),
            Err(StoreError::Csv(CsvError::TooManyFields(1)))
        ));
    }
}
