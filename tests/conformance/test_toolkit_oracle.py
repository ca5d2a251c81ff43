"""Well-formed input gets the answer that AWS's inference toolkit 1.10.1 gives: decoder, encoder, and a whole script."""

from __future__ import annotations

import base64
import io
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from serving import codecs, toolkit
from serving.testing import Client

HERE = Path(__file__).parent
JSON, CSV, NPY = "application/json", "text/csv", "application/x-npy"
ARRAYS = {
    "row": np.array([1.5, -2.0, 3.25]),
    "column": np.array([[1.5], [2.5], [-4.0]]),
    "one": np.array([[7.5]]),
    "rows": np.array([[1.5, 2.0], [3.0, -4.5], [0.0, 1e-7]]),
    "integers": np.array([[1, 2, 3], [4, 5, 6]]),
    "floats32": np.array([[0.1, 0.2], [0.3, 1e10]], np.float32),
    "images": np.arange(24, dtype=np.float64).reshape(2, 3, 4) / 8,
    "booleans": np.array([[True, False], [False, True]]),
}
ACCEPTS = ["", "*/*", JSON, CSV, NPY, f"{CSV}, {JSON}", f"image/png,{NPY}", f"application/xml , {JSON} , {CSV}"]


def body_of(array: np.ndarray[Any, Any], content_type: str) -> bytes:
    """A request body as a client that knows nothing of us writes it."""
    if content_type == JSON:
        return json.dumps(array.tolist()).encode()
    stream = io.BytesIO()
    if content_type == NPY:
        np.save(stream, array)
    else:
        np.savetxt(stream, np.atleast_2d(array), delimiter=",", fmt="%r")
    return stream.getvalue()


def well_formed() -> Iterator[tuple[str, str]]:
    """Every array in every type that can carry it."""
    for name, array in ARRAYS.items():
        for content_type in (JSON, CSV, NPY):
            if content_type != CSV or (array.ndim <= 2 and array.dtype.kind != "b"):
                yield name, content_type


@pytest.fixture(scope="module")
def ask(toolkit_oracle: Path) -> Any:
    """A function that puts cases to the real toolkit, all in one process."""

    def put(cases: list[dict[str, Any]]) -> list[dict[str, Any]]:
        env = dict(os.environ, PYTHONPATH=f"{toolkit_oracle}{os.pathsep}{HERE / 'scripts'}")
        command = [sys.executable, str(HERE / "oracle.py")]
        done = subprocess.run(command, input=json.dumps(cases), capture_output=True, text=True, env=env, check=False)
        assert done.returncode == 0, done.stderr
        answers: list[dict[str, Any]] = json.loads(done.stdout)
        return answers

    return put


@pytest.fixture
def ours() -> Iterator[None]:
    """Our toolkit names first on the path, and gone from `sys.modules` afterwards."""
    path, before = list(sys.path), set(sys.modules)
    toolkit.install(first=True)
    yield
    sys.path[:] = path
    for name in set(sys.modules) - before:
        if name.partition(".")[0] in toolkit.PACKAGES:
            del sys.modules[name]


def read(body: bytes, content_type: str) -> np.ndarray[Any, Any]:
    """An answer's array, flat where its type does not keep a shape of one row or column."""
    (array,) = codecs.decode(body, content_type, None, 1 << 20).values()
    return np.squeeze(array) if content_type == CSV else array


@pytest.mark.usefixtures("ours")
def test_decoder(ask: Any) -> None:
    """`decoder.decode` gives the array that the toolkit gives, in its shape and its kind of numbers."""
    from sagemaker_inference import decoder

    cases = list(well_formed())
    sent = [body_of(ARRAYS[name], content_type) for name, content_type in cases]
    asked = [{"do": "decode", "type": t, "body": base64.b64encode(b).decode()} for (_, t), b in zip(cases, sent, strict=True)]
    for (name, content_type), body, expected in zip(cases, sent, ask(asked), strict=True):
        array = decoder.decode(body if content_type == NPY else body.decode(), content_type)
        assert list(array.shape) == expected["shape"], (name, content_type)
        np.testing.assert_allclose(array, np.array(expected["array"]), err_msg=f"{name} {content_type}")
        if content_type != CSV:  # the toolkit types each CSV column by itself; ours are numbers of one kind
            assert array.dtype.kind == expected["kind"], (name, content_type)


@pytest.mark.usefixtures("ours")
def test_encoder(ask: Any) -> None:
    """`encoder.encode` writes a body that reads as the toolkit's does."""
    from sagemaker_inference import encoder

    cases = [(name, t) for name, t in well_formed() if not (t == CSV and name == "images")]
    asked = [{"do": "encode", "accept": t, "array": ARRAYS[n].tolist(), "dtype": ARRAYS[n].dtype.str} for n, t in cases]
    for (name, content_type), expected in zip(cases, ask(asked), strict=True):
        body = encoder.encode(ARRAYS[name], content_type)
        theirs = base64.b64decode(expected["body"])
        assert isinstance(body, bytes if content_type == NPY else str)
        body = body if isinstance(body, bytes) else body.encode()
        assert read(body, content_type).shape == read(theirs, content_type).shape, (name, content_type)
        np.testing.assert_allclose(read(body, content_type), read(theirs, content_type), rtol=1e-6)


def test_script(ask: Any, tmp_path: Path) -> None:
    """A script of model_fn and predict_fn answers as in the toolkit, over content types and Accept headers."""
    (tmp_path / "code").mkdir()
    shutil.copy(HERE / "scripts" / "inference.py", tmp_path / "code")
    cases = [
        (name, content_type, accept)
        for name, content_type in well_formed()
        for accept in ACCEPTS
        # The toolkit writes no CSV of three axes, or of a single number.
        if not (accept.startswith(CSV) and (name == "images" or (content_type == CSV and name == "one")))
    ]
    sent = [base64.b64encode(body_of(ARRAYS[name], t)).decode() for name, t, _ in cases]
    asked = [{"do": "invoke", "type": t, "accept": a, "body": b} for (_, t, a), b in zip(cases, sent, strict=True)]
    with Client(tmp_path) as client:
        for (name, content_type, accept), expected in zip(cases, ask(asked), strict=True):
            reply = client.invocations(body_of(ARRAYS[name], content_type), content_type, accept)
            case = (name, content_type, accept, reply.text[:200] if reply.status != 200 else "")
            assert (reply.status, reply.content_type) == (expected["status"], expected["type"]), case
            theirs = read(base64.b64decode(expected["body"]), expected["type"])
            ours = read(reply.body, reply.content_type)
            assert ours.shape == theirs.shape, case
            np.testing.assert_allclose(ours, theirs, rtol=1e-6, err_msg=str(case))
