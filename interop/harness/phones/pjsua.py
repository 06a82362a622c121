"""pjsua2, in a child process of its own (pjsua_child.py)."""

import json
import subprocess
import sys
import time
from pathlib import Path

from ..failure import Failure, check
from ..lab import CALLEE_HZ, CALLER_HZ
from ..wire import LOOPBACK

CHILD = Path(__file__).with_name("pjsua_child.py")


class Pjsua:
    """One pjsua2 endpoint with one account; answers what comes in."""

    def __init__(self, lab, exchange, account, role, transport="udp", srtp="off", headers=()):
        """`headers`: names and values that its INVITEs have besides."""
        self.lab, self.exchange, self.account = lab, exchange, account
        self.hz = CALLER_HZ if role == "caller" else CALLEE_HZ
        self.recording = lab.folder / f"pjsua-{account.user}.wav"
        self.settings = {
            "address": account.address, "user": account.user, "password": account.password, "host": LOOPBACK,
            "server": f"sip:{LOOPBACK}:{exchange.port_for(transport)};transport={transport};lr", "domain": account.domain,
            "transport": transport, "srtp": srtp, "headers": list(headers), "rtp": lab.port(10), "play": str(lab.tone(self.hz)),
            "record": str(self.recording), "log": str(lab.folder / f"pjsua-{account.user}.log")}
        self.process, self.read = None, 0

    def start(self):
        self.process = self.lab.run(
            f"pjsua-{self.account.user}", [sys.executable, CHILD, json.dumps(self.settings)], stdin=subprocess.PIPE)
        self.exchange.wait_registered(self.account)

    def call(self, target, seconds):
        """Calls, talks for that long, hangs up."""
        self._command(f"call {target}")
        found = self._wait("confirmed", "closed", seconds=15)
        check(found["type"] == "confirmed", f"pjsua2's call to {target} ended: {found}")
        time.sleep(seconds)
        self._command("hangup")
        self._wait("closed", seconds=5)

    def ring(self, target):
        """Calls, and waits for nothing."""
        self._command(f"call {target}")

    def dial(self, target):
        """Calls; the call is up when this returns."""
        self.ring(target)
        self.answered()

    def answered(self):
        """Waits until a call is up."""
        self._wait("confirmed", seconds=15)

    def press(self, keys):
        """Presses keys of its call (RFC 4733)."""
        self._command(f"press {keys}")

    def transfer(self, target):
        """Sends the other side of its call to `target`; without one, its first call and its last become one."""
        self._command(f"transfer {target}" if target else "join")
        self._wait("closed", seconds=15)

    def hold(self):
        """Puts the other side of its call on hold."""
        self._command("hold")

    def resume(self):
        """Goes on with the one whom it holds."""
        self._command("resume")

    def hang_up(self):
        self._command("hangup")
        self._wait("closed", seconds=5)

    def over(self):
        """Waits until the call that came in has ended."""
        self._wait("confirmed", seconds=5)
        self._wait("closed", seconds=10)

    def stop(self):
        """The recording is whole only after this."""
        if self.process and self.process.ended() is None:
            try:
                self._command("quit")
                self.process.wait(8)
            except (OSError, Failure):
                self.process.stop()

    def _command(self, line):
        self.process.child.stdin.write(f"{line}\n".encode())
        self.process.child.stdin.flush()

    def _wait(self, *types, seconds):
        end = time.monotonic() + seconds
        while True:
            lines = self.process.out.read_text(errors="replace").split("\n")[:-1]
            while self.read < len(lines):
                line = lines[self.read]
                self.read += 1
                # The library prints some lines of its own before it reads its log settings.
                event = json.loads(line) if line.startswith("{") else {"type": "noise"}
                if event["type"] in types:
                    return event
            check(time.monotonic() < end, f"pjsua2 {self.account.user}: no {' or '.join(types)} within {seconds} s")
            check(self.process.ended() is None, f"pjsua2 ended: {self.process.said()[-400:]}")
            time.sleep(0.05)
