"""A block's stages as one symbol: host calls become custom operators, for users who run the artifact by MXNet alone.

symbol stage, host call, symbol stage -> nodes, a Custom node between them, nodes
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from onnx_import import calls
from onnx_import.dtypes import CARRIERS, Array
from onnx_import.nd.tape import Bound
from onnx_import.stages import Block, HostStage, Slot, SymbolStage

Entry = tuple[int, int]
"""A node's number in the joined symbol, and which of its outputs."""

LARGEST = 1 << 24
"""Characters of parameters up to which a host call is written into a symbol file."""


class NotJoined(Exception):  # noqa: N818 - an answer, not an error
    """The stages cannot be one symbol; the text says why."""


@dataclass
class Joined:
    """One symbol: its JSON, its parameters, and which of its heads each output is (None for a constant or a fed value)."""

    text: str
    constants: dict[str, Array]
    heads: list[int | None]


@dataclass
class _Writer:
    """The nodes so far, and what fills each slot."""

    nodes: list[dict[str, Any]] = field(default_factory=list)
    constants: dict[str, Array] = field(default_factory=dict)
    slots: dict[int, Entry] = field(default_factory=dict)
    variables: dict[str, int] = field(default_factory=dict)

    def variable(self, name: str, attributes: dict[str, str] | None = None) -> Entry:
        """The variable of that name."""
        if name not in self.variables:
            self.variables[name] = self.put({"op": "null", "name": name, "attrs": attributes or {}, "inputs": []})
        return self.variables[name], 0

    def put(self, node: dict[str, Any]) -> int:
        """Append a node."""
        self.nodes.append(node)
        return len(self.nodes) - 1

    def read(self, name: str, slot: int) -> Entry:
        """What a stage reads from a slot: an earlier stage's output, or a variable that is fed."""
        return self.slots[slot] if slot in self.slots else self.variable(name)


def join(blocks: list[Block]) -> Joined:
    """The blocks of a trace as one symbol; NotJoined says in its text what keeps them apart."""
    reason = _apart(blocks)
    if reason:
        raise NotJoined(reason)
    writer = _Writer()
    for stage in blocks[0].stages:
        if isinstance(stage, SymbolStage):
            _add_symbol(writer, stage)
        else:
            _add_call(writer, stage)
    slots = [_slot(template) for template in blocks[0].outputs or []]
    ends = list(dict.fromkeys(slot for slot in slots if slot in writer.slots))
    heads = [[*writer.slots[slot], 0] for slot in ends]
    fixed = [number for number, node in enumerate(writer.nodes) if node["op"] == "null"]
    version = {"mxnet_version": ["int", 10901], "is_np_shape": ["int", 1]}
    document = {"nodes": writer.nodes, "arg_nodes": fixed, "heads": heads, "attrs": version}
    text = json.dumps(document, ensure_ascii=False)
    return Joined(text, writer.constants, [ends.index(slot) if slot in ends else None for slot in slots])


def _apart(blocks: list[Block]) -> str:
    """Why the stages cannot be one symbol; empty where they may."""
    stages = [stage for block in blocks for stage in block.stages]
    for stage in stages:
        if isinstance(stage, HostStage) and stage.is_open:
            return f"the sizes that {stage.operator} gives ({stage.name}) are known only when it has run"
    if len(blocks) > 1:
        return "sizes or the way through the graph follow from numbers that are known only when the model runs"
    for stage in stages:
        if isinstance(stage, HostStage):
            kinds = [dtype for _, dtype in stage.outputs] + [dtype for _, _, _, dtype in stage.feeds]
            strange = sorted({dtype for dtype in kinds if dtype not in CARRIERS})
            if strange:
                return f"{stage.operator} ({stage.name}) takes or gives {strange[0]}, which no MXNet array holds"
    return "" if stages else "nothing is left for MXNet to compute"


def _add_symbol(writer: _Writer, stage: SymbolStage) -> None:
    """A stage's nodes behind those that are there."""
    document = json.loads(stage.text)
    fed = {name: slot for name, slot, _, _ in stage.feeds}
    entries: list[Entry] = []
    for node in document["nodes"]:
        if node["op"] != "null":
            inputs = [[*_entry(entries, source), 0] for source in node["inputs"]]
            entries.append((writer.put({**node, "inputs": inputs}), 0))
        elif node["name"] in fed:
            entries.append(writer.read(node["name"], fed[node["name"]]))
        else:
            entries.append(writer.variable(node["name"], node.get("attrs")))
            writer.constants[node["name"]] = stage.constants[node["name"]]
    heads = zip(stage.places, document["heads"], strict=True)
    writer.slots.update({slot: _entry(entries, head) for slot, head in heads})


def _entry(entries: list[Entry], source: list[int]) -> Entry:
    """Where an output of a stage's own node is now."""
    number, first = entries[source[0]]
    return number, first + source[1]


def _add_call(writer: _Writer, stage: HostStage) -> None:
    """A host call as a Custom node."""
    inputs: list[Entry] = []
    names = {slot: name for name, slot, _, _ in stage.feeds}

    def pattern(argument: Any) -> Any:
        if isinstance(argument, list):
            return [pattern(item) for item in argument]
        if isinstance(argument, Slot):
            inputs.append(writer.read(names[argument.number], argument.number))
        elif isinstance(argument, np.ndarray) and argument.size and argument.dtype != object:
            name = f"{stage.name}_argument{len(inputs)}"
            writer.constants[name] = argument
            inputs.append(writer.variable(name))
        else:
            return argument
        return calls.Input(len(inputs) - 1)

    arguments = [pattern(argument) for argument in stage.arguments]
    outputs = [[list(shape or ()), CARRIERS[dtype]] for shape, dtype in stage.outputs]
    assert isinstance(stage.function, Bound)
    try:
        parameters = calls.write(stage.function.function, stage.function.attributes, arguments, outputs)
    except ValueError as error:
        raise NotJoined(f"{stage.operator} ({stage.name}): {error}") from None
    if sum(map(len, parameters.values())) > LARGEST:
        raise NotJoined(f"the table of {stage.operator} ({stage.name}) is too large for a symbol file")
    node = {
        "op": "Custom",
        "name": stage.name,
        "attrs": {"op_type": "ei_host", **parameters},
        "inputs": [[*e, 0] for e in inputs],
    }
    number = writer.put(node)
    writer.slots.update({slot: (number, index) for index, slot in enumerate(stage.places)})


def _slot(template: Any) -> int:
    """The slot that an output is; -1 for what is none."""
    return template[0].number if isinstance(template, tuple) and isinstance(template[0], Slot) else -1
