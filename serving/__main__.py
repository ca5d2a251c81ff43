"""`serve`: settings -> privileges -> requirements -> model -> placement -> gunicorn. The image's only entry point."""

from __future__ import annotations

import gc
import logging
import sys
from collections.abc import Sequence
from time import perf_counter

from serving import settings as knobs
from serving.errors import StartError
from serving.settings import Settings
from serving.telemetry.logging import configure

log = logging.getLogger("ei")


def main(argv: Sequence[str] | None = None) -> None:
    """Serve until SIGTERM. A start that fails says why in one message and exits with 1."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    if arguments[:1] == ["serve"]:
        arguments = arguments[1:]
    try:
        settings = knobs.read(arguments)
        configure(settings)
        _run(settings)
    except StartError as error:
        print(f"serve: {error}", file=sys.stderr)
        sys.exit(1)


def _run(settings: Settings) -> None:
    from serving.execution import placement
    from serving.http.arbiter import Application
    from serving.models import store
    from serving.plan import Plan

    began = perf_counter()
    service = store.load(settings)
    loaded = perf_counter()
    chosen = placement.choose(service, settings)
    plan = Plan(settings, service, chosen, settings.model_dir.name)
    plan.open()
    gc.collect()
    gc.freeze()
    log.info(
        "serving %s on port %d: loaded in %.2f s, placement %s (%s), %d processes, ready in %.2f s",
        settings.model_dir, settings.port, loaded - began, chosen.kind, chosen.why, plan.processes, perf_counter() - began,
    )
    Application(plan).run()


if __name__ == "__main__":
    main()
