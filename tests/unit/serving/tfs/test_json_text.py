"""JSON as TensorFlow Serving reads it: words, large integers, and what is refused."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.errors import BadRequest
from serving.tfs import json_text
from tests.unit.serving.codecs.contract import fuzz

plain = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False)
    | st.text(st.characters(codec="utf-8")),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(st.characters(codec="utf-8")), inner, max_size=4),
    max_leaves=12,
)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (b'\xef\xbb\xbf{"a": 1}', {"a": 1}),
        (b'{"a": "x:y::", "b": {"c": ":"}}', {"a": "x:y::", "b": {"c": ":"}}),
        (b'{"a": [Infinity, -Infinity, Inf, -Inf]}', {"a": [math.inf, -math.inf, math.inf, -math.inf]}),
        (b'["NaN", "Inf\\"Inf", Inf]', ["NaN", 'Inf"Inf', math.inf]),
        (b"[18446744073709551615, -9223372036854775808]", [2**64 - 1, -(2**63)]),
        (b"[18446744073709551616]", [2.0**64]),
        (b"[18446744073709551616, Inf, 5]", [2.0**64, math.inf, 5]),
        (b"[-9223372036854775809, Inf]", [-(2.0**63), math.inf]),
    ],
)
def test_read(text: bytes, value: object) -> None:
    """Words for what is not finite are numbers, outside strings; integers beyond 64 bits are floats."""
    found = json_text.load(text)
    assert found == value
    assert repr(found) == repr(value)


def test_nan() -> None:
    """NaN, with a sign or without, is a number."""
    assert all(map(math.isnan, json_text.load(b"[NaN, -NaN]")))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"", "document is empty"),
        (b" \n", "document is empty"),
        (b"[1,\n2,]", "line 2 column"),
        (b"[1] x", "line 1 column 5"),
        (b'{"instances": [1]}{"instances": [2]}', "unexpected content after document"),
        (b'{"a": 1, "a": 2}', 'key "a" is repeated'),
        (b'{"b": {"a": 1, "a" :2}}', 'key "a" is repeated'),
        (b'[{"a": [{"b64": "x", "b64": "y"}]}]', 'key "b64" is repeated'),
        (b'{"a": "x:", "a": 2}', 'key "a" is repeated'),
        (b'{"a": NaN, "a": 2}', 'key "a" is repeated'),
        (b'["\xff"]', "not UTF-8 at byte 2"),
        (b'["\xff", NaN]', "not UTF-8 at byte 2"),
        (b'["\\ud800"]', "surrogate"),
        (b"[1e999]", "line 1"),
        (b"[1e999, NaN]", "too large for a double"),
        (b"[" + b"9" * 5000 + b"]", "line 1"),
        (b"[NaN, " + b"9" * 5000 + b"]", "too large for a double"),
        (b"[Nan]", "line 1"),
        (b"[NaN", "line 1 column"),
        (b"[" * 10_000 + b"]" * 10_000, "depth"),
        (b"[" * 3_000_000, "depth"),
        (b'{"a":' * 10_000 + b"1" + b"}" * 10_000, "depth"),
        (b"[NaN, " + b"[" * 3_000_000, "deeper than 1024"),
        (b"[NaN, " + b'{"a":[' * 10_000, "deeper than 1024"),
        (b'"' + b'\\"' * 100_000 + b"NaN", "Unterminated"),
    ],
)
def test_refused(text: bytes, message: str) -> None:
    """What is malformed, too deep, too large, repeated or no UTF-8 is a short 400 that says so."""
    with pytest.raises(BadRequest, match=message) as caught:
        json_text.load(text)
    assert len(caught.value.message) < 250


def test_many_keys_are_checked_in_no_time() -> None:
    """One repeated key among a hundred thousand is found without comparing each with each."""
    text = "{" + ",".join(f'"{at}": 1' for at in range(100_000)) + ', "99999": 2}'
    with pytest.raises(BadRequest, match='"99999" is repeated'):
        json_text.load(text.encode())


@fuzz
@given(value=plain)
def test_values_are_pythons(value: object) -> None:
    """What Python writes reads back as the same value, in strings with colons and words too."""
    text = json.dumps([value, {"a:": "NaN"}])
    assert repr(json_text.load(text.encode())) == repr([value, {"a:": "NaN"}])
    assert repr(json_text.load(text.encode()[:-1] + b", Infinity]")[:1]) == repr([value])


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("][", '"]["'),
        (1.5, "1.5"),
        ([1, "a"], '[1,"a"]'),
        (None, "null"),
        ("x" * 500, '"' + "x" * 79 + "..."),
        ("\ud800", '"?"'),
    ],
)
def test_excerpt(value: object, text: str) -> None:
    """Values are quoted in messages as JSON, cut short."""
    assert json_text.excerpt(value) == text
