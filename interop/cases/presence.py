"""Who watches whom: presence, lamps, message waiting, and text messages that are kept."""

import json
import re

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
    caller, callee = Pjsua(lab, exchange, alice, "caller"), Offhook(lab, exchange, bob, "callee")
    caller.start()
    callee.answer("--after", "2s")
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
    exchange, (alice, bob, carol) = office(lab, ("alice", ""), ("bob", ""), ("carol", ""))
    watcher = Baresip(lab, exchange, alice, "caller", friends=[bob])
    watcher.start()
    until(lambda: "<basic>closed</basic>" in watcher.process.said(), 20, "baresip is told that its friend is away")
    friend = Offhook(lab, exchange, bob, "callee")
    friend.start()
    caller = Pjsua(lab, exchange, carol, "caller")
    caller.start()
    caller.call(bob.address, 1)
    until(lambda: watcher.process.said().count("<basic>closed</basic>") > 1, 20, "baresip is told that its friend is gone")
    # What it makes of that, it writes at its end.
    watcher.stop()
    said = re.sub(r"\x1b\[[0-9;]*m", "", watcher.process.said())
    for words in ("from Offline to Online", "from Online to Busy", "from Busy to Online", "from Online to Offline", "Messages-Waiting: no"):
        check(words in said, f"baresip said nothing of {words!r}: {said[-600:]}")


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
    until(lambda: "\ntwo" in reader.process.said(), 20, "baresip shows the second message")
    said = reader.process.said()
    check(0 <= said.find("\none") < said.find("\ntwo"), f"in order: {said[-600:]}")
    check(write("three") == 200, "a message to a phone that is there is delivered")
