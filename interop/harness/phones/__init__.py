"""One driver per kind of phone. Each can start, call(target, seconds), be over() and stop(); it plays `hz`
and records what it hears to `recording`."""
