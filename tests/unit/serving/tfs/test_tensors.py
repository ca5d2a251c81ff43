"""Predict bodies into typed arrays: TensorFlow Serving's forms, its words, and everything that is refused."""

from __future__ import annotations

import json
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serving.backends.tensorflow import SignatureDef
from serving.errors import BadRequest
from serving.invocation import Array, Inputs
from serving.tfs import answers, tensors
from tests.unit.serving.codecs.contract import edited, edits, fuzz
from tests.unit.serving.tfs.signatures import signature

SEVERAL = signature(a="float32", b="int64", s="object")


def read(body: str | bytes, model: SignatureDef) -> tensors.Parsed:
    """The body's tensors, for a model of this signature alone."""
    return tensors.predict(body.encode() if isinstance(body, str) else body, lambda name: model)


def values_of(inputs: Inputs) -> dict[str, Any]:
    """Arrays as lists."""
    return {name: array.tolist() for name, array in inputs.items()}


@pytest.mark.parametrize(
    ("body", "is_row", "expected"),
    [
        ('{"instances": [[1, 2.5], [3, 4]]}', True, [[1, 2.5], [3, 4]]),
        ('{"instances": [1.0, 2.0, 5.0]}', True, [1, 2, 5]),
        ('{"instances": [1, 2]}', True, [1, 2]),
        ('{"instances": [{"x": [1.0]}, {"x": [2.0]}]}', True, [[1], [2]]),
        ('{"instances": [{"x": 1.0}, {"x": 2.0}]}', True, [1, 2]),
        ('{"inputs": [[[1]]]}', False, [[[1]]]),
        ('{"inputs": 1.5}', False, 1.5),
        ('{"inputs": {"x": [1.5]}}', False, [1.5]),
        ('{"inputs": {"x": [1.5], "unknown": "a"}}', False, [1.5]),
        ('{"instances": [1.0, NaN]}', True, [1, np.nan]),
        ('{"instances": [Infinity, -Inf]}', True, [np.inf, -np.inf]),
        ('{"instances": [100000000000000000000000]}', True, [np.float32(1e23)]),
        ('{"instances": [1e300, -1e300]}', True, [np.inf, -np.inf]),
        ('{"instances": [1e300, NaN]}', True, [np.inf, np.nan]),
        ('{"instances": [1e-300]}', True, [0]),
        ('{"instances": [16777217]}', True, [16777216]),
        ('{"instances": [1], "other": {"deep": [1, [2]]}}', True, [1]),
        ('\ufeff{"instances": [1]}', True, [1]),
        ('{"instances": [[], []]}', True, [[], []]),
    ],
)
def test_forms_of_one_input(body: str, is_row: bool, expected: Any) -> None:
    """Rows and columns, named and not, give the only input in its dtype."""
    parsed = read(body, signature("float32"))
    assert (parsed.signature, parsed.is_row, list(parsed.inputs)) == ("", is_row, ["x"])
    assert parsed.inputs["x"].dtype == np.float32
    np.testing.assert_array_equal(parsed.inputs["x"], np.array(expected, np.float32))


@pytest.mark.parametrize(
    "body",
    [
        '{"instances": [{"a": [1, 2], "b": 5, "s": "u"}, {"s": "v", "b": 6, "a": [3, 4]}]}',
        '{"inputs": {"a": [[1, 2], [3, 4]], "b": [5, 6], "s": ["u", {"b64": "dg=="}]}}',
    ],
)
def test_forms_of_several_inputs(body: str) -> None:
    """Rows of objects are stacked by name; columns come by name; every input has its own dtype."""
    inputs = read(body, SEVERAL).inputs
    assert values_of(inputs) == {"a": [[1, 2], [3, 4]], "b": [5, 6], "s": [b"u", b"v"]}
    assert [array.dtype for array in inputs.values()] == [np.float32, np.int64, object]


def test_columns_of_numbers_alone() -> None:
    """Columns of several inputs need no common first axis."""
    model = signature(a="float32", b="int32")
    assert values_of(read('{"inputs": {"b": [1, 2], "a": [[0.5]]}}', model).inputs) == {"a": [[0.5]], "b": [1, 2]}


