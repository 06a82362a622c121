"""The softphone of the program itself: `offhook call` and `offhook answer`, one process per call."""

import json

from ..failure import check, until
from ..lab import CALLEE_HZ, CALLER_HZ
from ..network import Place
from ..wire import LOOPBACK, options


class Offhook:
    """A phone with an account, or without exchange and account when these are None."""

    def __init__(self, lab, exchange, account, role, transport="udp", host=LOOPBACK, srtp="off",
                 keys="sdes", place=None, turn=None, ice=False, follows=False, turn_by="udp"):
        """`turn`: a TURN server (`credentials`) that its sound may go through. `follows`: it takes the address that it has."""
        self.lab, self.exchange, self.account = lab, exchange, account
        self.place = place or Place(host)
        self.hz, self.hears = (CALLER_HZ, CALLEE_HZ) if role == "caller" else (CALLEE_HZ, CALLER_HZ)
        self.name = f"offhook-{account.user if account else role}"
        self.recording = lab.folder / f"{self.name}.wav"
        self.local = (self.place.host, lab.port())
        # Who is called over WebSocket is offered what browsers know.
        self.srtp, self.keys = srtp, "dtls" if transport == "wss" and role == "callee" else keys
        self.words = ["--json", "--srtp", srtp, "--srtp-keys", keys]
        if not follows:
            self.words += ["--local", f"{self.local[0]}:{self.local[1]}"]
        if ice:
            self.words += ["--ice"]
        if turn:
            lent = lab.folder / f"{self.name}-turn.json"
            lent.write_text(json.dumps(turn.credentials))
            self.words += ["--turn", lent, "--turn-transport", turn_by]
        if exchange:
            self.words += ["--account", account.address, "--password", account.password,
                           "--server", f"{exchange.host}:{exchange.port_for(transport)}", "--transport", transport]
            if transport in ("tls", "wss") or turn_by == "tls":
                self.words += ["--tls-ca", exchange.authority]
        self.answering, self.role = None, role

    def run(self, words):
        return self.lab.run(self.name, self.place.words(words))

    def start(self):
        """A callee waits for its call; a caller has nothing to start."""
        if self.role == "callee":
            self.answer(*self._sound(), "--expect-audio", f"tone:{self.hears}")

    def answer(self, *words):
        """`offhook answer` for one call; ready when this returns."""
        self.answering = self.run([self.lab.binary, "answer", "--calls", "1", *words, *self.words])
        if self.exchange:
            self.exchange.wait_registered(self.account)
        else:
            until(lambda: options(self.local, "sip:%s:%d" % self.local, seconds=0.3), 15, f"{self.name} answers OPTIONS")

    def call(self, target, seconds):
        """Calls, talks for that long, hangs up; every expectation has to be met."""
        sound = [*self._sound(), "--duration", f"{seconds}s", "--expect-audio", f"tone:{self.hears}"]
        self._heard_well(self.dial(target, *sound, seconds=seconds + 20))

    def dial(self, target, *words, seconds=40):
        """Runs `offhook call` to its end."""
        calling = self.begin(target, *words)
        calling.wait(seconds)
        return calling

    def begin(self, target, *words):
        """Runs `offhook call`."""
        return self.run([self.lab.binary, "call", target, *words, *self.words])

    def begin_talking(self, target, *words):
        """Runs `offhook call` with sound, until somebody hangs up."""
        return self.begin(target, *self._sound(), "--expect-audio", f"tone:{self.hears}", *words)

    def over(self):
        """Waits until the call that came in has ended; every expectation has to be met."""
        self.answering.wait(15)
        self._heard_well(self.answering)

    def stop(self):
        if self.answering:
            self.answering.stop()

    def _sound(self):
        return ["--play", self.lab.tone(self.hz), "--loop", "--record", self.recording]

    def _heard_well(self, process):
        found = result(process)
        seen = f"{self.name} ended with {process.ended()}: {found}"
        check(process.ended() == 0 and found["exit_code"] == 0 and found["code"] == 200, seen)
        check(found["received"] > 50 and found["sent"] > 50 and found["lost"] == 0, seen)
        check(found["mos"] >= 3.0 and found["unauthentic"] == 0, seen)
        if self.srtp != "prefer":
            expected = f"{self.keys.upper()} " if self.srtp == "require" else "off"
            check((found["srtp"] or "off").startswith(expected), seen)


def result(process):
    """The object that --json printed, the last line of stdout."""
    lines = process.out.read_text().strip().splitlines()
    check(lines, f"{process.name} printed no result, ended with {process.ended()}: {process.said()[-600:]}")
    return json.loads(lines[-1])
