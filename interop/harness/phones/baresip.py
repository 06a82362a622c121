"""baresip, driven over its control connection (JSON in netstrings)."""

import json
import time

from ..failure import Failure, check, until
from ..lab import CALLEE_HZ, CALLER_HZ
from ..network import Place
from ..wire import LOOPBACK

SETTINGS = """\
poll_method epoll
sip_listen {host}:{sip}
call_local_timeout 60
call_max_calls 4
audio_player aubridge,nowhere
audio_source aufile,{tone}
audio_alert aufile,{folder}/no-alert.wav
audio_level no
ausrc_srate 8000
auplay_srate 8000
ausrc_channels 1
auplay_channels 1
ausrc_format s16
auplay_format s16
rtp_ports {rtp}-{rtp_last}
sip_cafile {authority}
jitter_buffer_delay 2-4
net_interface {host}
module_path {modules}
module g711.so
module aufile.so
module aubridge.so
module sndfile.so
module srtp.so
module dtls_srtp.so
module ice.so
module turn.so
rtcp_mux {rtcp_mux}
snd_path {folder}
module_app account.so
module_app contact.so
module_app menu.so
module_app ctrl_tcp.so
ctrl_tcp_listen {loopback}:{control}
"""
# A moving picture made up by baresip itself; what it sees is written down on command.
VIDEO = """\
video_source fakevideo,nothing
video_display fakevideo,nothing
video_size 320x240
video_bitrate 500000
video_fps 15
module vp8.so
module fakevideo.so
module_app snapshot.so
"""
# The address of the outbound proxy names the transport; without it baresip would look the domain up in DNS.
ACCOUNT = ('<{address};transport={transport}>;outbound="sip:{server}:{port};transport={transport}"'
           ";auth_user={user};auth_pass={password};regint={registers};audio_codecs={codecs};answermode={answers}{more}\n")
MODULES = "/usr/lib/baresip/modules"


