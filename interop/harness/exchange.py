"""The exchange under test: `offhook serve` with a configuration and data of its own."""

import re
from dataclasses import dataclass

from .failure import Failure, check, until
from .network import Place
from .wire import LOOPBACK, ask_with_credentials, options

DOMAIN = "example.test"
SETTINGS = """\
domains = ["{domain}"]
language = "en"

[sip]
udp = "{host}:{port}"
tcp = "{host}:{port}"
tls = "{host}:{tls}"

[web]
http = "{host}:{web}"
listen = "{host}:{https}"

[media]
ports = "{first_media}-{last_media}"
anchor = "{anchor}"
"""


@dataclass(frozen=True)
class Account:
    """Who a phone is."""

    user: str
    password: str
    number: str = ""
    domain: str = DOMAIN

    @property
    def address(self):
        return f"sip:{self.user}@{self.domain}"


class Exchange:
    """Not running until `start`; may be killed and started again on the same data."""

    def __init__(self, lab, anchor="auto", domain=DOMAIN, host=LOOPBACK, sets=(), place=None):
        """`sets` are further keys, each `KEY=VALUE`. Exchanges of one lab differ in their domain. `place` is where it runs, if
        not in the namespace of the case."""
        self.place = place or Place(host)
        host = self.place.host
        self.lab, self.process, self.domain, self.host, self.sets = lab, None, domain, host, list(sets)
        mark = "" if domain == DOMAIN else f"-{domain}"
        self.data = lab.folder / f"data{mark}"
        self.settings = lab.folder / f"offhook{mark}.toml"
        self.port = lab.port()
        self.server = (host, self.port)
        self.tls_port, self.web_port, self.https_port = lab.port(), lab.port(), lab.port()
        media = lab.port(40)
        self.media_ports = range(media, media + 40)
        self.data.mkdir()
        self.settings.write_text(SETTINGS.format(
            domain=domain, host=host, port=self.port, tls=self.tls_port, web=self.web_port,
            https=self.https_port, anchor=anchor,
            first_media=media, last_media=media + 39))

    @property
    def authority(self):
        """The certificate authority that the exchange made for itself, as a file."""
        return self.data / "tls" / "ca.pem"

    def port_for(self, transport):
        """Where it speaks this transport."""
        own = {"tls": self.tls_port, "ws": self.web_port, "wss": self.https_port}
        return own.get(transport, self.port)

    def add(self, user, number="", password=""):
        """Makes an account, whether the exchange runs or not."""
        account = Account(user, password or f"{user}-Secret-7", number, self.domain)
        words = ["account", "add", account.address, "--password", account.password]
        self.command(*words, *(["--number", number] if number else []))
        return account

    def command(self, *words, status=0):
        """Runs a server command on this exchange's data, which ends with this status, and returns what it printed."""
        argv = [self.lab.binary, *words, "-c", self.settings, "--data", self.data]
        process = self.lab.run(f"offhook-{words[0]}", self.place.words(argv))
        ended = process.wait(20)
        check(ended == status, f"offhook {' '.join(words)} ended with {ended}: {process.said()}")
        return process.out.read_text()

    def start(self):
        self.process = self.lab.run("exchange", self.serve_command())
        until(self._answers, 20, "the exchange answers OPTIONS")
        return self

    def serve_command(self):
        """The words that run it in the foreground."""
        sets = [word for one in self.sets for word in ("--set", one)]
        return self.place.words([self.lab.binary, "serve", "-c", self.settings, "--data", self.data, *sets])

    def _answers(self):
        if self.process.ended() is not None:
            raise Failure(f"the exchange ended with {self.process.ended()}: {self.process.said()}")
        return options(self.server, f"sip:{self.domain}", seconds=0.3) == 200

    def kill(self):
        """As `kill -9` does."""
        self.process.kill()

    def bindings(self, account):
        """The contacts registered for an account, by a REGISTER that changes nothing (RFC 3261 §10.2.3)."""
        answer = ask_with_credentials(self.server, account, "REGISTER", f"sip:{self.domain}", to=account.address)
        check(answer.status == 200, f"asking for the bindings of {account.user}: {answer.start}")
        return re.findall(r"<(sip:[^>]+)>", " ".join(answer.all("Contact") + answer.all("m")))

    def bind(self, account, contact, seconds=600):
        """Registers a contact for a phone that does not do so itself."""
        fields = (f"Contact: <{contact}>", f"Expires: {seconds}")
        answer = ask_with_credentials(
            self.server, account, "REGISTER", f"sip:{self.domain}", fields=fields, to=account.address)
        check(answer.status == 200, f"registering {account.user}: {answer.start}")

    def wait_registered(self, account):
        until(lambda: self.bindings(account), 15, f"{account.user} is registered")
