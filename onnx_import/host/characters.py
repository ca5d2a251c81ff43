"""Sets of characters as ranges of code points, and the names that RE2 has for them."""

from __future__ import annotations

import functools
import itertools
import unicodedata

LAST = 0x10FFFF
Ranges = tuple[tuple[int, int], ...]

DIGITS: Ranges = ((48, 57),)
UPPER: Ranges = ((65, 90),)
LOWER: Ranges = ((97, 122),)
SPACES: Ranges = ((9, 10), (12, 13), (32, 32))  # no vertical tab, unlike [[:space:]]
WORD: Ranges = (*DIGITS, *UPPER, (95, 95), *LOWER)

NAMED: dict[str, Ranges] = {
    "alnum": (*DIGITS, *UPPER, *LOWER),
    "alpha": (*UPPER, *LOWER),
    "ascii": ((0, 127),),
    "blank": ((9, 9), (32, 32)),
    "cntrl": ((0, 31), (127, 127)),
    "digit": DIGITS,
    "graph": ((33, 126),),
    "lower": LOWER,
    "print": ((32, 126),),
    "punct": ((33, 47), (58, 64), (91, 96), (123, 126)),
    "space": ((9, 13), (32, 32)),
    "upper": UPPER,
    "word": WORD,
    "xdigit": (*DIGITS, (65, 70), (97, 102)),
}


def named(name: str) -> Ranges | None:
    """`[:name:]`."""
    return NAMED.get(name)


def perl(letter: str) -> Ranges:
    r"""`\d`, `\s`, `\w` and their opposites in capitals: ASCII alone."""
    ranges = {"d": DIGITS, "s": SPACES, "w": WORD}[letter.lower()]
    return complement(ranges) if letter.isupper() else ranges


@functools.cache
def category(name: str) -> Ranges | None:
    """The characters of a general category such as `L` or `Lu`; None where there is no such category."""
    if name == "Any":
        return ((0, LAST),)
    inside = (unicodedata.category(chr(code)).startswith(name) for code in range(LAST + 1))
    ranges, start = [], 0
    for hit, run in itertools.groupby(inside):
        stop = start + sum(1 for _ in run)
        if hit:
            ranges.append((start, stop - 1))
        start = stop
    return tuple(ranges) or None


def complement(ranges: Ranges) -> Ranges:
    """Every other character."""
    gaps, start = [], 0
    for low, high in sorted(ranges):
        if low > start:
            gaps.append((start, low - 1))
        start = max(start, high + 1)
    return (*gaps, (start, LAST)) if start <= LAST else tuple(gaps)


def contains(ranges: Ranges, code: int) -> bool:
    """Whether a character is in one of the ranges."""
    return any(low <= code <= high for low, high in ranges)


def cases(code: int) -> set[int]:
    """A character in its own, lower and upper case, and those that become the same in lower case (K and the Kelvin sign)."""
    letter = chr(code)
    forms = {letter, letter.lower(), letter.upper(), letter.lower().upper(), letter.upper().lower(), letter.swapcase()}
    forms.update({"k": {"\u212a"}, "s": {"\u017f"}, "\xe5": {"\u212b"}}.get(letter.lower(), set()))
    return {ord(form) for form in forms if len(form) == 1}
