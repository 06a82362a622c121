"""Importing this package fills the list of cases, in this order."""

from . import sipp, phones, secure, encrypted_media, softphone, faults, turn, services
