"""The ports of a model process, over which its user script finds the models."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import pytest
import requests

from serving.backends import tensorflow
from serving.errors import StartError
from serving.models import saved_models
from serving.tfs import inner, servables
from serving.tfs.inner import Inner
from serving.tfs.servables import Servable
from serving.tfs.service import TfsService
from tests import tf_models

DT_FLOAT = 1


@pytest.fixture(scope="module")
def tfs() -> Iterator[TfsService]:
    """The model `add` in its first version."""

    def load_one(name: str, version: int, folder: Path) -> Servable:
        return Servable(name, version, tensorflow.load(folder))

    found = saved_models.find(tf_models.models())
    loaded = servables.load({"add": {1: found["add"][1]}}, "", load_one)
    yield TfsService(loaded)
    loaded.close()


@pytest.fixture
def free() -> tuple[int, int]:
    """Six neighbouring ports that nobody listens on, as LOW and HIGH."""
    for low in range(20_000, 30_000, 6):
        sockets = [socket.socket() for _ in range(6)]
        try:
            for at, one in enumerate(sockets):
                one.bind(("127.0.0.1", low + at))
            return low, low + 5
        except OSError:
            continue
        finally:
            for one in sockets:
                one.close()
    raise AssertionError("no six free ports")


def asked(port: int) -> object:
    """What the model makes of 1, over REST."""
    answer = requests.post(f"http://localhost:{port}/v1/models/add:predict", json={"instances": [1.0]})
    return answer.json()["predictions"]


@pytest.mark.parametrize(("slot", "first"), [(0, 0), (1, 2), (2, 4), (4, 2)])
def test_a_slots_own_ports(slot: int, first: int, tfs: TfsService, free: tuple[int, int]) -> None:
    """Slot i has gRPC's port at LOW+2i and REST's behind it, as in AWS's container; beyond the range it begins again."""
    servers = Inner(tfs, free)
    assert servers.start(slot).rest_port == free[0] + first + 1
    assert asked(free[0] + first + 1) == [2.0]
    servers.close()


def test_ports_in_use_are_passed_over(tfs: TfsService, free: tuple[int, int]) -> None:
    """Where somebody listens the next pair is taken; where nothing is free the error names the range."""
    servers = [Inner(tfs, free) for _ in range(4)]
    assert [one.start(1).rest_port - free[0] for one in servers[:3]] == [3, 5, 1]
    with pytest.raises(StartError, match=f"{free[0]}-{free[1]}"):
        servers[3].start(1)
    servers[0].close()
    assert servers[3].start(0).rest_port == free[0] + 3
    for one in servers[1:]:
        one.close()


def test_any_ports(tfs: TfsService) -> None:
    """Without a range the ports are any that are free, and different for each; without gRPC there is no channel."""
    servers = [Inner(tfs) for _ in range(3)]
    places = [one.places() for one in servers]
    assert len({place.rest_port for place in places}) == 3
    assert {(place.grpc_port, place.channel) for place in places} == {(0, None)}
    assert [asked(place.rest_port) for place in places] == [[2.0]] * 3
    for one in servers:
        one.close()


def test_started_once(tfs: TfsService) -> None:
    """A second start changes nothing; after a close it begins anew."""
    servers = Inner(tfs)
    places = servers.start(3)
    assert servers.start(5) is servers.places() is places
    servers.close()
    assert servers.places() is not places
    servers.close()


def test_grpc(tfs: TfsService, free: tuple[int, int]) -> None:
    """With gRPC the context's channel, and any channel to its port, reach the model."""
    import grpc
    from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

    servers = Inner(tfs, free, grpc=True)
    places = servers.start(0)
    assert (places.grpc_port, places.rest_port) == (free[0], free[0] + 1)
    request = predict_pb2.PredictRequest()
    request.model_spec.name = "add"
    request.inputs["x"].dtype = DT_FLOAT
    request.inputs["x"].tensor_shape.dim.add(size=1)
    request.inputs["x"].float_val.append(1.0)
    with grpc.insecure_channel(f"localhost:{places.grpc_port}") as own:
        for channel in (places.channel, own):
            answer = prediction_service_pb2_grpc.PredictionServiceStub(channel).Predict(request)
            assert answer.outputs["y"].tensor_shape.dim[0].size == 1
            assert list(answer.outputs["y"].float_val) == [2.0] or answer.outputs["y"].tensor_content == b"\0\0\0@"
    servers.close()


_inherited: Inner | None = None


def _in_a_child(parents_port: int) -> tuple[bool, bool]:
    """In a forked process: whether it has ports of its own, and whether the parent's are left alone."""
    assert _inherited is not None
    places = _inherited.places()
    own = places.rest_port != parents_port
    _inherited.close()
    return own, os.getppid() != os.getpid()


def test_a_fork_has_ports_of_its_own(tfs: TfsService) -> None:
    """A process that is forked from one that listens opens its own ports, and closes nothing of its parent's."""
    global _inherited
    _inherited = Inner(tfs)
    port = _inherited.start().rest_port
    with ProcessPoolExecutor(1, get_context("fork")) as child:
        assert child.submit(_in_a_child, port).result() == (True, True)
    assert asked(port) == [2.0]
    _inherited.close()
    _inherited = None


def test_no_room_in_the_range(tfs: TfsService) -> None:
    """A range of a single port holds no pair."""
    with pytest.raises(StartError, match="9000-9000"):
        inner.Inner(tfs, (9000, 9000)).start()