@pytest.mark.parametrize(
    "body",
    [
        '{"signature_name": "other", "instances": [[1, 2]]}',
        '{"instances": [[1, 2]], "signature_name": "other"}',
        '{ "signature_name" : "other" ,\n"inputs": {"x": [[1, 2]]}}',
        '{"signature_name": "o\\u0074her", "instances": [[1, 2]]}',
        '{"signature_name": "other", "instances": [[1, 2]], "x": 1}',
    ],
)
def test_signature_is_chosen_by_name(body: str) -> None:
    """The signature that the body names is asked for, and named in what comes back."""
    asked = []

    def signature_of(name: str) -> SignatureDef:
        asked.append(name)
        return signature("float32")

    parsed = tensors.predict(body.encode(), signature_of)
    assert (set(asked), parsed.signature, parsed.inputs["x"].tolist()) == ({"other"}, "other", [[1, 2]])


def test_unknown_signature() -> None:
    """What the look-up of a signature raises comes through."""

    def signature_of(name: str) -> SignatureDef:
        raise BadRequest(f"no signature {name}")

    with pytest.raises(BadRequest, match="no signature other"):
        tensors.predict(b'{"signature_name": "other", "instances": [1]}', signature_of)


@pytest.mark.parametrize(
    ("dtype", "body", "expected"),
    [
        ("float64", "[0.1, 9007199254740993]", [0.1, 9007199254740992.0]),
        ("float16", "[0.1, 1e9]", [np.float16(0.1), np.inf]),
        (ml_dtypes.bfloat16, "[1.5, 3]", [1.5, 3]),
        (ml_dtypes.float8_e5m2, "[1.5]", [1.5]),
        ("int64", "[9223372036854775807, -9223372036854775808]", [2**63 - 1, -(2**63)]),
        ("int32", "[[2147483647]]", [[2**31 - 1]]),
        ("uint8", "[0, 255]", [0, 255]),
        ("uint64", "[18446744073709551615, 0]", [2**64 - 1, 0]),
        (ml_dtypes.int4, "[-8, 7]", [-8, 7]),
        ("bool", "[[true], [false]]", [[True], [False]]),
        ("object", '["a", {"b64": "/w=="}]', [b"a", b"\xff"]),
        ("object", '[["a"], ["b"]]', [[b"a"], [b"b"]]),
    ],
)
@pytest.mark.parametrize("form", ["instances", "inputs"])
def test_dtypes(form: str, dtype: Any, body: str, expected: Any) -> None:
    """Every dtype that has a form in JSON is read, without losing a digit that it can hold."""
    array = read(f'{{"{form}": {body}}}', signature(dtype)).inputs["x"]
    assert array.dtype == np.dtype(dtype)
    assert array.tolist() == expected


def test_whole_numbers_become_floats_by_way_of_doubles() -> None:
    """A whole number is rounded to a double and that to a float, as TensorFlow Serving's parser does."""
    number = 9007199791611905
    assert float(np.float32(np.float64(number))) != float(np.float32(np.int64(number)))
    assert read(f'{{"instances": [{number}]}}', signature("float32")).inputs["x"][0] == np.float32(np.float64(number))


