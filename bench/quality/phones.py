"""How each kind of phone is started as one end of a call. It plays `speech` from when the call is up, and writes what it hears into
`heard`, as it hears it."""

import json
import sys
from dataclasses import dataclass
from pathlib import Path

from .codecs import RATES

PORT = 5060
# As long as a call may take altogether, in seconds.
LONGEST = 40


@dataclass
class End:
    """One end of a call. `target`: whom it calls; without one it answers."""

    folder: Path
    address: str
    codec: str
    speech: Path
    heard: Path
    target: str | None
    # The program itself, and the loudspeaker for baresip.
    offhook: Path
    player: Path


def offhook(end):
    """The softphone of this program, as it comes."""
    words = ["call", end.target, "--duration", f"{LONGEST}s"] if end.target else ["answer", "--calls", "1"]
    return [end.offhook, *words, "--local", f"{end.address}:{PORT}", "--codec", end.codec, "--srtp", "off", "--play", end.speech,
            "--record", end.heard, "--json"]


def pjsua2(end):
    """pjsua2 2.15, in a Python of its own, with a clock instead of a sound card."""
    settings = {"address": end.address, "port": PORT, "codec": end.codec, "rate": RATES[end.codec][0], "speech": str(end.speech),
                "heard": str(end.heard), "target": end.target}
    return [sys.executable, Path(__file__).with_name("pjsua_child.py"), json.dumps(settings)]


BARESIP = """\
poll_method epoll
sip_listen {address}:{port}
net_interface {address}
call_local_timeout 60
audio_player player,{heard}
audio_source aufile,{speech}
audio_alert aufile,{folder}/none.wav
ausrc_srate {rate}
auplay_srate {rate}
ausrc_channels 1
auplay_channels 1
ausrc_format s16
auplay_format s16
audio_level no
opus_stereo no
rtp_ports 16000-16100
module_path /
module {player}
module /usr/lib/baresip/modules/g711.so
module /usr/lib/baresip/modules/g722.so
module /usr/lib/baresip/modules/opus.so
module /usr/lib/baresip/modules/aufile.so
module_app /usr/lib/baresip/modules/account.so
module_app /usr/lib/baresip/modules/menu.so
"""
# With a rate: version 1.0 takes these names for PCMU otherwise.
BARESIP_CODECS = {"pcmu": "PCMU/8000/1", "g722": "G722/16000/1", "opus": "opus/48000/1"}


def baresip(end):
    """baresip 1.0 of Debian, with its own settings for the jitter buffer."""
    (end.folder / "config").write_text(BARESIP.format(
        address=end.address, port=PORT, heard=end.heard, speech=end.speech, folder=end.folder, player=end.player,
        rate=RATES[end.codec][0]))
    (end.folder / "accounts").write_text(
        f"<sip:phone@{end.address}>;regint=0;answermode=auto;audio_codecs={BARESIP_CODECS[end.codec]}\n")
    calls = ["-e", f"/dial {end.target}"] if end.target else []
    return ["baresip", "-f", end.folder, *calls]


PHONES = {"offhook": offhook, "pjsua2": pjsua2, "baresip": baresip}
# The package of pjsua2 has no Opus.
UNABLE = {("pjsua2", "opus")}
