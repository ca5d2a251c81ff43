"""User scripts of these tests: each is one function, `answer(data)`, put behind the name that the framework's container calls."""

from __future__ import annotations

from pathlib import Path

BEHIND = {
    "mxnet": "def transform_fn(model, data, content_type, accept):\n    return answer(data)\n",
    "tf": "def handler(data, context):\n    return answer(data.read())\n",
}

SLOW = '''"""Takes as long as the request says, and says "began"."""

import json
import sys
import time


def answer(data):
    """Wait, then answer what was asked; a warm-up's rows are no seconds."""
    seconds = json.loads(data)
    if isinstance(seconds, float):
        print("began", file=sys.stderr, flush=True)
        time.sleep(seconds)
    return data, "application/json"
'''

PACKAGE = '''"""Answers by a package that the image does not have."""

import ei_test_colours


def answer(data):
    """The package's own words."""
    return ei_test_colours.answer(), "text/plain"
'''

USER = '''"""Answers who imported it."""

import os

SEEN = os.getresuid()


def answer(data):
    """The three uids."""
    return str(SEEN), "text/plain"
'''


def write(model: Path, framework: str, script: str) -> None:
    """Give the model this script, and the requirements of one that needs a package."""
    code = model / "code"
    code.mkdir()
    (code / "inference.py").write_text(f"{script}\n\n{BEHIND[framework]}" if "def answer" in script else script)
    if script == PACKAGE:
        (code / "requirements.txt").write_text("ei-test-colours==1.0\n")