ELEMENT = r"Failed to process element: %d of 'instances' list\. Error: Invalid argument: "
KEY = r"Failed to process element: %d key: %s of 'instances' list\. Error: Invalid argument: "


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ('{"instances": ["]["]}', ELEMENT % 0 + r'JSON Value: "\]\[" Type: String is not of expected type: float$'),
        ('{"instances": [1, 2, "a"]}', ELEMENT % 2 + 'JSON Value: "a" Type: String'),
        ('{"instances": [true]}', ELEMENT % 0 + "JSON Value: true Type: True"),
        ('{"instances": [[1, null]]}', ELEMENT % 0 + "JSON Value: null Type: Null"),
        ('{"instances": [[1, 2], [3]]}', ELEMENT % 1 + "a list of 1 stands where a list of 2 is due"),
        ('{"instances": [[1, 2], 3]}', ELEMENT % 1 + "JSON Value: 3 stands where a list of 2 is due"),
        ('{"instances": [1, [2]]}', ELEMENT % 1 + "a list of 1 stands where a single value is due"),
        ('{"instances": [{"junk": "data"}]}', KEY % (0, "junk") + "the model has no such input; it has x"),
        ('{"instances": [{"x": 1}, {"x": 1, "junk": 1}]}', KEY % (1, "junk")),
        ('{"instances": [{"x": 1}, {}]}', ELEMENT % 1 + r"the inputs \['x'\] are missing"),
        ('{"instances": [{"x": 1}, {"x": "a"}]}', KEY % (1, "x") + 'JSON Value: "a" Type: String'),
        ('{"instances": [{"x": [1]}, {"x": [1, 2]}]}', KEY % (1, "x") + "a list of 2"),
        ('{"instances": [1, {"x": 2}]}', "element 1 of 'instances' has names"),
        ('{"instances": [{"x": 2}, 1]}', "element 1 of 'instances' lacks names"),
        ('{"instances": [{"b64": "aGk="}]}', ELEMENT % 0 + r'JSON Value: \{"b64":"aGk="\} Type: Object'),
        ('{"instances": []}', "'instances' is empty"),
        ('{"instances": {}}', r"'instances' is \{\}: expected a list"),
        ('{"instances": "invalid"}', '"invalid": expected a list'),
        ('{"instances": [1], "inputs": [1]}', "both 'instances' and 'inputs'"),
        ('{"inputs": [[1, 2], [3]]}', "key: x of 'inputs'.*a list of 1"),
        ('{"inputs": {"y": [1]}}', "'inputs' lacks 'x'"),
        ('{"inputs": {}}', "'inputs' lacks 'x'"),
        ('{"inputs": null}', "JSON Value: null Type: Null"),
        ('{"inputs": {"b64": "aGk="}}', "Type: Object is not of expected type: float"),
        ('{"x": [1]}', r'neither \'instances\' nor \'inputs\' among the keys \["x"\]'),
        ('{"signature_name": 5, "instances": [1]}', "'signature_name' is 5: expected a string"),
        ('{"signature_name": null, "instances": [1]}', "'signature_name' is null"),
        ("[1, 2]", r"\[1,2\] is not an object"),
        ("5", "5 is not an object"),
        ('{"instances":[whatever]}', "JSON Parse error at line 1 column 15"),
        ('{"instances": [1]} {"instances": [2]}', "unexpected content after document"),
        ('{"instances": [1], "instances": [2]}', 'key "instances" is repeated'),
        ('{"signature_name": "a", "instances": [1], "signature_name": "b"}', "is repeated"),
        ('{"instances": [1e999]}', "JSON Parse error"),
        ('{"instances": ' + "[" * 33 + "1" + "]" * 33 + "}", "nested deeper than 32"),
        ('{"instances": ' + "[" * 500 + "1" + "]" * 500 + "}", "nested deeper than 32"),
        ('{"instances": ' + "[" * 10_000 + "]" * 10_000 + "}", "depth"),
        ('{"instances": ' + "[" * 3_000_000, "depth"),
        ('{"instances": [' + "[]," * 100_000 + "1]}", ELEMENT % 100_000),
        ('{"instances": [' + "1," * 300_000 + '"a"]}', ELEMENT % 300_000),
        ('{"instances": ["' + "x" * 1_000_000 + '"]}', "xxx"),
        ("", "document is empty"),
        (b'{"instances": ["\xff"]}', "not UTF-8"),
    ],
)
def test_refused(body: str | bytes, message: str) -> None:
    """What a float input does not take is a short 400 that says which element, what was found and what was expected."""
    with pytest.raises(BadRequest, match=message) as caught:
        read(body, signature("float32"))
    assert len(caught.value.message) < 250


@pytest.mark.parametrize(
    ("dtype", "body", "message"),
    [
        ("int32", "[1.0]", "JSON Value: 1.0 Type: Number is not of expected type: int32"),
        ("int32", "[1, 2147483648]", "JSON Value: 2147483648 Type: Number"),
        ("uint8", "[-1]", "JSON Value: -1 Type: Number is not of expected type: uint8"),
        ("int64", "[9223372036854775808]", "JSON Value: 9223372036854775808 Type: Number"),
        ("uint64", "[18446744073709551616]", "Type: Number is not of expected type: uint64"),
        ("bool", "[1, 0]", "JSON Value: 1 Type: Number is not of expected type: bool"),
        ("object", "[1]", "JSON Value: 1 Type: Number is not of expected type: string"),
        ("object", '[{"b64": "!"}]', "is not bytes in base64"),
        ("complex64", "[1]", "no form for tensors of type complex64"),
    ],
)
def test_values_of_other_types(dtype: str, body: str, message: str) -> None:
    """Each dtype refuses what is not of it."""
    with pytest.raises(BadRequest, match=message):
        read(f'{{"instances": {body}}}', signature(dtype))


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ('{"instances": [1, 2]}', "'instances' is a list of values: expected objects with the inputs a, b, s"),
        ('{"instances": ["x"]}', "expected objects"),
        ('{"inputs": [1, 2]}', "'inputs' is one value: expected an object with the inputs a, b, s"),
        ('{"inputs": {"b64": "aGk="}}', "'inputs' is one value"),
        ('{"inputs": {"a": [1], "b": [2]}}', "'inputs' lacks 's'"),
        ('{"instances": [{"a": 1, "b": 2}]}', r"the inputs \['s'\] are missing"),
        ('{"instances": [{"a": 1, "b": 2.5, "s": "x"}]}', KEY % (0, "b") + "JSON Value: 2.5"),
    ],
)
def test_several_inputs_must_be_named(body: str, message: str) -> None:
    """A model of several inputs needs them by name, all of them."""
    with pytest.raises(BadRequest, match=message):
        read(body, SEVERAL)


