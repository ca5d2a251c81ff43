r"""Regular expressions in RE2's syntax (github.com/google/re2/wiki/Syntax), matched as a whole, in linear time.

    pattern -> tree (here) -> automaton -> bool     automaton.py

Python's `re` will not do: it backtracks, which a client's text can make endless, and it reads the same pattern otherwise
(`\d` as any Unicode digit, `$` before a last newline; it lacks `\pL`, `\z`, `[[:alpha:]]` and has backreferences).
How greedy a repetition is and what a group is called make no difference to whether all of a text matches.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass, replace

from onnx_import.errors import InvalidModel, Unsupported
from onnx_import.host.automaton import Alternatives, Assertion, Characters, Matcher, Repeat, Sequence, Tree
from onnx_import.host.characters import LAST, Ranges, category, complement, named, perl

MOST_REPEATS = 1000  # RE2's own limit
ESCAPES = {"a": 7, "f": 12, "t": 9, "n": 10, "r": 13, "v": 11}
ASSERTIONS = {"A": "begin", "z": "end", "b": "boundary", "B": "no boundary"}


@dataclass(frozen=True)
class Flags:
    """What `(?ims)` has switched on: ignore case, `^` and `$` at lines, `.` matches newlines."""

    i: bool = False
    m: bool = False
    s: bool = False
    U: bool = False


@functools.lru_cache(maxsize=64)
def compile(pattern: str) -> Callable[[str], bool]:
    """A function that tells whether a text matches as a whole."""
    parser = Parser(pattern)
    tree = parser.alternatives(Flags())
    if parser.place < len(pattern):
        parser.fail("unexpected )")
    return Matcher(tree).matches


class Parser:
    """Reads a pattern from left to right."""

    def __init__(self, pattern: str) -> None:
        self.pattern, self.place = pattern, 0

    def fail(self, reason: str) -> None:
        """Say what is wrong with the pattern."""
        raise InvalidModel(f"{self.pattern!r} is no RE2 pattern: {reason} at {self.place}")

    def ahead(self, text: str) -> bool:
        """Whether the pattern goes on with a text."""
        return self.pattern.startswith(text, self.place)

    def accept(self, text: str) -> bool:
        """Step over a text where it comes next."""
        found = self.ahead(text)
        self.place += len(text) * found
        return found

    def next(self) -> str:
        """The next character, stepped over."""
        if self.place >= len(self.pattern):
            self.fail("unexpected end")
        self.place += 1
        return self.pattern[self.place - 1]

    def until(self, end: str) -> str:
        """Everything before `end`, which is stepped over too."""
        stop = self.pattern.find(end, self.place)
        if stop < 0:
            self.fail(f"missing {end}")
        text, self.place = self.pattern[self.place : stop], stop + len(end)
        return text

    def alternatives(self, flags: Flags) -> Tree:
        """`a|b|c`, to the end of the group; flags that a `(?i)` sets hold in later alternatives too."""
        branches: list[Tree] = []
        items: list[Tree] = []
        while self.place < len(self.pattern) and not self.ahead(")"):
            if self.accept("|"):
                branches.append(Sequence(tuple(items)))
                items = []
            elif self.accept("\\Q"):
                items.extend(self.quoted(flags))
            elif self.ahead("(?") and (changed := self.bare_flags(flags)):
                flags = changed
            else:
                items.append(self.repeated(self.atom(flags)))
        return Alternatives((*branches, Sequence(tuple(items))))

    def quoted(self, flags: Flags) -> list[Tree]:
        r"""What stands after `\Q`, to `\E` or to the end; what follows repeats the last character."""
        text, _, rest = self.pattern[self.place :].partition("\\E")
        self.place = len(self.pattern) - len(rest)
        items = [literal(ord(letter), flags) for letter in text]
        return [*items[:-1], *(self.repeated(item) for item in items[-1:])]

    def bare_flags(self, flags: Flags) -> Flags | None:
        """The flags after `(?ims-ims)`, or None where a group begins."""
        start = self.place
        self.place += 2
        changed = self.read_flags(flags)
        if changed and self.accept(")"):
            return changed
        self.place = start
        return None

    def read_flags(self, flags: Flags) -> Flags | None:
        """The flags after letters such as `i-s`; None where others come."""
        on, start = True, self.place
        while self.place < len(self.pattern) and self.pattern[self.place] in "imsU-":
            letter = self.next()
            if letter == "-":
                on = False
            else:
                flags = replace(flags, **{letter: on})
        return flags if self.place > start else None

    def atom(self, flags: Flags) -> Tree:
        """One character, class, assertion or group."""
        letter = self.next()
        if letter == "(":
            return self.group(flags)
        if letter == "[":
            return self.bracket(flags)
        if letter == "\\":
            return self.escaped(flags)
        if letter == ".":
            return Characters(((0, LAST),) if flags.s else complement(((10, 10),)))
        if letter in "^$":
            side = "begin" if letter == "^" else "end"
            return Assertion(f"{side} of line" if flags.m else side)
        if letter in "*+?":
            self.fail(f"nothing to repeat with {letter}")
        return literal(ord(letter), flags)

    def group(self, flags: Flags) -> Tree:
        """What is in brackets; the names of groups do not matter."""
        if self.accept("?"):
            if self.accept("P<") or (self.ahead("<") and not self.ahead("<=") and not self.ahead("<!") and self.accept("<")):
                self.until(">")
            elif not self.accept(":"):
                inner = self.read_flags(flags)
                if not inner or not self.accept(":"):
                    self.fail("no such group")
                flags = inner or flags
        tree = self.alternatives(flags)
        if not self.accept(")"):
            self.fail("missing )")
        return tree

    def escaped(self, flags: Flags) -> Tree:
        """What a backslash begins, outside a class."""
        letter = self.pattern[self.place : self.place + 1]
        if letter and letter in ASSERTIONS:
            self.place += 1
            return Assertion(ASSERTIONS[letter])
        ranges = self.escaped_class()
        return Characters(ranges, fold=flags.i) if ranges else literal(self.escaped_code(), flags)

    def escaped_class(self) -> Ranges | None:
        r"""`\d`, `\pL`, `\P{Lu}`; None where another escape comes."""
        letter = self.pattern[self.place : self.place + 1]
        if letter and letter in "dDsSwW":
            self.place += 1
            return perl(letter)
        if letter and letter in "pP":
            self.place += 1
            name = self.until("}") if self.accept("{") else self.next()
            ranges = category(name.lstrip("^"))
            if ranges is None:
                raise Unsupported(f"the Unicode class {name!r} in the pattern {self.pattern!r}", "general categories are known")
            return complement(ranges) if (letter == "P") != name.startswith("^") else ranges
        return None

    def escaped_code(self) -> int:
        """The code of one escaped character."""
        letter = self.next()
        if letter in ESCAPES:
            return ESCAPES[letter]
        if letter == "x":
            digits = self.until("}") if self.accept("{") else self.next() + self.next()
            if not digits or set(digits) - set("0123456789abcdefABCDEF") or int(digits, 16) > LAST:
                self.fail("no such character")
            return int(digits, 16)
        octal = set("01234567")
        if letter == "0" or (letter in octal and self.pattern[self.place : self.place + 1] in octal):
            while len(letter) < 3 and self.pattern[self.place : self.place + 1] in octal:
                letter += self.next()
            return int(letter, 8)
        if letter.isascii() and letter.isalnum():
            self.fail(f"no such escape as \\{letter}")
        return ord(letter)

    def bracket(self, flags: Flags) -> Tree:
        r"""`[a-z]`, `[^[:alpha:]\d]`; a `]` that comes first stands for itself."""
        negated, first = self.accept("^"), True
        ranges: list[tuple[int, int]] = []
        while first or not self.ahead("]"):
            first = False
            if self.accept("[:"):
                name = self.until(":]")
                found = named(name.lstrip("^"))
                if found is None:
                    self.fail(f"no such class as {name}")
                ranges.extend(complement(found or ()) if name.startswith("^") else found or ())
            elif self.accept("\\"):
                found = self.escaped_class()
                ranges.extend(found if found is not None else self.span(self.escaped_code()))
            else:
                ranges.extend(self.span(ord(self.next())))
        self.place += 1
        return Characters(tuple(ranges), negated, flags.i)

    def span(self, low: int) -> Ranges:
        """A character, or the range that it begins."""
        if not self.ahead("-") or self.pattern[self.place + 1 : self.place + 2] in ("]", ""):
            return ((low, low),)
        self.place += 1
        high = self.escaped_code() if self.accept("\\") else ord(self.next())
        if high < low:
            self.fail("a range that runs backwards")
        return ((low, high),)

    def repeated(self, tree: Tree) -> Tree:
        """What follows an atom: `*`, `+?`, `{2,5}`; a `{` of any other kind stands for itself."""
        bounds = self.bounds()
        if bounds is None:
            return tree
        self.accept("?")
        if self.bounds() is not None:
            self.fail("a repetition of a repetition")
        low, high = bounds
        if max(low, high or 0) > MOST_REPEATS or (high is not None and high < low):
            self.fail("a bad number of repetitions")
        return Repeat(tree, low, high)

    def bounds(self) -> tuple[int, int | None] | None:
        """Least and most repetitions."""
        for sign, limits in (("*", (0, None)), ("+", (1, None)), ("?", (0, 1))):
            if self.accept(sign):
                return limits
        stop = self.pattern.find("}", self.place)
        low, comma, high = self.pattern[self.place + 1 : max(stop, 0)].partition(",")
        if not self.ahead("{") or not _digits(low) or (high and not _digits(high)):
            return None
        self.place = stop + 1
        return int(low), int(high) if high else None if comma else int(low)


def _digits(text: str) -> bool:
    return text.isascii() and text.isdigit()


def literal(code: int, flags: Flags) -> Tree:
    """One character as it is."""
    return Characters(((code, code),), fold=flags.i)
