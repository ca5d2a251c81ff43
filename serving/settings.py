"""Every knob, declared once: field, environment names, default, bounds, help. The only reader and writer of `os.environ`.

    flags over environment over defaults -> Settings, frozen, passed as an argument

Where several environment names are listed the first that is set wins. Platform variables (`SAGEMAKER_*`) keep the meaning
of the containers they come from; durations are seconds, whatever the toolkit of old read them as.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from serving import flags, knobs
from serving.errors import SettingsError

UNSET = "default"


@dataclass(frozen=True)
class Settings:
    """The server's settings; `sources` says for each where its value came from."""

    model: Path = knobs.knob(Path("/opt/ml/model"), "EI_MODEL_DIR", parse=Path, help="the model directory")
    host: str = knobs.knob("0.0.0.0", "EI_HOST", help="the address to listen on")
    port: int = knobs.knob(
        8080, "SAGEMAKER_BIND_TO_PORT", "EI_PORT", parse=knobs.whole, low=1, high=65535, help="the port of both routes"
    )
    safe_port_range: tuple[int, int] | None = knobs.knob(
        None,
        "SAGEMAKER_SAFE_PORT_RANGE",
        parse=knobs.port_range,
        help="LOW-HIGH: the only ports that may be listened on besides --port",
    )
    base_dir: Path | None = knobs.knob(
        None, "SAGEMAKER_BASE_DIR", parse=Path, help="the folder that holds model/, where it is not /opt/ml"
    )
    program: str = knobs.knob("inference.py", "SAGEMAKER_PROGRAM", help="the user script, in code/ or the submit directory")
    submit_directory: str = knobs.knob(
        "", "SAGEMAKER_SUBMIT_DIRECTORY", help="where the user script lies, where it is not in the model directory's code/"
    )
    handler: str = knobs.knob(
        "",
        "SAGEMAKER_HANDLER",
        help="FILE.py:function or a module: a handler service to run instead of the user script's functions",
    )
    default_accept: str = knobs.knob(
        "application/json",
        "SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT",
        help="the content type of answers to requests that ask for none",
    )
    workers: int = knobs.knob(
        0,
        "SAGEMAKER_MODEL_SERVER_WORKERS",
        "EI_WORKERS",
        parse=knobs.whole,
        low=0,
        high=512,
        help="model processes; 0: one per core of the cgroup quota",
    )
    placement: str = knobs.knob(
        "auto",
        "EI_PLACEMENT",
        parse=knobs.choice("auto", "inline", "pool"),
        help="where a pass runs: auto (measured), inline (on the event loop) or pool (model processes)",
    )
    wide: bool = knobs.knob(
        True,
        "EI_WIDE",
        parse=knobs.flag,
        help="keep one more model process that gives a lone request the threads of all cores (pool only)",
    )
    preload: bool = knobs.knob(
        True, "EI_PRELOAD", parse=knobs.flag, help="load the model once and fork; off: every model process loads for itself"
    )
    omp_threads: int = knobs.knob(
        1, "OMP_NUM_THREADS", parse=knobs.whole, low=1, high=512, help="OpenMP threads of each model process"
    )
    deadline: float = knobs.knob(
        55.0,
        "EI_DEADLINE_SECONDS",
        "SAGEMAKER_MODEL_SERVER_TIMEOUT_SECONDS",
        "SAGEMAKER_MODEL_SERVER_TIMEOUT",
        parse=knobs.seconds,
        low=0.05,
        high=86400,
        help="seconds until an unanswered invocation is a 504",
    )
    queue_size: int = knobs.knob(
        0,
        "EI_QUEUE_SIZE",
        "MMS_JOB_QUEUE_SIZE",
        parse=knobs.whole,
        low=0,
        high=100000,
        help="invocations that may wait; more are a 503; 0: 100 in the pool, 1024 in each inline process",
    )
    queue_mb: int = knobs.knob(
        512,
        "EI_QUEUE_MB",
        parse=knobs.whole,
        low=1,
        high=1 << 20,
        help="MiB of request bodies held at once; more is a 503, one that is larger by itself a 413",
    )
    max_payload_mb: int = knobs.knob(
        100,
        "SAGEMAKER_MAX_PAYLOAD_IN_MB",
        "EI_MAX_PAYLOAD_MB",
        parse=knobs.whole,
        low=0,
        high=4096,
        help="MiB of a request body, packed or unpacked; 0: 4096",
    )
    max_header_bytes: int = knobs.knob(
        32768, "EI_MAX_HEADER_BYTES", parse=knobs.whole, low=1024, high=1 << 20, help="bytes of a request line and its headers"
    )
    max_connections: int = knobs.knob(
        4096,
        "EI_MAX_CONNECTIONS",
        parse=knobs.whole,
        low=1,
        high=1 << 20,
        help="open connections of a process; more are closed at once",
    )
    header_timeout: float = knobs.knob(
        15.0,
        "EI_HEADER_TIMEOUT_SECONDS",
        parse=knobs.seconds,
        low=0.1,
        high=3600,
        help="seconds for a request's headers, for a pause within its body, and for one in taking an answer",
    )
    body_timeout: float = knobs.knob(
        60.0, "EI_BODY_TIMEOUT_SECONDS", parse=knobs.seconds, low=0.1, high=3600, help="seconds for a whole request body"
    )
    keep_alive: float = knobs.knob(
        75.0,
        "EI_KEEP_ALIVE_SECONDS",
        parse=knobs.seconds,
        low=0,
        high=86400,
        help="seconds that an idle connection is kept; 0: close after each answer",
    )
    grace: float = knobs.knob(
        25.0,
        "EI_GRACE_SECONDS",
        parse=knobs.seconds,
        low=0,
        high=3600,
        help="seconds to answer what was accepted after SIGTERM (the platform kills after 30)",
    )
    startup_timeout: float = knobs.knob(
        600.0,
        "SAGEMAKER_STARTUP_TIMEOUT",
        "SAGEMAKER_TFS_WAIT_TIME_SECONDS",
        parse=knobs.seconds,
        low=1,
        high=86400,
        help="seconds for the model to load",
    )
    tfs_default_model: str = knobs.knob(
        "", "SAGEMAKER_TFS_DEFAULT_MODEL_NAME", help="the model of requests that name none; empty: the first that is found"
    )
    tfs_batching: bool = knobs.knob(
        False,
        "SAGEMAKER_TFS_ENABLE_BATCHING",
        parse=knobs.flag,
        help="take it as true that rows of different requests may share a TensorFlow pass; off: it is found out",
    )
    tfs_max_batch: int = knobs.knob(
        64,
        "SAGEMAKER_TFS_MAX_BATCH_SIZE",
        parse=knobs.whole,
        low=1,
        high=1 << 20,
        help="rows that share a TensorFlow pass at most",
    )
    tfs_threads: int = knobs.knob(
        0,
        "SAGEMAKER_TFS_INTRA_OP_PARALLELISM",
        parse=knobs.whole,
        low=0,
        high=512,
        help="threads of a TensorFlow pass in each model process; 0: one, and all cores' for a lone request",
    )
    tfs_inter_op: int = knobs.knob(
        0,
        "SAGEMAKER_TFS_INTER_OP_PARALLELISM",
        parse=knobs.whole,
        low=0,
        high=512,
        help="what a TF Serving process on PATH is started with; nothing in process, where a pass has the thread of its process",
    )
    tfs_instances: int = knobs.knob(
        1, "SAGEMAKER_TFS_INSTANCE_COUNT", parse=knobs.whole, low=1, high=512, help="TF Serving processes, where one is on PATH"
    )
    tfs_batch_micros: int = knobs.knob(
        1000,
        "SAGEMAKER_TFS_BATCH_TIMEOUT_MICROS",
        parse=knobs.whole,
        low=0,
        high=1 << 40,
        help="how long TF Serving waits for a batch to fill; in process nothing ever waits",
    )
    tfs_batch_threads: int = knobs.knob(
        0,
        "SAGEMAKER_TFS_NUM_BATCH_THREADS",
        parse=knobs.whole,
        low=0,
        high=4096,
        help="batches that TF Serving runs at once; 0: one per core",
    )
    tfs_batch_queue: int = knobs.knob(
        0,
        "SAGEMAKER_TFS_MAX_ENQUEUED_BATCHES",
        parse=knobs.whole,
        low=0,
        high=1 << 40,
        help="batches that may wait in TF Serving; 0: one per core, or as many as come in a batch transform job",
    )
    tfs_address: str = knobs.knob(
        "", "EI_TFS_ADDRESS", help="HOST:PORT of a running TF Serving process to put the contract in front of (gRPC)"
    )
    grpc: bool = knobs.knob(False, "EI_GRPC", parse=knobs.flag, help="answer TF Serving's gRPC clients too, on the gRPC port")
    grpc_port: int = knobs.knob(
        9000, "EI_GRPC_PORT", parse=knobs.whole, low=1, high=65535, help="the gRPC port; naming one turns gRPC on"
    )
    accelerators: tuple[str, ...] = knobs.knob(
        (),
        "EI_ACCELERATORS",
        parse=knobs.names,
        help="the attached accelerators, HOST:PORT or a gRPC target each, with commas between; the first is mx.eia(0)",
    )
    accelerator_present: bool = knobs.knob(
        False,
        "SAGEMAKER_INFERENCE_ACCELERATOR_PRESENT",
        parse=knobs.flag,
        help="that an accelerator is declared: the start fails where none can be reached",
    )
    accelerator_token: str = knobs.knob(
        "", "EI_ACCELERATOR_TOKEN", parse=knobs.secret, help="the token that the accelerators ask for"
    )
    accelerator_ca: str = knobs.knob(
        "", "EI_ACCELERATOR_CA", help="a PEM file of whom to trust for TLS to the accelerators; `system`: the system's own"
    )
    accelerator_name: str = knobs.knob(
        "", "EI_ACCELERATOR_NAME", help="the name in the accelerators' certificate, where it is not their host's"
    )
    fallback: str = knobs.knob(
        "none",
        "EI_FALLBACK",
        parse=knobs.choice("none", "cpu"),
        help="cpu: serve on the CPU where a declared accelerator cannot be reached; none: fail the start",
    )
    visible_devices: tuple[str, ...] | None = knobs.knob(
        None,
        "EI_VISIBLE_DEVICES",
        parse=knobs.names_or_none,
        help="ordinals or ids of the accelerators to use, renumbered in this order; set and empty: none",
    )
    device: str = knobs.knob(
        "eia:0",
        "EI_DEVICE",
        parse=knobs.device,
        help="which accelerator a model without a model_fn runs on, where one is declared: eia:N, or cpu for this host",
    )
    accelerator_batch: int = knobs.knob(
        64,
        "EI_ACCELERATOR_BATCH",
        parse=knobs.whole,
        low=1,
        high=4096,
        help="rows of different requests that share a pass on the accelerator; 1: none do",
    )
    log_level: int = knobs.knob(
        20,
        "EI_LOG_LEVEL",
        "SAGEMAKER_CONTAINER_LOG_LEVEL",
        parse=knobs.log_level,
        help="what the log says: 10, 20, 30, 40 or a name",
    )
    log_format: str = knobs.knob("text", "EI_LOG_FORMAT", parse=knobs.choice("text", "json"), help="text or json lines")
    access_log: bool = knobs.knob(True, "EI_ACCESS_LOG", parse=knobs.flag, help="one line an invocation")
    reload: bool = knobs.knob(
        False, "EI_RELOAD", parse=knobs.flag, help="load again when a file of the user's code changes (for work on a script)"
    )
    user: str = knobs.knob("", "EI_USER", help="uid to go on as where the start is root's (the image sets 10001)")
    wheelhouse: str = knobs.knob(
        "", "EI_WHEELHOUSE", help="a folder of wheels to install code/requirements.txt from, without an index"
    )
    repository_arn: str = knobs.knob(
        "", "CA_REPOSITORY_ARN", help="an AWS CodeArtifact repository to install code/requirements.txt from"
    )
    pip: str = knobs.knob(
        "", "EI_PIP", help="pip as a zipapp, for a user's requirements where pip is not installed (the image sets it)"
    )
    site: Path = knobs.knob(Path("/tmp/ei/site"), "EI_SITE", parse=Path, help="where code/requirements.txt is installed to")
    multi_model: bool = knobs.knob(
        False, "SAGEMAKER_MULTI_MODEL", parse=knobs.flag, help="serve many models, loaded and unloaded by the platform"
    )
    batch: bool = knobs.knob(False, "SAGEMAKER_BATCH", parse=knobs.flag, help="set by the platform in a batch transform job")
    batch_strategy: str = knobs.knob("", "SAGEMAKER_BATCH_STRATEGY", help="set by the platform in a batch transform job")
    max_concurrent_transforms: int = knobs.knob(
        0,
        "SAGEMAKER_MAX_CONCURRENT_TRANSFORMS",
        parse=knobs.whole,
        low=0,
        high=100000,
        help="set by the platform in a batch transform job",
    )
    region: str = knobs.knob("", "SAGEMAKER_REGION", "AWS_REGION", help="the AWS region, for CodeArtifact")
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
    def attaches(self) -> bool:
        """Whether models without a script of their own run on an accelerator."""
        return self.attached_device is not None

    @property
    def attached_device(self) -> int | None:
        """The ordinal of that accelerator; None where they run here."""
        return int(self.device[4:]) if self.accelerators and self.device != "cpu" else None

    @property
    def max_payload(self) -> int:
        """The largest request body in bytes."""
        return (self.max_payload_mb or 4096) << 20


