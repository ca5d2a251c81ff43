"""Make an installed tree small and quick to start.

    python slim.py strip SITE                remove what a running server has no use for
    python slim.py compile FOLDER            byte-compile all modules of a folder
    python slim.py imported SITE FRAMEWORK   byte-compile those modules of the packages that a start imports

Runs in the image's build, on the interpreter alone. What is removed or cut is named here, one by one: a general rule (strip
all, drop all tests) breaks what somebody imports.
"""

from __future__ import annotations

import builtins
import compileall
import importlib
import os
import shutil
import struct
import sys
from pathlib import Path
from py_compile import PycInvalidationMode

UNUSED_FOLDERS = (
    "mxnet/include", "mxnet/tools", "mxnet/cython", "numpy/core/include", "numpy/distutils", "numpy/f2py",
    "tensorflow/include", "tensorflow/xla_aot_runtime_src",
)  # fmt: skip
UNUSED_LIBRARIES = ("numpy/core/_simd.*.so", "PIL/_avif.*.so", "pillow.libs/libavif-*.so*")
"""The first is there for numpy's own tests. Pillow goes without the others, and says of an AVIF picture that it cannot read it."""
UNUSED_SUFFIXES = (".a", ".c", ".cpp", ".h", ".pxd", ".pyi", ".pyx")
UNUSED_NAMES = ("tests", "__pycache__")
"""Folders of these names: every package's own tests are for its own developers."""
SYMBOL_LADEN = (
    "csimdjson*.so",
    "uvloop/loop*.so",
    "httptools/parser/*.so",
    "PIL/_imaging.*.so",
    "ml_dtypes/_ml_dtypes_ext.*.so",
    "tensorflow/libtensorflow_cc.so.2",
    "tensorflow/libtensorflow_framework.so.2",
    "tensorflow/compiler/mlir/stablehlo/stablehlo_extension.so",
    "tensorflow/compiler/tf2xla/ops/_xla_ops.so",
    "tensorflow/lite/python/libpywrap_tflite_common.so",
    "tensorflow/python/lib_pywrap_tensorflow_common.so",
    "tensorflow/python/framework/lib_native_proto_caster.so",
    "tensorflow/python/profiler/internal/_pywrap_profiler_plugin.so",
)
"""Libraries that carry megabytes of symbols and debugging tables. OpenBLAS is not among them: numpy breaks on a cut one."""

MODE = PycInvalidationMode.UNCHECKED_HASH
"""No time of a build in what it makes, and no look at the source at each import."""

ELF64_HEADER = struct.Struct("<16sHHIQQQIHHHHHH")
ELF64_SEGMENT = struct.Struct("<IIQQQQQQ")


STARTED = ("gunicorn.app.base", "gunicorn.arbiter", "gunicorn.glogging", "gunicorn.workers.base", "flask", "uvloop", "httptools",
           "orjson", "simdjson", "prometheus_client", "PIL.Image", "grpc", "grpc.aio", "hpack")  # fmt: skip
"""What the server and the accelerator import, of what they do not bring themselves."""
FRAMEWORKS = {
    "mxnet": ("mxnet",),
    # All of TensorFlow is for users' scripts, whose every start would compile it anew.
    "tensorflow": ("tensorflow", "tensorflow.keras", "tensorflow_serving.apis.model_service_pb2_grpc", "requests",
                   "tensorflow_serving.apis.prediction_service_pb2_grpc", "tensorflow_serving.apis.prediction_log_pb2"),
}  # fmt: skip
"""What the server and its users' scripts import of each framework."""
IMPORTED_IN_VAIN = (
    "numpy/_core/_multiarray_umath.py",
    "urllib3/contrib/socks.py",
    "tensorflow/lite/python/*/_pywrap_*_wrapper.py",
)
"""Modules that are read at a start and not kept: they fail, or put another in their own place."""
REMOVED_FROM_NUMPY = ("bool", "int", "float", "object", "complex", "str")
"""Aliases that numpy dropped in 1.24 and MXNet 1.9.1 still asks for when it is imported."""


def main(command: str, folder: str, framework: str = "") -> None:
    """Run one of the commands."""
    if command == "imported":
        compile_imported(Path(folder), framework)
    else:
        {"strip": strip, "compile": compile_all}[command](Path(folder))


def strip(site: Path) -> None:
    """Remove what a running server has no use for."""
    for folder in UNUSED_FOLDERS:
        shutil.rmtree(site / folder, ignore_errors=True)
    for found in [path for path in site.rglob("*") if path.name in UNUSED_NAMES and path.is_dir()]:
        shutil.rmtree(found, ignore_errors=True)
    sources = [path for path in site.rglob("*") if path.suffix in UNUSED_SUFFIXES and path.is_file()]
    for file in [*sources, *(path for pattern in UNUSED_LIBRARIES for path in site.glob(pattern))]:
        file.unlink()
    for pattern in SYMBOL_LADEN:
        for library in site.glob(pattern):
            cut_symbols(library)


def cut_symbols(library: Path) -> None:
    """Keep of a shared library what the loader maps, byte for byte, and drop the section table with all that follows.

    The loader reads program headers alone (ELF specification, part 2); nothing moves, which is what breaks libraries
    that were patched after linking when strip(1) lays them out anew.
    """
    data = bytearray(library.read_bytes())
    ident, *fields = ELF64_HEADER.unpack_from(data)
    if ident[:6] != b"\x7fELF\x02\x01":
        raise ValueError(f"{library} is no 64-bit little-endian ELF file")
    segments_at, header_size, segment_size, segments = fields[4], fields[7], fields[8], fields[9]
    end = max(header_size, segments_at + segment_size * segments)
    for index in range(segments):
        _, _, offset, _, _, size, _, _ = ELF64_SEGMENT.unpack_from(data, segments_at + index * segment_size)
        end = max(end, offset + size)
    fields[5] = fields[10] = fields[11] = fields[12] = 0  # e_shoff, e_shentsize, e_shnum, e_shstrndx
    ELF64_HEADER.pack_into(data, 0, ident, *fields)
    library.write_bytes(data[:end])


def compile_all(folder: Path) -> None:
    """Byte-compile a folder, since the serving user cannot write beside its files."""
    if not compileall.compile_dir(os.fspath(folder), quiet=1, invalidation_mode=MODE):
        sys.exit(f"slim.py: {folder} does not compile")


def compile_imported(site: Path, framework: str) -> None:
    """Import what a start imports, and byte-compile those modules of the folder: a third of what all of them would take."""
    import numpy

    for name in REMOVED_FROM_NUMPY:
        setattr(numpy, name, vars(builtins)[name])
    for name in (*FRAMEWORKS[framework], *STARTED):
        importlib.import_module(name)
    files = [Path(getattr(module, "__file__", None) or "") for module in list(sys.modules.values())]
    files += [path for pattern in IMPORTED_IN_VAIN for path in site.glob(pattern)]
    for file in sorted({path for path in files if path.is_relative_to(site) and path.suffix == ".py"}):
        if not compileall.compile_file(os.fspath(file), quiet=1, invalidation_mode=MODE):
            sys.exit(f"slim.py: {file} does not compile")


if __name__ == "__main__":
    main(*sys.argv[1:])
