"""Importing this package fills the list of cases, in this order."""

from . import (sipp, phones, secure, encrypted_media, keys, softphone, faults, turn, networks, domains, trunks,
               services, presence, forwarding, groups, transfer, park, hold, voice, mail, menus, recording, in_call_codes, explained, records,
               lines, certified, spending, stir, cameras, office, restart, load)
