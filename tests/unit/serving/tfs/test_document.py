"""Bodies into documents: the rules of AWS's proxy, and where it guessed."""

from __future__ import annotations

import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.errors import BadRequest, UnsupportedMediaType
from serving.tfs import document
from tests.unit.serving.codecs.contract import fuzz

JSON, LINES, CSV = "application/json", "application/jsonlines", "text/csv"


def rewritten(body: str, content_type: str = JSON) -> object:
    """The document of a body, parsed."""
    return json.loads(bytes(document.rewrite(body.encode(), content_type)))


@pytest.mark.parametrize(
    "body",
    [
        '{"instances": [1.0, 2.0]}',
        ' {\n "inputs" : [1.0]}',
        '{"signature_name": "tensorflow/serving/regress", "examples": [{"x": 1.0}]}',
        '{"context": {"a": 1}, "examples": [{"x": 1.0}]}',
        '{"instances": ["]["]}',
        '{"instances": ["]\\n["]}',
        '{"instances": [[1,\n2],\n[3, 4]]}',
    ],
)
def test_documents_are_left_alone(body: str) -> None:
    """A body that is a document already is returned as it is, uncopied."""
    raw = body.encode()
    assert document.rewrite(raw, JSON) is raw
    view = memoryview(raw)
    assert document.rewrite(view, LINES) is view


@pytest.mark.parametrize("content_type", [JSON, LINES, "application/jsons", "Application/JSON; charset=utf-8", ""])
@pytest.mark.parametrize(
    ("body", "instances"),
    [
        ("[1.0, 2.0, 5.0]\n[1.0, 2.0, 5.0]", [[1.0, 2.0, 5.0], [1.0, 2.0, 5.0]]),
        ("\n[1]\r\n\r\n[2]\r\n", [[1], [2]]),
        ('{"x": [1.0]}\n{"x": [2.0]}\n', [{"x": [1.0]}, {"x": [2.0]}]),
        ('"a"\n"b"', ["a", "b"]),
        ("1.5\n2.5", [1.5, 2.5]),
        ("[1.0, 2.0]", [[1.0, 2.0]]),
        ("[[1.0], [2.0]]", [[1.0], [2.0]]),
        ("[\n [1.0],\n [2.0]\n]", [[1.0], [2.0]]),
        ('["][", "a"]', [["][", "a"]]),
        ('{"x": [1.0]}', [{"x": [1.0]}]),
        ('{"x": "say \\"instances\\": now"}', [{"x": 'say "instances": now'}]),
        ('[{"b64": "aGk="}]', [[{"b64": "aGk="}]]),
        ("5.0", [5.0]),
        ("\ufeff[[1]]", [[1]]),
    ],
)
def test_json(content_type: str, body: str, instances: object) -> None:
    """Lines are an instance each, a list of lists is all instances, anything else is one; under all three types alike."""
    assert rewritten(body, content_type) == {"instances": instances}


@pytest.mark.parametrize(
    ("body", "instances"),
    [
        ("1.0", [1.0]),
        ("0.0,2.0,5.0", [[0.0, 2.0, 5.0]]),
        ("1.0\n2.0\n5.0", [1.0, 2.0, 5.0]),
        ("1,2\r\n\r\n3,4\r\n", [[1, 2], [3, 4]]),
        ("-1e-3,+2,.5,4.", [[-0.001, 2.0, 0.5, 4.0]]),
        ("1, 2\n3 ,4", [[1, 2], [3, 4]]),
        ("007", [7.0]),
        ("a,b,c,d", [["a", "b", "c", "d"]]),
        ("elephant,emu", [["elephant", "emu"]]),
        ("e,1\nf,2", [["e", "1"], ["f", "2"]]),
        ("word\nother", ["word", "other"]),
        ("2020-01-31,5", [["2020-01-31", "5"]]),
        ("1.2.3.4", ["1.2.3.4"]),
        ('"a","b, c"', [["a", "b, c"]]),
        ('"say ""hi""","\\"ho\\"",3', [['say "hi"', '"ho"', 3]]),
        ('"1","2"', [["1", "2"]]),
        ('a,"b, c"', [["a", "b, c"]]),
        ('5" pipe,x', [['5" pipe', "x"]]),
        ("x,,y", [["x", "", "y"]]),
        ("1,abc", [[1, "abc"]]),
        ("ä,ö", [["ä", "ö"]]),
        ("[1],{2}", [["[1]", "{2}"]]),
    ],
)
def test_csv(body: str, instances: object) -> None:
    """A line is an instance: a list where it has a comma; all fields are strings where the first is neither number nor quoted."""
    assert rewritten(body, CSV) == {"instances": instances}