KNOBS = tuple(f for f in fields(Settings) if f.metadata)


def read(argv: Sequence[str] = (), environ: Mapping[str, str] | None = None) -> Settings:
    """Settings from flags over environment over defaults; SettingsError lists every invalid value at once."""
    given = flags.parse(KNOBS, argv)
    environ = os.environ if environ is None else environ
    values: dict[str, Any] = {}
    sources: dict[str, str] = {}
    faults: list[str] = []
    for f in KNOBS:
        source, text = _find(f.metadata["env"], environ, empty=f.metadata["parse"] is knobs.names_or_none)
        if given[f.name] is not None:
            source, text = flags.name(f), given[f.name]
        sources[f.name] = source
        if text is None:
            continue
        try:
            values[f.name] = knobs.value(text, f.metadata)
        except ValueError as fault:
            faults.append(f"  {source}={text!r}: {fault}")
    if faults:
        raise SettingsError("these settings are invalid:\n" + "\n".join(faults) + "\n`serve --help` lists them all")
    return Settings(**values, sources=sources)


def _find(names: Sequence[str], environ: Mapping[str, str], empty: bool = False) -> tuple[str, str | None]:
    """The first of these names that is set to something, or where `empty` says so to nothing, and its text."""
    found = (name for name in names if environ.get(name, "").strip() or (empty and name in environ))
    return next(((name, environ[name]) for name in found), (UNSET, None))


def table(settings: Settings) -> list[tuple[str, str, str]]:
    """(name, value, source) of every setting: what `ei settings` prints. Of a secret it says only whether it is set."""
    return [(f.name, _shown(f, getattr(settings, f.name)), settings.sources.get(f.name, UNSET)) for f in KNOBS]


def _shown(f: Any, value: Any) -> str:
    return "(set)" if value and f.metadata["parse"] is knobs.secret else str(value)


def environment() -> dict[str, str]:
    """A copy of the environment, for a child process."""
    return dict(os.environ)


def put(name: str, value: str, keep: bool = False) -> None:
    """Set an environment variable for libraries that read it; `keep` leaves a value that the user set."""
    if not keep or not os.environ.get(name):
        os.environ[name] = value
