"""Just enough SIP to look at an exchange from outside: a socket, a request, a digest, a lossy link."""

import hashlib
import re
import secrets
import select
import socket
import threading
import time
from dataclasses import dataclass

from .failure import Failure

LOOPBACK = "127.0.0.1"


@dataclass(frozen=True)
class Message:
    """A received message: its first line, its header fields in order, its body."""

    start: str
    fields: tuple
    body: bytes

    @classmethod
    def parse(cls, data):
        head, _, body = data.partition(b"\r\n\r\n")
        start, *lines = re.sub(r"\r\n[ \t]+", " ", head.decode("utf8", "replace")).split("\r\n")
        fields = tuple((name.strip(), value.strip()) for name, _, value in (line.partition(":") for line in lines))
        return cls(start, fields, body)

    @property
    def status(self):
        """The status code, or 0 for a request."""
        return int(self.start.split(" ")[1]) if self.start.startswith("SIP/2.0 ") else 0

    def all(self, name):
        return [value for field, value in self.fields if field.lower() == name.lower()]

    def first(self, name):
        return next(iter(self.all(name)), "")

    @property
    def tag(self):
        """The tag of To."""
        found = re.search(r";\s*tag=([^;\s]+)", self.first("To"))
        return found.group(1) if found else ""


class Peer:
    """A socket that speaks SIP to one address."""

    def __init__(self, server, transport="udp"):
        self.server, self.transport = server, transport
        kind = socket.SOCK_DGRAM if transport == "udp" else socket.SOCK_STREAM
        self.socket = socket.socket(socket.AF_INET, kind)
        self.socket.settimeout(3)
        self.socket.bind((LOOPBACK if is_here(server[0]) else "", 0))
        if transport == "tcp":
            self.socket.connect(server)
        self.port = self.socket.getsockname()[1]
        self.tag, self.call_id, self.cseq = secrets.token_hex(4), secrets.token_hex(8), 0
        self.unread = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, data):
        if self.transport == "udp":
            self.socket.sendto(data, self.server)
        else:
            self.socket.sendall(data)

    def receive(self, seconds):
        """The next message, or None when none comes in time or the other side closed."""
        end = time.monotonic() + seconds
        while True:
            if self.transport == "tcp" and (data := self._cut()):
                return Message.parse(data)
            self.socket.settimeout(max(0.001, end - time.monotonic()))
            try:
                data = self.socket.recv(65535)
            except OSError:
                return None
            if self.transport == "udp":
                return Message.parse(data)
            if not data:
                return None
            self.unread += data

    def _cut(self):
        """One whole message off the stream, or nothing yet."""
        self.unread = self.unread.lstrip(b"\r\n")
        head, found, rest = self.unread.partition(b"\r\n\r\n")
        if not found:
            return b""
        length = re.search(rb"(?im)^(?:content-length|l)\s*:\s*(\d+)", head)
        length = int(length.group(1)) if length else 0
        if len(rest) < length:
            return b""
        self.unread = rest[length:]
        return head + found + rest[:length]

    def request(self, method, uri, sender, to=None, fields=(), body=b""):
        """The bytes of a new request of this peer."""
        self.cseq += 1
        lines = [
            f"{method} {uri} SIP/2.0",
            f"Via: SIP/2.0/{self.transport.upper()} {LOOPBACK}:{self.port};rport;branch=z9hG4bK{secrets.token_hex(6)}",
            f"From: <{sender}>;tag={self.tag}", f"To: <{to or uri}>",
            f"Call-ID: {self.call_id}", f"CSeq: {self.cseq} {method}", *fields,
            f"Content-Length: {len(body)}"]
        if not any(field.startswith("Max-Forwards") for field in fields):
            lines.insert(2, "Max-Forwards: 70")
        return "\r\n".join(lines).encode() + b"\r\n\r\n" + body

    def ask(self, data, seconds=5):
        """Sends a request, again and again over UDP, and returns its final response; None when there is none."""
        end, pause = time.monotonic() + seconds, 0.5
        cseq = Message.parse(data).first("CSeq")
        while (left := end - time.monotonic()) > 0:
            self.send(data)
            until = time.monotonic() + (min(pause, left) if self.transport == "udp" else left)
            while (left := until - time.monotonic()) > 0:
                answer = self.receive(left)
                if answer and answer.status >= 200 and answer.first("CSeq") == cseq:
                    return answer
            pause = min(2 * pause, 4)
        return None


