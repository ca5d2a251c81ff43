"""The limits of a connection."""

from __future__ import annotations

from serving.http import limits
from serving.settings import Settings


def test_of_settings() -> None:
    """Each limit is the setting of its name, in bytes and seconds."""
    settings = Settings(
        max_payload_mb=3, max_header_bytes=2000, header_timeout=4, body_timeout=5, keep_alive=6, max_connections=7
    )
    assert limits.of(settings) == limits.Limits(2000, 3 << 20, 4, 5, 6, 7)


def test_sweeps_are_often_enough() -> None:
    """A timeout is noticed within a quarter of its length, and within a second."""
    for seconds in (0.1, 1.0, 15.0, 3600.0):
        swept = limits.of(Settings(header_timeout=seconds, body_timeout=2 * seconds)).sweep_seconds
        assert 0.05 <= swept <= max(0.05, min(1.0, seconds / 4))
