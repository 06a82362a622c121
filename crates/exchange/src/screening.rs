//! Which callers an account wants to hear from.

use offhook_sip::{Request, Uri};

use crate::directory::{AddressOfRecord, Answering};
use crate::identity::{self, Caller};

/// Whether a caller does not show who it is.
pub(crate) fn is_anonymous(request: &Request) -> bool {
    let hides = identity::asks_privacy(request, &["user", "id"]);
    let nobody = request.from().is_ok_and(|from| match &from.uri {
        Uri::Sip(uri) => {
            let host = uri.host().to_string();
            host.eq_ignore_ascii_case("anonymous.invalid")
                || uri.user().is_some_and(|user| user.eq_ignore_ascii_case("anonymous"))
        }
        Uri::Tel(_) | Uri::Other(_) => false,
    });
    hides || nobody
}

/// Whether an account turns a caller away: by name, or because it is not among those of whom alone it takes calls. What a
/// caller without an account says of itself is believed.
pub(crate) fn is_turned_away(answering: &Answering, caller: &Caller, request: &Request) -> bool {
    let names = names(caller, request);
    let blocked = names.iter().any(|(user, address)| answering.blocks(user, address));
    blocked
        || !answering.allowed.is_empty()
            && !names.iter().any(|(user, address)| answering.allows(user, address))
}

/// The names that a caller has: users or numbers, each with the address.
fn names(caller: &Caller, request: &Request) -> Vec<(String, String)> {
    let mut names = Vec::new();
    if let Caller::Account(account) = caller {
        let address = account.address.as_str().to_owned();
        names.extend(account.number.iter().map(|number| (number.clone(), address.clone())));
        names.push((account.address.user().to_owned(), address));
    }
    match request.from().map(|from| from.detach().uri) {
        Ok(Uri::Sip(uri)) => {
            let user = uri.user_unescaped().unwrap_or_default().into_owned();
            let address = AddressOfRecord::new(&user, &uri.host().to_string());
            names.push((user, address.as_str().to_owned()));
        }
        Ok(Uri::Tel(uri)) => names.push((uri.digits(), uri.digits())),
        Ok(Uri::Other(_)) | Err(_) => {}
    }
    names
}
