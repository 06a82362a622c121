"""A mail server (aiosmtpd) that keeps what it is given."""

import email
import email.policy
import ssl
import subprocess

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult

from .wire import LOOPBACK


class MailServer:
    """Not there until `start`; may be stopped and started again at its port. `answer` is what it says of each mail."""

    def __init__(self, lab, port, login=None):
        """With a `login`, a user name and a password, it wants STARTTLS, and then these."""
        self.lab, self.port, self.login, self.controller = lab, port, login, None
        self.mails, self.answer = [], "250 kept"
        self.certificate, self.key = lab.folder / "mail.pem", lab.folder / "mail.key"
        if login:
            subprocess.run(
                [lab.tool("openssl"), "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
                 "-nodes", "-days", "2", "-subj", "/CN=mail", "-addext", f"subjectAltName=IP:{LOOPBACK}",
                 "-addext", "basicConstraints=critical,CA:FALSE", "-keyout", self.key, "-out", self.certificate],
                check=True, capture_output=True)

    def start(self):
        words = {}
        if self.login:
            tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
            tls.load_cert_chain(self.certificate, self.key)
            words = {"tls_context": tls, "require_starttls": True, "auth_required": True,
                     "authenticator": self._authenticate}
        self.controller = Controller(self, hostname=LOOPBACK, port=self.port, **words)
        self.controller.start()
        self.lab.keep(self)
        return self

    def stop(self):
        if self.controller:
            self.controller.stop()
            self.controller = None

    def _authenticate(self, server, session, envelope, mechanism, data):
        given = (data.login.decode(), data.password.decode())
        return AuthResult(success=given == self.login)

    async def handle_DATA(self, server, session, envelope):
        if self.answer.startswith("250"):
            self.mails.append((envelope.rcpt_tos, email.message_from_bytes(envelope.content, policy=email.policy.default)))
        return self.answer
