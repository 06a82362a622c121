use super::*;
use crate::{Host, Transport};

fn uri(text: &str) -> Uri {
    text.parse().unwrap_or_else(|error| panic!("{text}: {error:?}"))
}

fn sip(text: &str) -> SipUri {
    text.parse().unwrap()
}

#[test]
fn every_part_of_a_sip_uri_reads() {
    let uri = sip("sips:al%69ce:s3cret@Example.COM:5071;transport=TCP;lr;x=%20?Subject=a%20b&Route=c");
    assert!(uri.secure());
    assert_eq!((uri.user(), uri.user_unescaped().as_deref()), (Some("al%69ce"), Some("alice")));
    assert_eq!(uri.password(), Some("s3cret"));
    assert_eq!(uri.host(), &Host::parse("example.com").unwrap());
    assert_eq!((uri.port(), uri.transport(), uri.has_lr()), (Some(5071), Some(Transport::Tcp), true));
    assert_eq!((uri.param("X"), uri.param("lr"), uri.param("y")), (Some("%20"), Some(""), None));
    assert_eq!(uri.headers().collect::<Vec<_>>(), [("Subject", "a%20b"), ("Route", "c")]);
    assert_eq!(uri.header("subject").as_deref(), Some(&b"a b"[..]));
}

#[test]
fn userinfo_may_hold_what_elsewhere_separates() {
    let uri = sip("sip:user;par=u%40example.net@example.com");
    assert_eq!((uri.user(), uri.param("par")), (Some("user;par=u%40example.net"), None));
    let uri = sip(
        "sip:1_unusual.URI~(to-be!sure)&isn't+it$/crazy?,/;;*:&it+has=1,weird!*pas$wo~d_too.(doesn't-it)@example.com",
    );
    assert_eq!(uri.user(), Some("1_unusual.URI~(to-be!sure)&isn't+it$/crazy?,/;;*"));
    assert_eq!(uri.password(), Some("&it+has=1,weird!*pas$wo~d_too.(doesn't-it)"));
}

#[test]
fn addresses_are_hosts_with_or_without_a_port() {
    let bracketed = sip("sip:[2001:db8::10]:5070");
    assert_eq!((bracketed.host().to_string().as_str(), bracketed.port()), ("[2001:db8::10]", Some(5070)));
    assert_eq!(sip("sip:[2001:db8::10:5070]").port(), None);
    assert_eq!(sip("sip:192.0.2.1:5062").host().ip(), Some("192.0.2.1".parse().unwrap()));
    assert_eq!(sip("sip:192.0.2.1:5062").to_string(), "sip:192.0.2.1:5062");
}

#[test]
fn what_is_no_uri_is_refused() {
    for text in [
        "",
        "sip",
        "sip:",
        "sip:@h",
        "sip:a@",
        "sip:a b@h",
        "sip:2001:db8::10",
        "sip:h:",
        "sip:h:70000",
        "sip:h;;lr",
        "sip:h;",
        "sip:h;=x",
        "sip:h?",
        "sip:a@b@c",
        "sip:[::1",
        "sip:[2001:db8:::192.0.2.1]",
        "<sip:h>",
        "sip:1.2.3",
        "tel:",
        "tel:+",
        "tel:-",
        "tel:12;",
        "tel:12x",
        "1:x",
        "a_b:x",
        "x:",
        "sip:h\r\n",
        "sip:ü@h",
    ] {
        assert!(text.parse::<Uri>().is_err(), "{text}");
    }
}

#[test]
fn the_equivalent_pairs_of_rfc_3261_section_19_1_4_are_equivalent() {
    for (a, b) in [
        ("sip:%61lice@atlanta.com;transport=TCP", "sip:alice@AtlanTa.CoM;Transport=tcp"),
        ("sip:carol@chicago.com", "sip:carol@chicago.com;newparam=5"),
        ("sip:carol@chicago.com", "sip:carol@chicago.com;security=on"),
        ("sip:carol@chicago.com;newparam=5", "sip:carol@chicago.com;security=on"),
        (
            "sip:biloxi.com;transport=tcp;method=REGISTER?to=sip:bob%40biloxi.com",
            "sip:biloxi.com;method=REGISTER;transport=tcp?to=sip:bob%40biloxi.com",
        ),
        (
            "sip:alice@atlanta.com?subject=project%20x&priority=urgent",
            "sip:alice@atlanta.com?priority=urgent&subject=project%20x",
        ),
    ] {
        assert!(uri(a).equivalent(&uri(b)) && uri(b).equivalent(&uri(a)), "{a} {b}");
    }
}

