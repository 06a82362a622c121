"""Call records: what is written of a call, and what a crash does to it."""

import json
import re
import secrets
import socket
import threading
import time
from collections import Counter

from harness.cases import case
from harness.conversation import converse
from harness.exchange import DOMAIN, Exchange
from harness.failure import check, until
from harness.phones.baresip import Baresip
from harness.phones.offhook import Offhook
from harness.wire import LOOPBACK, Message


# Where nobody sends from.
SILENT = f"""v=0\r\no=- 1 1 IN IP4 {LOOPBACK}\r\ns=-\r\nc=IN IP4 {LOOPBACK}\r\nt=0 0\r\nm=audio 9 RTP/AVP 0\r\n"""


class Storm:
    """Callers that call without a pause and hang up half of the calls, and a phone that answers them all at once. With
    "bridges", every other caller hides, and has legs with the exchange."""

    def __init__(self, exchange, bridges=False):
        self.exchange, self.bridges = exchange, bridges
        self.bridged, self.answered, self.ended, self.over = set(), set(), set(), False
        self.body = b""
        self.caller, self.callee = (socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2))
        for one in (self.caller, self.callee):
            one.bind((LOOPBACK, 0))
            one.settimeout(0.2)
        self.threads = [threading.Thread(target=work) for work in (self._answer, self._listen, self._call)]

    @property
    def contact(self):
        return f"sip:bob@{LOOPBACK}:{self.callee.getsockname()[1]}"

    def start(self):
        for thread in self.threads:
            thread.start()

    def stop(self):
        self.over = True
        for thread in self.threads:
            thread.join()
        self.caller.close()
        self.callee.close()

    def _call(self):
        while not self.over:
            for number in range(10):
                call, hides = secrets.token_hex(12), self.bridges and number % 2
                if hides:
                    self.bridged.add(call)
                self._send("INVITE", f"sip:bob@{DOMAIN}", call, 1, hides=hides)
            time.sleep(0.01)

    def _send(self, method, uri, call, cseq, to="", routes=(), hides=False):
        body = SILENT.encode() if hides else b""
        port = self.caller.getsockname()[1]
        lines = [f"{method} {uri} SIP/2.0",
                 f"Via: SIP/2.0/UDP {LOOPBACK}:{port};rport;branch=z9hG4bK{secrets.token_hex(8)}",
                 "Max-Forwards: 70", *(f"Route: {route}" for route in routes),
                 f"From: <sip:alice@{DOMAIN}>;tag=storm", f"To: {to or f'<{uri}>'}", f"Call-ID: {call}",
                 f"CSeq: {cseq} {method}", f"Contact: <sip:alice@{LOOPBACK}:{port}>",
                 *(["Privacy: user", "Content-Type: application/sdp"] if hides else []),
                 f"Content-Length: {len(body)}"]
        self.caller.sendto("\r\n".join(lines).encode() + b"\r\n\r\n" + body, self.exchange.server)

    def _listen(self):
        for message, _ in self._messages(self.caller):
            call, cseq = message.first("Call-ID"), message.first("CSeq")
            if message.status != 200 or not cseq.endswith("INVITE") or call in self.answered:
                continue
            self.answered.add(call)
            contact = re.search(r"<([^>]+)>", message.first("Contact")).group(1)
            routes = message.all("Record-Route")[::-1]
            self._send("ACK", contact, call, 1, message.first("To"), routes)
            # By chance, lest one kind be all that ends.
            if int(call[-1], 16) % 2:
                self._send("BYE", contact, call, 2, message.first("To"), routes)
                self.ended.add(call)

    def _answer(self):
        for message, source in self._messages(self.callee):
            if message.status or message.start.startswith("ACK"):
                continue
            body = self.body if message.start.startswith("INVITE") else b""
            tag = "" if message.tag else ";tag=bob"
            fields = [f"{name}: {value}" for name, value in message.fields
                      if name in ("Via", "From", "Call-ID", "CSeq", "Record-Route")]
            lines = ["SIP/2.0 200 OK", *fields, f"To: {message.first('To')}{tag}", f"Contact: <{self.contact}>",
                     *(["Content-Type: application/sdp"] if body else []), f"Content-Length: {len(body)}"]
            self.callee.sendto("\r\n".join(lines).encode() + b"\r\n\r\n" + body, source)

    def _messages(self, phone):
        """What comes until the storm is over, and what is left then."""
        while True:
            try:
                data, source = phone.recvfrom(65535)
                yield Message.parse(data), source
            except OSError:
                if self.over:
                    return


