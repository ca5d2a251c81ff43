"""User functions composed around a model: which function stands where, what each is given, who fails alone."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from serving.errors import BadRequest, ModelError, NotAcceptable, UnsupportedMediaType
from serving.handlers import user_script
from serving.handlers.default_service import DefaultService
from serving.handlers.service import Options, ScriptService, compose
from serving.invocation import Inputs, Outputs, Request, Service, invoke
from serving.models.layout import Layout
from serving.models.signature import Signature, Tensor

OPTIONS = Options(Layout(Path("/m"), "script"))
TENSOR = Tensor("x", (None, 2), np.dtype("float32"))


class Doubling:
    """A loaded model that doubles, and remembers how many rows each pass had."""

    def __init__(self, *names: str) -> None:
        outputs = tuple(Tensor(name, None, np.dtype("float32")) for name in names or ("y",))
        self.signature = Signature((TENSOR,), outputs)
        self.passes: list[int] = []

    def forward(self, inputs: Inputs) -> Outputs:
        """Twice the input, under each output's name."""
        self.passes.append(len(inputs["x"]))
        return {tensor.name: inputs["x"] * 2 for tensor in self.signature.outputs}

    def close(self) -> None:
        """Nothing is held."""


def service(source: str, model: Doubling | None = None) -> Service:
    """The service of a script given as text around a model."""
    module = ModuleType("inference")
    exec(compile(source, "/m/code/inference.py", "exec"), module.__dict__)
    return compose(model, user_script.from_module(module, Path("/m/code/inference.py")), OPTIONS)


def ask(composed: Service, *bodies: bytes, content_type: str = "application/json", accept: str = "") -> list[Any]:
    """(status, body) of each of the requests, sent together."""
    replies = invoke(composed, [Request(body, content_type, accept, id=str(at)) for at, body in enumerate(bodies)])
    return [(reply.status, reply.body) for reply in replies]


def test_no_script_is_the_default_service() -> None:
    """Without a function of the user the hot path has nothing of scripts in it."""
    assert type(compose(Doubling(), None, OPTIONS)) is DefaultService
    assert type(service("x = 1", Doubling())) is DefaultService


def test_nothing_to_serve() -> None:
    """Neither a model nor a function is an error at load."""
    with pytest.raises(ModelError, match="holds no model"):
        compose(None, None, OPTIONS)


def test_requests_with_an_own_input_fn_share_a_pass() -> None:
    """What input_fn makes of several requests is stacked as the default's is, and each gets its own answer."""
    model = Doubling()
    composed = service("import json\ndef input_fn(data, content_type): return json.loads(data)['rows']", model)
    answers = ask(composed, b'{"rows": [[1, 2]]}', b'{"rows": [[3, 4], [5, 6]]}')
    assert answers == [(200, b"[[2.0,4.0]]"), (200, b"[[6.0,8.0],[10.0,12.0]]")]
    assert model.passes == [3]


def test_one_requests_fault_is_its_own() -> None:
    """An input_fn that raises for one request leaves the others their answers."""
    composed = service("import json\ndef input_fn(data, content_type): return json.loads(data)", Doubling())
    first, second, third = ask(composed, b"[[1,2]]", b"not json", b"[[1,2,3]]")
    assert first == (200, b"[[2.0,4.0]]")
    assert (second[0], b"input_fn: JSONDecodeError" in second[1]) == (500, True)
    assert (third[0], b"shape" in third[1]) == (400, True)


def test_own_predict_fn_answers_one_by_one() -> None:
    """A predict_fn is called for each request, and a fault in one is that one's."""
    composed = service("def model_fn(d): return 1\ndef predict_fn(data, model): return 1 / (data - model)")
    first, second = ask(composed, b"3", b'"text"')
    assert first == (200, b"0.5")
    assert second[0] == 500


def test_own_output_fn_gets_the_models_output() -> None:
    """Of a model of no framework: its array; of several outputs: the arrays by name."""
    source = "def output_fn(prediction, accept): return (repr(type(prediction).__name__), accept)"
    assert ask(service(source, Doubling()), b"[[1,2]]", accept="text/x") == [(200, b"'ndarray'")]
    assert ask(service(source, Doubling("a", "b")), b"[[1,2]]") == [(200, b"'dict'")]


