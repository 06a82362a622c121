"""SIPp: scenarios put together step by step, written as XML, and run."""

from xml.sax.saxutils import quoteattr

from .exchange import DOMAIN
from .failure import check
from .wire import LOOPBACK, Link, unchanged

SDP = """\
v=0
o=- 1 1 IN IP4 [local_ip]
s=-
c=IN IP4 [local_ip]
t=0 0
m=audio [auto_media_port] RTP/AVP 0
a=rtpmap:0 PCMU/8000
"""


class Scenario:
    """Steps in order. Every method adds some and returns the scenario."""

    def __init__(self, name):
        self.name, self.steps = name, []

    def _add(self, step):
        self.steps.append(step)
        return self

    def send(self, lines, body="", retransmit=False):
        if body:
            lines = [*lines, "Content-Type: application/sdp"]
        text = "\n".join([*lines, "Content-Length: [len]", "", ""]) + body
        attributes = ' retrans="500"' if retransmit else ""
        return self._add(f"<send{attributes}><![CDATA[\n{text}]]></send>")

    def receive(self, **attributes):
        return self._add("<recv %s/>" % " ".join(f"{name}={quoteattr(str(v))}" for name, v in attributes.items()))

    def pause(self, milliseconds):
        return self._add(f'<pause milliseconds="{milliseconds}"/>')

    def xml(self):
        steps = "\n".join(self.steps)
        return f'<?xml version="1.0" encoding="UTF-8"?>\n<scenario name={quoteattr(self.name)}>\n{steps}\n</scenario>\n'


class Caller(Scenario):
    """The side that asks."""

    def __init__(self, name, user, target=""):
        super().__init__(name)
        self.sender, self.target, self.cseq = f"sip:{user}@{DOMAIN}", target, 0
        self.asked_at = 0

    def _request(self, method, uri, to, cseq, branch="[branch]", fields=()):
        lines = [
            f"{method} {uri} SIP/2.0", f"Via: SIP/2.0/[transport] [local_ip]:[local_port];rport;branch={branch}",
            f"From: <{self.sender}>;tag=[pid]c[call_number]", f"To: {to}", "Call-ID: [call_id]",
            f"CSeq: {cseq} {method}", *fields]
        if not any(field.startswith("Max-Forwards") for field in fields):
            lines.insert(2, "Max-Forwards: 70")
        return lines

    def ask(self, method, uri="", fields=(), body="", to="", credentials=False):
        """A request outside a dialog."""
        self.cseq += 1
        self.asked_at = len(self.steps)
        self.target = uri or self.target
        fields = [*fields, "[authentication]"] if credentials else fields
        lines = self._request(method, self.target, f"<{to or self.target}>", self.cseq, fields=fields)
        return self.send(lines, body, retransmit=True)

    def register(self, credentials=False):
        fields = ("Contact: <[contact]>", "Expires: 600")
        return self.ask("REGISTER", f"sip:{DOMAIN}", fields, to=self.sender, credentials=credentials)

    def invite(self, credentials=False, fields=()):
        return self.ask("INVITE", fields=("Contact: <[contact]>", *fields), body=SDP, credentials=credentials)

    def invite_with_credentials(self):
        """The INVITE, its challenge, and the INVITE again."""
        return self.invite().refused(407, auth="true").invite(credentials=True)

    def refused(self, code, **attributes):
        """A final refusal of the INVITE, and its ACK, which belongs to the same transaction."""
        self.receive(response=100, optional="true").receive(response=180, optional="true")
        self.receive(response=code, **attributes)
        return self.send(self._in_transaction("ACK", "[peer_tag_param]"))

    def cancel(self):
        return self.send(self._in_transaction("CANCEL"), retransmit=True).receive(response=200)

    def _in_transaction(self, method, to_tag=""):
        """The branch of the request that was asked, so many steps ago."""
        branch = f"[branch-{len(self.steps) - self.asked_at}]"
        return self._request(method, self.target, f"<{self.target}>{to_tag}", self.cseq, branch)

    def answered(self):
        """Ringing, the answer, and its ACK along the recorded route."""
        self.receive(response=100, optional="true").receive(response=180, optional="true")
        self.receive(response=200, rrs="true")
        return self.send(self._in_dialog("ACK", self.cseq))

    def bye(self):
        self.cseq += 1
        self.send(self._in_dialog("BYE", self.cseq), retransmit=True)
        return self.receive(response=200)

    def _in_dialog(self, method, cseq):
        return self._request(method, "[next_url]", f"<{self.target}>[peer_tag_param]", cseq, fields=("[routes]",))


