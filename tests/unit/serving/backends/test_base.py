"""What is asked of any loaded model, whether its framework tells or not."""

from __future__ import annotations

import subprocess
import sys
from types import SimpleNamespace

from serving import backends

COUNT = """
import ctypes, os
from serving import backends
backends.set_threads(3)
from serving.backends.mxnet_import import import_mxnet
import_mxnet()
child = os.fork()
if not child:
    backends.set_threads(2)
    os._exit(ctypes.CDLL("libgomp.so.1").omp_get_max_threads())
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


def test_parameter_bytes() -> None:
    """A model that does not tell its size counts as small."""
    assert backends.parameter_bytes(SimpleNamespace(parameter_bytes=7)) == 7
    assert backends.parameter_bytes(object()) == 0


def test_threads_of_a_forked_process() -> None:
    """The number is set where a framework is loaded, and is the process' own after a fork; without one it is left alone."""
    done = subprocess.run([sys.executable, "-c", COUNT], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "2\n"), done.stderr
