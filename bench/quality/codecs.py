"""The codecs of the calls."""

# Rates of what is said, by codec; a score compares at the second (P.862 at 8 kHz, P.862.2 at 16 kHz).
RATES = {"pcmu": (8000, 8000), "g722": (16_000, 16_000), "opus": (48_000, 16_000)}
NAMES = {"pcmu": "PCMU", "opus": "Opus", "g722": "G.722"}
