"""The list of cases: a function whose name is the claim, and which raises when it does not hold."""

from dataclasses import dataclass
from typing import Callable


@dataclass(frozen=True)
class Case:
    """One claim and how long its proof may take."""

    name: str
    seconds: int
    prove: Callable


CASES = []


def case(seconds=60):
    """Puts the decorated function, which takes a Lab, on the list."""
    def add(prove):
        _add(prove.__module__, prove.__name__, seconds, prove)
        return prove
    return add


def each(rows, seconds=60):
    """One case for every row: its name, then the values that the function takes after the Lab."""
    def add(prove):
        for name, *values in rows:
            _add(prove.__module__, name, seconds, lambda lab, values=values: prove(lab, *values))
        return prove
    return add


def _add(module, name, seconds, prove):
    CASES.append(Case(f"{module.rpartition('.')[2]}: {name.replace('_', ' ')}", seconds, prove))
