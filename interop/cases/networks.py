"""Phones in networks of their own: behind one router or two that rewrite ports, and on the move."""

import time
from functools import partial

from harness import tone
from harness.cases import case, each
from harness.conversation import HEARD_SECONDS, TALK_SECONDS, converse
from harness.exchange import Exchange
from harness.failure import check, until
from harness.network import OUTSIDE, Place, behind
from harness.phones.baresip import Baresip
from harness.phones.browser import Browser
from harness.phones.offhook import Offhook, result
from .turn import Relay

PACKETS_AFTER = 250
TLS = partial(Baresip, transport="tls")
TLS_SDES = partial(TLS, encryption="srtp-mand")
WAYS = [
    ("a phone behind a NAT calls one outside over UDP", Baresip, 1, 0),
    ("a phone behind a NAT calls one outside over TLS", TLS, 1, 0),
    ("a phone behind a NAT with SRTP calls one outside", TLS_SDES, 1, 0),
    ("a phone outside calls one behind a NAT over UDP", Baresip, 0, 1),
    ("a phone behind two NATs calls one outside over UDP", Baresip, 2, 0),
    ("two phones behind NATs of their own call each other over UDP", Baresip, 1, 1),
    ("two phones behind NATs of their own call each other over TLS", TLS, 1, 1),
]


@each(WAYS, seconds=90)
def both_hear_each_other(lab, phone, callers_routers, callees_routers):
    exchange = Exchange(lab, host=OUTSIDE)
    alice, bob = exchange.add("alice"), exchange.add("bob")
    exchange.start()
    places = [behind(lab, routers) if routers else Place(OUTSIDE) for routers in (callers_routers, callees_routers)]
    caller = phone(lab, exchange, alice, "caller", place=places[0])
    converse(caller, phone(lab, exchange, bob, "callee", place=places[1]))


@each([("a phone behind a symmetric NAT talks through our TURN server", Baresip),
       ("a browser behind a symmetric NAT talks through our TURN server", Browser)], seconds=90)
def through_turn(lab, phone):
    relay = Relay(lab, anchor="always")
    bob = relay.exchange.add("bob")
    inside = phone(lab, relay.exchange, relay.account, "caller", place=behind(lab, 1), turn=relay)
    converse(inside, Baresip(lab, relay.exchange, bob, "callee", place=Place(OUTSIDE)))
    relay.prove_carried()


@each([("our phone behind a symmetric NAT and a firewall talks through our TURN server", Offhook),
       ("our phone behind a symmetric NAT and a firewall, with keys from DTLS, talks through our TURN server",
        partial(Offhook, transport="tls", srtp="require", keys="dtls")),
       ("our phone whose firewall lets no datagrams out talks through our TURN server by TCP",
        partial(Offhook, transport="tcp", turn_by="tcp")),
       ("our phone whose firewall lets no datagrams out talks through our TURN server by TLS",
        partial(Offhook, transport="tls", turn_by="tls"))], seconds=90)
def through_turn_where_the_direct_way_is_shut(lab, phone):
    relay = Relay(lab, anchor="always")
    bob = relay.exchange.add("bob")
    place, ports = behind(lab, 1), relay.exchange.media_ports
    # By ICE, the phone would find the direct way.
    is_stream = phone is not Offhook and "turn_by" in phone.keywords
    shut = "" if is_stream else f" --dport {ports.start}:{ports.stop - 1}"
    place.run(f"{lab.tool('iptables')} -w -A OUTPUT -p udp{shut} -j DROP")
    inside = phone(lab, relay.exchange, relay.account, "caller", place=place, turn=relay)
    converse(inside, Baresip(lab, relay.exchange, bob, "callee", place=Place(OUTSIDE)))
    relay.prove_carried()


@case(seconds=90)
def of_our_phones_each_packet_brings_what_was_lost_before_it(lab):
    exchange = Exchange(lab, host=OUTSIDE)
    alice, bob = exchange.add("alice"), exchange.add("bob")
    exchange.start()
    place, ports = behind(lab, 1), exchange.media_ports
    for chain, end in (("INPUT", "sport"), ("OUTPUT", "dport")):
        place.run(f"{lab.tool('iptables')} -w -A {chain} -p udp --{end} {ports.start}:{ports.stop - 1} "
                  "-m statistic --mode nth --every 10 --packet 0 -j DROP")
    caller = Offhook(lab, exchange, alice, "caller", place=place)
    callee = Offhook(lab, exchange, bob, "callee", place=Place(OUTSIDE))
    callee.start()
    calling = caller.begin_talking(bob.address, "--duration", "8s", "--codec", "g722")
    calling.wait(30)
    callee.answering.wait(15)
    for phone, process in ((caller, calling), (callee, callee.answering)):
        found = result(process)
        check(found["exit_code"] == 0 and found["lost"] > 20, f"{phone.name}: {found}")
        check(found["restored"] > found["lost"] / 2, f"{phone.name}: {found}")
    tone.prove(caller.recording, callee.hz, HEARD_SECONDS)
    tone.prove(callee.recording, caller.hz, HEARD_SECONDS)


@case(seconds=90)
def two_of_our_phones_behind_symmetric_nats_find_each_other_through_turn(lab):
    relay = Relay(lab, anchor="never")
    bob = relay.exchange.add("bob")
    caller = Offhook(lab, relay.exchange, relay.account, "caller", place=behind(lab, 1), turn=relay)
    converse(caller, Offhook(lab, relay.exchange, bob, "callee", place=behind(lab, 1), turn=relay))
    relay.prove_carried()


