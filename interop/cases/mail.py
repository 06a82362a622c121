"""Mails about voice messages, taken by a real mail server."""

import time

from harness import tone
from harness.cases import case
from harness.exchange import DOMAIN, Exchange
from harness.failure import check, until
from harness.mail import MailServer
from harness.phones.offhook import Offhook
from harness.wire import LOOPBACK

LOGIN = ("offhook", "a password for mails")


def sets(server, *more):
    words = [f"mail.server={LOOPBACK}", f"mail.port={server.port}", "mail.from=Offhook <pbx@example.test>"]
    return words + list(more)


def leave_message(lab, exchange, bob):
    """Bob leaves five seconds of his tone for 1001; returns when the message is there."""
    folder = exchange.data / "voicemail" / f"alice@{DOMAIN}" / "new"
    before = set(folder.glob("*.wav"))
    phone = Offhook(lab, exchange, bob, "caller")
    phone.dial("*971001", "--dtmf", ",#", "--play", lab.tone(phone.hz), "--loop", "--duration", "6s")
    until(lambda: set(folder.glob("*.wav")) - before, 10, "the message is there")
    return phone.hz


def waiting(exchange):
    return list((exchange.data / "mail").glob("*.json"))


def doctor(exchange):
    """What the doctor says, whatever it thinks of it."""
    process = exchange.lab.run("doctor", [
        exchange.lab.binary, "doctor", "-c", exchange.settings, "--data", exchange.data,
        *[word for one in exchange.sets for word in ("--set", one)]])
    process.wait(30)
    return next(line for line in process.out.read_text().splitlines() if line.startswith("mail "))


@case(seconds=120)
def a_message_comes_by_mail_over_tls_with_its_sound(lab):
    server = MailServer(lab, lab.port(), LOGIN).start()
    (lab.folder / "secret").write_text(LOGIN[1])
    exchange = Exchange(lab, sets=sets(
        server, f"mail.user={LOGIN[0]}", f'mail.password={{ file = "{lab.folder}/secret" }}',
        f"mail.ca={server.certificate}"))
    exchange.add("alice", number="1001")
    # What a name in the store may say, a mail may not.
    exchange.command("account", "set", f"sip:alice@{DOMAIN}", "--email", "alice@mail.test", "--name", "Alice, Bcc: <eve@mail.test>")
    bob = exchange.add("bob", number="1002")
    exchange.start()
    check(doctor(exchange).endswith(" ok"), doctor(exchange))
    hz = leave_message(lab, exchange, bob)
    until(lambda: server.mails, 20, "the mail is there")
    to, mail = server.mails[0]
    check(to == ["alice@mail.test"] and mail["Bcc"] is None, f"for {to}, {mail.items()}")
    check(mail["From"] == "Offhook <pbx@example.test>" and "1002" in mail["Subject"], f"{mail.items()}")
    check("*97" in mail.get_body().get_content(), mail.get_body().get_content())
    sound = next(mail.iter_attachments())
    check(sound.get_content_type() == "audio/wav", sound.get_content_type())
    (lab.folder / "mailed.wav").write_bytes(sound.get_content())
    tone.prove(lab.folder / "mailed.wav", hz, 2.5)
    until(lambda: not waiting(exchange), 5, "nothing waits")


@case(seconds=120)
def a_message_that_is_forwarded_by_keys_is_in_both_mailboxes_and_comes_by_mail(lab):
    server = MailServer(lab, lab.port()).start()
    exchange = Exchange(lab, sets=sets(server, "mail.tls=off"))
    alice, bob, carol = (exchange.add(user, number=number) for user, number in (
        ("alice", "1001"), ("bob", "1002"), ("carol", "1003")))
    exchange.start()
    hz = leave_message(lab, exchange, bob)
    until(lambda: len(server.mails) == 1, 20, "Alice has a mail")
    folders = [exchange.data / "voicemail" / f"{user}@{DOMAIN}" for user in ("alice", "carol")]
    Offhook(lab, exchange, alice, "callee").dial("*97", "--dtmf", ",1,,,,81003#", "--duration", "12s")
    until(lambda: len(server.mails) == 2, 20, "Carol has a mail")
    check(server.mails[1][0] == [f"carol@{DOMAIN}"], f"for {server.mails[1][0]}")
    for folder, kind in zip(folders, ("old", "new")):
        tone.prove(until(lambda: next(folder.glob(f"{kind}/*-1002.wav"), None), 5, f"{folder}"), hz, 2.5)
    owner = Offhook(lab, exchange, carol, "callee")
    owner.dial("*97", "--dtmf", ",1", "--record", owner.recording, "--duration", "15s")
    tone.prove(owner.recording, hz, 2.5)