def test_csv_words_for_what_is_not_finite() -> None:
    """Nan and inf among numbers are the words that TensorFlow Serving reads."""
    assert document.rewrite(b"1,nan,-Inf,infinity", CSV) == b'{"instances":[[1,NaN,-Infinity,Infinity]]}'


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "empty"),
        (b" \n\r\n", "empty"),
        (b"1,,2", "line 1 field 2 is empty"),
        (b"1,2\n3,", "line 2 field 2 is empty"),
        (b'"a,b', "line 1: a quoted field is not closed"),
        (b'x\n"a"b,c', "line 2: a quoted field"),
        (b"\xff,1", "not valid utf-8 at byte 0"),
    ],
)
def test_malformed_csv(body: bytes, message: str) -> None:
    """CSV that cannot be read is a 400 that names the line."""
    with pytest.raises(BadRequest, match=message):
        document.rewrite(body, CSV)


@pytest.mark.parametrize("body", [b"", b" \n "])
def test_empty_json(body: bytes) -> None:
    """An empty body is a 400, in the words that AWS's tests of scripts look for."""
    with pytest.raises(BadRequest, match="document is empty"):
        document.rewrite(body, JSON)


def test_charset() -> None:
    """The charset of the Content-Type says how the body is read."""
    assert json.loads(bytes(document.rewrite('["é"]'.encode("latin-1"), f"{JSON}; charset=iso-8859-1"))) == {
        "instances": [["é"]]
    }


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", "image/png", "junk"])
def test_types_that_nothing_reads(content_type: str) -> None:
    """Other content types are a 415."""
    with pytest.raises(UnsupportedMediaType):
        document.check(content_type)
    with pytest.raises(UnsupportedMediaType):
        document.rewrite(b"[1]", content_type)


@pytest.mark.parametrize(
    "content_type",
    [
        "",
        *document.JSON_TYPES,
        "text/csv; header=absent",
        "application/x-npy",
        "application/x-npz",
        "application/x-tfs; message=Predict",
    ],
)
def test_types_that_are_read(content_type: str) -> None:
    """JSON in its three names, CSV, arrays and gRPC's messages are read, with parameters too."""
    document.check(content_type)


@fuzz
@given(
    table=st.lists(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=2, max_size=4), min_size=1, max_size=4)
)
def test_numbers_of_csv_keep_their_values(table: list[list[float]]) -> None:
    """Numbers in CSV are the same numbers in the document."""
    body = "\n".join(",".join(map(repr, row)) for row in table)
    assert rewritten(body, CSV) == {"instances": table}


field = st.text(st.characters(exclude_characters='\n\r\\"\x00', exclude_categories=["Cs"]), max_size=6)


@fuzz
@given(table=st.lists(st.lists(field, min_size=2, max_size=4), min_size=1, max_size=4))
def test_quoted_fields_keep_their_text(table: list[list[str]]) -> None:
    """Strings in quotes are the same strings in the document."""
    body = "\n".join(",".join(f'"{text}"' for text in row) for row in table)
    assert rewritten(body, CSV) == {"instances": table}


def test_a_hostile_field_is_read_in_one_go() -> None:
    """A field of many digits that is no number would take minutes if each way to split them were tried."""
    assert rewritten("1" * 1_000_000 + "x", CSV) == {"instances": ["1" * 1_000_000 + "x"]}


@fuzz
@given(
    body=st.binary(max_size=60) | st.text('[]{}",:1e-\n a', max_size=40).map(str.encode),
    content_type=st.sampled_from([JSON, CSV]),
)
def test_any_body_is_no_crash(body: bytes, content_type: str) -> None:
    """Whatever the body, it becomes a text to parse or a 400."""
    with contextlib.suppress(BadRequest):
        assert document.rewrite(body, content_type)
