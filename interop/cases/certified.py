"""A carrier that is known by its certificate, and knows the office by its own: Kamailio over TLS."""

import subprocess

from cases.lines import NUMBERS, OTHERS, OURS, ROUTE, THEIRS, talk_in, talk_out, write
from harness.carrier import CertifiedCarrier
from harness.cases import case
from harness.exchange import Exchange
from harness.failure import check
from harness.phones.offhook import Offhook, result
from harness.wire import LOOPBACK

OTHER_LOOPBACK = "127.0.0.2"
TRUNK = """
[[trunk]]
name = "carrier"
server = "{host}:{port}"
auth = "tls"
tls_name = "{name}"
numbers = ["{number}"]
"""


def certificates(lab):
    """Those of an authority for the carrier and the office; the carrier's is for a SIP domain."""
    folder, openssl = lab.folder / "certificates", lab.tool("openssl")
    folder.mkdir()

    def run(*words):
        done = subprocess.run([openssl, *words], cwd=folder, capture_output=True, text=True)
        check(done.returncode == 0, f"openssl {words[0]}: {done.stderr}")

    def key(name):
        return ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-noenc", "-keyout", f"{name}.key"]

    run("req", "-x509", *key("ca"), "-subj", "/CN=Authority", "-days", "2", "-out", "ca.pem")
    names = {"carrier": "URI:sip:carrier.test", "office": f"DNS:office.test,IP:{LOOPBACK}"}
    for name, bears in names.items():
        run("req", *key(name), "-subj", f"/CN={name}", "-out", f"{name}.csr")
        (folder / f"{name}.ext").write_text(f"subjectAltName={bears}\nextendedKeyUsage=serverAuth,clientAuth\n")
        run("x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial",
            "-extfile", f"{name}.ext", "-days", "2", "-out", f"{name}.pem")
    return folder


def office_and_carrier(lab, name="carrier.test"):
    """Alice's office, and a carrier that has Bob's number; each knows the other by its certificate and nothing else. `name` is what
    the office takes the carrier for."""
    folder = certificates(lab)
    sets = [f"sip.certificate={folder}/office.pem", f"sip.key={folder}/office.key", f"sip.peer_ca={folder}/ca.pem"]
    office = Exchange(lab, domain="office.test", sets=sets)
    numbers = {THEIRS: "bob", OTHERS: "dora"}
    carrier = CertifiedCarrier(lab, numbers, folder, (office.host, office.tls_port, OURS), host=OTHER_LOOPBACK).start()
    trunk = TRUNK.format(host=carrier.host, port=carrier.tls_port, name=name, number=OURS)
    write(office, NUMBERS, trunk, ROUTE.format(trunks='"carrier"'))
    alice, bob = office.add("alice", OURS), carrier.account("bob")
    office.start()
    return office, carrier, alice, bob


@case(seconds=90)
def a_call_comes_in_from_a_kamailio_that_is_known_by_its_certificate(lab):
    talk_in(lab, *office_and_carrier(lab))


@case(seconds=90)
def a_call_goes_out_to_a_kamailio_that_knows_us_by_our_certificate(lab):
    talk_out(lab, *office_and_carrier(lab))


@case(seconds=90)
def a_kamailio_with_the_certificate_of_another_is_a_stranger(lab):
    _, carrier, _, bob = office_and_carrier(lab, name="other.test")
    found = result(Offhook(lab, carrier, bob, "caller", host=OTHER_LOOPBACK).dial(f"sip:{OURS}@{carrier.domain}"))
    check(found["code"] == 403, f"{found}")
