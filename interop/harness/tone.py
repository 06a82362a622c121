"""Tones to play, and the proof that a recording holds one."""

import struct
import wave

import numpy as np

from .failure import Failure

BLOCK_SECONDS = 0.25
QUIET = 100  # root mean square of 16-bit samples below which a block counts as silence


def make(path, hz, seconds=30, rate=8000):
    """Writes a sine of `hz` at two fifths of full scale."""
    at = np.arange(int(seconds * rate)) / rate
    samples = (0.4 * 32767 * np.sin(2 * np.pi * hz * at)).astype("<i2")
    with wave.open(str(path), "wb") as out:
        out.setparams((1, 2, rate, len(samples), "NONE", ""))
        out.writeframes(samples.tobytes())


def measure(path, hz, last=None):
    """Of the whole or the last seconds: how long the recording is, how long it is loud, how long it holds `hz`, and its strongest frequency."""
    rate, samples = read(path)
    samples = samples[-int(last * rate):] if last else samples
    size = int(rate * BLOCK_SECONDS)
    strongest, holding = [], 0
    for start in range(0, len(samples) - size + 1, size):
        block = samples[start:start + size]
        if np.sqrt(np.mean(block * block)) < QUIET:
            continue
        power = np.abs(np.fft.rfft(block * np.hanning(size))) ** 2
        frequencies = np.fft.rfftfreq(size, 1 / rate)
        strongest.append(frequencies[power.argmax()])
        near = power[np.abs(frequencies - hz) < 30].sum()
        holding += near > 0.8 * power[frequencies > 60].sum()
    return {
        "seconds": round(len(samples) / rate, 2),
        "loud_seconds": len(strongest) * BLOCK_SECONDS,
        "tone_seconds": float(holding * BLOCK_SECONDS),
        "strongest_hz": round(float(np.median(strongest)), 1) if strongest else None,
    }


def prove(path, hz, seconds, last=None):
    """Fails unless the recording, or the `last` seconds of it, hold at least `seconds` of a clean `hz`."""
    if not path or not path.exists():
        raise Failure(f"no recording {path}")
    found = measure(path, hz, last)
    if found["tone_seconds"] < seconds:
        raise Failure(f"{path.name}: wanted {seconds} s of {hz} Hz, heard {found}")


def read(path):
    """Rate and the first channel. A header that a killed recorder left unfinished does not matter."""
    data = path.read_bytes()
    if data[:4] != b"RIFF":
        raise Failure(f"{path.name} is no WAV file")
    rate, channels, bits, kind, at = 8000, 1, 16, 1, 12
    while at + 8 <= len(data):
        name, length = data[at:at + 4], struct.unpack("<I", data[at + 4:at + 8])[0]
        if name == b"fmt ":
            kind, channels, rate, _, _, bits = struct.unpack("<HHIIHH", data[at + 8:at + 24])
        if name == b"data":
            length = length if 0 < length <= len(data) - at - 8 else len(data) - at - 8
            return rate, _samples(data[at + 8:at + 8 + length], kind, bits, path)[::channels]
        at += 8 + length + length % 2
    return rate, np.zeros(0)


def _samples(data, kind, bits, path):
    if kind == 3 and bits == 32:
        return np.frombuffer(data[:len(data) // 4 * 4], "<f4").astype(float) * 32767
    if kind in (1, 0xFFFE) and bits == 16:
        return np.frombuffer(data[:len(data) // 2 * 2], "<i2").astype(float)
    raise Failure(f"{path.name}: WAV of kind {kind} with {bits} bits")


def keys(path):
    """The keys whose two tones (ITU-T Q.23) a recording holds, whatever sounds beside them."""
    rate, samples = read(path)
    size, step = int(rate * 0.08), int(rate * 0.02)
    frequencies = np.fft.rfftfreq(size * 4, 1 / rate)
    window = np.hanning(size)
    found, last, count = "", "", 0
    for start in range(0, len(samples) - size + 1, step):
        power = np.abs(np.fft.rfft(samples[start:start + size] * window, size * 4)) ** 2
        at = [[power[np.abs(frequencies - hz) < 8].sum() for hz in row] for row in (LOW, HIGH)]
        key = ""
        if min(max(row) for row in at) > power.sum() * KEY_SHARE and max(map(max, at)) > size * QUIET ** 2:
            key = KEYS[int(np.argmax(at[0]))][int(np.argmax(at[1]))]
        count = count + 1 if key == last else 1
        last = key
        if key and count == 2:
            found += key
    return found


LOW, HIGH = (697, 770, 852, 941), (1209, 1336, 1477, 1633)
KEYS = ("123A", "456B", "789C", "*0#D")
KEY_SHARE = 0.03  # of all power, in the weaker of the two tones
