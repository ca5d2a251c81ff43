"""From a directory of SavedModels to a service: the models of every version, then the user's scripts around them.

directory -> {name: {version: folder}} -> Servables -> TfsService -> TfsScriptService where there are scripts
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

from serving import backends
from serving.errors import BadRequest, ModelError
from serving.handlers import script_file
from serving.invocation import Service, invoke
from serving.models import tf_warmup
from serving.models.saved_models import Found
from serving.settings import Settings
from serving.tfs import remote, rpc_calls, servables
from serving.tfs.servables import Runnable, Servable, Servables
from serving.tfs.service import TfsService, check

log = logging.getLogger("ei.models")


def load(settings: Settings, found: Found) -> Service:
    """The service of these models (`saved_models.find`), or of those behind the settings' TF Serving address.

    ModelError says which cannot be loaded, and why.
    """
    from serving.handlers import tfs_script
    from serving.handlers.tfs_script_service import Options, TfsScriptService

    models = {name: next(iter(versions.values())).parent for name, versions in found.items()}
    scripts = tfs_script.load(settings.model_dir, settings.program, settings.submit_directory, models)
    loaded = remote.servables(settings) if settings.tfs_address else _servables(settings, found)
    service = TfsService(loaded, settings.default_accept, settings.max_payload)
    if scripts is None:
        return service
    return TfsScriptService(service, scripts, Options(settings.default_accept, settings.safe_port_range))


def refuse(settings: Settings) -> Callable[[str, str], None] | None:
    """What raises whatever these models refuse by Content-Type and Accept alone; None where a script may read other types."""
    try:
        named = script_file.find(settings.model_dir, settings.program, settings.submit_directory)
    except ModelError:  # the loader says what is missing
        return None
    if named is not None or next(settings.model_dir.rglob("*.py"), None) is not None:
        return None
    return lambda content_type, accept: check(content_type, accept, settings.default_accept)


def parameter_bytes(settings: Settings, found: Found) -> int:
    """Bytes on disk of the default model's newest version: an estimate, before anything is loaded."""
    versions = found.get(settings.tfs_default_model) or next(iter(found.values()))
    folder = versions[max(versions)]
    return sum(path.stat().st_size for path in (folder / "saved_model.pb", *folder.glob("variables/*")) if path.is_file())


def _here(settings: Settings, folder: Path) -> Runnable:
    from serving.backends import tensorflow

    return tensorflow.load(folder, settings.tfs_threads or backends.threads())


def _servables(settings: Settings, found: Found) -> Servables:
    from serving.tfs import attached

    def load_one(name: str, version: int, folder: Path) -> Servable:
        model = attached.load(folder, settings) if settings.attaches else _here(settings, folder)
        return Servable(name, version, model, settings.tfs_batching, settings.tfs_max_batch)

    loaded = servables.load(found, settings.tfs_default_model, load_one)
    _warm(loaded, found)
    return loaded


def _warm(loaded: Servables, found: Found) -> None:
    """Make the requests that the models bring for it; one that fails is said in the log, and is no reason not to serve."""
    service = TfsService(loaded)
    for name, versions in loaded.models.items():
        for version in versions:
            for kind, message in tf_warmup.warmup_requests(found[name][version]):
                try:
                    fault = invoke(service, [rpc_calls.warm_up(kind, message, name, version)])[0].fault
                except BadRequest as error:
                    fault = error.message
                if fault:
                    log.warning("a warm-up request of %s version %d failed: %s", name, version, fault)
