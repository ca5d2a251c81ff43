"""Every knob, declared once: field, environment names, default, bounds, help. The only reader and writer of `os.environ`.

    flags over environment over defaults -> Settings, frozen, passed as an argument

Where several environment names are listed the first that is set wins. Platform variables (`SAGEMAKER_*`) keep the meaning
of the containers they come from; durations are seconds, whatever the toolkit of old read them as.
"""

from __future__ import annotations

import argparse
import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from serving.errors import SettingsError

UNSET = "default"


def _flag(text: str) -> bool:
    words = {"1": True, "true": True, "yes": True, "on": True, "0": False, "false": False, "no": False, "off": False}
    if text.strip().lower() not in words:
        raise ValueError("expected true or false")
    return words[text.strip().lower()]


def _whole(text: str) -> int:
    if not re.fullmatch(r"-?[0-9]{1,18}", text.strip()):
        raise ValueError("expected a whole number")
    return int(text)


def _seconds(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ValueError("expected a number of seconds") from None


def _port_range(text: str) -> tuple[int, int]:
    low, dash, high = text.partition("-")
    if not dash or not low.isdigit() or not high.isdigit() or not 0 < int(low) <= int(high) < 65536:
        raise ValueError("expected LOW-HIGH, two ports, the lower first")
    return int(low), int(high)


def _choice(*words: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if text.strip().lower() not in words:
            raise ValueError("expected one of " + ", ".join(words))
        return text.strip().lower()

    return parse


def _log_level(text: str) -> int:
    levels = {"debug": 10, "info": 20, "warn": 30, "warning": 30, "error": 40, "critical": 50}
    word = text.strip().lower()
    if word not in levels and not re.fullmatch(r"[0-9]{1,3}", word):
        raise ValueError("expected a number, as Python's logging has it, or debug, info, warning, error, critical")
    return levels[word] if word in levels else int(word)


def knob(
    default: Any,
    *env: str,
    parse: Callable[[str], Any] = str,
    low: float | None = None,
    high: float | None = None,
    help: str,
) -> Any:
    """Declare a setting: its default, its environment names, how text becomes its value, its bounds, what it does."""
    return field(default=default, metadata={"env": env, "parse": parse, "low": low, "high": high, "help": help})


@dataclass(frozen=True)
class Settings:
    """The server's settings; `sources` says for each where its value came from."""

    model: Path = knob(Path("/opt/ml/model"), "EI_MODEL_DIR", parse=Path, help="the model directory")
    host: str = knob("0.0.0.0", "EI_HOST", help="the address to listen on")
    port: int = knob(8080, "SAGEMAKER_BIND_TO_PORT", "EI_PORT", parse=_whole, low=1, high=65535, help="the port of both routes")
    safe_port_range: tuple[int, int] | None = knob(
        None,
        "SAGEMAKER_SAFE_PORT_RANGE",
        parse=_port_range,
        help="LOW-HIGH: the only ports that may be listened on besides --port",
    )
    base_dir: Path | None = knob(
        None, "SAGEMAKER_BASE_DIR", parse=Path, help="the folder that holds model/, where it is not /opt/ml"
    )
    program: str = knob("inference.py", "SAGEMAKER_PROGRAM", help="the user script, in code/ or the submit directory")
    submit_directory: str = knob(
        "", "SAGEMAKER_SUBMIT_DIRECTORY", help="where the user script lies, where it is not in the model directory's code/"
    )
    handler: str = knob(
        "",
        "SAGEMAKER_HANDLER",
        help="FILE.py:function or a module: a handler service to run instead of the user script's functions",
    )
    default_accept: str = knob(
        "application/json",
        "SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT",
        help="the content type of answers to requests that ask for none",
    )
    workers: int = knob(
        0,
        "SAGEMAKER_MODEL_SERVER_WORKERS",
        "EI_WORKERS",
        parse=_whole,
        low=0,
        high=512,
        help="model processes; 0: one per core of the cgroup quota",
    )
    placement: str = knob(
        "auto",
        "EI_PLACEMENT",
        parse=_choice("auto", "inline", "pool"),
        help="where a pass runs: auto (measured), inline (on the event loop) or pool (model processes)",
    )
    wide: bool = knob(
        True,
        "EI_WIDE",
        parse=_flag,
        help="keep one more model process that gives a lone request the threads of all cores (pool only)",
    )
    preload: bool = knob(
        True, "EI_PRELOAD", parse=_flag, help="load the model once and fork; off: every model process loads for itself"
    )
    omp_threads: int = knob(1, "OMP_NUM_THREADS", parse=_whole, low=1, high=512, help="OpenMP threads of each model process")
    deadline: float = knob(
        55.0,
        "EI_DEADLINE_SECONDS",
        "SAGEMAKER_MODEL_SERVER_TIMEOUT_SECONDS",
        "SAGEMAKER_MODEL_SERVER_TIMEOUT",
        parse=_seconds,
        low=0.05,
        high=86400,
        help="seconds until an unanswered invocation is a 504",
    )
    queue_size: int = knob(
        0,
        "EI_QUEUE_SIZE",
        "MMS_JOB_QUEUE_SIZE",
        parse=_whole,
        low=0,
        high=100000,
        help="invocations that may wait; more are a 503; 0: 100 in the pool, 1024 in each inline process",
    )
    queue_mb: int = knob(
        512, "EI_QUEUE_MB", parse=_whole, low=1, high=1 << 20, help="MiB of request bodies held at once; more is a 503"
    )
    max_payload_mb: int = knob(
        100,
        "SAGEMAKER_MAX_PAYLOAD_IN_MB",
        "EI_MAX_PAYLOAD_MB",
        parse=_whole,
        low=0,
        high=4096,
        help="MiB of a request body, packed or unpacked; 0: 4096",
    )
    max_header_bytes: int = knob(
        32768, "EI_MAX_HEADER_BYTES", parse=_whole, low=1024, high=1 << 20, help="bytes of a request line and its headers"
    )
    max_connections: int = knob(
        4096,
        "EI_MAX_CONNECTIONS",
        parse=_whole,
        low=1,
        high=1 << 20,
        help="open connections of a process; more are closed at once",
    )
    header_timeout: float = knob(
        15.0,
        "EI_HEADER_TIMEOUT_SECONDS",
        parse=_seconds,
        low=0.1,
        high=3600,
        help="seconds for a request's headers, for a pause within its body, and for one in taking an answer",
    )
    body_timeout: float = knob(
        60.0, "EI_BODY_TIMEOUT_SECONDS", parse=_seconds, low=0.1, high=3600, help="seconds for a whole request body"
    )
    keep_alive: float = knob(
        75.0,
        "EI_KEEP_ALIVE_SECONDS",
        parse=_seconds,
        low=0,
        high=86400,
        help="seconds that an idle connection is kept; 0: close after each answer",
    )
    grace: float = knob(
        25.0,
        "EI_GRACE_SECONDS",
        parse=_seconds,
        low=0,
        high=3600,
        help="seconds to answer what was accepted after SIGTERM (the platform kills after 30)",
    )
    startup_timeout: float = knob(
        600.0,
        "SAGEMAKER_STARTUP_TIMEOUT",
        "SAGEMAKER_TFS_WAIT_TIME_SECONDS",
        parse=_seconds,
        low=1,
        high=86400,
        help="seconds for the model to load",
    )
    tfs_default_model: str = knob(
        "", "SAGEMAKER_TFS_DEFAULT_MODEL_NAME", help="the model of requests that name none; empty: the first that is found"
    )
    tfs_batching: bool = knob(
        False,
        "SAGEMAKER_TFS_ENABLE_BATCHING",
        parse=_flag,
        help="take it as true that rows of different requests may share a TensorFlow pass; off: it is found out",
    )
    tfs_max_batch: int = knob(
        64, "SAGEMAKER_TFS_MAX_BATCH_SIZE", parse=_whole, low=1, high=1 << 20, help="rows that share a TensorFlow pass at most"
    )
    tfs_threads: int = knob(
        0,
        "SAGEMAKER_TFS_INTRA_OP_PARALLELISM",
        parse=_whole,
        low=0,
        high=512,
        help="threads of a TensorFlow pass in each model process; 0: one, and all cores' for a lone request",
    )
    tfs_address: str = knob(
        "", "EI_TFS_ADDRESS", help="HOST:PORT of a running TF Serving process to put the contract in front of (gRPC)"
    )
    grpc: bool = knob(False, "EI_GRPC", parse=_flag, help="answer TF Serving's gRPC clients too, on the gRPC port")
    grpc_port: int = knob(
        9000, "EI_GRPC_PORT", parse=_whole, low=1, high=65535, help="the gRPC port; naming one turns gRPC on"
    )
    log_level: int = knob(
        20,
        "EI_LOG_LEVEL",
        "SAGEMAKER_CONTAINER_LOG_LEVEL",
        parse=_log_level,
        help="what the log says: 10, 20, 30, 40 or a name",
    )
    log_format: str = knob("text", "EI_LOG_FORMAT", parse=_choice("text", "json"), help="text or json lines")
    access_log: bool = knob(True, "EI_ACCESS_LOG", parse=_flag, help="one line an invocation")
    reload: bool = knob(
        False, "EI_RELOAD", parse=_flag, help="load again when a file of the user's code changes (for work on a script)"
    )
    user: str = knob("", "EI_USER", help="uid to go on as where the start is root's (the image sets 10001)")
    wheelhouse: str = knob(
        "", "EI_WHEELHOUSE", help="a folder of wheels to install code/requirements.txt from, without an index"
    )
    repository_arn: str = knob(
        "", "CA_REPOSITORY_ARN", help="an AWS CodeArtifact repository to install code/requirements.txt from"
    )
    pip: str = knob(
        "", "EI_PIP", help="pip as a zipapp, for a user's requirements where pip is not installed (the image sets it)"
    )
    site: Path = knob(Path("/tmp/ei/site"), "EI_SITE", parse=Path, help="where code/requirements.txt is installed to")
    multi_model: bool = knob(
        False, "SAGEMAKER_MULTI_MODEL", parse=_flag, help="serve many models, loaded and unloaded by the platform"
    )
    batch: bool = knob(False, "SAGEMAKER_BATCH", parse=_flag, help="set by the platform in a batch transform job")
    batch_strategy: str = knob("", "SAGEMAKER_BATCH_STRATEGY", help="set by the platform in a batch transform job")
    max_concurrent_transforms: int = knob(
        0,
        "SAGEMAKER_MAX_CONCURRENT_TRANSFORMS",
        parse=_whole,
        low=0,
        high=100000,
        help="set by the platform in a batch transform job",
    )
    region: str = knob("", "SAGEMAKER_REGION", "AWS_REGION", help="the AWS region, for CodeArtifact")
    sources: Mapping[str, str] = field(default_factory=dict, compare=False)

    @property
    def model_dir(self) -> Path:
        """The model directory: `--model` or its default, moved where SAGEMAKER_BASE_DIR says so."""
        if self.base_dir is not None and self.sources.get("model", UNSET) == UNSET:
            return self.base_dir / "model"
        return self.model

    @property
    def listens_grpc(self) -> bool:
        """Whether TF Serving's gRPC clients are answered."""
        return self.grpc or self.sources.get("grpc_port", UNSET) != UNSET

    @property
    def max_payload(self) -> int:
        """The largest request body in bytes."""
        return (self.max_payload_mb or 4096) << 20


KNOBS = tuple(f for f in fields(Settings) if f.metadata)


def read(argv: Sequence[str] = (), environ: Mapping[str, str] | None = None) -> Settings:
    """Settings from flags over environment over defaults; SettingsError lists every invalid value at once."""
    flags = vars(_parser().parse_args(list(argv)))
    environ = os.environ if environ is None else environ
    values: dict[str, Any] = {}
    sources: dict[str, str] = {}
    faults: list[str] = []
    for f in KNOBS:
        source, text = _find(f.metadata["env"], environ)
        if flags[f.name] is not None:
            source, text = f"--{f.name.replace('_', '-')}", flags[f.name]
        sources[f.name] = source
        if text is None:
            continue
        try:
            values[f.name] = _bounded(f.metadata["parse"](text), f.metadata)
        except ValueError as fault:
            faults.append(f"  {source}={text!r}: {fault}")
    if faults:
        raise SettingsError("these settings are invalid:\n" + "\n".join(faults) + "\n`serve --help` lists them all")
    return Settings(**values, sources=sources)


def _find(names: Sequence[str], environ: Mapping[str, str]) -> tuple[str, str | None]:
    """The first of these names that is set to something, and its text."""
    return next(((name, environ[name]) for name in names if environ.get(name, "").strip()), (UNSET, None))


def _bounded(value: Any, meta: Mapping[str, Any]) -> Any:
    low, high = meta["low"], meta["high"]
    if low is not None and not low <= value <= high:
        raise ValueError(f"expected {low} to {high}")
    return value


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="serve",
        description="Serve a model directory behind GET /ping and POST /invocations.",
        epilog="example: serve --model ./model --port 8080",
        allow_abbrev=False,
    )
    for f in KNOBS:
        names = ", ".join(f.metadata["env"])
        parser.add_argument(
            f"--{f.name.replace('_', '-')}",
            metavar=f.name.upper(),
            nargs="?" if f.metadata["parse"] is _flag else None,
            const="true" if f.metadata["parse"] is _flag else None,
            help=f"{f.metadata['help']} [{names}; default {f.default if f.default is not None else 'none'}]",
        )
    return parser


def table(settings: Settings) -> list[tuple[str, str, str]]:
    """(name, value, source) of every setting: what `ei settings` prints."""
    return [(f.name, str(getattr(settings, f.name)), settings.sources.get(f.name, UNSET)) for f in KNOBS]


def environment() -> dict[str, str]:
    """A copy of the environment, for a child process."""
    return dict(os.environ)


def put(name: str, value: str, keep: bool = False) -> None:
    """Set an environment variable for libraries that read it; `keep` leaves a value that the user set."""
    if not keep or not os.environ.get(name):
        os.environ[name] = value
