"""Chromium with JsSIP: a browser as a phone."""

import base64
import hashlib
import json
import os
import shutil
import subprocess
import threading
import time
import wave
from pathlib import Path

from .. import tone
from ..failure import Failure, check, until
from ..lab import CALLEE_HZ, CALLER_HZ
from ..network import Place
from ..wire import LOOPBACK

HERE = Path(__file__).resolve().parent
MODULES = Path(os.environ.get("CARGO_TARGET_DIR") or HERE.parents[2] / "target").absolute() / "browser"


class Browser:
    """One page with one account. Its certificate check is as strict as a browser's, but for the very key of the exchange."""

    def __init__(self, lab, exchange, account, role, transport="wss", only=None, video=False, place=None, turn=None):
        """`only`: the one codec that it offers. A `callee` answers by itself. `turn`: a TURN server (`host`, `port`,
        `credentials`) through which all its media goes."""
        self.lab, self.account, self.role = lab, account, role
        self.exchange, self.transport = exchange, transport
        self.only, self.video, self.place, self.turn = only, video, place or Place(), turn
        self.hz = CALLER_HZ if role == "caller" else CALLEE_HZ
        self.events, self.process, self.rate = [], None, None
        self.folder = lab.folder / f"browser-{account.user}"

    def start(self):
        check((MODULES / "jssip.bundle.js").exists(), f"{MODULES} is not there: scripts/install.sh interop")
        exchange, folder = self.exchange, self.folder
        folder.mkdir()
        tone.make(folder / "tone.wav", self.hz, rate=48_000)
        settings = {
            "modules": str(MODULES), "folder": str(folder), "chromium": self.lab.tool("chromium"),
            "url": f"{self.transport}://{exchange.host}:{exchange.port_for(self.transport)}/",
            "address": self.account.address, "password": self.account.password,
            "tone": str(folder / "tone.wav"), "answers": self.role == "callee", "only": self.only, "video": self.video,
            "relay": self._relay(), "loopback": self.place.host == LOOPBACK,
            "trusted": key_digest(exchange) if self.transport == "wss" else "",
        }
        words = [self.lab.tool("node"), HERE / "browser.js", json.dumps(settings)]
        self.process = self.lab.run(folder.name, self.place.words(words), stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        threading.Thread(target=self._listen, daemon=True).start()
        self.wait("REGISTERED", 40)

    def _relay(self):
        turn = self.turn
        return turn and {"urls": f"turn:{turn.host}:{turn.port}?transport=udp",
                         "username": turn.credentials["username"], "credential": turn.credentials["password"]}

    def _listen(self):
        for line in self.process.child.stdout:
            self.events.append(json.loads(line))

    def command(self, word, what=""):
        self.process.child.stdin.write(json.dumps({"do": word, "what": what}).encode() + b"\n")
        self.process.child.stdin.flush()

    def wait(self, kind, seconds):
        """The first event of that kind, taken off the list."""
        def found():
            for index, event in enumerate(self.events):
                if event["type"] == kind:
                    return self.events.pop(index)
                if event["type"] in ("ERROR", "REGISTRATION_FAILED"):
                    raise Failure(f"the browser says {event}")
            check(self.process.ended() is None, f"the browser ended: {self.process.said()[-400:]}")
            return None
        return until(found, seconds, f"the browser says {kind}")

    def call(self, target, seconds):
        """Calls, talks for that long, hangs up."""
        self.command("dial", target)
        self.wait("CALL_ESTABLISHED", 20)
        time.sleep(seconds)
        self.keep()
        self.command("hangup")
        self.wait("CALL_CLOSED", 10)

    def over(self):
        """Waits until the call that came in has ended."""
        self.wait("CALL_ESTABLISHED", 20)
        self.wait("CALL_CLOSED", 20)
        self.keep()

    def press(self, keys, by):
        """Sends keys by `INFO` or by `RFC2833`, as telephone events."""
        self.command("press", {"keys": keys, "by": by})

    def measure(self):
        """What it has received so far: decoded `frames` of video, `packets` of sound; and how often its own video was
        `asked` for a key frame, with how many `keyFrames` it has sent."""
        self.command("measure")
        return self.wait("MEASURED", 10)

    def keep(self):
        """Writes down what it has heard so far. As often as one likes."""
        self.rate = self.rate or self.wait("HEARS", 10)["rate"]
        self.command("recording")
        self.wait("KEPT", 20)
        with wave.open(str(self.recording), "wb") as out:
            out.setnchannels(1)
            out.setsampwidth(2)
            out.setframerate(self.rate)
            out.writeframes((self.folder / "heard.raw").read_bytes())

    @property
    def recording(self):
        """What it has heard."""
        return self.folder / "heard.wav"

    def stop(self):
        if self.process and self.process.ended() is None:
            self.command("leave")
            self.process.wait(15)


def key_digest(exchange):
    """SHA-256 of the public key of the exchange's certificate, in Base64."""
    openssl = shutil.which("openssl")
    check(openssl, "openssl is not installed")
    certificate = exchange.data / "tls" / "server.pem"
    key = subprocess.run([openssl, "x509", "-in", certificate, "-noout", "-pubkey"], check=True, capture_output=True)
    der = subprocess.run([openssl, "pkey", "-pubin", "-outform", "DER"], input=key.stdout, check=True, capture_output=True)
    return base64.b64encode(hashlib.sha256(der.stdout).digest()).decode()
