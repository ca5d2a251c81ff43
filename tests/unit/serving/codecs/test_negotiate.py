"""Content-Type and Accept: which codec reads, which one writes."""

from __future__ import annotations

from types import ModuleType

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving import codecs
from serving.codecs import csv, json, jsonlines, negotiate, npy
from serving.errors import NotAcceptable, ServingError, UnsupportedMediaType
from tests.unit.serving.codecs.contract import fuzz


@pytest.mark.parametrize(
    ("header", "media", "params"),
    [
        ("application/json", "application/json", {}),
        ("", "application/json", {}),
        ("  ", "application/json", {}),
        ("Text/CSV; Charset=UTF-8", "text/csv", {"charset": "UTF-8"}),
        ('text/csv;a="x;y, \\"z\\"";b=2;;c', "text/csv", {"a": 'x;y, "z"', "b": "2"}),
        ("text/csv; a = 1 ", "text/csv", {"a": "1"}),
        ('text/csv; a="open', "text/csv", {"a": '"open'}),
    ],
)
def test_parse(header: str, media: str, params: dict[str, str]) -> None:
    """A Content-Type is split at semicolons outside quotes; names are lower-case, a missing one is JSON."""
    assert negotiate.parse(header) == (media, params)


@pytest.mark.parametrize("header", ["json", "a/b/c", "/", "text/", "text/csv, text/csv", "text csv/x", "tëxt/csv", ";;;"])
def test_malformed_types(header: str) -> None:
    """What is no media type is a 415."""
    with pytest.raises(UnsupportedMediaType):
        negotiate.decoder(header)


def test_unknown_type() -> None:
    """A type that no codec reads is a 415 that lists those that are read."""
    with pytest.raises(UnsupportedMediaType, match=r"'application/xml' is not read; these are: .*application/json") as caught:
        negotiate.decoder("application/xml")
    assert all(content_type in caught.value.message for content_type in negotiate.READ)


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        ("", "application/json"),
        ("  ", "application/json"),
        ("*/*", "application/json"),
        ("text/csv", "text/csv"),
        ("TEXT/CSV", "text/csv"),
        ("text/csv, application/json", "text/csv"),
        ("application/json, text/csv", "application/json"),
        ("text/csv;q=0.5, application/json;q=0.7", "application/json"),
        ("text/csv;q=0.5, application/json", "application/json"),
        (" text/csv ; q=0.9 ,application/json ; q=0.8", "text/csv"),
        ("text/csv;Q=0.1, application/json;q=0.2", "application/json"),
        ("*/*, text/csv", "application/json"),
        ("text/csv, */*", "text/csv"),
        ("*/*;q=0.1, text/csv;q=0.2", "text/csv"),
        ("*/*, application/json;q=0.5", "text/csv"),
        ("*/*, application/json;q=0", "text/csv"),
        ("application/*", "application/json"),
        ("text/*", "text/csv"),
        ("text/*;q=0.3, text/csv;q=0, application/json;q=0.1", "text/plain"),
        ("text/csv;q=0.2, text/*;q=0.9", "text/plain"),
        ("application/xml, text/csv;q=0.1", "text/csv"),
        ("application/x-ndjson", "application/x-ndjson"),
        ("application/json;annotation=1", "application/json"),
        ('application/json;a="x,y;q=0";q=0.5, text/csv;q=0.6', "text/csv"),
        ("application/json; charset=utf-8", "application/json"),
        ("text/csv; charset=latin-1, application/json;q=0.1", "application/json"),
        ("text/csv;q=2, application/json", "text/csv"),
        ("text/csv;q=nan, application/json;q=0.9", "text/csv"),
        ("text/csv;q=, application/json;q=0.9", "text/csv"),
        ("nonsense, text/csv", "text/csv"),
        ("image/png, text/csv;q=0.01", "text/csv"),
        (",,text/csv,", "text/csv"),
    ],
)
def test_accept(accept: str, expected: str) -> None:
    """The heaviest range counts, the first among equals, the most exact one for each type (RFC 9110, section 12.5.1)."""
    codec, content_type = negotiate.encoder(accept, "application/json")
    assert content_type == expected
    assert expected in codec.CONTENT_TYPES


