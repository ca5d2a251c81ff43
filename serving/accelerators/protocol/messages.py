"""The protocol's message classes, from `inference.binpb`, which `make protocol` compiles `inference.proto` to.

They are in a descriptor pool of their own: a user's script may import tritonclient or kserve, which register messages of the
same names in the common one.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

SERVICE = "inference.GRPCInferenceService"


def _classes() -> dict[str, Any]:
    pool = descriptor_pool.DescriptorPool()
    files = descriptor_pb2.FileDescriptorSet.FromString(Path(__file__).with_name("inference.binpb").read_bytes())
    for file in files.file:
        pool.Add(file)
    return dict(message_factory.GetMessageClassesForFiles([file.name for file in files.file], pool))


_CLASSES = _classes()


def message(name: str) -> Any:
    """The class of a message by its name in the `inference` package: `message("ModelInferRequest")`."""
    return _CLASSES[f"inference.{name}"]


def path(method: str) -> str:
    """The gRPC path of a method."""
    return f"/{SERVICE}/{method}"


ModelInferRequest = message("ModelInferRequest")
ModelInferResponse = message("ModelInferResponse")
