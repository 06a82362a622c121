"""Counts what passes through a range of UDP ports on loopback, to tell relayed media from direct media."""

import socket
import struct
import threading

from .failure import check

EVERY_PROTOCOL, OUTGOING = 0x0003, 4
UDP = 17


class Meter:
    """Runs from its making until `stop`."""

    def __init__(self, ports):
        self.ports, self.into, self.out_of = ports, 0, 0
        self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(EVERY_PROTOCOL))
        self.socket.settimeout(0.1)
        self.going = True
        self.thread = threading.Thread(target=self._count, daemon=True)
        self.thread.start()

    def _count(self):
        while self.going:
            try:
                packet, address = self.socket.recvfrom(128)
            except TimeoutError:
                continue
            # Loopback shows each packet twice, once on its way out.
            if address[2] != OUTGOING and len(packet) >= 28 and packet[0] >> 4 == 4 and packet[9] == UDP:
                source, target = struct.unpack_from("!HH", packet, (packet[0] & 15) * 4)
                self.into += target in self.ports
                self.out_of += source in self.ports

    def stop(self):
        if self.going:
            self.going = False
            self.thread.join(2)
            self.socket.close()

    def prove(self, relayed):
        """Fails unless two-way sound of some seconds went through the ports, or nothing at all did."""
        self.stop()
        seen = f"{self.into} datagrams into the media ports, {self.out_of} out of them"
        if relayed:
            check(self.into > 200 and self.out_of > 200, f"not relayed: {seen}")
        else:
            check(self.into == self.out_of == 0, f"relayed: {seen}")
