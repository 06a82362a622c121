"""What `offhook calls explain` and `offhook calls ladder` say of calls that failed, and of one that did not."""

import json

from harness.cases import case, each
from harness.conversation import converse
from harness.exchange import DOMAIN, Account, Exchange
from harness.failure import check, until
from harness.phones.baresip import Baresip
from harness.phones.offhook import Offhook
from harness.phones.pjsua import Pjsua
from harness.wire import LOOPBACK, ask_with_credentials

# A codec that neither the phones nor the relay have.
G729 = f"""v=0\r\no=- 1 1 IN IP4 {LOOPBACK}\r\ns=-\r\nc=IN IP4 {LOOPBACK}\r\nt=0 0\r\nm=audio 9 RTP/AVP 18\r\n""".encode()


def explained(exchange, rule, *words):
    """The last call is explained by this rule, with these words."""
    found = json.loads(exchange.command("calls", "explain", "--json", "--lang", "en"))
    first = found["findings"][0]
    check(first["rule"] == rule, f"found {first} for {found['story']}")
    check(all(word in first["says"] for word in words), f"{words} are not in: {first['says']}")
    chinese = json.loads(exchange.command("calls", "explain", found["id"], "--json", "--lang", "zh"))
    check(chinese["findings"][0]["rule"] == rule, f"in Chinese: {chinese}")


def prepared(lab, *users):
    exchange = Exchange(lab)
    accounts = [exchange.add(user) for user in users]
    return exchange.start(), accounts


FAILURES = [
    ("a call to nobody is explained", "nobody", [], "no-number", ["nobody"]),
    ("a call to an account without a phone is explained", "carol", [], "not-registered", ["carol"]),
]


@each(FAILURES)
def not_reached(lab, called, words, rule, said):
    exchange, (alice, _) = prepared(lab, "alice", "carol")
    Offhook(lab, exchange, alice, "caller").dial(f"sip:{called}@{DOMAIN}", *words)
    explained(exchange, rule, *said)


ANSWERS = [
    ("a busy phone is explained", ["--code", "486"], [], "busy", ["bob", "486"]),
    ("a phone that declines is explained", ["--code", "603"], [], "declined", ["bob", "603"]),
    ("a caller that gives up is explained", ["--after", "30s"], ["--ring-timeout", "2s"], "cancelled", ["alice", "bob"]),
]


@each(ANSWERS)
def not_answered(lab, answers, words, rule, said):
    exchange, (alice, bob) = prepared(lab, "alice", "bob")
    callee = Offhook(lab, exchange, bob, "callee")
    callee.answer(*answers)
    Offhook(lab, exchange, alice, "caller").dial(bob.address, *words)
    explained(exchange, rule, *said)


@case()
def a_wrong_password_is_explained(lab):
    exchange, (_, bob) = prepared(lab, "alice", "bob")
    Offhook(lab, exchange, Account("alice", "not-the-password"), "caller").dial(bob.address)
    explained(exchange, "wrong-password", "alice")


@case()
def a_call_without_a_codec_in_common_is_explained_with_what_both_said(lab):
    exchange, (alice, bob) = prepared(lab, "alice", "bob")
    callee = Baresip(lab, exchange, bob, "callee")
    callee.start()
    fields = (f"Contact: <sip:alice@{LOOPBACK}:9>", "Content-Type: application/sdp")
    answer = ask_with_credentials(exchange.server, alice, "INVITE", bob.address, fields=fields, body=G729)
    check(answer.status == 488, f"answered {answer.start}")
    explained(exchange, "no-codec", "alice", "g729", "bob", "G729")
    callee.stop()


@case(seconds=90)
def a_phone_that_is_gone_is_explained(lab):
    exchange, (alice, bob) = prepared(lab, "alice", "bob")
    exchange.bind(bob, f"sip:bob@{LOOPBACK}:{lab.port()}")
    Offhook(lab, exchange, alice, "caller").dial(bob.address, "--ring-timeout", "60s", seconds=80)
    explained(exchange, "silent-phone", "bob")


@case()
def a_call_that_went_well_is_explained_and_drawn(lab):
    exchange, (alice, bob) = prepared(lab, "alice", "bob")
    converse(Baresip(lab, exchange, alice, "caller"), Pjsua(lab, exchange, bob, "callee"))
    explained(exchange, "normal", "alice hung up")
    ladder = exchange.command("calls", "ladder", "--lang", "en")
    heads = ladder.splitlines()[0].split()
    check(heads == ["alice", "exchange", "bob"], f"columns: {heads}")
    for word in ["INVITE bob (SDP:", "100 Trying", "200 OK", "ACK", "BYE", "answered", "hangs up"]:
        check(word in ladder, f"no {word!r} in\n{ladder}")
    secret = json.loads(exchange.command("calls", "ladder", "--json"))
    said = [one["text"] for one in secret["entries"] if "response=" in one.get("text", "")]
    check(said and all('response="**' in text for text in said), f"a digest response is shown: {said[:1]}")


@case()
def what_passes_is_shown_as_it_passes_and_again_from_the_capture_file(lab):
    exchange, (alice, bob) = prepared(lab, "alice", "bob")
    capture = lab.folder / "passed.pcap"
    place = ["-c", exchange.settings, "--data", exchange.data]
    tracing = lab.run("trace", [lab.binary, "trace", "alice", "--lang", "en", "--pcap", capture, *place])
    # It has begun when it shows something.
    until(lambda: exchange.bindings(alice) == [] and "REGISTER" in tracing.out.read_text(), 15, "the trace shows messages")
    callee = Offhook(lab, exchange, bob, "callee")
    callee.answer("--code", "486")
    Offhook(lab, exchange, alice, "caller").dial(bob.address)
    until(lambda: tracing.out.read_text().count("486 Busy Here") >= 2, 15, "the trace shows both answers")
    tracing.stop()
    shown = tracing.out.read_text()
    check("REGISTER sip:bob" not in shown and "── INVITE bob" in shown and "busy" in shown, shown)
    drawn = exchange.command("trace", str(capture), "INVITE", "--lang", "en")
    for word in ["486 Busy Here", "── INVITE bob", "ACK"]:
        check(word in drawn, f"no {word!r} in\n{drawn}")
    check(b'response="**' in capture.read_bytes(), "the capture has no covered digest response")
