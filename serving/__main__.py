"""`serve`: settings -> privileges -> requirements -> model -> placement -> gunicorn. The image's only entry point."""

from __future__ import annotations

import gc
import logging
import os
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from time import perf_counter

from serving import settings as knobs
from serving.errors import StartError
from serving.settings import Settings

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
        knobs.put("OMP_NUM_THREADS", "1")
        from serving.telemetry.logging import configure

        configure(settings)
        if settings.reload:
            from serving import reload

            reload.supervise(settings, arguments)
        else:
            serve(settings)
    except StartError as error:
        print(f"serve: {error}", file=sys.stderr)
        sys.exit(1)


def serve(settings: Settings) -> None:
    """Load the model and serve it; returns only by SystemExit, with 0 after SIGTERM."""
    from serving.execution import placement
    from serving.http.arbiter import Application
    from serving.models import store
    from serving.plan import Plan

    began = perf_counter()
    settings = prepare(settings)
    service = store.load(settings)
    loaded = perf_counter()
    chosen = placement.choose(service, settings)
    keep = settings.preload and not _has_threads()
    plan = Plan(settings, service if keep else None, chosen, settings.model_dir.name)
    if not keep:
        log.info(
            "every process loads the model for itself: %s",
            "as EI_PRELOAD says" if not settings.preload else "the user script started threads",
        )
    plan.open()
    log.info(
        "serving %s on port %d: loaded in %.2f s, placement %s (%s), %d processes",
        settings.model_dir,
        settings.port,
        loaded - began,
        chosen.kind,
        chosen.why,
        plan.processes,
    )
    gc.collect()
    Application(plan).run()


def prepare(settings: Settings) -> Settings:
    """Everything between the settings and the model: the archive, the uid, the user's requirements."""
    from serving import privileges, requirements
    from serving.models import archive

    unpacked = archive.directory_of(settings.model_dir, Path(tempfile.gettempdir()) / "ei" / "model")
    directory = privileges.drop(settings, unpacked)
    settings = replace(settings, model=directory, base_dir=None)
    code = directory / "code"
    requirements.install(code if code.is_dir() else None, settings, settings.pip)
    return settings


def _has_threads() -> bool:
    """Whether this process has threads besides its own: they would not be there after a fork, and their locks would."""
    return len(os.listdir("/proc/self/task")) > 1


if __name__ == "__main__":
    main()