@case(seconds=120)
def a_message_that_is_forwarded_by_command_is_in_both_mailboxes_and_comes_by_mail(lab):
    server = MailServer(lab, lab.port()).start()
    exchange = Exchange(lab, sets=sets(server, "mail.tls=off", "services.voicemail.most=1"))
    alice, bob, carol = (exchange.add(user, number=number) for user, number in (
        ("alice", "1001"), ("bob", "1002"), ("carol", "1003")))
    exchange.start()
    hz = leave_message(lab, exchange, bob)
    until(lambda: len(server.mails) == 1, 20, "Alice has a mail")
    message = next((exchange.data / "voicemail" / f"alice@{DOMAIN}").glob("new/*.wav")).stem
    forward = ("voicemail", "forward", alice.address, message)
    exchange.command(*forward, "1009", status=4)
    exchange.command(*forward, f"sip:nobody@{DOMAIN}", status=4)
    exchange.command("voicemail", "forward", alice.address, "1800000000-1-1002", "1003", status=4)
    exchange.command(*forward, "1003")
    until(lambda: len(server.mails) == 2, 20, "Carol has a mail")
    check(server.mails[1][0] == [f"carol@{DOMAIN}"], f"for {server.mails[1][0]}")
    exchange.command(*forward, carol.address, status=5)
    # One more message is more than Carol's mailbox holds.
    exchange.command("voicemail", "delete", alice.address, message)
    leave_message(lab, exchange, bob)
    folder = exchange.data / "voicemail" / f"alice@{DOMAIN}"
    other = next(folder.glob("new/*.wav")).stem
    exchange.command("voicemail", "forward", alice.address, other, "1003", status=5)
    owner = Offhook(lab, exchange, carol, "callee")
    owner.dial("*97", "--dtmf", ",1", "--record", owner.recording, "--duration", "15s")
    tone.prove(owner.recording, hz, 2.5)
    exchange.kill()
    exchange.command("voicemail", "forward", alice.address, other, bob.address, status=3)


@case(seconds=180)
def a_mail_outlives_a_server_that_is_down_and_a_kill(lab):
    server = MailServer(lab, lab.port())
    exchange = Exchange(lab, sets=sets(server, "mail.tls=off", "mail.attach=false"))
    exchange.add("alice", number="1001")
    bob = exchange.add("bob", number="1002")
    exchange.start()
    leave_message(lab, exchange, bob)
    check(len(waiting(exchange)) == 1, f"{waiting(exchange)}")
    until(lambda: "mails cannot be sent (1 wait)" in exchange.command("status"), 10, "the status tells of it")
    check(f"{LOOPBACK}:{server.port}" in doctor(exchange), doctor(exchange))
    exchange.kill()
    check(len(waiting(exchange)) == 1, "it waits after the kill")
    exchange.start()
    server.answer = "451 not now"
    server.start()
    time.sleep(3)
    check(not server.mails and len(waiting(exchange)) == 1, "it waits still")
    exchange.kill()
    server.answer = "250 kept"
    exchange.start()
    until(lambda: server.mails, 90, "the mail is there")
    to, mail = server.mails[0]
    check(to == [f"alice@{DOMAIN}"] and not list(mail.iter_attachments()), f"for {to}, {mail.items()}")
    until(lambda: not waiting(exchange), 5, "nothing waits")
    time.sleep(3)
    check(len(server.mails) == 1, "it came once")


@case(seconds=120)
def a_mail_that_nobody_takes_is_given_up_and_the_message_stays(lab):
    server = MailServer(lab, lab.port()).start()
    server.answer = "550 nobody of that name"
    exchange = Exchange(lab, sets=sets(server, "mail.tls=off"))
    exchange.add("alice", number="1001")
    bob = exchange.add("bob", number="1002")
    exchange.start()
    leave_message(lab, exchange, bob)
    until(lambda: not waiting(exchange), 20, "it is given up")
    check("nobody of that name" in exchange.process.said(), "the log tells why")
    check(len(list((exchange.data / "voicemail").glob("*/new/*.wav"))) == 1, "the message is there")
