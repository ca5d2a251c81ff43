"""Keep of Python's own library what a server runs: `python3.11 -B stdlib.py`, where the library was just installed.

Debian compiles all of it, by the time of each source. Of the compiled modules those stay that a start imports, without a
time in them: a base that is made here sets all times to one, and every start would compile them anew.
"""

from __future__ import annotations

import compileall
import importlib
import os
import shutil
import sys
import warnings
from pathlib import Path
from py_compile import PycInvalidationMode

LIBRARY = Path(os.__file__).parent
UNUSED = ("test", "pydoc_data/topics.py")
STARTED = (
    "argparse", "asyncio", "bz2", "colorsys", "concurrent.futures.thread", "csv", "ctypes", "decimal", "difflib",
    "distutils.version", "email.iterators", "email.message", "email.parser", "encodings.idna", "encodings.raw_unicode_escape",
    "encodings.unicode_escape", "fractions", "getpass", "gettext", "glob", "gzip", "hmac", "http.client", "http.cookiejar",
    "http.cookies", "http.server", "importlib.metadata", "importlib.readers", "importlib.resources", "ipaddress", "json",
    "logging.config", "logging.handlers", "lzma", "mimetypes", "multiprocessing.connection", "multiprocessing.dummy",
    "multiprocessing.pool", "multiprocessing.queues", "multiprocessing.resource_sharer", "multiprocessing.util", "pdb",
    "pickle", "pkgutil", "platform", "pprint", "queue", "quopri", "runpy", "secrets", "shlex", "sitecustomize", "ssl",
    "statistics", "sysconfig", "tarfile", "tempfile", "timeit", "unittest", "unittest.mock", "urllib.request", "uuid",
    "xml.dom.minidom", "xml.sax.saxutils", "zipfile",
)  # fmt: skip
"""What the server, its packages and TensorFlow import of it; tests/docker/test_image.py fails where something is missing."""


def main() -> None:
    """Remove, then compile."""
    for name in UNUSED:
        path = LIBRARY / name
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    for folder in list(LIBRARY.rglob("__pycache__")):
        shutil.rmtree(folder)
    warnings.simplefilter("ignore")  # distutils says that it will go
    for name in STARTED:
        importlib.import_module(name)
    sysconfig = sys.modules["sysconfig"]
    importlib.import_module(sysconfig._get_sysconfigdata_name())
    files = {Path(getattr(module, "__file__", None) or "").absolute() for module in list(sys.modules.values())}
    for file in sorted(path for path in files if path.is_relative_to(LIBRARY) and path.suffix == ".py"):
        compileall.compile_file(os.fspath(file), quiet=2, invalidation_mode=PycInvalidationMode.UNCHECKED_HASH)


if __name__ == "__main__":
    main()