#[test]
fn the_different_pairs_of_rfc_3261_section_19_1_4_are_different() {
    for (a, b) in [
        ("SIP:ALICE@AtLanTa.CoM;Transport=udp", "sip:alice@AtLanTa.CoM;Transport=UDP"),
        ("sip:bob@biloxi.com", "sip:bob@biloxi.com:5060"),
        ("sip:bob@biloxi.com", "sip:bob@biloxi.com;transport=udp"),
        ("sip:bob@biloxi.com", "sip:bob@biloxi.com:6000;transport=tcp"),
        ("sip:carol@chicago.com", "sip:carol@chicago.com?Subject=next%20meeting"),
        ("sip:bob@phone21.boxesbybob.com", "sip:bob@192.0.2.4"),
        ("sip:carol@chicago.com;security=on", "sip:carol@chicago.com;security=off"),
        ("sip:null-%00-null@example.com", "sip:null-@example.com"),
        ("sip:%00@example.com", "sip:%00%00@example.com"),
        ("sip:a%3Bb@example.com", "sip:a;b@example.com"),
        ("sip:a@example.com", "sips:a@example.com"),
        ("sip:a@example.com", "sip:a:b@example.com"),
        ("sip:h?a=1&a=1&b=2", "sip:h?a=1&b=2&b=2"),
    ] {
        assert!(!uri(a).equivalent(&uri(b)) && !uri(b).equivalent(&uri(a)), "{a} {b}");
    }
}

#[test]
fn tel_numbers_compare_without_separators_and_order() {
    for (a, b) in [
        ("tel:+1-201-555-0123", "tel:+12015550123"),
        ("tel:7042;phone-context=Example.com", "tel:70.42;PHONE-CONTEXT=example.com"),
        ("tel:+1201;ext=12-3;isub=4", "tel:+1201;isub=4;ext=123"),
        ("tel:*a1;phone-context=+1-2", "tel:*A1;phone-context=+12"),
    ] {
        assert!(uri(a).equivalent(&uri(b)), "{a} {b}");
    }
    for (a, b) in [
        ("tel:+12015550123", "tel:12015550123"),
        ("tel:7042;phone-context=a.com", "tel:7042;phone-context=b.com"),
        ("tel:7042", "tel:7042;ext=1"),
        ("tel:7042", "sip:7042@example.com"),
    ] {
        assert!(!uri(a).equivalent(&uri(b)), "{a} {b}");
    }
    let number = TelUri::new("+1 201").or(TelUri::new("+1-(201).5")).unwrap();
    assert_eq!((number.digits().as_str(), number.global()), ("+12015", true));
}

#[test]
fn one_record_has_one_canonical_address() {
    let canonical = |text: &str| sip(text).address_of_record().to_string();
    for text in [
        "sip:alice@example.com",
        "sip:%61lice:pw@EXAMPLE.com:5060;user=phone;x?h=v",
        "sip:alic%65@Example.Com;transport=tcp",
    ] {
        assert_eq!(canonical(text), "sip:alice@example.com");
    }
    assert_eq!(canonical("sip:null-%00-null@h"), "sip:null-%00-null@h");
    assert_eq!(canonical("sip:a%40b@h"), "sip:a%40b@h");
    assert_eq!(canonical("sip:#31#@h"), "sip:%2331%23@h");
    assert_eq!(canonical("sips:[2001:DB8::1]:5061"), "sips:[2001:db8::1]");
    assert_eq!(canonical("sip:%c3%bc@h"), canonical("sip:%C3%BC@h"));
}

#[test]
fn a_uri_is_built_and_changed_part_by_part() {
    let host = Host::parse("example.com").unwrap();
    let uri = SipUri::new(Some("a b@c"), host.clone())
        .with_port(5080)
        .with_param("transport", Some("tcp"))
        .with_param("lr", None)
        .with_param("Transport", Some("u d p;"));
    assert_eq!(uri.to_string(), "sip:a%20b%40c@example.com:5080;lr;Transport=u%20d%20p%3B");
    assert_eq!(uri.user_unescaped().as_deref(), Some("a b@c"));
    let uri = uri.with_secure().with_user("bob").without_param("TRANSPORT").without_port();
    assert_eq!(uri.to_string(), "sips:bob@example.com;lr");
    assert_eq!(SipUri::new(None, host).to_string(), "sip:example.com");
    assert_eq!(
        sip("sip:a:b@[::1]:1;x?y=z").with_host(Host::parse("192.0.2.9").unwrap(), None).to_string(),
        "sip:a:b@192.0.2.9;x?y=z"
    );
    assert_eq!(sip("sip:a:b@[::1]:1;x?y=z").with_port(2).to_string(), "sip:a:b@[::1]:2;x?y=z");
    assert_eq!(sip("sip:1.2.3.4:1;x?y=z").without_headers().without_params().to_string(), "sip:1.2.3.4:1");
}

#[test]
fn a_parameter_given_twice_counts_once() {
    let (a, b) = (uri("sip:h;x=1;x=2"), uri("sip:H;x=1;x=2"));
    assert!(a.equivalent(&b) && b.equivalent(&a));
    let (a, b) = (uri("tel:+1;ext=1;ext=2"), uri("tel:+1-;ext=1;ext=2"));
    assert!(a.equivalent(&b) && b.equivalent(&a));
}

#[test]
fn a_host_that_is_none_reaches_nobody() {
    let uri = SipUri::new(Some("a"), Host::Name("evil.example>\r\nX: y".into()));
    assert_eq!(uri.to_string(), "sip:host.invalid");
}

#[test]
fn a_detached_uri_is_the_same() {
    for text in ["sip:a@example.com:5;x", "sip:[::1]", "tel:+12", "urn:service:sos"] {
        let uri = uri(text);
        assert_eq!(uri.detach(), uri);
        assert_eq!(uri.detach().as_sip().map(SipUri::host), uri.as_sip().map(SipUri::host));
    }
}
