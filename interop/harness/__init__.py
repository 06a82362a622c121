"""Starts the exchange and real phones on loopback, and measures what they hear and say."""
