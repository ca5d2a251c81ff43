"""Every knob: where its value comes from, what it may be, and that all faults are told at once."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from serving import settings as knobs
from serving.errors import SettingsError
from serving.settings import KNOBS, Settings, read

BOUNDED = [f for f in KNOBS if f.metadata["low"] is not None]
FLAGS = [f for f in KNOBS if isinstance(f.default, bool)]
NAMES = [(f.name, name) for f in KNOBS for name in f.metadata["env"]]


def flag(name: str) -> str:
    """The command-line flag of a setting."""
    return "--" + name.replace("_", "-")


def refused(argv: list[str], environ: dict[str, str] | None = None) -> str:
    """The message that these settings earn."""
    with pytest.raises(SettingsError) as caught:
        read(argv, environ or {})
    return str(caught.value)


def step(value: Any) -> float:
    """A little, in the setting's own kind of number."""
    return 1 if isinstance(value, int) else 0.01


def test_defaults() -> None:
    """With nothing given every setting has its default, and says so."""
    settings = read([], {})
    assert settings == Settings()
    assert set(settings.sources.values()) == {"default"}


@pytest.mark.parametrize("f", BOUNDED, ids=lambda f: f.name)
def test_bounds(f: Any) -> None:
    """A setting takes both its bounds and nothing beyond them; the message names flag, value and bounds."""
    low, high = f.metadata["low"], f.metadata["high"]
    kind = type(f.default)
    for inside in (low, high):
        assert getattr(read([flag(f.name), str(kind(inside))], {}), f.name) == inside
    for outside in (low - step(f.default), high + step(f.default)):
        message = refused([f"{flag(f.name)}={outside}"])
        assert f"{flag(f.name)}='{outside}': expected {low} to {high}" in message


@pytest.mark.parametrize("text", ["", "x", "1.2.3", "0x10", "nan", "inf", "²", "--5", "1e999", "9" * 5000])
def test_no_numbers(text: str) -> None:
    """What is no number within bounds is refused for every such setting, in words of our own."""
    message = refused([f"{flag(f.name)}={text}" for f in BOUNDED])
    assert message.count(": expected ") == len(BOUNDED)


@pytest.mark.parametrize("f", BOUNDED, ids=lambda f: f.name)
def test_defaults_are_within_bounds(f: Any) -> None:
    """No default would be refused."""
    assert f.metadata["low"] <= f.default <= f.metadata["high"]


@pytest.mark.parametrize("f", FLAGS, ids=lambda f: f.name)
def test_words_for_true_and_false(f: Any) -> None:
    """A switch takes the usual words in any case, or none, which means true."""
    for word, value in (
        ("true", True),
        ("On", True),
        ("1", True),
        ("YES", True),
        ("false", False),
        ("off", False),
        ("0", False),
    ):
        assert getattr(read([flag(f.name), word], {}), f.name) is value
    assert getattr(read([flag(f.name)], {}), f.name) is True
    assert "expected true or false" in refused([flag(f.name), "maybe"])


@pytest.mark.parametrize(("field", "name"), NAMES, ids=[name for _, name in NAMES])
def test_environment_names(field: str, name: str) -> None:
    """Each environment name sets its field, and is named as the source."""
    samples = {
        "safe_port_range": "9000-9010",
        "placement": "pool",
        "log_format": "json",
        "deadline": "7",
        "max_header_bytes": "2000",
        "port": "81",
        "fallback": "cpu",
        "device": "eia:1",
    }
    default = getattr(Settings(), field)
    text = samples.get(field, "false" if default is True else "true" if default is False else "20")
    settings = read([], {name: text})
    assert settings.sources[field] == name
    assert str(getattr(settings, field)) in (text, text.title(), "(9000, 9010)", "7.0", "20.0", "('20',)")


@pytest.mark.parametrize(("text", "device"), [("eia", "eia:0"), ("EIA:1", "eia:1"), ("eia(2)", "eia:2"), ("CPU", "cpu")])
def test_devices(text: str, device: str) -> None:
    """A device is an accelerator by its ordinal, however that is written, or the CPU."""
    assert read(["--device", text], {}).device == device


def test_no_devices() -> None:
    """What is no device is refused, with what is one."""
    assert "expected eia:0, eia:1, ... or cpu" in refused(["--device", "gpu:0"])


def test_no_name_twice() -> None:
    """An environment variable belongs to one setting."""
    names = [name for _, name in NAMES]
    assert len(names) == len(set(names))


def test_order_of_sources() -> None:
    """Flags win over the environment; of several names the first that is set to something wins."""
    environ = {"EI_PORT": "2", "SAGEMAKER_BIND_TO_PORT": "1"}
    assert read(["--port", "3"], environ).port == 3
    assert read([], environ).port == 1
    assert read([], {"EI_PORT": "2", "SAGEMAKER_BIND_TO_PORT": "  "}).port == 2
    timeouts = {"SAGEMAKER_MODEL_SERVER_TIMEOUT": "60", "SAGEMAKER_MODEL_SERVER_TIMEOUT_SECONDS": "5"}
    assert read([], timeouts).deadline == 5
    assert read([], {**timeouts, "EI_DEADLINE_SECONDS": "3"}).deadline == 3


def test_the_last_flag_wins() -> None:
    """A flag given twice has its last value."""
    assert read(["--port", "1", "--port", "2"], {}).port == 2


