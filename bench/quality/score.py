"""Scores calls that are over: `score.py SPEECH FOLDER…` prints a line of JSON for each direction of each call, with its folder.

PESQ is P.862 for PCMU and P.862.2 (wide band) for the others. The delay is that from the mouth to the ear: from when a sample could
be taken from the microphone, if its packet left as soon as it was whole, to when it was heard."""

import json
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
sys.dont_write_bytecode = True

from quality.codecs import RATES  # noqa: E402
from quality.network import SIDES, logged  # noqa: E402
from quality.speech import LONGEST, STARTS, read, resampled  # noqa: E402

# Payload types (RFC 3551); Opus has a dynamic one.
TYPES = {"pcmu": {0}, "g722": {9}, "opus": set(range(96, 128))}
# Octets of the head of a recording, and seconds of sound that a phone hands over at once.
WAV_HEAD, BLOCK = 44, 0.02
# What is compared begins a little earlier than the passage, and ends a little later, in seconds.
MARGIN = 0.25


def score(call, speech):
    """Both directions of the call in this folder."""
    plan = json.loads((call / "plan.json").read_text())
    packets = list(logged(call / "packets"))
    growth = json.loads((call / "growth.json").read_text())
    for hears, says in (SIDES, SIDES[::-1]):
        found = {**{key: plan[key] for key in ("phone", "codec", "condition", "seed")}, "hears": hears}
        mine = [packet for packet in packets if packet[1] == says]
        yield found | direction(plan["codec"], speech, says, call / f"heard-{hears}.wav", mine, growth[hears])


def direction(codec, speech, says, recording, packets, grown):
    """What one hears of what the other says."""
    rate = RATES[codec][1]
    said = read(speech / f"{says}-{rate}.wav")[1]
    made, heard = read(recording)
    began = first_heard(grown, made)
    heard = resampled(heard, made, rate)
    left = np.array([packet[0] for packet in packets])
    sent, line = decoded(codec, [(now, packet) for now, _, _, packet in packets], rate)
    pesqs, delays = [], []
    for start in STARTS:
        begin, count, margin = int(start * rate), int(LONGEST * rate), int(MARGIN * rate)
        passage = said[begin:begin + count]
        at, out = place(heard, passage), place(sent, passage)
        if at < 0 or at + count > len(heard) + margin:
            return {"error": "a passage is not whole"}
        pesqs.append(pesq(said[begin - margin:begin + count + margin], heard[max(0, at - margin):at + count + margin], rate))
        # When the sample at the beginning of what was sent would have been taken, by each packet of the passage.
        taken = [now - (first + length) / rate for now, first, length in line if out <= first < out + count]
        delays.append(1000 * (began + at / rate - float(np.median(taken)) - out / rate))
    return {"pesq": pesqs, "delay_ms": delays, "gap_ms": 1000 * float(np.percentile(np.diff(left), 99)),
            "lost": sum(packet[2] for packet in packets) / len(packets)}


def first_heard(grown, rate):
    """When the first sample of a recording was heard. What was written last is the block that is handed over now; who writes late,
    in larger pieces, is right at least once."""
    return min(now + BLOCK - (size - WAV_HEAD) / 2 / rate for now, size in grown if size > WAV_HEAD + 8000)


def decoded(codec, packets, rate):
    """The sound in packets of which none is lost, at its place by the timestamps; and of each packet: when it left, its first sample
    and how many it has."""
    import av

    own = RATES[codec][0]
    decoder = av.CodecContext.create({"pcmu": "pcm_mulaw", "g722": "g722", "opus": "libopus"}[codec], "r")
    decoder.sample_rate = own
    if codec != "opus":
        decoder.layout = "mono"
    clock = 48_000 if codec == "opus" else 8000
    pieces, base = [], None
    plain = packets[0][1][1] & 127 if packets else None
    if plain not in TYPES[codec]:
        raise ValueError(f"payload type {plain} instead of {codec}")
    for now, packet in packets:
        head = 12 + 4 * (packet[0] & 15)
        # What has another type than the first carries that behind a copy of the packet before it (RFC 2198).
        own_sound = packet[head:] if packet[1] & 127 == plain else without_copies(packet[head:])
        stamp = int.from_bytes(packet[4:8])
        base = stamp if base is None else base
        first = ((stamp - base) % 2**32) * own // clock
        for frame in decoder.decode(av.Packet(own_sound)):
            samples = frame.to_ndarray()
            samples = samples[0] if frame.format.is_planar else samples.reshape(-1)[::frame.layout.nb_channels]
            pieces.append((now, first, samples * (32767.0 if samples.dtype.kind == "f" else 1.0)))
            first += len(samples)
    sound = np.zeros(max(first + len(samples) for _, first, samples in pieces))
    for _, first, samples in pieces:
        sound[first:first + len(samples)] = samples
    line = [(now, first * rate // own, len(samples) * rate // own) for now, first, samples in pieces]
    return resampled(sound, own, rate), line


def without_copies(payload):
    """The packet's own sound, of redundant sound."""
    at = before = 0
    while payload[at] & 128:
        before += int.from_bytes(payload[at + 2:at + 4]) & 1023
        at += 4
    return payload[at + 1 + before:]


def place(sound, passage):
    """Where a passage begins in a sound: where they correlate best."""
    size = 1 << (len(sound) + len(passage)).bit_length()
    alike = np.fft.irfft(np.fft.rfft(sound, size) * np.conj(np.fft.rfft(passage, size)), size)
    return int(np.argmax(alike[:len(sound)]))


def pesq(said, heard, rate):
    """The score by the package of the same name."""
    import pesq as package

    return float(package.pesq(rate, said.astype("f4") / 32768, heard.astype("f4") / 32768, "nb" if rate == 8000 else "wb"))


def main():
    speech = Path(sys.argv[1])
    for call in map(Path, sys.argv[2:]):
        try:
            lines = list(score(call, speech))
        except (OSError, ValueError, KeyError) as error:
            lines = [{"error": f"{type(error).__name__} {error}"}]
        for line in lines:
            print(json.dumps(line | {"call": str(call)}), flush=True)


if __name__ == "__main__":
    main()
