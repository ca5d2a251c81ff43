"""Patterns in RE2's syntax against whole texts."""

from __future__ import annotations

import random
import re
import time

import pytest

from onnx_import.errors import InvalidModel, Unsupported
from onnx_import.host import regex

ATOMS = (
    "a",
    "b",
    "c",
    ".",
    "[ab]",
    "[^a]",
    r"\d",
    r"\w",
    "(a|b)",
    "(?:bc)",
    r"\b",
    "^",
    "(ab|)",
    r"\x61",
    "(?i:A)",
    r"\W",
    r"\.",
    "[c-]",
)
REPEATS = ("", "", "", "*", "+", "?", "{2}", "{1,2}", "*?", "{0,}")


@pytest.mark.parametrize("seed", range(8))
def test_agrees_with_python_where_the_syntaxes_do(seed: int) -> None:
    """Random patterns of what RE2 and Python share give the same answers on random texts."""
    chance = random.Random(seed)
    for _ in range(100):
        pattern = "".join(chance.choice(ATOMS) + chance.choice(REPEATS) for _ in range(chance.randint(1, 4)))
        pattern += "|" + chance.choice(ATOMS) if chance.random() < 0.3 else ""
        try:
            theirs = re.compile(pattern)
        except re.error:  # a repeated ^, which RE2 takes
            continue
        ours = regex.compile(pattern)
        for _ in range(10):
            text = "".join(chance.choice("abcA1. _-\n") for _ in range(chance.randint(0, 5)))
            assert ours(text) == (theirs.fullmatch(text) is not None), (pattern, text)


@pytest.mark.parametrize(
    ("pattern", "matching", "other"),
    [
        (r"\d+", "12", "٣"),
        (r"\w", "a", "é"),
        (r"\s*", " \t\n\f\r", "\v"),
        (r"a$\n?", "a", "a\n"),
        (r"(?m)a$\nb", "a\nb", "ab"),
        (r"a\z", "a", "a\n"),
        (r"\pL\p{Nd}\P{L}", "é4!", "4éa"),
        (r"\p{^Lu}+", "abc", "aBc"),
        (r"[[:alpha:]_][[:^digit:]]", "_x", "_1"),
        (r"[]a]+", "]a", "b"),
        (r"[^\d]", "x", "1"),
        (r"\Qa.b\E+", "a.bb", "axb"),
        (r"\Q*", "*", ""),
        (r"\x{1F600}\x41\101\07", "😀AA\a", "AA"),
        (r"x{,2}", "x{,2}", "xx"),
        (r"a{2}", "aa", "a"),
        (r"(?i)straße|K", "STRAßE", "x"),
        (r"(?i:a)b", "Ab", "AB"),
        (r"a(?i)b|c", "C", "Ab"),
        (r"(?s).", "\n", ""),
        (r"(?s)(?-s:.)", "x", "\n"),
        (r"(?P<n>a)(?<m>b)", "ab", "a"),
        (r"(?U)a+", "aaa", "b"),
        (r"\bx\B", "", "x"),
        (r"^*a", "a", "aa"),
        (r"|a", "", "b"),
    ],
)
def test_follows_re2(pattern: str, matching: str, other: str) -> None:
    """Where RE2 differs from Python, or has what Python lacks, RE2's reading holds."""
    matches = regex.compile(pattern)
    assert matches(matching) or (matching == "" and pattern.startswith(r"\b"))
    assert not matches(other)


@pytest.mark.parametrize(
    "pattern",
    [
        "(?=a)",
        "(?<=a)b",
        "(?!a)",
        r"(a)\1",
        "a++",
        "a**",
        "a{2}{3}",
        "(",
        ")",
        "[a",
        "[z-a]",
        "*a",
        r"\Z",
        r"a\8",
        "a{1001}",
        r"\xZZ",
        "[[:x:]]",
        "\\",
    ],
)
def test_refuses_what_re2_refuses(pattern: str) -> None:
    """What is no RE2 pattern is told as such."""
    with pytest.raises(InvalidModel, match="RE2"):
        regex.compile(pattern)


@pytest.mark.parametrize("pattern", [r"\p{Greek}", "((a{100}){100}){100}"])
def test_refuses_what_it_cannot_do(pattern: str) -> None:
    """Scripts, for which Python has no tables, and patterns without bound are refused."""
    with pytest.raises(Unsupported):
        regex.compile(pattern)


def test_takes_linear_time() -> None:
    """A pattern that makes a backtracking matcher run for ever takes no time."""
    matches = regex.compile("(a|aa)+(a*)*$")
    start = time.process_time()
    assert not matches("a" * 50_000 + "b")
    assert time.process_time() - start < 2


def test_forgets_transitions() -> None:
    """Texts of ever new characters do not make the automaton grow without end."""
    matches = regex.compile("(?s).*a")
    matcher = matches.__self__  # type: ignore[attr-defined]
    for first in range(0x4E00, 0x4E00 + 60_000, 1000):
        assert not matches("".join(chr(code) for code in range(first, first + 1000) if not 0xD800 <= code < 0xE000))
    assert sum(map(len, matcher.cells.values())) < 60_000
    assert matches("ba")