class Baresip:
    """One running baresip with one account."""

    def __init__(self, lab, exchange, account, role, transport="udp", codecs="PCMU,PCMA", registers=300,
                 encryption=None, ice=False, rtcp_mux=False, place=None, turn=None, friends=(), video=False, picks_up=True):
        """`friends`: accounts whose presence it watches. `turn`: a TURN server (`host`, `port`, `credentials`) through which all its sound goes. `picks_up`: it
        answers by itself."""
        self.lab, self.exchange, self.account, self.place = lab, exchange, account, place or Place()
        self.hz = CALLER_HZ if role == "caller" else CALLEE_HZ
        self.folder = lab.folder / f"baresip-{account.user}"
        self.folder.mkdir()
        self.control_port, rtp = lab.port(), lab.port(10)
        (self.folder / "config").write_text(SETTINGS.format(
            host=self.place.host, loopback=LOOPBACK, sip=lab.port(), tone=lab.tone(self.hz), folder=self.folder, rtp=rtp, rtp_last=rtp + 9,
            modules=MODULES, control=self.control_port, authority=exchange.authority,
            rtcp_mux="yes" if rtcp_mux else "no"))
        self.video = video
        if video:
            with open(self.folder / "config", "a") as config:
                config.write(VIDEO)
        if friends:
            with open(self.folder / "config", "a") as config:
                # Without mwi.so: that of version 1.0 subscribes in an endless loop now and then, and reads nothing more.
                config.write("module_app presence.so\n")
        more = ";video_codecs=vp8" if video else ""
        more += f";mediaenc={encryption}" if encryption else ""
        more += ";medianat=ice" if ice else ""
        if turn:
            more += (f';medianat=turn;stunserver="turn:{turn.host}:{turn.port}"'
                     f';stunuser={turn.credentials["username"]};stunpass={turn.credentials["password"]}')
        (self.folder / "accounts").write_text(ACCOUNT.format(
            address=account.address, transport=transport, server=exchange.host, port=exchange.port_for(transport), user=account.user,
            password=account.password, registers=registers, codecs=codecs, more=more,
            answers="auto" if picks_up else "manual"))
        (self.folder / "contacts").write_text("".join(f'"{one.user}" <{one.address}>;presence=p2p\n' for one in friends))
        self.control, self.unread, self.events = None, b"", []

    def start(self):
        # What it says is to be read while it runs.
        words = [self.lab.tool("stdbuf"), "-oL", self.lab.tool("baresip"), "-s", "-f", self.folder]
        self.process = self.lab.run(f"baresip-{self.account.user}", self.place.words(words))
        self.control = until(self._connect, 10, "baresip opens its control port")
        self.exchange.wait_registered(self.account)

    def _connect(self):
        check(self.process.ended() is None, f"baresip ended: {self.process.said()[-400:]}")
        try:
            return self.place.connect(self.control_port)
        except OSError:
            return None

    def call(self, target, seconds):
        """Calls, talks for that long, hangs up."""
        self._command("dial", target)
        found = self._wait("CALL_ESTABLISHED", "CALL_CLOSED", seconds=15)
        check(found["type"] == "CALL_ESTABLISHED", f"baresip's call to {target} ended: {found.get('param')}")
        time.sleep(seconds)
        self._command("hangup")
        self._wait("CALL_CLOSED", seconds=5)

    def sees(self):
        """Writes down the picture that it sees now; returns its size in pixels once it is there."""
        self._command("snapshot_recv", f"{self.folder}/seen.png")
        seen = self.folder / "seen.png"
        head = until(lambda: seen.exists() and seen.stat().st_size > 1000 and seen.read_bytes()[:24], 15, "a picture")
        return int.from_bytes(head[16:20]), int.from_bytes(head[20:24])

    def press(self, keys):
        """Sends keys as telephone events."""
        self._command("sndcode", keys)

    def pressed(self, count, seconds=10):
        """So many keys that the other side has pressed."""
        return "".join(self._wait("CALL_DTMF_START", seconds=seconds)["param"] for _ in range(count))

    def ring(self, target):
        """Calls, and waits for nothing."""
        self._command("dial", target)

    def dial(self, target):
        """Calls; the call is up when this returns."""
        self.ring(target)
        self.answered()

    def transfer(self, target):
        """Sends the other side of its call to `target`."""
        self._command("transfer", target)
        self._wait("CALL_CLOSED", seconds=15)

    def hold(self):
        """Puts the other side of its call on hold."""
        self._command("hold")

    def resume(self):
        """Goes on with the one whom it holds."""
        self._command("resume")

    def hang_up(self):
        self._command("hangup")
        self._wait("CALL_CLOSED", seconds=5)

    def answered(self):
        """Waits until the call that comes in is up."""
        self._wait("CALL_ESTABLISHED", seconds=15)

    def rings(self):
        """Waits until a call comes in."""
        self._wait("CALL_INCOMING", seconds=15)

    def pick_up(self):
        """Answers the call that rings; it is up when this returns."""
        self._command("accept")
        self.answered()

    def over(self):
        """Waits until the call that came in has ended."""
        self._wait("CALL_ESTABLISHED", seconds=5)
        self._wait("CALL_CLOSED", seconds=10)

    def stop(self):
        if self.control:
            try:
                self._command("quit")
                self.process.wait(3)
            except (OSError, Failure):
                self.process.stop()
            self.control.close()
            self.control = None

    @property
    def recording(self):
        """The last recording of what came in."""
        return max(self.folder.glob("*dec*.wav"), default=None)

    def _command(self, command, words=""):
        data = json.dumps({"command": command, "params": words, "token": "t"}).encode()
        self.control.sendall(b"%d:%s," % (len(data), data))

    def _wait(self, *types, seconds):
        """The first event of one of these types, taken off the list."""
        end = time.monotonic() + seconds
        while True:
            for index, event in enumerate(self.events):
                if event.get("type") in types:
                    return self.events.pop(index)
            left = end - time.monotonic()
            if left <= 0:
                raise Failure(f"baresip {self.account.user}: no {' or '.join(types)} within {seconds} s")
            self._read(left)

    def _read(self, seconds):
        self.control.settimeout(seconds)
        try:
            data = self.control.recv(65536)
        except TimeoutError:
            return
        if not data:
            raise Failure(f"baresip {self.account.user} closed its control connection")
        self.unread += data
        while b":" in self.unread:
            length, _, rest = self.unread.partition(b":")
            if len(rest) <= int(length):
                return
            self.events.append(json.loads(rest[:int(length)].decode("utf8", "replace")))
            self.unread = rest[int(length) + 1:]
