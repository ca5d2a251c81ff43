"""The same contract in front of TF Serving processes: running at an address, or started here because their binary is on PATH.

    settings, {name: {version: folder}} -> Servers (started, awaited) -> addresses -> RemoteServables

A genuine `amazonei_tensorflow_model_server` is used so wherever one is installed. Each model process of ours asks one of the
addresses; models are asked for by name when a request first names them.
"""

from __future__ import annotations

import os
from functools import cache

from serving.backends import tf_server_process, tf_serving
from serving.backends.tf_server_process import BATCH_QUEUE, Batching, Options, Servers
from serving.models.saved_models import UNNAMED, Found
from serving.settings import Settings
from serving.tfs.servables import Servable

MAX_REMEMBERED = 256
"""Names and versions that are kept: a client may make names up."""


class RemoteServables:
    """What `Servables` is to models of this process, for those of a TF Serving process."""

    parameter_bytes = 0

    def __init__(self, server: tf_serving.Server, default: str, trusted: bool, max_rows: int) -> None:
        self.server, self.default = server, default
        self._trusted, self._max_rows = trusted, max_rows
        self._known: dict[tuple[str, int | None], Servable] = {}

    def find(self, name: str | None, version: int | None) -> Servable:
        """The servable of these; whether there is one is TF Serving's to say when it is asked."""
        key = name or self.default, version or None
        found = self._known.get(key)
        if found is None:
            if len(self._known) >= MAX_REMEMBERED:
                self._known.clear()
            found = Servable(key[0], key[1], self.server.model(*key), self._trusted, self._max_rows)
            self._known[key] = found
        return found

    def versions(self, name: str | None, version: int | None = None) -> dict[int, str]:
        """Version -> why it is not available ("" where it is) of a model, as TF Serving tells it."""
        states = self.server.versions(name or self.default)
        return {number: why for number, why in sorted(states.items()) if version in (None, 0, number)}

    def close(self) -> None:
        """Close the channel."""
        self.server.close()


def servables(settings: Settings) -> RemoteServables:
    """The models behind the settings' address; of several, each process asks one."""
    addresses = settings.tfs_address.split(",")
    server = tf_serving.connect(addresses[os.getpid() % len(addresses)].strip(), settings.deadline)
    return RemoteServables(server, default_model(settings), settings.tfs_batching, settings.tfs_max_batch)


def is_available(settings: Settings) -> bool:
    """Whether every process behind the address would answer for the default model now; it takes two seconds at most each."""
    return all(_server(address.strip()).is_available(default_model(settings)) for address in settings.tfs_address.split(","))


@cache
def _server(address: str) -> tf_serving.Server:
    """The one that is asked for its state, by a channel that stays open."""
    return tf_serving.connect(address)


def default_model(settings: Settings) -> str:
    """The model of requests that name none."""
    return settings.tfs_default_model or UNNAMED


def own(settings: Settings, found: Found) -> Servers | None:
    """TF Serving processes over these models, started and serving; None where no binary of it is on PATH."""
    binary = tf_server_process.find()
    if binary is None or not found or settings.tfs_address:
        return None
    servers = Servers(binary, found, _options(settings))
    servers.start()
    try:
        servers.await_available(settings.startup_timeout)
    except BaseException:
        servers.stop()
        raise
    return servers


def _options(settings: Settings) -> Options:
    batching = None
    if settings.tfs_batching:
        queue = settings.tfs_batch_queue or (BATCH_QUEUE if settings.batch else None)
        batching = Batching(settings.tfs_max_batch, settings.tfs_batch_micros, settings.tfs_batch_threads or None, queue)
    return Options(settings.tfs_instances, settings.safe_port_range, settings.tfs_threads, settings.tfs_inter_op, batching)
