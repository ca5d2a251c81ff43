"""The request context, under MMS's name."""

from __future__ import annotations

from serving.handlers.context import Context, RequestProcessor

__all__ = ["Context", "RequestProcessor"]