def is_here(host):
    """Whether an address is of this namespace, so that loopback reaches it."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind((host, 0))
        except OSError:
            return False
    return True


def authorization(challenge, method, uri, user, password):
    """The value of Authorization for an MD5 challenge with qop=auth (RFC 7616)."""
    given = dict(re.findall(r'(\w+)="?([^",]*)"?', challenge.partition(" ")[2]))
    digest = lambda text: hashlib.md5(text.encode()).hexdigest()
    cnonce = secrets.token_hex(4)
    secret = digest(f"{user}:{given['realm']}:{password}")
    response = digest(f"{secret}:{given['nonce']}:00000001:{cnonce}:auth:{digest(f'{method}:{uri}')}")
    opaque = f', opaque="{given["opaque"]}"' if "opaque" in given else ""
    return (f'Digest username="{user}", realm="{given["realm"]}", nonce="{given["nonce"]}", uri="{uri}", '
            f'algorithm=MD5, qop=auth, nc=00000001, cnonce="{cnonce}", response="{response}"{opaque}')


def ask_with_credentials(server, account, method, uri, fields=(), transport="udp", to=None, body=b""):
    """The final response to a request of `account`, whose challenge is answered once."""
    with Peer(server, transport) as peer:
        answer = peer.ask(peer.request(method, uri, account.address, to=to, fields=fields, body=body))
        for name, reply in (("WWW-Authenticate", "Authorization"), ("Proxy-Authenticate", "Proxy-Authorization")):
            if answer is None or answer.status not in (401, 407):
                break
            challenges = [value for value in answer.all(name) if "sha-" not in value.lower()]
            if challenges:
                value = authorization(challenges[0], method, uri, account.user, account.password)
                fresh = peer.request(method, uri, account.address, to, (*fields, f"{reply}: {value}"), body)
                answer = peer.ask(fresh)
    if answer is None:
        raise Failure(f"{method} {uri} got no final response")
    return answer


def options(server, uri, transport="udp", seconds=5):
    """The status of an answer to OPTIONS, 0 when there is none."""
    try:
        with Peer(server, transport) as peer:
            answer = peer.ask(peer.request("OPTIONS", uri, "sip:tester@example.test"), seconds)
    except OSError:
        return 0
    return answer.status if answer else 0


class Link:
    """Carries datagrams between a phone and the exchange, and may lose or change them on the way.

    The phone sends to `near`, the exchange to `far`. `change(data, to_phone)` returns what goes on, or None.
    """

    def __init__(self, exchange, phone, change):
        self.exchange, self.phone, self.change = exchange, phone, change
        self.sockets = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2)]
        for one in self.sockets:
            one.bind((LOOPBACK, 0))
        self.near, self.far = (one.getsockname() for one in self.sockets)
        self.closing = False
        self.thread = threading.Thread(target=self._carry, daemon=True)
        self.thread.start()

    def _carry(self):
        near, far = self.sockets
        while not self.closing:
            for ready in select.select(self.sockets, [], [], 0.1)[0]:
                try:
                    data, _ = ready.recvfrom(65535)
                except OSError:
                    continue  # an ICMP error of an earlier datagram: the phone is not there any more
                passed = self.change(data, ready is far)
                if passed is None:
                    continue
                if ready is near:
                    far.sendto(passed, self.exchange)
                else:
                    near.sendto(passed, self.phone)

    def stop(self):
        self.closing = True
        self.thread.join(2)
        for one in self.sockets:
            one.close()


def unchanged(data, _to_phone):
    """What a plain link does."""
    return data


class FirstCopyLost:
    """Loses the first copy of each different message, in both directions, and remembers which."""

    def __init__(self):
        self.lost = []
        self.seen = set()

    def __call__(self, data, to_phone):
        message = Message.parse(data)
        key = (to_phone, message.start, message.first("CSeq"))
        if key in self.seen:
            return data
        self.seen.add(key)
        self.lost.append(f"{message.start.split(' sip:')[0]} ({message.first('CSeq')})")
        return None
