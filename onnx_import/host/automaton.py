"""Whether all of a text matches the tree of a pattern: a deterministic automaton, built as texts ask for its states.

The tree becomes a list of steps (`emit`). A state of the automaton is the set of steps that the text so far may have
led to, with what the last character was; each character looks up or works out the next state once.
"""

from __future__ import annotations

from dataclasses import dataclass

from onnx_import.errors import Unsupported
from onnx_import.host.characters import WORD, Ranges, cases, contains

MOST_STEPS = 20_000
MOST_CELLS = 50_000  # remembered transitions, after which the automaton is built anew


@dataclass(frozen=True)
class Characters:
    """One character: in the ranges, or in none of them; `fold` ignores case."""

    ranges: Ranges
    negated: bool = False
    fold: bool = False

    def holds(self, code: int) -> bool:
        """Whether it takes a character."""
        codes = cases(code) if self.fold else (code,)
        return any(contains(self.ranges, each) for each in codes) != self.negated


@dataclass(frozen=True)
class Assertion:
    """A place between characters: begin, end, begin of line, end of line, boundary, no boundary."""

    kind: str

    def holds(self, before: str, after: str) -> bool:
        """Whether the place between two kinds of character ("", "newline", "word" or "other") is one."""
        if self.kind.startswith("begin"):
            return before == "" or (before == "newline" and self.kind != "begin")
        if self.kind.startswith("end"):
            return after == "" or (after == "newline" and self.kind != "end")
        return ((before == "word") != (after == "word")) == (self.kind == "boundary")


@dataclass(frozen=True)
class Sequence:
    """One after the other."""

    items: tuple[Tree, ...]


@dataclass(frozen=True)
class Alternatives:
    """Any one of several."""

    branches: tuple[Tree, ...]


@dataclass(frozen=True)
class Repeat:
    """At least `low` times, at most `high` or without end."""

    tree: Tree
    low: int
    high: int | None


Tree = Characters | Assertion | Sequence | Alternatives | Repeat
Step = Characters | Assertion | tuple[int, ...]
"""Take a character, check a place (both go on with the next step), or go on at any of some steps."""

State = tuple[frozenset[int], str]


class Matcher:
    """The automaton of one pattern."""

    def __init__(self, tree: Tree) -> None:
        self.steps: list[Step] = []
        self.emit(tree)
        self.accepting = len(self.steps)
        self.start: State = (frozenset({0}), "")
        self.cells: dict[State, dict[str, State]] = {}
        self.ends: dict[State, bool] = {}

    def matches(self, text: str) -> bool:
        """Whether the whole of a text matches."""
        if len(self.ends) > MOST_CELLS or sum(map(len, self.cells.values())) > MOST_CELLS:
            self.cells, self.ends = {}, {}
        state = self.start
        row = self.cells.setdefault(state, {})
        for letter in text:
            following = row.get(letter)
            if following is None:
                following = row[letter] = self.advance(state, letter)
            state = following
            if not state[0]:
                return False
            row = self.cells.setdefault(state, {})
        if state not in self.ends:
            self.ends[state] = self.accepting in self.reach(state, "")
        return self.ends[state]

    def advance(self, state: State, letter: str) -> State:
        """The state after one more character."""
        kind, code = _kind(letter), ord(letter)
        hits = []
        for place in self.reach(state, kind):
            step = self.steps[place] if place < self.accepting else ()
            if isinstance(step, Characters) and step.holds(code):
                hits.append(place + 1)
        return frozenset(hits), kind

    def reach(self, state: State, after: str) -> set[int]:
        """Every step that a state leads to before its next character, which is of the kind `after`."""
        places, before = state
        reached: set[int] = set()
        pending = list(places)
        while pending:
            place = pending.pop()
            if place in reached:
                continue
            reached.add(place)
            step = self.steps[place] if place < self.accepting else ()
            if isinstance(step, tuple):
                pending.extend(step)
            elif isinstance(step, Assertion) and step.holds(before, after):
                pending.append(place + 1)
        return reached

    def emit(self, tree: Tree) -> None:
        """Append the steps of a tree."""
        if len(self.steps) > MOST_STEPS:
            raise Unsupported(f"a pattern of more than {MOST_STEPS} steps")
        if isinstance(tree, (Characters, Assertion)):
            self.steps.append(tree)
        elif isinstance(tree, Sequence):
            for item in tree.items:
                self.emit(item)
        elif isinstance(tree, Alternatives):
            self.emit_branches(tree)
        else:
            self.emit_repeats(tree)

    def emit_branches(self, tree: Alternatives) -> None:
        """fork, branch, leave, branch, leave ...: each branch leaves for what follows the last one."""
        fork = len(self.steps)
        self.steps.append(())
        starts, leaves = [], []
        for branch in tree.branches:
            starts.append(len(self.steps))
            self.emit(branch)
            leaves.append(len(self.steps))
            self.steps.append(())
        self.steps[fork] = tuple(starts)
        for leave in leaves:
            self.steps[leave] = (len(self.steps),)

    def emit_repeats(self, tree: Repeat) -> None:
        """The least number of copies, then a loop, or copies that may each be the last."""
        for _ in range(tree.low):
            self.emit(tree.tree)
        exits = []
        for _ in range(1 if tree.high is None else tree.high - tree.low):
            exits.append(len(self.steps))
            self.steps.append(())
            self.emit(tree.tree)
        if tree.high is None:
            self.steps.append((exits[0],))
        for place in exits:
            self.steps[place] = (place + 1, len(self.steps))


def _kind(letter: str) -> str:
    return "newline" if letter == "\n" else "word" if contains(WORD, ord(letter)) else "other"
