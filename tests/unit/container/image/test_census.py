"""Counting an image's packages."""

from __future__ import annotations

import pytest

from container.image import census

OWNERS = {"/opt/ei/lib/python3.11/site-packages/a/b.py": "a", "/usr/bin/tool": "tool (Debian)"}


@pytest.mark.parametrize(
    ("path", "owner"),
    [
        ("/usr/bin/tool", "tool (Debian)"),
        ("/opt/ei/lib/python3.11/site-packages/a/b.py", "a"),
        ("/opt/ei/lib/python3.11/site-packages/a/__pycache__/b.cpython-311.pyc", "a"),
        ("/opt/ei/lib/python3.11/site-packages/serving/x.py", "serving"),
        ("/opt/ei/lib/python3.11/site-packages/serving/__pycache__/x.cpython-311.pyc", "serving"),
        ("/var/lib/dpkg/status", "/var/lib"),
    ],
    ids=["Debian's", "listed", "compiled", "not listed", "compiled, not listed", "nobody's"],
)
def test_owner(path: str, owner: str) -> None:
    """A file counts for who lists it, a compiled module for its source's owner, all else for its folder."""
    assert census._owner(path, OWNERS) == owner