@case(seconds=120)
def a_browser_whose_network_dies_in_mid_call_comes_back_on_another_address(lab):
    exchange = Exchange(lab, "always", host=OUTSIDE)
    alice, bob = exchange.add("alice"), exchange.add("bob")
    exchange.start()
    place = behind(lab, 0)
    page = Browser(lab, exchange, alice, "caller", place=place)
    desk = Baresip(lab, exchange, bob, "callee", place=Place(OUTSIDE))
    desk.start()
    page.start()
    page.command("dial", bob.address)
    page.wait("CALL_ESTABLISHED", 20)
    desk.answered()
    time.sleep(3)
    place.move(3)
    page.command("reconnect")
    page.wait("RENEGOTIATED", 20)
    before = page.measure()["packets"]
    until(lambda: page.measure()["packets"] > before + PACKETS_AFTER, 30, "five seconds of sound reach the browser again")
    page.keep()
    # The other side ends it: its BYE has to find the new address.
    desk.hang_up()
    page.wait("CALL_CLOSED", 10)
    desk.stop()
    tone.prove(page.recording, desk.hz, 2, last=4)
    tone.prove(desk.recording, page.hz, 2, last=4)


@each([("our phone goes on from another address in mid call", Offhook),
       ("our phone over TLS, with ICE and keys from DTLS, goes on from another address in mid call",
        partial(Offhook, transport="tls", srtp="require", keys="dtls", ice=True))], seconds=120)
def our_phone_follows_its_network(lab, phone):
    exchange = Exchange(lab, "always", host=OUTSIDE)
    alice, bob = exchange.add("alice"), exchange.add("bob")
    exchange.start()
    place = behind(lab, 0)
    moving = phone(lab, exchange, alice, "caller", place=place, follows=True)
    desk = Baresip(lab, exchange, bob, "callee", place=Place(OUTSIDE))
    desk.start()
    calling = moving.begin_talking(bob.address)
    desk.answered()
    time.sleep(TALK_SECONDS)
    tone.prove(desk.recording, moving.hz, HEARD_SECONDS)
    place.move(3)
    until(lambda: f"our address is {place.host}" in calling.said(), 30, "the phone finds its new address")
    time.sleep(2 * TALK_SECONDS)
    # The other side ends it: its BYE has to find the new address.
    desk.hang_up()
    calling.wait(15)
    check(calling.ended() == 0, f"the phone ended with {calling.ended()}: {result(calling)}")
    desk.stop()
    for heard, hz in ((moving.recording, desk.hz), (desk.recording, moving.hz)):
        tone.prove(heard, hz, 2, last=4)
        tone.prove(heard, hz, HEARD_SECONDS + 4)


@each([("our phone goes on from another address while the other phone rings", Offhook),
       ("our phone over TLS goes on from another address while the other phone rings", partial(Offhook, transport="tls"))],
      seconds=120)
def our_phone_moves_while_the_other_rings(lab, phone):
    exchange = Exchange(lab, "always", host=OUTSIDE)
    alice, bob = exchange.add("alice"), exchange.add("bob")
    exchange.start()
    place = behind(lab, 0)
    moving = phone(lab, exchange, alice, "caller", place=place, follows=True)
    desk = Baresip(lab, exchange, bob, "callee", place=Place(OUTSIDE), picks_up=False)
    desk.start()
    calling = moving.begin_talking(bob.address)
    desk.rings()
    place.move(3)
    until(lambda: f"our address is {place.host}" in calling.said(), 30, "the phone finds its new address")
    desk.pick_up()
    time.sleep(2 * TALK_SECONDS)
    desk.hang_up()
    calling.wait(15)
    check(calling.ended() == 0, f"the phone ended with {calling.ended()}: {result(calling)}")
    desk.stop()
    for heard, hz in ((moving.recording, desk.hz), (desk.recording, moving.hz)):
        tone.prove(heard, hz, HEARD_SECONDS)


@case(seconds=120)
def our_phone_that_was_called_goes_on_from_another_address_in_a_call_whose_sound_goes_past_the_exchange(lab):
    exchange = Exchange(lab, "never", host=OUTSIDE)
    alice, bob = exchange.add("alice"), exchange.add("bob")
    exchange.start()
    place = behind(lab, 0)
    moving = Offhook(lab, exchange, alice, "callee", place=place, follows=True)
    desk = Baresip(lab, exchange, bob, "caller", place=Place(OUTSIDE))
    # The desk phone sends from another address of this machine than its SDP says, and is rightly not heard there.
    moving.answer("--play", lab.tone(moving.hz), "--loop")
    desk.start()
    desk.dial(alice.address)
    time.sleep(TALK_SECONDS)
    tone.prove(desk.recording, moving.hz, HEARD_SECONDS)
    place.move(3)
    until(lambda: f"our address is {place.host}" in moving.answering.said(), 30, "the phone finds its new address")
    until(lambda: any(place.host in contact for contact in exchange.bindings(alice)), 15, "it registers from there")
    time.sleep(2 * TALK_SECONDS)
    # The desk phone's BYE finds it by what it has registered.
    desk.hang_up()
    moving.answering.wait(15)
    found = result(moving.answering)
    check(found["code"] == 200 and found["reason"] == "OK", f"the phone ended with {found}")
    desk.stop()
    tone.prove(desk.recording, moving.hz, 2, last=4)