def records(exchange):
    return [json.loads(line) for line in exchange.command("calls", "export", "--format", "ndjson").splitlines()]


@case(seconds=120)
def every_call_that_was_answered_has_exactly_one_record_after_kill_9(lab):
    # Forwarded calls and bridged ones. Without an anchor media ports are no limit.
    exchange = Exchange(lab, "never", sets=["security.authentication=off", "security.max_calls_per_account=10000"])
    bob = exchange.add("bob", password="bob-Secret-7")
    exchange.add("alice")
    exchange.start()
    before = set()
    for _ in range(2):
        storm = Storm(exchange, bridges=True)
        storm.body = SILENT.encode()
        exchange.bind(bob, storm.contact)
        storm.start()

        def kinds():
            bridged = len(storm.answered & storm.bridged)
            return bridged, len(storm.answered) - bridged

        until(lambda: min(kinds()) > 200, 60, "two hundred calls of either kind are answered")
        exchange.kill()
        storm.stop()
        exchange.start()
        before |= storm.answered
        found = records(exchange)
        counts = Counter(record["id"] for record in found)
        twice = [call for call, count in counts.items() if count > 1]
        check(not twice, f"{len(twice)} of {len(counts)} calls have two records: {twice[:3]}")
        complete = {record["id"] for record in found if record["answered_at"]}
        check(before <= complete, f"{len(before - complete)} of {len(before)} answered calls have no record")
        lost = [one for one in found if one["reason"] == "The exchange stopped before the call ended"]
        check(lost and all(one["ended_by"] is None and one["code"] == 200 for one in lost), f"lost: {lost[:1]}")
        for kind in (storm.bridged, storm.answered - storm.bridged):
            of_kind = [one for one in found if one["id"] in kind]
            check(any(one["ended_by"] == "caller" for one in of_kind), "no call of a kind ended before the crash")
            check(any(one in lost for one in of_kind), "no call of a kind lasted until the crash")


@case()
def a_relayed_call_has_a_record_with_its_codec_and_what_was_heard_of_both(lab):
    exchange = Exchange(lab, "always")
    alice, bob = exchange.add("alice"), exchange.add("bob")
    exchange.start()
    converse(Baresip(lab, exchange, alice, "caller"), Baresip(lab, exchange, bob, "callee"))
    [record] = until(lambda: records(exchange), 15, "the call has a record")
    check(record["codec"] == "pcmu" and record["media"] == "relayed" and record["q850"] == 16, f"{record}")
    check(record["packets_from_caller"] > 50 and record["packets_from_callee"] > 50, f"{record}")
    for side in ("caller", "callee"):
        quality = {name: record[f"{name}_from_{side}"] for name in ("lost", "jitter_ms", "mos")}
        check(quality["lost"] == 0 and quality["jitter_ms"] < 40 and quality["mos"] > 4, f"{side}: {quality}")
    [called] = record["called"]
    check(called["to"] == record["answered_by"] and called["code"] == 200, f"{record}")
    check(LOOPBACK in called["address"] and called["answered_at"] == record["answered_at"], f"{record}")
    check(record["answered_by"].startswith("sip:") and LOOPBACK in record["answered_by"], f"{record}")


@case()
def a_phone_that_is_mute_towards_the_exchange_is_named(lab):
    exchange = Exchange(lab, "always", sets=["security.authentication=off"])
    alice, bob = exchange.add("alice"), exchange.add("bob", password="bob-Secret-7")
    exchange.start()
    # It answers, but sends no sound.
    storm = Storm(exchange)
    storm.body = SILENT.encode()
    exchange.bind(bob, storm.contact)
    storm.threads[0].start()
    Offhook(lab, exchange, alice, "caller").dial(bob.address, "--play", lab.tone(440), "--duration", "2s")
    storm.over = True
    storm.threads[0].join()
    [record] = until(lambda: records(exchange), 15, "the call has a record")
    check(record["packets_from_caller"] > 50 and record["packets_from_callee"] == 0, f"{record}")
    found = json.loads(exchange.command("calls", "explain", "--json", "--lang", "en"))["findings"]
    check("silent-callee" in [one["rule"] for one in found], f"{found}")
    storm.caller.close()
    storm.callee.close()
