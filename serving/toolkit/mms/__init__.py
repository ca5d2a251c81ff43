"""The names of AWS's multi-model server that custom services import: contexts, services' errors and metrics."""

from __future__ import annotations

__version__ = "1.1.11"
