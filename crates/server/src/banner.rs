//! What a start says: only what is true.

use offhook_sip_stack::Transport;

use crate::server::Server;

/// The lines of the banner; `notes` go into the box below.
pub fn banner(server: &Server, notes: &[String]) -> Vec<String> {
    let about = server.about();
    let mut lines = vec![format!("offhook {}   data {} (SQLite)", about.version, about.data_dir)];
    lines.push(format!("  SIP     {}", sip(server)));
    lines.push(format!("  Domain  {}", domains(&about.domains)));
    let told = server.address_told().map_or(String::new(), |ip| format!("; address offered to phones: {ip}"));
    lines.push(format!("  Media   udp {}{told}", about.media_ports));
    lines.extend(server.turn().map(|spoken| format!("  TURN    {spoken}")));
    let urls = server.urls();
    if !urls.is_empty() {
        let own = urls.iter().any(|url| url.starts_with("https:")) && server.authority().is_some();
        let trust = if own { " (own CA; `offhook cert trust`)" } else { "" };
        lines.push(format!("  Web     {}{trust}", urls.join("   ")));
    }
    lines.extend(server.warnings().iter().map(|warning| format!("  Warning {warning}")));
    lines.extend(framed(notes));
    lines
}

/// `udp+tcp 0.0.0.0:5060` where both are the same.
fn sip(server: &Server) -> String {
    let of = |transport| {
        let mut addresses: Vec<_> = server
            .listeners()
            .iter()
            .filter(|one| one.transport == transport)
            .map(|one| one.address)
            .collect();
        addresses.sort();
        addresses
    };
    let (udp, tcp) = (of(Transport::Udp), of(Transport::Tcp));
    let mut words: Vec<String> =
        udp.iter().filter(|one| tcp.contains(one)).map(|both| format!("udp+tcp {both}")).collect();
    words.extend(udp.iter().filter(|one| !tcp.contains(one)).map(|one| format!("udp {one}")));
    words.extend(tcp.iter().filter(|one| !udp.contains(one)).map(|one| format!("tcp {one}")));
    let tls = of(Transport::Tls);
    let unspecified = |one: &&std::net::SocketAddr| one.ip().is_unspecified();
    words.extend(tls.iter().map(|one| match Some(one).filter(unspecified) {
        Some(one) => format!("tls :{}", one.port()),
        None => format!("tls {one}"),
    }));
    let serves = |scheme| server.urls().iter().any(|url| url.starts_with(scheme));
    match (serves("http:"), serves("https:")) {
        (true, true) => words.push("ws/wss on the web port".into()),
        (true, false) => words.push("ws on the web port".into()),
        (false, true) => words.push("wss on the web port".into()),
        (false, false) => {}
    }
    words.join("   ")
}

fn domains(domains: &[String]) -> String {
    let shown = domains.len().min(4);
    let more =
        if domains.len() > shown { format!(" and {} more", domains.len() - shown) } else { String::new() };
    format!("{}{more}", domains[..shown].join(", "))
}

fn framed(notes: &[String]) -> Vec<String> {
    let width = notes.iter().map(|note| columns(note)).max().unwrap_or(0);
    if width == 0 {
        return Vec::new();
    }
    let edge = "─".repeat(width + 2);
    let mut lines = vec![format!("  ┌{edge}┐")];
    lines.extend(notes.iter().map(|note| {
        let fill = " ".repeat(width - columns(note));
        format!("  │ {note}{fill} │")
    }));
    lines.push(format!("  └{edge}┘"));
    lines
}

/// Columns of a terminal; Chinese characters and their punctuation take two.
fn columns(text: &str) -> usize {
    let wide = |c: &char| matches!(c, '\u{1100}'..='\u{115f}' | '\u{2e80}'..='\u{a4cf}' | '\u{ac00}'..='\u{d7a3}' | '\u{f900}'..='\u{faff}' | '\u{fe30}'..='\u{fe6f}' | '\u{ff00}'..='\u{ff60}');
    text.chars().count() + text.chars().filter(wide).count()
}
