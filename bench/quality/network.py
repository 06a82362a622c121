"""The cable between the two phones of a call: what one sends comes to the other late, out of order, or not at all.

Each phone has a network namespace of its own with an interface that ends here. Whole frames are handed from one to the other, so
neither phone knows of it. Chance is seeded by call and direction, with the same draws for every packet of sound: all phones
meet the same losses."""

import heapq
import random
import select
import socket
import struct
import subprocess
import threading
import time
from dataclasses import dataclass

SIDES = "ab"
ADDRESSES = {"a": "10.9.0.1", "b": "10.9.0.2"}
ALL_FRAMES, IPV4, ARP, UDP = 3, 0x0800, 0x0806, 17
TIMESTAMP, OUTGOING = 35, 4  # SO_TIMESTAMPNS; PACKET_OUTGOING: what we have sent ourselves
# A frame of the log: when it was seen, of which side, whether it was lost, how long it is.
HEAD = struct.Struct("<d?sH")


@dataclass(frozen=True)
class Condition:
    """What happens to packets of sound."""

    title: str
    loss: float = 0  # a share
    burst: float = 1  # packets that are lost in a row, on average
    reordered: float = 0  # a share that comes 30 ms late
    spike: float = 0  # seconds for which nothing comes, every 5 s; then all comes at once


CONDITIONS = {
    "clean": Condition("0"), "loss1": Condition("1 %", 0.01), "loss3": Condition("3 %", 0.03),
    "loss5": Condition("5 %", 0.05), "loss10": Condition("10 %", 0.10), "loss20": Condition("20 %", 0.20),
    "burst5": Condition("5 % in bursts", 0.05, burst=3), "reorder5": Condition("5 % reordered", reordered=0.05),
    "spike150": Condition("150 ms spikes", spike=0.15),
}
LATE, EVERY = 0.03, 5.0


class Fate:
    """What becomes of each packet of one direction."""

    def __init__(self, condition, seed):
        self.condition, self.chance = condition, random.Random(seed)
        self.losing, self.first, self.last = False, None, 0.0

    def due(self, now):
        """When a packet that is seen now is handed on; None if it is lost."""
        condition, one, other = self.condition, self.chance.random(), self.chance.random()
        self.first = self.first or now
        if condition.burst > 1:
            # Two states (Gilbert): from losing to not with 1 / burst.
            starts = condition.loss / (1 - condition.loss) / condition.burst
            self.losing = one >= 1 / condition.burst if self.losing else one < starts
        else:
            self.losing = one < condition.loss
        if self.losing:
            return None
        if other < condition.reordered:
            return now + LATE
        since = (now - self.first) % EVERY
        if condition.spike and now - self.first > EVERY / 2 and since < condition.spike:
            self.last = max(self.last, now + condition.spike - since)
        self.last = max(self.last, now)
        return self.last


