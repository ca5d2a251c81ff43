"""The command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from container import cli, local, sizes


def test_settings_as_a_table(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """`ei settings` prints each setting's name, value and source in columns."""
    monkeypatch.setenv("EI_WORKERS", "3")
    with pytest.raises(SystemExit) as ended:
        cli.main(["settings"])
    assert ended.value.code == 0
    rows = {line.split()[0]: line.split()[1:] for line in capsys.readouterr().out.splitlines()}
    assert rows["workers"] == ["3", "EI_WORKERS"]
    assert rows["port"] == ["8080", "default"]


def test_settings_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    """`ei settings --json` is a list of objects."""
    with pytest.raises(SystemExit):
        cli.main(["settings", "--json"])
    found = json.loads(capsys.readouterr().out)
    assert {"name": "port", "value": "8080", "source": "default"} in found


def test_invalid_settings(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Invalid variables are told, not traced, and the status is 1."""
    monkeypatch.setenv("EI_WORKERS", "many")
    with pytest.raises(SystemExit) as ended:
        cli.main(["settings"])
    assert ended.value.code == 1
    assert "EI_WORKERS='many'" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [["nonsense"], ["run"], ["build", "--nonsense"]], ids=lambda words: " ".join(words))
def test_usage(capsys: pytest.CaptureFixture[str], arguments: list[str]) -> None:
    """What cannot be understood ends with 2 and says how to ask."""
    with pytest.raises(SystemExit) as ended:
        cli.main(arguments)
    assert ended.value.code == 2
    assert "Usage: ei" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["settings", "build", "run", "size"])
def test_help_has_an_example(capsys: pytest.CaptureFixture[str], command: str) -> None:
    """Every subcommand's help shows how it is used."""
    with pytest.raises(SystemExit) as ended:
        cli.main([command, "--help"])
    assert ended.value.code == 0
    assert f"Example: ei {command}" in capsys.readouterr().out


def test_dry_run(capsys: pytest.CaptureFixture[str], tmp_path: object) -> None:
    """`ei run --dry-run` prints the command that it would run, and needs no engine; `MODEL=` may stand before the folder."""
    with pytest.raises(SystemExit) as ended:
        cli.main(["run", f"MODEL={tmp_path}", "--dry-run", "--port", "9000", "-e", "EI_WORKERS=2"])
    assert ended.value.code == 0
    told = capsys.readouterr().err
    assert f"--volume {tmp_path}:/opt/ml/model:ro" in told
    assert "--publish 9000:8080" in told
    assert "--env EI_WORKERS=2" in told
    assert told.strip().endswith("ei-mxnet:latest serve")


def test_run_wants_a_directory(capsys: pytest.CaptureFixture[str]) -> None:
    """A model that is no directory is two lines: what is wrong, what to type."""
    with pytest.raises(SystemExit) as ended:
        cli.main(["run", "/nowhere", "--dry-run"])
    assert ended.value.code == 1
    assert len(capsys.readouterr().err.strip().splitlines()) == 2


@pytest.mark.parametrize(
    ("files", "options", "image"),
    [
        (["half/1/saved_model.pb"], [], "ei-tf:latest"),
        (["model-symbol.json", "model-0000.params"], [], "ei-mxnet:latest"),
        (["code/inference.py"], [], "ei-mxnet:latest"),
        (["1/saved_model.pb"], ["--image", "mxnet"], "ei-mxnet:latest"),
        ([], ["--image", "tf"], "ei-tf:latest"),
        (["1/saved_model.pb"], ["--image", "mine:1"], "mine:1"),
    ],
    ids=["a SavedModel", "an MXNet model", "a script", "the framework is named", "nothing, named", "an own image"],
)
def test_image_of_a_run(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, files: list[str], options: list[str], image: str
) -> None:
    """What the folder holds chooses the image, unless --image does: one of ours by its framework, or any name."""
    for name in files:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    with pytest.raises(SystemExit) as ended:
        cli.main(["run", str(tmp_path), "--dry-run", *options])
    assert ended.value.code == 0
    assert capsys.readouterr().err.strip().endswith(f"{image} serve")


def test_a_tag_is_one_images(capsys: pytest.CaptureFixture[str]) -> None:
    """Two images cannot have one name."""
    with pytest.raises(SystemExit) as ended:
        cli.main(["build", "--tag", "mine:1"])
    assert ended.value.code == 2
    assert "--image" in capsys.readouterr().err


def test_sizes_as_text() -> None:
    """The table has the total, the layers from below, the packages by size, and small ones together."""
    found = sizes.Sizes(
        "mine:1", 3_000_000, [("RUN a", 2_000_000), ("RUN b", 0)], {"big": 2_000_000, "small": 400_000, "tiny": 100_000}
    )
    lines = sizes.text(found).splitlines()
    assert lines[0].split() == ["3.0", "MB", "in", "mine:1"]
    assert "     2.0  RUN a" in lines
    assert not any("RUN b" in line for line in lines)
    assert "     2.0  big" in lines
    assert lines[-1].split() == ["0.5", "2", "smaller", "ones"]


def test_local_environment(tmp_path: object) -> None:
    """The platform's own variables are the caller's to give."""
    words = local.command("docker", local.Local("image", Path(str(tmp_path)), 8080, ("A=b", "C=d")))
    assert words[words.index("--env") : words.index("image")] == ["--env", "A=b", "--env", "C=d"]
