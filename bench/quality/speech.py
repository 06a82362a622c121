"""What is said: two passages for each side, English and Mandarin, made by espeak-ng; and WAV files."""

import struct
import subprocess
import wave

import numpy as np

from .codecs import RATES

# Seconds: when each passage begins, how long it may be, and when the last has ended.
STARTS, LONGEST, END = (1.5, 8.0), 6.0, 14.5
# Silence after that: a phone that plays a file again from the beginning is not to be heard.
AFTER = 10.0
# Root mean square of what is said where it is not silent: -26 dB of full scale.
LEVEL = 32768 * 10 ** (-26 / 20)
PASSAGES = {
    "a": (("en-us+f2", "The morning train was late again, so we walked along the river. She keeps her old letters in a "
                       "wooden box. Please call me back before noon."),
          ("cmn-latn-pinyin+m3", "zao3 shang4 hao3, wo3 xiang3 ding4 yi2 ge4 fang2 jian1. ming2 tian1 hui4 xia4 yu3 ma5? "
                                 "qing3 ni3 man4 yi4 dian3 shuo1.")),
    "b": (("en-gb+m3", "Nobody had told the driver which road to take. The soup is hot, but the bread is from yesterday. "
                       "We shall meet at the station at eight."),
          ("cmn-latn-pinyin+f2", "wo3 de5 dian4 hua4 hao4 ma3 huan4 le5. jing1 li3 zheng4 zai4 kai1 hui4, qing3 deng3 yi2 "
                                 "xia4. xie4 xie5 ni3 de5 bang1 zhu4.")),
}


def make(folder):
    """Writes SIDE-RATE.wav for both sides and all rates."""
    top = max(rate for pair in RATES.values() for rate in pair)
    for side, passages in PASSAGES.items():
        sound = np.zeros(int((END + AFTER) * top))
        # A tone until shortly before the first passage: whoever adapts to sound has some to adapt to.
        lead = np.arange(int((STARTS[0] - 0.5) * top)) / top
        sound[:len(lead)] = LEVEL * np.sin(2 * np.pi * (400 + 500 * lead) * lead)
        for start, (voice, text) in zip(STARTS, passages, strict=True):
            said = spoken(folder, voice, text, top)
            sound[int(start * top):][:len(said)] = said
        for rate in {rate for pair in RATES.values() for rate in pair}:
            write(folder / f"{side}-{rate}.wav", resampled(sound, top, rate), rate)


def spoken(folder, voice, text, rate):
    """A text, as slowly as it fits."""
    file = folder / "spoken.wav"
    for speed in range(120, 300, 5):
        subprocess.run(["espeak-ng", "-b", "1", "-v", voice, "-s", str(speed), "-w", file, text], check=True,
                       capture_output=True)
        made, sound = read(file)
        loud = np.flatnonzero(np.abs(sound) > 60)
        sound = resampled(sound[loud[0]:loud[-1] + 1], made, rate)
        if len(sound) <= LONGEST * rate:
            break
    frames = sound[:len(sound) // (rate // 50) * (rate // 50)].reshape(-1, rate // 50)
    power = (frames ** 2).mean(1)
    return sound * (LEVEL / np.sqrt(power[power > power.max() / 1000].mean()))


def resampled(sound, made, wanted):
    """The same sound at another rate, with nothing above what that can hold."""
    if made == wanted:
        return sound
    count = round(len(sound) * wanted / made)
    kept = np.fft.rfft(sound)[:count // 2 + 1]
    edge = max(1, len(kept) // 25) if wanted < made else 1
    kept[len(kept) - edge:] *= np.linspace(1, 0, edge)
    return np.fft.irfft(kept, count) * (wanted / made)


def write(file, sound, rate):
    """A WAV file with one channel of 16 bits."""
    with wave.open(str(file), "wb") as out:
        out.setparams((1, 2, rate, len(sound), "NONE", ""))
        out.writeframes(np.clip(np.round(sound), -32767, 32767).astype("<i2").tobytes())


def read(file):
    """Rate and samples of a WAV file of 16 bits; a length that was never filled in does not matter."""
    data, at, rate = file.read_bytes(), 12, 0
    while at + 8 <= len(data):
        name, length = struct.unpack("<4sI", data[at:at + 8])
        if name == b"fmt ":
            rate = struct.unpack("<I", data[at + 12:at + 16])[0]
        if name == b"data":
            left = len(data) - at - 8
            length = length if 0 < length <= left else left
            return rate, np.frombuffer(data[at + 8:at + 8 + length // 2 * 2], "<i2").astype(float)
        at += 8 + length + length % 2
    raise ValueError(f"{file} is no WAV file")
