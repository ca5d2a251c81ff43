"""What the images are built from, without an engine."""

from __future__ import annotations

from pathlib import Path

import pytest

from container import images, wheelhouse
from container.errors import ContainerError

MXNET, TF = images.IMAGES["mxnet"], images.IMAGES["tf"]


def stages(image: images.Image) -> list[str]:
    """The Dockerfile's stages, without comments: runtime, build, code and the last one, which has no name."""
    lines = (wheelhouse.ROOT / image.dockerfile).read_text().splitlines()
    text = "\n".join(line for line in lines if not line.lstrip().startswith("#"))
    return text.split("\nFROM ")[1:]


def instructions(stage: str) -> list[str]:
    """The first words of its lines, those that continue others left out."""
    return [line.split()[0] for line in stage.splitlines()[1:] if line and not line.startswith((" ", "import ", "assert "))]


@pytest.mark.parametrize("stage", [0, 2], ids=["runtime", "code"])
def test_shared_stages(stage: int) -> None:
    """What both images need is said in the same words, so that a builder makes it once for both."""
    assert stages(MXNET)[stage] == stages(TF)[stage]


def test_same_steps() -> None:
    """The Dockerfiles can be compared line by line: the last stages have the same steps."""
    last = [instructions(stages(image)[-1]) for image in (MXNET, TF)]
    assert [word for word in last[0] if word.isupper()] == [word for word in last[1] if word.isupper()]


@pytest.mark.parametrize("image", images.IMAGES.values(), ids=images.IMAGES)
def test_everything_is_sent_to_the_builder(image: images.Image) -> None:
    """What a Dockerfile copies from the checkout is let through by .dockerignore."""
    allowed = {
        line.removeprefix("!") for line in (wheelhouse.ROOT / ".dockerignore").read_text().splitlines() if line[:1] == "!"
    }
    lines = [
        line.split()[1:-1] for line in (wheelhouse.ROOT / image.dockerfile).read_text().splitlines() if line[:5] == "COPY "
    ]
    copied = [word for words in lines for word in words if not words[0].startswith("--from")]
    assert len(copied) > 4
    assert [word for word in copied if not any(word == path or word.startswith(f"{path}/") for path in allowed)] == []
    assert any(word.startswith(str(image.wheels.relative_to(wheelhouse.ROOT))) for word in copied)
    assert str(image.locks[0].relative_to(wheelhouse.ROOT)) in copied


def test_names() -> None:
    """An image of ours is called by its framework, any other by its name."""
    assert images.name_of("tf") == "ei-tf:latest"
    assert images.name_of("mxnet") == "ei-mxnet:latest"
    assert images.name_of("mine:1") == "mine:1"


def test_choices_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """EI_BASE wins over BASE, which `make build BASE=...` sets; an own file is for the image that it is for."""
    monkeypatch.setenv("BASE", "makes")
    monkeypatch.setenv("TFS_BINARY", "server")
    assert images.Choices.from_environment(TF) == images.Choices(base="makes", own="server")
    monkeypatch.setenv("EI_BASE", "own")
    assert images.Choices.from_environment(MXNET) == images.Choices(base="own")


@pytest.mark.parametrize(
    ("image", "name", "told"),
    [(MXNET, "mxnet.whl", "not a wheel file"), (MXNET, "here.txt", "not a wheel file"), (TF, "x", "not a model server file")],
    ids=["no wheel", "no wheel's name", "no model server"],
)
def test_own_file_that_is_none(tmp_path: Path, image: images.Image, name: str, told: str) -> None:
    """A file that is not there, or of another kind, is told before anything is built."""
    (tmp_path / "here.txt").touch()
    with pytest.raises(ContainerError, match=told):
        images.build(image, images.Choices(own=str(tmp_path / name)))


def test_own_file_is_gone_afterwards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A user's file lies beside the wheels for as long as the build takes."""
    monkeypatch.setattr(wheelhouse, "FOLDER", tmp_path)
    TF.wheels.mkdir()
    own = tmp_path / "server"
    own.write_text("mine")
    with images._among_the_wheels(TF, str(own)) as path:
        assert (TF.wheels / path).read_text() == "mine"
    assert list(TF.wheels.iterdir()) == []
    with images._among_the_wheels(TF, "") as path:
        assert path == ""
