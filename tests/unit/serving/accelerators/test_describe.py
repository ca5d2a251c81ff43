"""The accelerators as Elastic Inference's tools and boto3 tell of them, over stand-ins for the accelerators."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import boto3
import botocore.session
import pytest

from serving.accelerators import attached, describe
from serving.accelerators.client import ServerInfo
from serving.accelerators.errors import Undetected
from serving.accelerators.rpc.target import Target
from serving.accelerators.tensorflow import names
from serving.settings import Settings

ROOT = Path(__file__).parents[4]


class Accelerator:
    """Answers, or not, as it was told to."""

    def __init__(self, ordinal: int, is_there: bool = True, is_ready: bool = True) -> None:
        self.ordinal, self.target = ordinal, Target(f"host:{ordinal}")
        self._is_there, self._is_ready = is_there, is_ready

    def info(self, timeout: float) -> ServerInfo:
        """Its id and type."""
        if not self._is_there:
            raise Undetected("host cannot be reached")
        return ServerInfo("ei", "1", (f"ei.type=ml.eia2.{'large' if self.ordinal else 'medium'}", f"ei.id=eia-{self.ordinal}"))

    def is_ready(self, timeout: float) -> bool:
        """As told."""
        return self._is_ready


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> list[Accelerator]:
    """What this process sees; a test may add to it."""
    found: list[Accelerator] = []

    def visible(settings: Settings) -> list[Accelerator]:
        return found

    monkeypatch.setattr(attached, "visible", visible)
    return found


def test_as_json(seen: list[Accelerator], capsys: pytest.CaptureFixture[str]) -> None:
    """`-j` prints each accelerator with its ordinal, its type by EI's name for it, its id and its health."""
    seen += [Accelerator(0), Accelerator(1, is_ready=False), Accelerator(2, is_there=False)]
    assert describe.main(["-j"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["attached_accelerators"] == 3
    assert told["devices"] == [
        {"ordinal": 0, "type": "eia2.medium", "id": "eia-0", "status": "healthy"},
        {"ordinal": 1, "type": "eia2.large", "id": "eia-1", "status": "unhealthy"},
        {"ordinal": 2, "type": "", "id": "host:2", "status": "unhealthy"},
    ]


def test_for_people(seen: list[Accelerator], capsys: pytest.CaptureFixture[str]) -> None:
    """Without `-j` there is a line for each, with what is wrong; none at all is exit status 1."""
    assert (describe.main(), capsys.readouterr().out) == (1, "0 attached accelerators\n")
    seen += [Accelerator(0, is_ready=False)]
    assert describe.main() == 0
    assert capsys.readouterr().out == "1 attached accelerator\n0  eia2.medium  eia-0  unhealthy: it is not ready\n"


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> object:
    """boto3's client of the service."""
    monkeypatch.setattr(boto3.session.Session, "client", boto3.session.Session.client)  # put back afterwards
    names.install()
    return boto3.client("elastic-inference")


def test_the_service_in_boto3(seen: list[Accelerator], client: describe.Client) -> None:
    """`describe_accelerators` answers in the API's form, all accelerators or those of some ids."""
    seen += [Accelerator(0), Accelerator(1, is_ready=False)]
    found = client.describe_accelerators()["acceleratorSet"]
    assert [one["acceleratorType"] for one in found] == ["eia2.medium", "eia2.large"]
    assert [one["acceleratorHealth"]["status"] for one in found] == ["HEALTHY", "UNHEALTHY"]
    assert [one["acceleratorId"] for one in client.describe_accelerators(acceleratorIds=["eia-1"])["acceleratorSet"]] == [
        "eia-1"
    ]
    with pytest.raises(AttributeError, match="describe_accelerators"):
        client.describe_accelerator_offerings()  # type: ignore[attr-defined]


def test_other_services_are_botocores(client: object) -> None:
    """What botocore knows is its own; that it does not know Elastic Inference is why ours is there."""
    assert "elastic-inference" not in botocore.session.get_session().get_available_services()
    other = boto3.client("sts", region_name="eu-west-1", aws_access_key_id="a", aws_secret_access_key="b")
    assert type(other).__module__ == "botocore.client"


def test_a_botocore_that_knows_the_service(monkeypatch: pytest.MonkeyPatch, client: object) -> None:
    """There the genuine client is made."""
    asked: list[str] = []
    monkeypatch.setattr(boto3.session.Session, "get_available_services", lambda self: ["elastic-inference"])
    monkeypatch.setattr(botocore.session.Session, "create_client", lambda self, name, *a, **k: asked.append(name))
    boto3.session.Session(region_name="eu-west-1").client("elastic-inference")
    assert asked == ["elastic-inference"]


def test_a_script_that_imports_boto3_later() -> None:
    """The service is there also where boto3 is imported after the names were installed."""
    code = (
        "import sys\nfrom serving.accelerators import scripts\nscripts.install()\nassert 'boto3' not in sys.modules\n"
        "import boto3\nprint(boto3.client('elastic-inference').describe_accelerators())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=False)
    assert (done.stdout, done.returncode) == ("{'acceleratorSet': []}\n", 0), done.stderr
