"""The names of sagemaker_inference: what scripts import is there and does what it says."""

from __future__ import annotations

import importlib
import inspect
import io
import logging
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from serving import toolkit
from serving.errors import BadRequest, UserCodeError
from serving.handlers.context import Context, of_request
from serving.invocation import Request


def named(module: str) -> Any:
    """A module of the package, imported by its public name."""
    return importlib.import_module(f"sagemaker_inference.{module}")


NAMES = {
    "content_types": "JSON CSV OCTET_STREAM ANY NPY NPZ UTF8_TYPES",
    "parameters": "BASE_PATH_ENV USER_PROGRAM_ENV DEFAULT_INVOCATIONS_ACCEPT_ENV MODEL_SERVER_WORKERS_ENV BIND_TO_PORT_ENV",
    "decoder": "decode",
    "encoder": "encode SUPPORTED_CONTENT_TYPES",
    "errors": "UnsupportedFormatError BaseInferenceToolkitError GenericInferenceToolkitError",
    "default_inference_handler": "DefaultInferenceHandler",
    "default_handler_service": "DefaultHandlerService",
    "transformer": "Transformer",
    "environment": "Environment model_dir code_dir base_dir",
    "logging": "get_logger configure_logger",
    "model_server": "start_model_server",
    "utils": "read_file write_file retrieve_content_type_header parse_accept remove_crlf",
}


@pytest.mark.parametrize("module", NAMES)
def test_public_names(module: str) -> None:
    """Each module has the names that scripts import from it, and is ours."""
    found = named(module)
    assert Path(found.__file__).is_relative_to(toolkit.FOLDER)
    assert [name for name in NAMES[module].split() if not hasattr(found, name)] == []


@pytest.mark.parametrize(
    ("function", "parameters"),
    [
        ("default_inference_handler.DefaultInferenceHandler.default_model_fn", ["self", "model_dir", "context"]),
        (
            "default_inference_handler.DefaultInferenceHandler.default_input_fn",
            ["self", "input_data", "content_type", "context"],
        ),
        ("default_inference_handler.DefaultInferenceHandler.default_predict_fn", ["self", "data", "model", "context"]),
        ("default_inference_handler.DefaultInferenceHandler.default_output_fn", ["self", "prediction", "accept", "context"]),
        ("transformer.Transformer.transform", ["self", "data", "context"]),
        ("transformer.Transformer.validate_and_initialize", ["self", "model_dir", "context"]),
        ("decoder.decode", ["obj", "content_type"]),
        ("encoder.encode", ["array_like", "content_type"]),
        ("model_server.start_model_server", ["handler_service"]),
    ],
)
def test_signatures(function: str, parameters: list[str]) -> None:
    """The parameters are the toolkit's, by name: scripts pass them by keyword."""
    module, *path = function.split(".")
    target = named(module)
    for name in path:
        target = getattr(target, name)
    assert list(inspect.signature(target).parameters) == parameters


def test_decoder_of_objects_and_mixed_lists() -> None:
    """JSON that is no array of numbers is what numpy makes of it, as in the toolkit."""
    decode = named("decoder").decode
    assert decode('{"a": [1]}', "application/json").item() == {"a": [1]}
    assert decode('[{"a": 1}, {"a": 2}]', "application/json").tolist() == [{"a": 1}, {"a": 2}]
    assert decode('[1, "a"]', "application/json").tolist() == ["1", "a"]


@pytest.mark.parametrize(
    ("body", "content_type"),
    [("[[1", "application/json"), ("[[1], [2, 3]]", "application/json"), ("{", "application/json"), ("", "application/json"),
     ("1,2\n3", "text/csv"), (b"nonsense", "application/x-npy"), (b"nonsense", "application/x-npz")],
)  # fmt: skip
def test_decoder_of_malformed_bodies(body: str | bytes, content_type: str) -> None:
    """A body that is not what its type says is the client's fault."""
    with pytest.raises(BadRequest):
        named("decoder").decode(body, content_type)


def test_decoder_runs_no_pickle(tmp_path: Path) -> None:
    """An NPY body with a pickle in it is refused, and what it would do does not happen."""

    class Trap:
        """Writes a file when it is unpickled."""

        def __reduce__(self) -> Any:
            return (Path(tmp_path / "sprung").write_text, ("x",))

    stream = io.BytesIO()
    np.save(stream, np.array([Trap()], dtype=object), allow_pickle=True)
    with pytest.raises(BadRequest):
        named("decoder").decode(stream.getvalue(), "application/x-npy")
    assert not (tmp_path / "sprung").exists()


SPARSE = """
import io, numpy as np
from scipy import sparse
from serving import toolkit
toolkit.install(first=True)
from sagemaker_inference import decoder
dense = np.array([[0.0, 1.0], [2.0, 0.0]])
for kind in ("csr", "csc", "coo", "bsr", "dia"):
    stream = io.BytesIO()
    sparse.save_npz(stream, getattr(sparse, kind + "_matrix")(dense))
    matrix = decoder.decode(stream.getvalue(), "application/x-npz")
    assert matrix.format == kind, (kind, matrix.format)
    assert (matrix.toarray() == dense).all(), kind
"""


