"""`import mxnet` our way: light, complete, and the same for a user script that imports it first."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from serving.backends import mxnet_import

SCRIPT = """
import json, os, sys
from serving.backends import mxnet_import
mxnet_import.hook()
mxnet_import.hook()
import mxnet as mx, mxnet.ndarray
found = {}
found["same"] = mxnet_import.import_mxnet() is mx and sys.modules["mxnet"] is mx
found["spec"] = [mx.__spec__.name, mx.__name__, os.path.basename(mx.__file__)]
found["hooks"] = sum(type(finder).__name__ == "_Hook" for finder in sys.meta_path)
found["loaded"] = sorted(name for name in ("scipy", "sklearn", "requests") if name in sys.modules)
found["libgomps"] = len({line.split()[-1] for line in open("/proc/self/maps") if "libgomp" in line})
found["engine"] = [os.environ["MXNET_ENGINE_TYPE"], os.environ["OMP_NUM_THREADS"], mxnet_import.synchronous]
found["threads"] = len(os.listdir("/proc/self/task"))
sparse = mx.nd.sparse.csr_matrix(([1.0, 2.0], [0, 1], [0, 1, 2]), shape=(2, 2))
found["sparse"] = sparse.asscipy().toarray().tolist()
found["then"] = "scipy" in sys.modules
import importlib.util, requests
found["others"] = [requests.__name__, importlib.util.find_spec("sklearn").name]
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def fresh() -> dict[str, Any]:
    """What an interpreter of its own found after a user's `import mxnet`."""
    env = {"PATH": "/usr/bin:/bin", "OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path(mxnet_import.__file__).parents[2])}
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, env=env)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def test_nothing_comes_along(fresh: dict[str, Any]) -> None:
    """Neither scipy nor scikit-learn nor requests is loaded, though all are installed, and one OpenMP runtime is mapped."""
    assert fresh["loaded"] == []
    assert fresh["libgomps"] == 1


def test_one_thread(fresh: dict[str, Any]) -> None:
    """MXNet runs in its caller's thread and starts no other: the process can be forked."""
    assert fresh["engine"] == ["NaiveEngine", "1", True]
    assert fresh["threads"] == 1


def test_a_script_may_import_it_first(fresh: dict[str, Any]) -> None:
    """Whoever imports it gets the same module, with its own spec, and the hook is gone."""
    assert fresh["same"] is True
    assert fresh["spec"] == ["mxnet", "mxnet", "__init__.py"]
    assert fresh["hooks"] == 0


def test_scipy_comes_back(fresh: dict[str, Any]) -> None:
    """A sparse array finds scipy at its first use."""
    assert fresh["sparse"] == [[1.0, 0.0], [0.0, 2.0]]
    assert fresh["then"] is True


def test_what_was_kept_out_can_be_imported(fresh: dict[str, Any]) -> None:
    """A user script's own import of such a package works afterwards."""
    assert fresh["others"] == ["requests", "sklearn"]


def test_twice_is_once(mx: Any) -> None:
    """A second call gives the module that is there."""
    assert mxnet_import.import_mxnet() is mx


@pytest.mark.parametrize(
    "call",
    [
        lambda mx, x: mx.nd.relu(x),
        lambda mx, x: mx.nd.Activation(x, act_type="relu"),
        lambda mx, x: mx.nd.maximum(x, 0),
        lambda mx, x: mx.nd.op.relu(x),
        lambda mx, x: x.relu(),
        lambda mx, x: mx.nd.relu(data=x, out=mx.nd.zeros((2,))),
        lambda mx, x: mx.nd.contrib.clip_relu(x) if hasattr(mx.nd.contrib, "clip_relu") else mx.nd.relu(x),
        lambda mx, x: mx.np.maximum(x.as_np_ndarray(), 0),
        lambda mx, x: mx.npx.relu(x.as_np_ndarray()),
        lambda mx, x: mx.sym.relu(mx.sym.var("x")).eval(x=x)[0],
        lambda mx, x: mx.sym.Activation(data=mx.sym.var("x"), act_type="relu", name="a").eval(x=x)[0],
    ],
)
def test_deferred_operators(mx: Any, call: Any) -> None:
    """An operator works from every namespace, by position and by name, at its first call and at its second."""
    for _ in range(2):
        assert call(mx, mx.nd.array([-1, 2])).asnumpy().tolist() == [0, 2]


def test_random_and_linear_algebra(mx: Any) -> None:
    """Operators of the namespaces behind a prefix are there too."""
    assert mx.nd.random.uniform(shape=(3,)).shape == (3,)
    assert mx.nd.linalg.gemm2(mx.nd.ones((2, 2)), mx.nd.ones((2, 2))).asnumpy().tolist() == [[2, 2], [2, 2]]
    assert mx.nd.image.to_tensor(mx.nd.zeros((4, 4, 3), dtype="uint8")).shape == (3, 4, 4)


def test_operators_have_their_names(mx: Any) -> None:
    """A traceback and a help text name the operator."""
    assert (mx.nd.FullyConnected.__name__, mx.sym.Convolution.__name__) == ("FullyConnected", "Convolution")


def test_a_wrong_call_fails_as_ever(mx: Any) -> None:
    """Arguments that an operator does not take raise MXNet's own error."""
    with pytest.raises(mx.MXNetError, match="act_type"):
        mx.nd.Activation(mx.nd.ones(1), act_type="no_such")


@pytest.mark.parametrize(
    ("source", "dtype"),
    [
        ([[1, 2], [3, 4]], None),
        ((1.5, 2), None),
        (np.arange(6).reshape(2, 3), None),
        (np.arange(6).reshape(2, 3), "int32"),
        (np.arange(6.0)[::2], None),
        (np.arange(6.0).reshape(2, 3).T, "float64"),
        (np.array([True, False]), None),
        (5, None),
        (np.zeros((0, 2)), None),
        (np.float64(3), None),
    ],
)
def test_arrays_of_host_values(mx: Any, source: Any, dtype: str | None) -> None:
    """`mx.nd.array` makes of lists and of any numpy array the array that MXNet's own way makes."""
    array = mx.nd.array(source, dtype=dtype) if dtype else mx.nd.array(source)
    expected = np.asarray(source, dtype=dtype or "float32")
    assert (array.dtype, array.context) == (expected.dtype, mx.cpu())
    np.testing.assert_array_equal(array.asnumpy(), expected.reshape(array.shape))


def test_ragged_lists_fail_as_ever(mx: Any) -> None:
    """What is no array raises what MXNet raises."""
    with pytest.raises(TypeError, match="source_array must be array like object"):
        mx.nd.array([[1, 2], [3]])


def test_arrays_are_the_callers_own(mx: Any) -> None:
    """What happens to the source afterwards does not show."""
    source = np.ones(3, "float32")
    array = mx.nd.array(source)
    source[:] = 7
    assert array.asnumpy().tolist() == [1, 1, 1]
    assert pickle.loads(pickle.dumps(array)).asnumpy().tolist() == [1, 1, 1]


def test_removed_aliases(mx: Any) -> None:
    """numpy has the names that MXNet, and scripts of its time, still use."""
    assert (np.bool, np.int, np.object) == (bool, int, object)  # type: ignore[attr-defined]
