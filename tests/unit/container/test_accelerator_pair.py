"""The pair of a model's container and its accelerator: the Compose file, and docker's own commands."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from container import cli, commands
from container.accelerator import up
from container.accelerator.pair import HEALTH, Pair
from container.local import Local
from serving.accelerators import catalog


@pytest.fixture
def pair(tmp_path: Path) -> Pair:
    """A pair whose folder is not yet written."""
    (tmp_path / "model").mkdir()
    model = Local("ei-mxnet:latest", tmp_path / "model", 8081, ("PRICE=5$", "HOME"))
    return Pair(model, catalog.BY_NAME["ml.eia2.large"], tmp_path / "pair", ("--threads", "2"))


def compose(tmp_path: Path, *words: str) -> str:
    """What `ei accelerator compose` writes for a model."""
    (tmp_path / "model").mkdir(exist_ok=True)
    with pytest.raises(SystemExit) as ended:
        cli.main(["accelerator", "compose", str(tmp_path / "model"), *words])
    assert ended.value.code == 0
    return (tmp_path / "model-accelerator" / "compose.yaml").read_text()


def strings(text: str) -> list[str]:
    """All quoted words of a Compose file."""
    return [json.loads(word) for word in re.findall(r'"(?:[^"\\]|\\.)*"', text)]


def test_compose_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It has the type, the container's memory, TLS and token, health, the port and the user's variables, a dollar as Compose wants it."""
    text = compose(tmp_path, "--type", "m1.eia2.large", "--port", "8081", "-e", "PRICE=5$", "--", "--threads", "2")
    out, err = capsys.readouterr()
    assert out.strip() == str(tmp_path / "model-accelerator" / "compose.yaml")
    assert "misprint" in err
    words = strings(text)
    flags = json.loads(re.findall(r"command: (\[.*accelerator.*\])", text)[0])
    assert flags[:3] == ["accelerator", "--type", "ml.eia2.large"]
    assert flags[-2:] == ["--threads", "2"]
    assert {"--token-file", "--tls-cert", "--tls-key"} <= set(flags)
    assert int(re.findall(r"mem_limit: (\d+)", text)[0]) > 4 << 30
    assert {"EI_ACCELERATORS=accelerator:8500", "PRICE=5$$", "8081:8080", HEALTH} <= set(words)
    assert f"{tmp_path}/model:/opt/ml/model:ro" in words


def test_secrets_stay(tmp_path: Path) -> None:
    """A second writing keeps the token and the certificate, none of which is in the Compose file or open to others."""
    text = compose(tmp_path)
    folder = tmp_path / "model-accelerator"
    kept = {
        name: (folder / name).read_text() for name in ("token", "token.env", "accelerator.pem", "accelerator.key", "ca.pem")
    }
    assert kept["token"].strip() not in text
    assert kept["token.env"] == f"EI_ACCELERATOR_TOKEN={kept['token'].strip()}\n"
    assert {(folder / name).stat().st_mode & 0o777 for name in ("token", "token.env", "accelerator.key")} == {0o600}
    compose(tmp_path, "--type", "ml.eia2.xlarge")
    assert {name: (folder / name).read_text() for name in kept} == kept


def test_no_model(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """A model that is no folder is told before anything is written."""
    with pytest.raises(SystemExit) as ended:
        cli.main(["accelerator", "compose", str(tmp_path / "none")])
    assert ended.value.code == 1
    assert "is not a directory" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_without_compose(pair: Pair) -> None:
    """By docker alone the accelerator has its memory, its name on the network and its health, and the model is attached to it."""
    words = up.accelerator_command("docker", "net", pair)
    options, command = words[: words.index("ei-mxnet:latest")], words[words.index("ei-mxnet:latest") + 1 :]
    assert options[options.index("--memory") + 1] == str(pair.memory)
    assert options[options.index("--network-alias") + 1] == "accelerator"
    assert options[options.index("--health-cmd") + 1] == HEALTH
    assert command == pair.accelerator_command()
    attached = up.model_options("net", pair)
    assert {"EI_ACCELERATORS=accelerator:8500", "EI_ACCELERATOR_CA=/run/ei/ca.pem"} <= set(attached)
    assert not any("accelerator.key" in word for word in attached)


def test_a_run_beside_an_accelerator(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`ei run --accelerator TYPE --dry-run` prints both containers' commands, and writes nothing."""
    (tmp_path / "model").mkdir()
    with pytest.raises(SystemExit) as ended:
        cli.main(["run", str(tmp_path / "model"), "--accelerator", "ml.eia1.medium", "--port", "9000", "--dry-run"])
    assert ended.value.code == 0
    accelerator, model = capsys.readouterr().err.strip().splitlines()
    assert "accelerator --type ml.eia1.medium" in accelerator
    assert "--publish 9000:8080" in model
    assert "EI_ACCELERATORS=accelerator:8500" in model
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


@pytest.mark.parametrize(
    ("plugin", "standalone", "due"),
    [(True, True, ["docker", "compose"]), (False, True, ["{}/docker-compose"]), (False, False, [])],
    ids=["the plugin", "docker-compose", "neither"],
)
def test_composer(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, plugin: bool, standalone: bool, due: list[str]) -> None:
    """Docker's plugin is asked before the older command; without either docker's own commands do it."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(commands, "succeeds", lambda command, timeout=0: plugin)
    if standalone:
        (tmp_path / "docker-compose").touch(0o755)
    assert up.composer("docker") == [word.format(tmp_path) for word in due]