def test_decoder_of_sparse_matrices() -> None:
    """NPZ bodies are the sparse matrices that scipy saved, of every kind."""
    # In a process of its own: MXNet, imported after scipy, warns at every array.
    done = subprocess.run(
        [sys.executable, "-c", SPARSE], cwd=Path(__file__).parents[4], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_arrays_may_be_written_into() -> None:
    """What the decoder gives can be changed in place."""
    for body, content_type in ((b"[1.5]", "application/json"), (b"1.5,2\n3,4", "text/csv")):
        array = named("decoder").decode(body, content_type)
        array *= 2
        assert array.flat[0] == 3


@pytest.mark.parametrize(("module", "call"), [("decoder", "decode"), ("encoder", "encode")])
def test_unsupported_formats(module: str, call: str) -> None:
    """Another content type is the toolkit's own error, with the toolkit's first words."""
    with pytest.raises(
        named("errors").UnsupportedFormatError, match="Content type image/png is not supported by this framework"
    ):
        getattr(named(module), call)(b"[1]", "image/png")


def test_encoder_types() -> None:
    """JSON and CSV are str, NPY is bytes; NaN is null; what has no JSON is the script's fault."""
    encode = named("encoder").encode
    assert encode([1, {"a": np.array([2.5])}, float("nan")], "application/json") == '[1,{"a":[2.5]},null]'
    assert encode([[1, 2], [3, 4]], "text/csv").split() == ["1,2", "3,4"]
    assert np.load(io.BytesIO(encode([1.5], "application/x-npy"))).tolist() == [1.5]
    with pytest.raises(UserCodeError):
        encode(object(), "application/json")


def test_errors_carry_their_fields() -> None:
    """The status, message and phrase that were given, or the toolkit's own text."""
    errors = named("errors")
    given = errors.BaseInferenceToolkitError(418, "message", "phrase")
    assert (given.status_code, given.message, given.phrase) == (418, "message", "phrase")
    generic = errors.GenericInferenceToolkitError(400)
    assert (generic.status_code, generic.message, generic.phrase) == (400, "Invalid Request", "Invalid Request")


def test_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The platform's variables are read, and the folder is the one that is served."""
    monkeypatch.setenv("SAGEMAKER_PROGRAM", "predictor.py")
    monkeypatch.setenv("SAGEMAKER_MAX_PAYLOAD_IN_MB", "2")
    monkeypatch.delenv("SAGEMAKER_MODEL_SERVER_TIMEOUT", raising=False)
    monkeypatch.delitem(sys.modules, "sagemaker_inference.environment", raising=False)  # it reads at import, as the real one
    toolkit.install(tmp_path)
    environment = named("environment")
    found = environment.Environment()
    assert (found.module_name, found.model_server_timeout, found.max_request_size) == ("predictor", 60, 2 << 20)
    assert (environment.model_dir, environment.code_dir) == (str(tmp_path), str(tmp_path / "code"))


def test_utils(tmp_path: Path) -> None:
    """Files, headers and strings are read as the toolkit reads them."""
    utils = named("utils")
    utils.write_file(str(tmp_path / "f"), "text")
    assert utils.read_file(str(tmp_path / "f")) == "text"
    assert utils.retrieve_content_type_header({"Accept": "a", "ContentType": "b"}) == "b"
    assert utils.retrieve_content_type_header({}) is None
    assert utils.parse_accept("a/b, c/d") == ["a/b", "c/d"]
    assert utils.remove_crlf("a\r\nb") == "a  b"


def test_logger() -> None:
    """The toolkit's logger has its name, and a handler with the time once it is configured."""
    log = named("logging")
    before = list(logging.getLogger("sagemaker-inference").handlers)
    log.configure_logger()
    assert len(log.get_logger().handlers) == len(before) + 1
    log.get_logger().handlers[:] = before


def test_transformer_of_a_handler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A Transformer answers with the handler's defaults, sets the type, and puts a fault's status on the context."""
    monkeypatch.setenv("SAGEMAKER_PROGRAM", "no_such_script_here.py")

    base_class: Any = named("default_inference_handler").DefaultInferenceHandler

    class Handler(base_class):  # type: ignore[misc]
        """Doubles."""

        def default_model_fn(self, model_dir: str) -> int:
            """The factor."""
            return 2

        def default_predict_fn(self, data: Any, model: int, context: Any) -> Any:
            """The product."""
            return data * model

    handler = Handler()
    transformer = named("transformer").Transformer(handler)
    base = Context("m", str(tmp_path))
    good = of_request(base, Request(b"[1]", "application/json", "text/plain, text/csv"))
    assert [text.strip() for text in transformer.transform([{"body": b"[1]"}], good)] == ["2"]
    assert good.get_response_content_type(0) == "text/csv"
    bad = of_request(base, Request(b"[", "application/json"))
    assert "Traceback" not in transformer.transform([{"body": b"["}], bad)[0]
    assert bad.get_response_status(0)[0] == 400


def test_abstract_defaults() -> None:
    """The plain handler says which functions a script must bring."""
    handler = named("default_inference_handler").DefaultInferenceHandler()
    for call in (lambda: handler.default_model_fn("/d"), lambda: handler.default_predict_fn(1, 2)):
        with pytest.raises(NotImplementedError, match="Please provide a"):
            call()  # type: ignore[no-untyped-call]
