"""Who watches whom: presence, lamps, message waiting, and text messages that are kept."""

import json
import time

from harness.cases import case
from harness.exchange import Exchange
from harness.failure import check, until
from harness.phones.baresip import Baresip
from harness.phones.offhook import Offhook, result
from harness.phones.pjsua import Pjsua


class Watcher:
    """`offhook subscribe`, which prints each state."""

    def __init__(self, lab, exchange, account, target, package, seconds=60):
        self.process = lab.run(f"watch-{package}-{target}", [
            lab.binary, "subscribe", target, "--event", package, "--duration", f"{seconds}s", "--json",
            "--account", account.address, "--password", account.password,
            "--server", f"{exchange.host}:{exchange.port}"])

    def told(self):
        """The bodies so far."""
        lines = self.process.out.read_text().splitlines()
        return [json.loads(line)["body"] for line in lines if line.startswith("{") and "body" in line]

    def wait(self, *words):
        """Waits until each of these stood in a state, in this order."""
        def seen():
            left = list(words)
            for body in self.told():
                if left and left[0] in body:
                    left.pop(0)
            return not left
        until(seen, 20, f"{self.process.name} was told {words}, not {self.told()}")


def office(lab, *users):
    exchange = Exchange(lab)
    accounts = [exchange.add(user, number) for user, number in users]
    exchange.start()
    return exchange, accounts


@case()
def a_lamp_goes_from_ringing_to_talking_and_out_whoever_makes_the_phones(lab):
    exchange, (alice, bob, carol) = office(lab, ("alice", "1001"), ("bob", "1002"), ("carol", "1003"))
    caller, callee = Pjsua(lab, exchange, alice, "caller"), Baresip(lab, exchange, bob, "callee")
    caller.start()
    callee.start()
    lamp = Watcher(lab, exchange, carol, "1002", "dialog")
    buddy = Watcher(lab, exchange, carol, "alice", "presence")
    lamp.wait("dialog-info")
    buddy.wait("open")
    caller.call(f"sip:{bob.number}@{bob.domain}", 3)
    lamp.wait("<state>early", "<state>confirmed", "<state>terminated")
    buddy.wait("on-the-phone")
    caller.stop()
    buddy.wait("on-the-phone", "open", "closed")


@case()
def baresip_sees_when_a_friend_comes_and_goes(lab):
    exchange, (alice, bob) = office(lab, ("alice", ""), ("bob", ""))
    watcher = Baresip(lab, exchange, alice, "caller", friends=[bob])
    watcher.start()
    friend = Offhook(lab, exchange, bob, "callee")
    friend.start()
    until(lambda: "Online" in watcher.process.said(), 20, "baresip sees its friend come")
    friend.stop()
    exchange.command("status")


@case()
def messages_are_kept_over_a_crash_and_come_in_order(lab):
    exchange, (alice, bob) = office(lab, ("alice", ""), ("bob", ""))
    writer = Offhook(lab, exchange, alice, "caller")

    def write(text):
        process = lab.run("write", [lab.binary, "message", "bob", text, *writer.words])
        process.wait(20)
        return result(process)["code"]

    check([write("one"), write("two")] == [202, 202], "messages to nobody are kept")
    exchange.kill()
    exchange.start()
    reader = Baresip(lab, exchange, bob, "callee")
    reader.start()
    until(lambda: "two" in reader.process.said(), 20, "baresip shows the second message")
    said = reader.process.said()
    check(0 <= said.find("one") < said.find("two"), f"in order: {said[-600:]}")
    check(write("three") == 200, "a message to a phone that is there is delivered")
    # baresip's own message, to the softphone that is not there yet.
    reader.write(alice.address, "four")
    told = lab.run("answer", [lab.binary, "answer", "--calls", "1", *writer.words])
    until(lambda: "four" in told.out.read_text() + told.said(), 20, "the softphone shows what was kept")