def test_no_inputs() -> None:
    """A signature without inputs cannot be asked by JSON."""
    with pytest.raises(BadRequest, match="has no inputs"):
        read('{"instances": [1]}', SignatureDef("s", "", (), ()))


SAMPLES = (
    b'{"instances": [[1.5, 2], [3, -4e2]]}',
    b'{"signature_name": "s", "instances": [{"x": 1}, {"x": 2}]}',
    b'{"inputs": {"x": [[1, NaN], [3, 4]]}}',
    b'{"instances": ["a:b", {"b64": "aGk="}]}',
    b'{"inputs": [true, false], "k": {"a": [null, "\\u00e9"]}}',
)


def outcome(body: bytes | memoryview, model: SignatureDef) -> Inputs | BadRequest:
    """The body's tensors, or the 400 that it is. Anything else is raised."""
    try:
        return tensors.predict(body, lambda name: model).inputs
    except BadRequest as error:
        return error


def try_to_read(body: bytes) -> None:
    """Assert that a body is read as arrays of the model's dtype, or is a short 400, for models of each kind."""
    for model in (signature("float32"), signature("int8"), signature("object"), signature("bool"), SEVERAL):
        for text in (body, memoryview(b"x" + body + b"x")[1:-1]):
            found = outcome(text, model)
            if isinstance(found, BadRequest):
                assert 0 < len(found.message) < 300
            else:
                assert {name: array.dtype for name, array in found.items()} == {i.name: i.dtype for i in model.inputs}


@fuzz
@given(changes=edits, which=st.integers(0, 100))
def test_edited_bodies_are_no_crash(changes: list[tuple[int, int, bytes]], which: int) -> None:
    """A well-formed body with a few wrong bytes is arrays or a 400."""
    try_to_read(edited(SAMPLES[which % len(SAMPLES)], changes))


any_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.just({"b64": "aGk="}),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(["x", "a", "b", "s", "b64", ""]), inner, max_size=3)
    ),
    max_leaves=10,
)


@fuzz
@given(value=any_json, key=st.sampled_from(["instances", "inputs", "junk"]))
def test_any_value_is_no_crash(value: object, key: str) -> None:
    """Any JSON value in the place of the tensors is arrays or a 400."""
    try_to_read(json.dumps({key: value}).encode())


NUMERIC = (
    b'{"instances": [{"x": [1, 2]}, {"x": [3, 4]}]}',
    b'{"instances": [ { "x" : [[1.5], [2]] } ] } ',
    b'{"instances": [{"x": 1}, {"x": 2}, {"x": 3}]}',
    b'{"signature_name": "s", "instances": [[1, 2], [3, 4]]}',
    b'{"inputs": {"x": [[1, 2], [3, 4]]}}',
)
marks = st.lists(
    st.tuples(st.integers(20, 400), st.integers(0, 3), st.text('[]{}",:x12. -', min_size=1, max_size=4)), max_size=3
)


def same(one: Inputs | BadRequest, other: Inputs | BadRequest) -> bool:
    """Whether both are the same arrays, or both a 400."""
    if isinstance(one, BadRequest) or isinstance(other, BadRequest):
        return type(one) is type(other)
    return one.keys() == other.keys() and all(np.array_equal(one[name], other[name], equal_nan=True) for name in one)


@settings(fuzz, max_examples=200)
@given(changes=marks, which=st.integers(0, 100))
def test_the_fast_way_reads_what_the_slow_way_reads(changes: list[tuple[int, int, str]], which: int) -> None:
    """A body of numbers, whole or broken, is the same with a key in front of it, which keeps it from the fast way."""
    body = edited(NUMERIC[which % len(NUMERIC)], [(at, removed, added.encode()) for at, removed, added in changes])
    slow = body.replace(b"{", b'{"k": 1, ', 1)
    for model in (signature("float32"), signature("int64")):
        assert same(outcome(body, model), outcome(slow, model)), body


