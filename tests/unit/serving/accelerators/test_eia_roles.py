"""Which arguments are parameters: as a script binds, feeds and changes them."""

from __future__ import annotations

import pytest

from serving.accelerators.eia_roles import Roles, weights
from serving.backends.mxnet_import import import_mxnet

NAMES = ("data", "fc_weight", "17", "softmax_label")


def test_at_first_names_decide() -> None:
    """Until something is fed or changed, what is named like a weight is a parameter and all else is data."""
    assert Roles(NAMES).parameters == ("fc_weight",)
    assert Roles(NAMES).inputs == ("data", "17", "softmax_label")


def test_what_is_fed_is_data_and_the_rest_is_not() -> None:
    """Once a script feeds some arguments, the others are parameters, whatever they are called; a label never is one."""
    roles = Roles(NAMES)
    assert not roles.is_settled
    assert roles.feed(["data"])
    assert roles.is_settled
    assert roles.parameters == ("fc_weight", "17")
    assert not roles.feed(["data"])


def test_what_is_changed_is_data_unless_it_is_named_like_a_weight() -> None:
    """Arrays that a script writes to between passes are its data; a weight is sent again instead."""
    roles = Roles(NAMES)
    assert not roles.change(["fc_weight"])
    assert roles.change(["data"])
    assert roles.parameters == ("fc_weight", "17")
    assert roles.change(["17"])
    assert roles.inputs == ("data", "17", "softmax_label")


def test_declared_parameters_stay_what_they_are() -> None:
    """A Module's parameters are its own statement: a change does not make data of them, being fed does."""
    roles = Roles(NAMES, ["fc_weight", "17", "softmax_label"])
    assert roles.is_settled
    assert roles.parameters == ("fc_weight", "17")
    assert not roles.change(["17"])
    assert roles.feed(["17"])
    assert roles.parameters == ("fc_weight",)


@pytest.mark.parametrize("declared", [None, ["w"]], ids=["learnt", "declared"])
def test_what_operators_read_as_weights_is_never_data(declared: list[str] | None) -> None:
    """A weight of a layer is a parameter by its place in the graph, even where a script feeds it."""
    mx = import_mxnet()
    data, weight = mx.sym.var("x"), mx.sym.var("w")
    symbol = mx.sym.FullyConnected(data, weight=weight, no_bias=True, num_hidden=2) + mx.sym.var("y")
    found = weights(symbol.tojson())
    roles = Roles(symbol.list_arguments(), declared, found)
    roles.feed(["x", "w", "y"])
    roles.change(["w"])
    assert found == {"w"}
    assert (roles.parameters, roles.inputs) == (("w",), ("x", "y"))
