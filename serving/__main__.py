"""`serve`: settings -> privileges -> requirements -> model -> placement -> gunicorn. The image's only entry point."""

from __future__ import annotations

import gc
import itertools
import logging
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from time import perf_counter
from typing import TYPE_CHECKING

from serving import settings as knobs
from serving.errors import StartError
from serving.settings import Settings

if TYPE_CHECKING:
    from serving.accelerators.detection import Found as Accelerators
    from serving.backends.tf_server_process import Servers
    from serving.execution.placement import Placement
    from serving.invocation import Service
    from serving.models.saved_models import Found

log = logging.getLogger("ei")


def main(argv: Sequence[str] | None = None) -> None:
    """Serve until SIGTERM. A start that fails says why in one message and exits with 1."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    if arguments[:1] == ["serve"]:
        arguments = arguments[1:]
    try:
        settings = knobs.read(arguments)
        # Before numpy and MXNet are imported: the process that forks must have no thread but its own. Model processes
        # set their own number after the fork.
        if not settings.reload:
            knobs.put("OMP_NUM_THREADS", "1")
        from serving.telemetry.logging import configure

        configure(settings)
        if settings.reload:
            from serving import reload

            reload.supervise(settings, arguments)
        else:
            serve(settings, arguments)
    except StartError as error:
        print(f"serve: {error}", file=sys.stderr)
        sys.exit(1)


def serve(settings: Settings, arguments: Sequence[str] = ()) -> None:
    """Load the model and serve it; returns only by SystemExit, with 0 after SIGTERM."""
    from serving import noted
    from serving.execution import placement
    from serving.http.arbiter import Application
    from serving.models import store
    from serving.plan import Plan

    began = perf_counter()
    if settings.multi_model:
        raise StartError("SAGEMAKER_MULTI_MODEL is set: this server serves one model; deploy it as a single-model endpoint")
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _leave)
    gc.disable()  # nothing of what a start makes is garbage; the workers freeze it and go on with the collector
    settings = prepare(settings)
    attached: tuple[Accelerators, ...] = ()
    if settings.accelerators or settings.accelerator_present:
        from serving.accelerators import detection

        settings, attached = detection.attach(settings)
    found = store.served_by_tensorflow(settings)
    tf_serving = None
    if found or settings.tfs_address:
        noted.say()
    if settings.tfs_address or (found and not settings.attaches):
        settings, tf_serving = _attach(settings, found)
    if settings.preload or settings.attaches:
        with _time_limit(settings.startup_timeout):
            service, chosen = _load(settings, found)
        if _has_threads():
            _start_over(settings, arguments)
    else:
        service, chosen = None, placement.unmeasured(settings)
    plan = Plan(settings, service, chosen, settings.model_dir.name, tf_serving=tf_serving)
    plan.is_tensorflow = bool(found or settings.tfs_address)
    plan.attached = attached
    device = settings.device if settings.attaches and not settings.tfs_address else "cpu"
    plan.metrics.devices = dict.fromkeys(found or [plan.name], device)
    try:
        plan.open()
    except StartError:
        if tf_serving is not None:
            tf_serving.stop()
        raise
    message = "serving %s on port %d: loaded in %.2f s, device %s, placement %s (%s), %d processes"
    where = next((str(one) for one in attached if one.device == device), device)
    taken = perf_counter() - began
    log.info(message, settings.model_dir, settings.port, taken, where, chosen.kind, chosen.why, plan.processes)
    Application(plan).run()


def _attach(settings: Settings, found: Found) -> tuple[Settings, Servers | None]:
    """Settings with the address of the TF Serving processes that run the models, and those that were started here for it."""
    from serving.backends import tensorflow_import
    from serving.tfs import remote

    servers = remote.own(settings, found)
    if servers is not None:
        default = settings.tfs_default_model or next(iter(found))
        settings = replace(settings, tfs_address=",".join(servers.addresses), tfs_default_model=default)
    if settings.tfs_address:
        tensorflow_import.protos()
        settings = replace(settings, wide=False)  # its threads are TF Serving's own
    return settings, servers


def _load(settings: Settings, found: Found) -> tuple[Service | None, Placement]:
    """The service, where it can be loaded before the fork, and its placement."""
    from serving.execution import placement, probe
    from serving.models import store

    if settings.tfs_address:
        return None, placement.unmeasured(settings)
    if settings.accelerators and (found or store.has_user_code(settings)):
        return None, placement.unmeasured(settings)  # connections do not survive a fork
    if settings.attaches:
        from serving.execution import attachment

        service = store.load(settings)
        return service, attachment.place(service, settings)
    if not found:
        service = store.load(settings)
        return service, placement.choose(service, settings)
    from serving.backends import tensorflow_import
    from serving.tfs import loading

    tensorflow_import.library()  # opened once: the processes share its pages
    tensorflow_import.protos()
    if settings.placement != "auto":
        return None, placement.unmeasured(settings)
    heavy = placement.by_size(loading.parameter_bytes(settings, found))
    return None, heavy or probe.place(lambda: store.load(settings), lambda service: placement.choose(service, settings))


def prepare(settings: Settings) -> Settings:
    """Everything between the settings and the model: the uid, the archive, the user's requirements."""
    from serving import privileges, requirements
    from serving.models import archive

    directory = privileges.drop(settings, settings.model_dir)
    directory = archive.directory_of(directory, settings.site.parent / "model")
    settings = replace(settings, model=directory, base_dir=None)
    code = directory / "code"
    requirements.install(code if code.is_dir() else None, settings, settings.pip)
    return settings


@contextmanager
def _time_limit(seconds: float) -> Iterator[None]:
    """StartError where what is within takes longer, a user's `model_fn` say; a second later the end, if it was swallowed."""
    message = f"the model did not load within {seconds:g} s (SAGEMAKER_STARTUP_TIMEOUT)"
    rings = itertools.count()

    def ring(signum: int, frame: object) -> None:
        if next(rings):
            os.write(2, f"serve: {message}\n".encode())
            os._exit(1)
        raise StartError(message)

    signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds, 1.0)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def _leave(signum: int, frame: object) -> None:
    """Stop before anything serves: there is nothing to drain, and a script's `except` must not keep the process alive.

    A handler is needed for it: signals that have none do not reach PID 1.
    """
    os.write(2, b"serve: stopped while the model was loading\n")
    os._exit(0)


def _has_threads() -> bool:
    """Whether this process has threads besides its own: they would not be there after a fork, and their locks would."""
    return len(os.listdir("/proc/self/task")) > 1


def _start_over(settings: Settings, arguments: Sequence[str]) -> None:
    """Begin again as a process that does not load the model itself: its children will, each for itself."""
    log.warning("loading the model started threads, which do not survive a fork: every process loads it for itself")
    flags = ["--model", str(settings.model_dir), "--preload", "false", "--omp-threads", str(settings.omp_threads)]
    os.execv(sys.executable, [sys.executable, "-m", "serving", *arguments, *flags])


if __name__ == "__main__":
    main()