class Cable(threading.Thread):
    """Runs until it is stopped. `log` has all packets of sound, as they left their phone."""

    def __init__(self, condition, seed):
        super().__init__(daemon=True)
        self.fates = {side: Fate(condition, f"{seed} {side}") for side in SIDES}
        self.ends = {side: socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ALL_FRAMES)) for side in SIDES}
        self.log, self.going, self.failed = [], True, None
        # Seconds by which a frame was handed over too late, at worst.
        self.late = 0.0
        for side, end in self.ends.items():
            end.bind((f"net-{side}", 0))
            end.setblocking(False)
            end.setsockopt(socket.SOL_SOCKET, TIMESTAMP, 1)
            end.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 21)

    def run(self):
        flying, number = [], 0
        while self.going:
            wait = min(0.2, max(0.0, flying[0][0] - time.time())) if flying else 0.2
            ready = select.select(list(self.ends.values()), [], [], wait)[0]
            for side, end in self.ends.items():
                for now, frame in seen(end) if end in ready else ():
                    due = self.due(side, now, frame)
                    if due is not None:
                        number += 1
                        heapq.heappush(flying, (due, number, side, frame))
            while flying and flying[0][0] <= time.time():
                due, _, side, frame = heapq.heappop(flying)
                self.late = max(self.late, time.time() - due)
                try:
                    self.ends["b" if side == "a" else "a"].send(frame)
                except OSError as error:
                    self.failed = error

    def due(self, side, now, frame):
        """When a frame is handed on; None: never."""
        kind = int.from_bytes(frame[12:14])
        if kind != IPV4 or frame[23] != UDP:
            return now if kind in (IPV4, ARP) else None
        start = 14 + 4 * (frame[14] & 15)
        payload = bytes(frame[start + 8:start + int.from_bytes(frame[start + 4:start + 6])])
        # The system leaves checksums to the device, which is us; none at all is allowed (RFC 768).
        frame[start + 6:start + 8] = b"\0\0"
        if not is_sound(payload):
            return now
        due = self.fates[side].due(now)
        self.log.append((now, side, due is None, payload))
        return due

    def sound(self, side):
        """So many packets of sound has a side sent."""
        return sum(1 for entry in self.log if entry[1] == side)

    def stop(self):
        self.going = False
        self.join()

    def write(self, file):
        """The log, as `logged` reads it."""
        with open(file, "wb") as out:
            for now, side, lost, payload in self.log:
                out.write(HEAD.pack(now, lost, side.encode(), len(payload)) + payload)


def seen(end):
    """The frames that have come in, each with the time at which it did."""
    while True:
        try:
            frame, extra, _, address = end.recvmsg(4096, 64)
        except BlockingIOError:
            return
        now = time.time()
        for _, kind, value in extra:
            if kind == TIMESTAMP:
                seconds, nanoseconds = struct.unpack("qq", value[:16])
                now = seconds + nanoseconds / 1e9
        if address[2] != OUTGOING and len(frame) >= 42:
            yield now, bytearray(frame)


def is_sound(payload):
    """Whether this is RTP, and not RTCP (RFC 5761 §4) or SIP."""
    return len(payload) >= 12 and payload[0] >> 6 == 2 and not 192 <= payload[1] <= 223


def logged(file):
    """What `Cable.write` has written: time, side, whether it was lost, and the packet."""
    data, at = file.read_bytes(), 0
    while at < len(data):
        now, lost, side, length = HEAD.unpack_from(data, at)
        at += HEAD.size + length
        yield now, side.decode(), lost, data[at - length:at]


class Place:
    """The network namespace of a side, as long as a process sleeps in it."""

    def __init__(self, side):
        self.side, self.address = side, ADDRESSES[side]
        self.holder = subprocess.Popen(["unshare", "--net", "sh", "-c", "echo in; exec sleep infinity"], stdout=subprocess.PIPE)
        self.holder.stdout.readline()
        peer = ADDRESSES["b" if side == "a" else "a"]
        run("ip", "link", "add", f"net-{side}", "type", "veth", "peer", "name", "net0", "netns", str(self.holder.pid))
        run("ip", "link", "set", f"net-{side}", "up")
        run(*self.words("sh", "-c", f"ip link set lo up && ip link set net0 up && ip addr add {self.address}/24 dev net0 && "
                                    f"ip route add default via {peer}"))

    def words(self, *argv):
        """What runs a program there."""
        return ["nsenter", f"--net=/proc/{self.holder.pid}/ns/net", "--", *map(str, argv)]

    def listens(self, port):
        """Whether somebody there has a UDP socket on a port."""
        with open(f"/proc/{self.holder.pid}/net/udp") as table:
            return any(line.split()[1].endswith(f":{port:04X}") for line in list(table)[1:])

    def close(self):
        self.holder.kill()
        self.holder.wait()


def run(*words):
    """Fails with what the command says."""
    done = subprocess.run(words, capture_output=True, text=True)
    if done.returncode:
        raise OSError(f"{' '.join(words)}: {done.stderr.strip()}")
