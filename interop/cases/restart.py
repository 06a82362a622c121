"""A kill in the middle of everything: what people have set, left and asked for is as it was."""

import json
import time

from harness import tone
from harness.cases import case
from harness.conversation import HEARD_SECONDS, TALK_SECONDS
from harness.exchange import Exchange
from harness.failure import check, until
from harness.mail import MailServer
from harness.phones.baresip import Baresip
from harness.phones.offhook import Offhook, result
from harness.phones.pjsua import Pjsua

from .mail import sets
from .presence import Watcher

QUEUE = """
[[queue]]
number = "610"
agents = ["1003", "1004"]
"""


@case(seconds=240)
def what_was_set_left_and_asked_for_outlives_a_kill(lab):
    server = MailServer(lab, lab.port())
    exchange = Exchange(lab, sets=sets(server, "mail.tls=off", "mail.attach=false"))
    with exchange.settings.open("a") as settings:
        settings.write(QUEUE)
    alice, bob, carol, dora = (exchange.add(user, number=number) for user, number in (
        ("alice", "1001"), ("bob", "1002"), ("carol", "1003"), ("dora", "1004")))
    exchange.start()

    def dial(account, code, *words):
        dialled = result(Offhook(lab, exchange, account, "caller").dial(code, *words))
        check(dialled["exit_code"] == 0, f"{code}: {dialled}")

    # Bob's calls go to Dora; Carol and Dora log in, and Dora pauses.
    dial(bob, "*21*1004", "--expect-audio", "speech")
    dial(carol, "*45", "--expect-audio", "speech")
    dial(dora, "*45", "--expect-audio", "speech")
    dial(dora, "*46", "--expect-audio", "speech")
    # Alice leaves Bob a message, which the mail server does not take, and writes to Dora, who has no phone.
    dial(alice, "*971002", "--dtmf", ",#", "--play", lab.tone(440), "--loop", "--duration", "6s")
    mails = exchange.data / "mail"
    until(lambda: list(mails.glob("*.json")), 10, "a mail waits")
    writing = lab.run("write", [lab.binary, "message", "dora", "how are you", *Offhook(lab, exchange, alice, "caller").words])
    writing.wait(20)
    check(result(writing)["code"] == 202, "the text is kept")
    # Carol is busy, and Alice wants to be called back.
    busy = Offhook(lab, exchange, carol, "callee")
    busy.answer("--code", "486")
    dial(alice, "1003", "--expect", "486")
    busy.stop()
    dial(alice, "*37", "--expect-audio", "speech")
    lamp = Watcher(lab, exchange, bob, "1003", "dialog", seconds=200)
    lamp.wait("dialog-info")
    before = len(lamp.told())

    exchange.kill()
    server.start()
    exchange.start()

    check(json.loads(exchange.command("account", "answering", bob.address, "--json"))["forward_always"] == "1004", "bob's calls")
    agents = {one["account"]: one["state"] for one in json.loads(exchange.command("queue", "show", "610", "--json"))["agents"]}
    check(agents == {carol.address: "free", dora.address: "paused"}, f"{agents}")
    messages = json.loads(exchange.command("voicemail", "list", bob.address, "--json"))
    check(len(messages["messages"]) == 1, f"{messages}")
    until(lambda: server.mails, 90, "the mail comes")
    until(lambda: len(lamp.told()) > before, 30, "who watches is told again")
    # Who registers gets its text.
    dora = Baresip(lab, exchange, dora, "callee")
    dora.start()
    until(lambda: "\nhow are you" in dora.process.said(), 20, "dora reads it")
    # A call of Carol ends: Alice is called, and then she.
    alice, carol = Baresip(lab, exchange, alice, "caller"), Pjsua(lab, exchange, carol, "callee")
    alice.start()
    carol.start()
    carol.call(dora.account.address, 2)
    dora.over()
    alice.answered()
    carol.answered()
    lamp.wait("<state>confirmed", "<state>terminated", "<state>confirmed")
    time.sleep(TALK_SECONDS)
    alice.hang_up()
    for phone in (alice, carol, dora):
        phone.stop()
    tone.prove(alice.recording, carol.hz, HEARD_SECONDS)
    tone.prove(carol.recording, alice.hz, HEARD_SECONDS, last=TALK_SECONDS)