class Callee(Scenario):
    """The side that is called."""

    def invited(self):
        # SIPp forgets a message with the next one; a 487 needs the Vias of the INVITE after the CANCEL has come.
        return self._add('<recv request="INVITE" rrs="true"><action><ereg search_in="msg" assign_to="vias" regexp='
                         '"Via:[^[:cntrl:]]*([[:cntrl:]]+Via:[^[:cntrl:]]*)*"/></action></recv>\n'
                         '<Reference variables="vias"/>')

    def respond(self, status, body="", retransmit=False):
        copied = ["[last_Via:]", "[last_From:]", "[last_To:];tag=[pid]s[call_number]", "[last_Call-ID:]",
                  "[last_CSeq:]", "[last_Record-Route:]", "Contact: <[contact]>"]
        return self.send([f"SIP/2.0 {status}", *copied], body, retransmit)

    def cancelled(self):
        """Takes the CANCEL, and ends the INVITE as well: its CSeq is the CANCEL's with the other method."""
        self.receive(request="CANCEL").respond("200 OK").respond("487 Request Terminated", retransmit=True)
        self.steps[-1] = self.steps[-1].replace("[last_CSeq:]", "CSeq: [cseq] INVITE").replace("[last_Via:]", "[$vias]")
        return self.receive(request="ACK")

    def answer(self):
        return self.respond("180 Ringing").respond("200 OK", SDP, retransmit=True).receive(request="ACK")

    def answer_again(self, body):
        """Answers another offer in the same call."""
        self.receive(request="INVITE").respond("200 OK", body, retransmit=True)
        self.steps[-1] = self.steps[-1].replace(";tag=[pid]s[call_number]", "")
        return self.receive(request="ACK")

    def refuse(self, status):
        return self.respond(status, retransmit=True).receive(request="ACK")

    def linger(self, milliseconds):
        """Answers retransmissions for a while longer; the last step."""
        return self._add(f'<timewait milliseconds="{milliseconds}"/>')

    def bye(self):
        self.receive(request="BYE")
        return self.send(["SIP/2.0 200 OK", "[last_Via:]", "[last_From:]", "[last_To:]", "[last_Call-ID:]", "[last_CSeq:]"])


class Sipp:
    """One SIPp process behind a link to the exchange."""

    def __init__(self, lab, exchange, scenario, account=None, password="", change=unchanged, seconds=20):
        self.lab, self.seconds, name = lab, seconds, type(scenario).__name__.lower()
        self.port = lab.port()
        self.link = lab.keep(Link(exchange.server, (LOOPBACK, self.port), change))
        self.contact = f"sip:{account.user if account else 'sipp'}@{LOOPBACK}:{self.link.far[1]}"
        file = lab.folder / f"{name}.xml"
        file.write_text(scenario.xml())
        words = [lab.tool("sipp"), "-sf", file, "%s:%d" % self.link.near, "-i", LOOPBACK, "-p", self.port,
                 "-key", "contact", self.contact, "-m", "1", "-nostdin", "-nd",
                 "-timeout", f"{seconds}s", "-timeout_error", "-recv_timeout", seconds * 1000,
                 "-trace_err", "-error_file", lab.folder / f"{name}.errors",
                 "-trace_msg", "-message_file", lab.folder / f"{name}.messages"]
        if account:
            words += ["-au", account.user, "-ap", password or account.password]
        self.process = lab.run(f"sipp-{name}", words)

    def done(self):
        """Fails unless the scenario went through from its first step to its last."""
        status = self.process.wait(self.seconds + 5)
        errors = [line for path in self.lab.folder.glob("*.errors") for line in path.read_text().splitlines()]
        check(status == 0, f"{self.process.name} ended with {status}: {' '.join(errors)[:600]}")