@pytest.mark.parametrize(
    "body",
    [
        b'{"instances": [{"x": [1}, {"x": 2],[3, 4]}]}',
        b'{"instances": [{"x": [1, 2],[3}, {"x": 4],[5, 6]}]}',
        b'{"instances": [{"x": [1, 2]}, {"x": [3, 4]}]}]}',
        b'{"instances": [{"x": [1], "x": [2]}]}',
        b'{"instances": [{"x": ]}',
    ],
)
def test_broken_rows_stay_broken(body: bytes) -> None:
    """Rows whose brackets would fit together only without what stands between them are a 400."""
    assert isinstance(outcome(body, signature("float32")), BadRequest)


regular = st.lists(st.lists(st.floats(width=32), min_size=2, max_size=2), min_size=1, max_size=4)


@fuzz
@given(rows=regular)
def test_fast_and_slow_way_agree(rows: list[list[float]]) -> None:
    """Rows of numbers are the same arrays whether they come plain, named or beside another key."""
    text = json.dumps(rows)
    plain = read(f'{{"instances": {text}}}', signature("float32")).inputs["x"]
    beside = read(f'{{"instances": {text}, "k": 1}}', signature("float32")).inputs["x"]
    named = read(json.dumps({"instances": [{"x": row} for row in rows]}), signature("float32")).inputs["x"]
    np.testing.assert_array_equal(plain, np.array(rows, np.float32))
    np.testing.assert_array_equal(plain, beside)
    np.testing.assert_array_equal(plain, named)


@fuzz
@given(rows=regular, dtype=st.sampled_from(["float32", "float64"]))
def test_answers_read_back(rows: list[list[float]], dtype: str) -> None:
    """What row form writes reads back as the same array to the last bit."""
    array = np.array(rows, dtype)
    text = answers.row({"y": array}).replace(b'"predictions"', b'"instances"')
    np.testing.assert_array_equal(read(text, signature(dtype)).inputs["x"], array)


@pytest.mark.parametrize(
    ("found", "dtype", "expected"),
    [
        (np.array([[1.5, 2]]), "float32", [[1.5, 2]]),
        (np.array([1e300]), "float32", [np.inf]),
        (np.array([1, 2]), "float64", [1, 2]),
        (np.array([1.0, 2.0]), "int32", [1, 2]),
        (np.array([1, 255], np.int64), "uint8", [1, 255]),
        (np.array([True]), "bool", [True]),
        (np.array([True]), "int32", [1]),
        (np.array([["a", "é"]]), "object", [[b"a", "é".encode()]]),
        (np.array([b"a\xff"]), "object", [b"a\xff"]),
        (np.array([1.5]), ml_dtypes.bfloat16, [1.5]),
        (np.array([1 + 2j]), "complex128", [1 + 2j]),
    ],
)
def test_arrays_of_other_types(found: Array, dtype: Any, expected: Any) -> None:
    """Arrays that came as NPY are taken in the signature's dtype where every value survives; floats overflow to infinity."""
    for name in ("", "x"):
        parsed = tensors.from_arrays({name: found}, signature(dtype))
        assert parsed.inputs["x"].dtype == np.dtype(dtype)
        assert (parsed.signature, parsed.is_row, parsed.inputs["x"].tolist()) == ("serving_default", True, expected)


@pytest.mark.parametrize(
    ("inputs", "model", "message"),
    [
        ({"": np.array([1.5])}, signature("int32"), "x is of type float64, or has values that int32 has not"),
        ({"": np.array([300])}, signature("uint8"), "uint8"),
        ({"": np.array([-1])}, signature("uint64"), "uint64"),
        ({"": np.array([1])}, signature("bool"), "bool"),
        ({"": np.array([1])}, signature("object"), "string"),
        ({"": np.array(["a"])}, signature("float32"), "float"),
        ({"": np.array(["\ud800"])}, signature("object"), "surrogate"),
        ({"y": np.array([1])}, signature("float32"), r"found \['y'\], expected \['x'\]"),
        ({"": np.array([1])}, SEVERAL, r"found one without a name, expected \['a', 'b', 's'\]"),
        ({}, signature("float32"), "wrong inputs"),
    ],
)
def test_arrays_that_do_not_fit(inputs: Inputs, model: SignatureDef, message: str) -> None:
    """Arrays of other names, or with values that the dtype has not, are a 400."""
    with pytest.raises(BadRequest, match=message):
        tensors.from_arrays(inputs, model)
