"""`offhook load` over every transport: each registration and each call comes to its end, at this exchange and at Kamailio; and its
sound passes the relay of the exchange, whatever protects it."""

from harness.cases import each
from harness.exchange import Exchange
from harness.failure import check
from harness.phones.offhook import result
from harness.registrar import PASSWORD, Registrar
from harness.wire import LOOPBACK

# The relay of the exchange has ports for ten calls.
CALLS, PEOPLE = 8, 3


def ours(lab, anchor="auto"):
    """This exchange, with the accounts that the load plays."""
    exchange = Exchange(lab, anchor)
    for n in range(PEOPLE):
        exchange.add(f"caller{n}", password=PASSWORD)
        exchange.add(f"callee{n}", password=PASSWORD)
    return exchange.start()


def kamailio(lab):
    return Registrar(lab).start()


ROWS = [(f"registrations and calls over {transport} at {make.__name__}", make, transport)
        for make, transports in ((ours, ("udp", "tcp", "tls", "ws", "wss")), (kamailio, ("udp", "tcp")))
        for transport in transports]


@each(ROWS, seconds=120)
def all_come_to_their_end(lab, make, transport):
    server = make(lab)
    # Each once: who is still at it when its turn comes again is skipped.
    registrations = loaded(lab, server, transport, PEOPLE, "--registrations", PEOPLE)
    check(registrations["challenged"] == PEOPLE, f"not everybody was asked for a password: {registrations}")
    calls = loaded(lab, server, transport, CALLS, "--calls", CALLS, "--callees", PEOPLE, "--hold", "200ms")
    check(calls["answered"] == CALLS, f"{calls}")


@each([(f"sound of load as {speech}", speech) for speech in ("plain", "sdes", "dtls", "opus")], seconds=120)
def sound_passes_both_ways(lab, speech):
    server = ours(lab, anchor="always")
    # Of a machine that is busy some packets come too late to count, so half of them will do.
    heard = loaded(lab, server, "udp", CALLS, "--calls", CALLS, "--callees", PEOPLE, "--held", "--settle", "1s", "--watch", "2s",
                   "--rtp", "--speech", speech)["rtp"]
    check(heard["sent"] > 0 and heard["received"] > heard["sent"] / 2, f"{speech}: {heard}")


def loaded(lab, server, transport, units, *what):
    """Runs a load of which nothing may fail; what it found. An exchange may ask its phones something, which is `unknown`."""
    words = [f"sip:callee@{server.domain}", "--account", f"sip:caller@{server.domain}", "--users", PEOPLE,
             "--password", PASSWORD, "--server", f"{server.host}:{server.port_for(transport)}",
             "--local", f"{LOOPBACK}:0", "--transport", transport, "--rate", "20/s", "--json", *what]
    if transport in ("tls", "wss"):
        words += ["--tls-ca", server.authority]
    process = lab.run("load", [lab.binary, "load", *map(str, words)])
    status = process.wait(60)
    found = result(process)
    seen = f"{transport}: ended with {status}: {found}"
    check(status == 0 and found["completed"] == units and found["failed"] == found["timed_out"] == 0, seen)
    check(found["unsent"] == 0, seen)
    return found
