"""How each exchange is started for a need: plain, digest, media or streams."""

import csv
import shutil
import socket
import subprocess
import time
from pathlib import Path

from .process import Failed, Process, cpu, pss, tree, wait_until_free, wakeups

HERE = Path(__file__).resolve().parent.parent
PASSWORD = "secret"
# Needs that lead media through the exchange; the callers' speech of the same name has to be bridged to plain PCMU.
MEDIA = ("media", "sdes", "dtls", "opus")
# Callers and callees are u0 …, b0 … of this domain.
DOMAIN = "127.0.0.1"
# Media ports lie below those that the system gives to the sockets of the load: a taken port would be a silent call.
RTPENGINE = ("rtpengine --config-file=none --foreground --log-stderr --log-level=3 --table=-1 --interface=127.0.0.1 "
             "--listen-ng=127.0.0.1:{ng} --listen-cli=127.0.0.1:{cli} --port-min=10000 --port-max=19999 "
             "--num-threads=2 --delete-delay=0 --timeout=600 --silent-timeout=600")
KAMAILIO = "kamailio -DD -E -m {memory} -M 16 -A PORT={port} {flags} -f {here}/peers/kamailio.cfg -Y {folder}"


class Exchange:
    """A running exchange: one or more programs that answer at a port."""

    name = ""
    port = 0
    # What else must be free before it starts.
    ports = ()

    def __init__(self, folder, need, **wishes):
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.processes = []
        wait_until_free((self.port, *self.ports))
        self.prepare(need, **wishes)
        try:
            begun = time.monotonic()
            self.start(need, **wishes)
            wait_for_answer(self)
            self.start_seconds = time.monotonic() - begun
        except BaseException:
            self.stop()
            raise

    def prepare(self, need, **wishes):
        """What is done once and does not count as starting."""

    def start(self, need, **wishes):
        """Starts the programs."""
        raise NotImplementedError

    def run(self, command, name, **options):
        """Starts one of its programs."""
        self.processes.append(Process(command, self.folder, name, **options))

    @classmethod
    def beside(cls, number):
        """The same at another port, so that several run at the same time; for what needs no relay."""
        return type(cls.__name__, (cls,), {"port": cls.port + 10 * number, "ports": ()}) if number else cls

    @property
    def pids(self):
        """All its processes."""
        return [pid for process in self.processes for pid in tree(process.child.pid)]

    def cpu(self):
        """Processor seconds so far."""
        return cpu(self.pids)

    def pss(self):
        """Bytes of memory."""
        return pss(self.pids)

    def wakeups(self):
        """How often it went to sleep so far."""
        return wakeups(self.pids)

    def check(self):
        """Fails if a part of it has ended."""
        for process in self.processes:
            process.check()

    def stop(self):
        """Ends it."""
        for process in reversed(self.processes):
            process.stop()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()


class Kamailio(Exchange):
    """A registrar and stateful proxy; with rtpengine if media is needed."""

    name = "Kamailio"
    port = 5562
    ports = (2327, 2328)

    def start(self, need, memory=1024, **_):
        flags = {"plain": "", "digest": "-A WITH_AUTH", "media": "-A WITH_RTPENGINE", "streams": "-A WITH_TCP",
                 "sdes": "-A WITH_RTPENGINE -A WITH_SDES", "dtls": "-A WITH_RTPENGINE -A WITH_DTLS",
                 "opus": "-A WITH_RTPENGINE -A WITH_OPUS"}[need]
        if need in MEDIA:
            self.run(RTPENGINE.format(ng=2327, cli=2328).split(), "rtpengine")
        command = KAMAILIO.format(memory=memory, port=self.port, flags=flags, here=HERE, folder=self.folder)
        path = "/usr/sbin/kamailio"
        self.run([path, *command.split()[1:]], "kamailio")


class Offhook(Exchange):
    """This program, as users get it: its journal is on, what it acknowledges survives."""

    name = "Offhook"
    port = 5662
    binary = None

    def prepare(self, need, accounts=0, sets=(), **_):
        self.data = self.folder / "data"
        shutil.rmtree(self.data, ignore_errors=True)
        if need == "digest":
            template = self.accounts(accounts)
            shutil.copytree(template, self.data)

    def start(self, need, accounts=0, sets=(), **_):
        listen = f"127.0.0.1:{self.port}"
        keys = [f"domains={DOMAIN}", f"sip.udp={listen}", f"sip.tcp={listen if need == 'streams' else 'off'}",
                "web.http=off", "media.ports=10000-19999", "security.max_calls_per_account=10000",
                f"media.anchor={'always' if need in MEDIA else 'never'}",
                f"security.authentication={'required' if need == 'digest' else 'off'}", *sets]
        self.run([self.binary, "serve", "--data", self.data, *(word for key in keys for word in ("--set", key))],
                 "offhook")

    def accounts(self, count):
        """A data directory with this many accounts, made once."""
        template = self.folder / f"accounts-{count}"
        if template.exists():
            return template
        rows = self.folder / "accounts.csv"
        with open(rows, "w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["address", "password", "name", "number", "email"])
            for prefix, many in (("u", count), ("b", 200)):
                writer.writerows([f"sip:{prefix}{number}@{DOMAIN}", PASSWORD, "", "", ""] for number in range(many))
        making = Process([self.binary, "account", "import", rows, "--data", template], self.folder, "import")
        if making.child.wait(300):
            shutil.rmtree(template, ignore_errors=True)
            raise Failed(f"no accounts: {making.last_words()}")
        return template


def wait_for_answer(exchange, within=20):
    """Asks with OPTIONS until something comes back."""
    until = time.monotonic() + within
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asker:
        asker.bind(("127.0.0.1", 0))
        asker.settimeout(0.01)
        mine, number = asker.getsockname()[1], 0
        while time.monotonic() < until:
            exchange.check()
            number += 1
            text = (f"OPTIONS sip:127.0.0.1:{exchange.port} SIP/2.0\r\n"
                    f"Via: SIP/2.0/UDP 127.0.0.1:{mine};rport;branch=z9hG4bKstart{number}\r\n"
                    f"Max-Forwards: 70\r\nFrom: <sip:start@{DOMAIN}>;tag=s\r\nTo: <sip:{DOMAIN}>\r\n"
                    f"Call-ID: start{number}\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n")
            try:
                asker.sendto(text.encode(), ("127.0.0.1", exchange.port))
                if asker.recv(4096):
                    return
            except OSError:
                # Nobody is there yet: refused, or no answer within the timeout.
                time.sleep(0.002)
    raise Failed(f"{exchange.name} does not answer: {exchange.processes[-1].last_words()}")


def versions():
    """What the peers say they are."""
    found = {}
    for name in ("kamailio", "rtpengine-daemon", "sip-tester", "baresip-core"):
        asked = subprocess.run(["dpkg-query", "-W", "-f=${Version}", name], capture_output=True, text=True)
        found[name] = asked.stdout or "?"
    wanted = (HERE / "quality" / "requirements.txt").read_text().split()
    return found | dict(line.split("==") for line in wanted if line.startswith("pjsua2"))