def test_model_fn_may_return_a_loaded_model() -> None:
    """An object with a signature and a forward is run by the default predict."""
    module = ModuleType("inference")
    module.__dict__["model_fn"] = lambda model_dir: Doubling()
    composed = compose(None, user_script.from_module(module, Path("x.py")), OPTIONS)
    assert ask(composed, b"[[1,2]]") == [(200, b"[[2.0,4.0]]")]


def test_model_fn_returns_what_nobody_can_run() -> None:
    """Without a predict_fn an object of no known kind is an error at load that says what to add."""
    with pytest.raises(ModelError, match=r"type dict.*add a predict_fn"):
        service("def model_fn(d): return {}")


@pytest.mark.parametrize(("name", "parameters"), [("model_fn", "d"), ("pre_model_fn", "d"), ("model_warmup_fn", "d, m")])
@pytest.mark.parametrize(
    ("fault", "told"), [("raise OSError('no disk')", "OSError: no disk"), ("raise SystemExit(4)", "sys.exit(4)")]
)
def test_faults_at_load_end_the_start(name: str, parameters: str, fault: str, told: str) -> None:
    """A function of the load that raises, or exits, is a ModelError with its name."""
    source = f"def predict_fn(data, model): return data\ndef model_fn(d): return 1\ndef {name}({parameters}):\n    {fault}\n"
    with pytest.raises(ModelError, match=name) as error:
        service(source)
    assert told in str(error.value)


def test_transform_fn_does_all() -> None:
    """transform_fn gets model, text, type and one accepted type; a bare body is in that type."""
    composed = service("def model_fn(d): return 'm'\ndef transform_fn(m, data, ct, accept): return repr((m, data, ct, accept))")
    (reply,) = invoke(composed, [Request(b"a,b", "text/csv; header=no", "image/png;q=0.5, text/html")])
    assert (reply.body, reply.content_type) == (b"('m', 'a,b', 'text/csv', 'text/html')", "text/html")


def test_contexts_are_made_only_where_asked_for() -> None:
    """A script without context costs none; one with it gets the same one in every function of a request."""
    source = "def model_fn(d, c): c.seen = 1\n" + "".join(
        f"def {name}(a, b, c):\n    c.set_response_header(0, '{name}', str(id(c)))\n    return a\n"
        for name in ("input_fn", "predict_fn", "output_fn")
    )
    (reply,) = invoke(service(source), [Request(b"x", "text/plain", id="1")])
    assert len({value for _, value in reply.headers}) == 1
    assert [name for name, _ in reply.headers] == ["input_fn", "predict_fn", "output_fn"]
    plain = service("def input_fn(data, content_type): return [[1, 2]]", Doubling())
    assert plain.decode(Request(b"")) == ({"x": pytest.approx(np.array([[1, 2]]))}, None)


def test_check_refuses_by_the_headers() -> None:
    """What only default functions would read or write is refused at once; a script's own functions may know more."""
    composed = service("def output_fn(prediction, accept): return ''", Doubling())
    assert isinstance(composed, ScriptService)
    composed.check("text/csv", "image/png")
    with pytest.raises(UnsupportedMediaType):
        composed.check("video/mp4", "")
    composed = service("def input_fn(data, content_type): return data", Doubling())
    assert isinstance(composed, ScriptService)
    with pytest.raises(NotAcceptable):
        composed.check("video/mp4", "image/png")


def test_input_fn_that_returns_nothing_usable() -> None:
    """None out of an input_fn before the default predict is named."""
    composed = service("def input_fn(data, content_type): pass", Doubling())
    ((status, body),) = ask(composed, b"[]")
    assert (status, b"input_fn returned None" in body) == (500, True)


def test_errors_of_ours_keep_their_status() -> None:
    """A BadRequest that a script lets through, from our decoder, is still a 400."""
    module = ModuleType("inference")

    def input_fn(data: Any, content_type: str) -> Any:
        raise BadRequest("no rows")

    module.__dict__["input_fn"] = input_fn
    composed = compose(Doubling(), user_script.from_module(module, Path("x.py")), OPTIONS)
    assert ask(composed, b"[]")[0][0] == 400
