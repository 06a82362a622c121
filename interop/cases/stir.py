"""Who signed for the number of a caller (STIR/SHAKEN): an office signs, a carrier checks, and fetches the certificate over HTTPS."""

import functools
import http.server
import json
import ssl
import subprocess
import threading

from cases.trunks import OFFICE, offices
from harness.cases import case
from harness.conversation import converse
from harness.failure import check, until
from harness.phones.offhook import result
from harness.wire import LOOPBACK

TARGET = "sip:030-1234567@office.test"


class Shop:
    """Where certificates are to be had: a signer's, by an authority, at a web server of another authority."""

    def __init__(self, lab):
        self.folder = lab.folder / "shop"
        self.folder.mkdir()
        self.openssl = lab.tool("openssl")
        self.port = lab.port()
        self.asked = []
        for name in ("sti-ca", "web-ca"):
            self._run("req", "-x509", *self._key(name), "-subj", f"/CN={name}", "-days", "2", "-out", f"{name}.pem")
        self._signed("sp", "sti-ca", ["1.3.6.1.5.5.7.1.26=DER:3008a00616043730394a"])
        self._signed("web", "web-ca", [f"subjectAltName=IP:{LOOPBACK}", "extendedKeyUsage=serverAuth"])
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.folder / "web.pem", self.folder / "web.key")
        self.server = http.server.ThreadingHTTPServer((LOOPBACK, self.port), functools.partial(Page, self))
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        lab.keep(self)

    @property
    def address(self):
        return f"https://{LOOPBACK}:{self.port}/sp.pem"

    def _key(self, name):
        return ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-noenc", "-keyout", f"{name}.key"]

    def _signed(self, name, by, extensions):
        self._run("req", *self._key(name), "-subj", f"/CN={name}", "-out", f"{name}.csr")
        (self.folder / f"{name}.ext").write_text("\n".join(extensions) + "\n")
        self._run("x509", "-req", "-in", f"{name}.csr", "-CA", f"{by}.pem", "-CAkey", f"{by}.key", "-CAcreateserial",
                  "-extfile", f"{name}.ext", "-days", "2", "-out", f"{name}.pem")

    def _run(self, *words):
        done = subprocess.run([self.openssl, *words], cwd=self.folder, capture_output=True, text=True)
        check(done.returncode == 0, f"openssl {words[0]}: {done.stderr}")

    def stop(self):
        self.server.shutdown()
        self.server.server_close()


class Page(http.server.BaseHTTPRequestHandler):
    """The one file that there is."""

    def __init__(self, shop, *words):
        self.shop = shop
        super().__init__(*words)

    def do_GET(self):
        self.shop.asked.append(self.path)
        body = (self.shop.folder / "sp.pem").read_bytes()
        self.send_response(200)
        self.send_header("Content-Type", "application/pem-certificate-chain")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *words):
        """Says nothing."""


def signing(lab, shop, signs=True, roots="sti-ca"):
    """Alice's office, whose calls are signed, and a carrier that requires it."""
    office_lines = ""
    if signs:
        office_lines = f'sign_key = "{shop.folder}/sp.key"\nsign_certificate = "{shop.address}"\n'
    carrier_lines = f"""
[stir]
verify = "require"
roots = "{shop.folder}/{roots}.pem"
verstat = true
allow_hosts = ["127.0.0.0/8"]
"""
    return offices(lab, office_trunk=f'numbers = ["{OFFICE}"]\n' + office_lines, carrier_more=carrier_lines,
                   carrier_sets=[f"sip.peer_ca={shop.folder}/web-ca.pem"])


@case(seconds=90)
def a_call_that_its_office_has_signed_is_taken_by_a_carrier_that_requires_it(lab):
    shop = Shop(lab)
    alice, bob = signing(lab, shop)
    converse(alice, bob, target=TARGET)
    check(shop.asked == ["/sp.pem"], f"what was fetched: {shop.asked}")

    def record():
        lines = bob.exchange.command("calls", "list", "--json").strip().splitlines()
        return [json.loads(line) for line in lines]

    until(record, 10, "the carrier has the record of the call")
    verified = record()[0]["verified"] or ""
    check(verified.startswith(f"passed B {OFFICE} origid="), f"the record: {record()[0]}")
    # The certificate is known now.
    bob.answer()
    found = result(alice.dial(TARGET, "--duration", "1s"))
    check(found["code"] == 200, f"the second call: {found}")
    check(shop.asked == ["/sp.pem"], f"what was fetched: {shop.asked}")


@case(seconds=60)
def a_call_that_nobody_has_signed_is_refused_by_a_carrier_that_requires_it(lab):
    alice, _ = signing(lab, Shop(lab), signs=False)
    found = result(alice.dial(TARGET))
    check(found["code"] == 428, f"unsigned: {found}")


@case(seconds=60)
def a_signer_whom_nobody_knows_is_refused(lab):
    alice, _ = signing(lab, Shop(lab), roots="web-ca")
    found = result(alice.dial(TARGET))
    check(found["code"] == 437, f"of another authority: {found}")