@pytest.mark.parametrize("accept", ["", "*/*", "application/*"])
def test_default(accept: str) -> None:
    """Where any type will do it is the default that is given."""
    assert negotiate.encoder(accept, "application/x-npy") == (npy, "application/x-npy")


def test_default_is_a_header_too() -> None:
    """A default may list types; the first that can be answered counts."""
    assert negotiate.encoder("", "application/xml, text/csv;q=0.5")[1] == "text/csv"
    assert negotiate.encoder("*/*", "application/xml, text/csv;q=0.5")[1] == "text/csv"


@pytest.mark.parametrize(
    ("accept", "default"),
    [
        ("application/xml", "application/json"),
        ("image/*", "application/json"),
        ("application/json;q=0", "application/json"),
        ("*/*;q=0", "application/json"),
        ("*/*;q=0.0", "application/json"),
        ("text/csv;charset=latin-1", "application/json"),
        ("nonsense", "application/json"),
        ("", "application/xml"),
    ],
)
def test_not_acceptable(accept: str, default: str) -> None:
    """What cannot be answered is a 406 that lists what can."""
    with pytest.raises(NotAcceptable, match="these can be had: ") as caught:
        negotiate.encoder(accept, default)
    assert all(content_type in caught.value.message for content_type in negotiate.WRITTEN)


def test_many_ranges() -> None:
    """Only the first 64 elements of an Accept header are looked at: a long one costs no more than they do."""
    assert negotiate.encoder("a/b," * 63 + "text/csv")[1] == "text/csv"
    with pytest.raises(NotAcceptable):
        negotiate.encoder("a/b," * 64 + "text/csv")


def test_parameters_reach_the_encoder() -> None:
    """The parameters of the range that chose the codec are its own, without the weight."""
    assert negotiate.answer("text/csv;header=absent;q=0.5, */*;q=0.1")[2] == {"header": "absent"}


def test_decode_and_encode() -> None:
    """The package reads by Content-Type and writes by Accept."""
    inputs = codecs.decode(b"1,2", "text/csv; charset=us-ascii", None, 100)
    assert codecs.encode(inputs, "text/*;q=0.1, application/json") == (b"[[1,2]]", "application/json")
    assert codecs.encode({"a": np.zeros((1, 1))}, "", "text/csv") == (b"0.0\n", "text/csv")


def test_duplicates_raise() -> None:
    """A content type in two modules stops the import, with both names."""
    module = ModuleType("serving.codecs.second")
    module.CONTENT_TYPES = ("application/new", "text/csv")  # type: ignore[attr-defined]
    with pytest.raises(ValueError, match=r"text/csv is read by serving\.codecs\.csv and by serving\.codecs\.second"):
        negotiate.register(dict(negotiate.READ), module)  # type: ignore[arg-type]


def test_discovery() -> None:
    """Modules with CONTENT_TYPES are codecs, by every type that they name; those that cannot write are not offered."""
    assert negotiate.READ["text/csv"] is csv
    assert negotiate.READ["application/json"] is json
    assert {content_type for content_type, codec in negotiate.READ.items() if codec is jsonlines} == {*jsonlines.CONTENT_TYPES}
    assert set(negotiate.READ) - set(negotiate.WRITTEN) == {"application/x-image", "image/*"}


def statuses(header: str) -> set[int]:
    """What comes of a header as Content-Type and as Accept: 200, or the status of the error."""
    found = set()
    for ask in (negotiate.decoder, negotiate.encoder):
        try:
            ask(header)
            found.add(200)
        except ServingError as error:
            found.add(error.status)
    return found


@fuzz
@given(header=st.text(alphabet='ab/*;,="\\q.01 \t', max_size=60))
def test_headers_are_no_crash(header: str) -> None:
    """Whatever a header holds, the answer is a codec or a 4xx."""
    assert statuses(header) <= {200, 406, 415}


@pytest.mark.parametrize("part", ['a/b;"', "a/b,", 'a="\\', "a/b;q=1", '"', ";", "a;=,", '\\"'])
def test_long_headers_end(part: str) -> None:
    """Headers as long as the server takes them, made to be slow, end as a 4xx."""
    assert statuses(part * (32_768 // len(part))) <= {406, 415}
