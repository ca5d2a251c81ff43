"""What can go wrong between another framework's model and an ONNX file."""

from __future__ import annotations

from onnx_import.errors import OnnxImportError


class ExportError(OnnxImportError):
    """The model cannot be exported; the text says why."""


class UnknownSource(ExportError):
    """Nothing here knows what this file, folder or object is."""

    def __init__(self, source: str, known: str) -> None:
        self.source = source
        super().__init__(f"{source} is no model that is known here.\nThese are: {known}")


class MissingExporter(ExportError):
    """The framework's exporter is not installed."""

    def __init__(self, title: str, package: str, extra: str) -> None:
        self.package, self.extra = package, extra
        super().__init__(
            f'{title} models are exported by {package}, which is not installed.\nInstall it: pip install "ei[{extra}]"'
        )


class UntrustedSource(ExportError):
    """Loading the file may run code, and nobody has said that its source is trusted."""

    def __init__(self, source: str, why: str) -> None:
        self.source = source
        super().__init__(f"{source} {why}.\nIf you trust where it comes from, say so: --trust (from Python: trust=True)")


class WrongExport(ExportError):
    """The framework's exporter made a model that answers differently from the original."""
