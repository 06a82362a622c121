"""Two phones, a call, and the proof that each heard the other."""

from . import tone

TALK_SECONDS = 4
# The first moments of a call may be lost to the answer that is still on its way.
HEARD_SECONDS = 2.5


def converse(caller, callee, target=None):
    """`caller` calls `callee` and hangs up; both play their tones and must hear the other's."""
    callee.start()
    caller.start()
    caller.call(target or callee.account.address, TALK_SECONDS)
    callee.over()
    caller.stop()
    callee.stop()
    tone.prove(caller.recording, callee.hz, HEARD_SECONDS)
    tone.prove(callee.recording, caller.hz, HEARD_SECONDS)
