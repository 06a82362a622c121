"""What one case works with: a folder, ports, processes, and their end."""

import shutil
import socket

from . import tone
from .failure import Failure
from .process import Process

CALLER_HZ, CALLEE_HZ = 440, 880


class Lab:
    """Everything started through it is stopped by `close`, the last first."""

    def __init__(self, folder, binary):
        self.folder, self.binary = folder, binary
        self.started = []
        self.given_ports = set()
        folder.mkdir(parents=True)

    def run(self, name, argv, **streams):
        """Starts a process that lives until the case ends, or less."""
        process = Process(self._fresh(name), argv, self.folder, **streams)
        self.keep(process)
        return process

    def keep(self, thing):
        """Something with `stop()` that has to be stopped when the case ends."""
        self.started.append(thing)
        return thing

    def tool(self, name):
        """The path of a program; a missing one fails the case."""
        path = shutil.which(name) or shutil.which(name, path="/usr/sbin:/sbin")
        if not path:
            raise Failure(f"{name} is not installed (scripts/install.sh interop)")
        return path

    def port(self, count=1):
        """The first of `count` neighbouring ports, even, free for UDP and TCP on loopback."""
        for first in range(20000, 60000, 2):
            wanted = set(range(first, first + count))
            if not wanted & self.given_ports and all(map(_is_free, wanted)):
                self.given_ports |= wanted
                return first
        raise Failure("no free port")

    def tone(self, hz):
        """A WAV file of that tone."""
        path = self.folder / f"tone-{hz}.wav"
        if not path.exists():
            tone.make(path, hz)
        return path

    def close(self):
        """Stops everything, whatever happens on the way; tells what did not stop as it should."""
        troubles = []
        for thing in reversed(self.started):
            try:
                thing.stop()
            except Exception as error:
                troubles.append(f"stopping {getattr(thing, 'name', thing)}: {error!r}")
        return troubles

    def _fresh(self, name):
        """`name`, or `name-2` and so on when its log exists."""
        names = [name, *(f"{name}-{n}" for n in range(2, 100))]
        return next(one for one in names if not (self.folder / f"{one}.err").exists())


def _is_free(port):
    for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
        with socket.socket(socket.AF_INET, kind) as probe:
            try:
                # On every address: some things listen on other loopback addresses.
                probe.bind(("", port))
            except OSError:
                return False
    return True
