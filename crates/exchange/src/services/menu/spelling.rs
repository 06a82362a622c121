//! Names spelt by the keys of a phone (ITU-T E.161): `2` is A, B or C.

use crate::directory::Account;

/// Whether a word of a name begins like this.
pub(super) fn begins(name: &str, keys: &str) -> bool {
    let words = name.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
    words.into_iter().any(|word| {
        let mut spelt = word.chars().map(key);
        keys.chars().all(|wanted| spelt.next() == Some(Some(wanted)))
    })
}

/// Whether an account is meant: by its name, or by the user of its address.
pub(super) fn means(account: &Account, keys: &str) -> bool {
    account.name.as_deref().is_some_and(|name| begins(name, keys)) || begins(account.address.user(), keys)
}

fn key(letter: char) -> Option<char> {
    Some(match letter.to_lowercase().next()? {
        'a'..='c' | 'ä' | 'á' | 'à' | 'â' | 'å' | 'ç' => '2',
        'd'..='f' | 'é' | 'è' | 'ê' | 'ë' => '3',
        'g'..='i' | 'í' | 'ì' | 'î' | 'ï' => '4',
        'j'..='l' => '5',
        'm'..='o' | 'ö' | 'ó' | 'ò' | 'ô' | 'ñ' => '6',
        'p'..='s' | 'ß' => '7',
        't'..='v' | 'ü' | 'ú' | 'ù' | 'û' => '8',
        'w'..='z' | 'ý' => '9',
        digit @ '0'..='9' => digit,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_spelt_from_the_begin_of_any_word() {
        for (name, keys, is) in [
            ("Alice Zimmer", "254", true),
            ("Alice Zimmer", "946", true),
            ("Alice Zimmer", "542", false),
            ("alice", "25423", true),
            ("alice", "254230", false),
            ("Jürgen", "58743", true),
            ("王 Wang", "9264", true),
            ("王", "9", false),
            ("room-2b", "22", true),
        ] {
            assert_eq!(begins(name, keys), is, "{name} {keys}");
        }
    }
}
