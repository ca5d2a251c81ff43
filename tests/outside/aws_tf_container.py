"""The outside check: AWS's own tests of its TensorFlow Serving container, run against our image.

    python tests/outside/aws_tf_container.py CHECKOUT [--image ei-tf:latest] [--file test_container.py]

CHECKOUT is a checkout of aws/sagemaker-tensorflow-serving-container. Its test/ folder is copied to a temporary place, with
models of ours where the checkout lacks its own, and its tests start the image themselves: port 8080 must be free.
Exit 0 where all cases passed. `make test` does not run this, and nothing of that repository is kept here.
"""

from __future__ import annotations

import argparse
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from pathlib import Path
from xml.etree import ElementTree

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from container import engine  # noqa: E402
from tests import tf_models  # noqa: E402

LOCAL = Path("test", "integration", "local")
MODEL = Path("test", "resources", "models", "half_plus_three")
PORT = 8080


def main() -> int:
    """Run one file of AWS's tests and print how many of its cases passed."""
    parser = argparse.ArgumentParser(description="AWS's tests of its TensorFlow Serving container, against our image.")
    parser.add_argument("checkout", type=Path, help="a checkout of aws/sagemaker-tensorflow-serving-container")
    parser.add_argument("--image", default="ei-tf:latest", help="NAME:TAG [ei-tf:latest]")
    parser.add_argument("--file", default="test_container.py", help="of test/integration/local [test_container.py]")
    given = parser.parse_args()
    if not (given.checkout / LOCAL / given.file).is_file():
        parser.error(f"{given.checkout} holds no {LOCAL / given.file}")
    with socket.socket() as probe:
        if probe.connect_ex(("127.0.0.1", PORT)) == 0:
            parser.error(f"port {PORT} is taken, and AWS's tests name no other")
    with tempfile.TemporaryDirectory() as folder:
        return run(copied(given.checkout, Path(folder)), given.image, given.file)


def copied(checkout: Path, folder: Path) -> Path:
    """The folder, now with the checkout's tests and the model that they ask."""
    shutil.copytree(checkout / "test", folder / "test")
    if not list((folder / MODEL).rglob("*.data-00000-of-00001")):
        print("the checkout lacks its models: half_plus_three is one of ours", flush=True)
        shutil.rmtree(folder / MODEL, ignore_errors=True)
        shutil.copytree(tf_models.models() / "half_plus_three", folder / MODEL)
    # The serving user reads it, whatever the umask is.
    subprocess.run(["chmod", "-R", "u=rwX,go=rX", folder], check=True)
    return folder


def run(folder: Path, image: str, file: str) -> int:
    """Run the tests there; 0 where every case passed."""
    name, _, tag = image.rpartition(":") if ":" in image else (image, "", "latest")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--junitxml=report.xml"]
    command += ["--docker-base-name", name, "--tag", tag, "--framework-version", "2.21", str(LOCAL / file)]
    # They call `docker` by its bare name: the tested client comes first.
    path = os.pathsep.join((str(Path(engine.ensure()).parent), os.environ.get("PATH", "")))
    status = subprocess.run(command, cwd=folder, env={**os.environ, "PATH": path}, check=False).returncode
    if not (folder / "report.xml").is_file():
        return status
    cases = list(ElementTree.parse(folder / "report.xml").iter("testcase"))
    passed = [case for case in cases if not len(case.findall("failure") + case.findall("error") + case.findall("skipped"))]
    print(f"{file} against {image}: {len(passed)} of {len(cases)} passed")
    return int(status != 0 or len(passed) != len(cases))


if __name__ == "__main__":
    sys.exit(main())
