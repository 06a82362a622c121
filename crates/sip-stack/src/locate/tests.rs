use super::*;

fn located(uri: &str) -> Result<Located, Unreachable> {
    locate(&uri.parse().unwrap())
}

fn target(transport: Transport, remote: &str) -> Result<Located, Unreachable> {
    Ok(Located::Targets(vec![Target { transport, remote: remote.parse().unwrap() }]))
}

#[test]
fn an_address_needs_no_dns_and_has_defaults() {
    for (uri, transport, remote) in [
        ("sip:bob@192.0.2.7", Transport::Udp, "192.0.2.7:5060"),
        ("sip:192.0.2.7:5070", Transport::Udp, "192.0.2.7:5070"),
        ("sip:bob@192.0.2.7;transport=tcp", Transport::Tcp, "192.0.2.7:5060"),
        ("sip:bob@192.0.2.7;transport=TLS", Transport::Tls, "192.0.2.7:5061"),
        ("sips:bob@192.0.2.7", Transport::Tls, "192.0.2.7:5061"),
        ("sips:bob@192.0.2.7;transport=tcp", Transport::Tls, "192.0.2.7:5061"),
        ("sips:bob@192.0.2.7;transport=ws", Transport::Wss, "192.0.2.7:443"),
        ("sip:bob@[2001:db8::9]:5070;transport=tcp", Transport::Tcp, "[2001:db8::9]:5070"),
        ("sip:bob@example.com;maddr=192.0.2.8", Transport::Udp, "192.0.2.8:5060"),
    ] {
        assert_eq!(located(uri), target(transport, remote), "{uri}");
    }
}

#[test]
fn a_name_is_left_to_the_caller_with_what_the_uri_says() {
    let name = |port, transport, secure| {
        Ok(Located::Unresolved { host: Text::from_static("example.com"), port, transport, secure })
    };
    assert_eq!(located("sip:bob@example.com"), name(None, None, false));
    assert_eq!(located("sip:bob@example.com:5062"), name(Some(5062), None, false));
    assert_eq!(located("sip:bob@example.com;transport=tcp"), name(None, Some(Transport::Tcp), false));
    assert_eq!(located("sips:bob@example.com"), name(None, None, true));
}

#[test]
fn nothing_is_sent_to_everybody_nobody_or_by_unknown_means() {
    for (uri, why) in [
        ("tel:+4930123", Unreachable::Scheme),
        ("sip:bob@192.0.2.7;transport=sctp", Unreachable::Transport),
        ("sips:bob@192.0.2.7;transport=udp", Unreachable::Transport),
        ("sip:bob@255.255.255.255", Unreachable::Address),
        ("sip:bob@224.0.1.75", Unreachable::Address),
        ("sip:bob@0.0.0.0", Unreachable::Address),
        ("sip:bob@[ff02::1]", Unreachable::Address),
        ("sip:bob@[::]", Unreachable::Address),
        ("sip:bob@example.com;maddr=224.0.1.75", Unreachable::Address),
        ("sip:bob@192.0.2.7:0", Unreachable::Address),
    ] {
        assert_eq!(located(uri), Err(why), "{uri}");
    }
}