def test_all_faults_in_one_message() -> None:
    """Whoever starts the server mends all settings at once: every fault has a line with its source."""
    message = refused(["--port=0", "--placement=both"], {"EI_WIDE": "perhaps", "EI_WORKERS": "many", "EI_HOST": "fine"})
    lines = message.splitlines()
    assert [line.partition("=")[0].strip() for line in lines[1:-1]] == ["--port", "EI_WORKERS", "--placement", "EI_WIDE"]
    assert "serve --help" in lines[-1]


def test_a_variable_that_a_flag_overrules_is_not_read() -> None:
    """An invalid variable does no harm where the flag says what counts."""
    assert read(["--port", "80"], {"EI_PORT": "none"}).port == 80


@pytest.mark.parametrize("text", ["9000", "9000-", "-9000", "9001-9000", "0-5", "1-65536", "a-b", "1-2-3"])
def test_port_ranges(text: str) -> None:
    """LOW-HIGH are two ports in order."""
    assert read([], {"SAGEMAKER_SAFE_PORT_RANGE": "9000-9000"}).safe_port_range == (9000, 9000)
    assert "LOW-HIGH" in refused([], {"SAGEMAKER_SAFE_PORT_RANGE": text})


@pytest.mark.parametrize(("text", "level"), [("10", 10), ("debug", 10), ("WARN", 30), (" error ", 40), ("20", 20)])
def test_log_levels(text: str, level: int) -> None:
    """A level is Python's number or a name."""
    assert read([], {"SAGEMAKER_CONTAINER_LOG_LEVEL": text}).log_level == level
    assert "expected a number" in refused([], {"SAGEMAKER_CONTAINER_LOG_LEVEL": "loud"})


def test_choices() -> None:
    """A setting of few words lists them where it is given another, and takes any case."""
    assert read(["--placement", " POOL "], {}).placement == "pool"
    assert "one of auto, inline, pool" in refused(["--placement", "cloud"])


@pytest.mark.parametrize(
    ("argv", "environ", "directory"),
    [
        ([], {}, "/opt/ml/model"),
        ([], {"SAGEMAKER_BASE_DIR": "/base"}, "/base/model"),
        (["--model", "/m"], {"SAGEMAKER_BASE_DIR": "/base"}, "/m"),
        ([], {"SAGEMAKER_BASE_DIR": "/base", "EI_MODEL_DIR": "/m"}, "/m"),
    ],
)
def test_model_directory(argv: list[str], environ: dict[str, str], directory: str) -> None:
    """The base directory moves the model directory, unless that is named itself."""
    assert read(argv, environ).model_dir == Path(directory)


@pytest.mark.parametrize(("megabytes", "size"), [("1", 1 << 20), ("100", 100 << 20), ("0", 4096 << 20)])
def test_payload(megabytes: str, size: int) -> None:
    """The limit is in MiB; 0, which the platform sets for chunked batch jobs, is the largest that is allowed."""
    assert read([], {"SAGEMAKER_MAX_PAYLOAD_IN_MB": megabytes}).max_payload == size


def test_settings_are_frozen() -> None:
    """Nothing changes a setting after the start."""
    with pytest.raises(dataclasses.FrozenInstanceError):
        Settings().port = 1  # type: ignore[misc]


def test_table() -> None:
    """Every setting is listed with its value and its source."""
    rows = {name: (value, source) for name, value, source in knobs.table(read(["--port", "81"], {"EI_WIDE": "off"}))}
    assert set(rows) == {f.name for f in KNOBS}
    assert (rows["port"], rows["wide"], rows["grace"]) == (("81", "--port"), ("False", "EI_WIDE"), ("25.0", "default"))


def test_help_lists_every_knob(capsys: pytest.CaptureFixture[str]) -> None:
    """`serve --help` has each flag, its environment names and its default, and exits with 0."""
    with pytest.raises(SystemExit) as caught:
        read(["--help"], {})
    assert caught.value.code == 0
    text = " ".join(capsys.readouterr().out.split())
    for f in KNOBS:
        assert flag(f.name) in text
        assert f.metadata["help"] in text
        assert all(name in text for name in f.metadata["env"])


@pytest.mark.parametrize("argv", [["--no-such-flag"], ["--por", "1"], ["positional"], ["--port"]])
def test_usage(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """An unknown, shortened or empty flag is a usage error: exit 2, and a line that says what is wrong."""
    with pytest.raises(SystemExit) as caught:
        read(argv, {})
    assert caught.value.code == 2
    assert "serve: error:" in capsys.readouterr().err


def test_putting_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    """A variable is set for libraries that read it; `keep` leaves what the user has set to something."""
    monkeypatch.setenv("EI_TEST_A", "user")
    monkeypatch.setenv("EI_TEST_B", "")
    for name in ("EI_TEST_A", "EI_TEST_B"):
        knobs.put(name, "ours", keep=True)
    assert (knobs.environment()["EI_TEST_A"], knobs.environment()["EI_TEST_B"]) == ("user", "ours")
    knobs.put("EI_TEST_A", "ours")
    assert knobs.environment()["EI_TEST_A"] == "ours"


def test_the_environment_is_copied(monkeypatch: pytest.MonkeyPatch) -> None:
    """A child's environment can be changed without changing this process'."""
    monkeypatch.delenv("EI_TEST_C", raising=False)
    knobs.environment()["EI_TEST_C"] = "1"
    assert "EI_TEST_C" not in knobs.environment()
