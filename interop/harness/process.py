"""A child process with its logs in files, ended by its own id."""

import os
import signal
import subprocess

from .failure import Failure


class Process:
    """Runs `argv` in `folder`; `NAME.out` and `NAME.err` there hold what it said. What it starts itself ends with it."""

    def __init__(self, name, argv, folder, stdin=subprocess.DEVNULL, stdout=None):
        self.name = name
        self.out = folder / f"{name}.out"
        self.err = folder / f"{name}.err"
        self.argv = [str(word) for word in argv]
        with open(self.out, "wb") as out, open(self.err, "wb") as err:
            err.write(f"$ {' '.join(self.argv)}\n".encode())
            err.flush()
            self.child = subprocess.Popen(
                self.argv, cwd=folder, env=_environment(folder), stdin=stdin,
                stdout=out if stdout is None else stdout, stderr=err,
                start_new_session=True)

    def ended(self):
        """The exit status, or None while it runs."""
        return self.child.poll()

    def wait(self, seconds):
        """The exit status; fails when it takes longer than `seconds`."""
        try:
            return self.child.wait(seconds)
        except subprocess.TimeoutExpired:
            raise Failure(f"{self.name} still runs after {seconds} s") from None

    def stop(self, seconds=4):
        """Asks it to end, then insists."""
        if self.ended() is None:
            self.child.terminate()
            try:
                self.child.wait(seconds)
            except subprocess.TimeoutExpired:
                self.kill()
        self._end_group()
        return self.child.returncode

    def kill(self):
        """Ends it with no chance to say goodbye."""
        self.child.kill()
        self.child.wait(5)
        self._end_group()

    def _end_group(self):
        """Ends what the child has started and left behind."""
        try:
            os.killpg(self.child.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass

    def said(self):
        """Both outputs so far, as text."""
        return "".join(path.read_text(errors="replace") for path in (self.err, self.out))


def _environment(folder):
    """A plain environment: the user's own settings may not decide a test."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("OFFHOOK_", "XDG_", "LC_"))}
    return kept | {"HOME": str(folder), "LANG": "C.UTF-8", "NO_COLOR": "1"}
