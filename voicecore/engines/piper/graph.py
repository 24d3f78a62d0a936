"""An ONNX model's graph, read from its file and cut into models of their own.

Only what cutting needs is read: which tensors each operation takes and makes. The rest is copied as
it stands, and the weights stay where they are: ONNX Runtime maps the file into memory, so a part is
a few hundred kilobytes. This takes 0.1 s for a voice of 2800 nodes. The ``onnx`` package would need
0.5 s, 31 MB of disk and all the weights in memory. Field numbers are those of ``onnx.proto``.
"""

from __future__ import annotations

import mmap
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path

import attrs

from voicecore.engines.piper.protobuf import Data, bytes_field, fields, number_field, varint

WEIGHTS_FOLDER = "session.model_external_initializers_file_folder_path"
"""ONNX Runtime's option for a model that is given as bytes and has its weights in a file."""

_IN_FILE_FROM = 4096
"""Bytes from which a tensor's data stays in the file. Smaller ones are shapes and indices, which
ONNX Runtime looks at when it prepares the graph."""

_FLOAT = 1
"""``TensorProto.DataType``: float32."""


@attrs.frozen(eq=False)
class Node:
    """One operation."""

    op: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    numbers: dict[str, tuple[int, ...]]
    """Attributes that are integers, or lists of them."""
    encoded: bytes = attrs.field(repr=False)


@attrs.frozen(eq=False)
class Graph:
    path: Path
    """Of its file, links resolved. It stays mapped: replace it by renaming, never in place."""
    head: bytes
    """What is said of the model as a whole: versions and sets of operations."""
    nodes: tuple[Node, ...]
    """In an order in which they can be run."""
    weights: dict[str, bytes]
    """Constant tensors, encoded; large ones say where in the file they are."""
    inputs: dict[str, bytes]
    outputs: tuple[str, ...]

    def needed(self, tensors: Iterable[str]) -> tuple[Node, ...]:
        """Return the nodes by which ``tensors`` are made, in order."""
        wanted = set(tensors)
        found = []
        for node in reversed(self.nodes):
            if not wanted.isdisjoint(node.outputs):
                found.append(node)
                wanted.update(node.inputs)
        return tuple(reversed(found))

    def part(self, nodes: Sequence[Node], given: Iterable[str], outputs: Iterable[str]) -> bytes:
        """Make a model of some nodes, to be opened with `WEIGHTS_FOLDER`.

        Args:
            nodes: in order. The model's own inputs that they take are the part's too.
            given: float32 tensors made by other nodes, which become inputs.
            outputs: float32 tensors they make, which become outputs.
        """
        used = {name for node in nodes for name in node.inputs}
        graph = [bytes_field(1, node.encoded) for node in nodes]
        graph.append(bytes_field(2, b"part"))
        graph += [bytes_field(5, held) for name, held in self.weights.items() if name in used]
        graph += [bytes_field(11, held) for name, held in self.inputs.items() if name in used]
        graph += [bytes_field(11, _float_value(name)) for name in given]
        graph += [bytes_field(12, _float_value(name)) for name in outputs]
        return self.head + bytes_field(7, b"".join(graph))


def read_graph(path: Path) -> Graph:
    """Read a model's graph.

    Raises:
        ValueError: it is not an ONNX model, or one with graphs within nodes (loops, conditions).
        OSError: it cannot be read.
    """
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        try:
            return _graph(data, path)
        except IndexError as error:
            raise ValueError(f"{path} is cut off") from error


def _graph(data: Data, path: Path) -> Graph:
    head = b""
    places: dict[int, list[tuple[int, int]]] = defaultdict(list)
    for field, start, first, last in fields(data, 0, len(data)):
        if field != 7:
            head += data[start:last]
            continue
        for number, _, begin, end in fields(data, first, last):
            places[number].append((begin, end))
    nodes = tuple(_node(data, *place) for place in places[1])
    weights = dict(_weight(data, *place, path) for place in places[5])
    inputs = dict(_value(data, *place) for place in places[11])
    outputs = dict(_value(data, *place) for place in places[12])
    return Graph(path.resolve(), head, nodes, weights, inputs, tuple(outputs))


def _node(data: Data, begin: int, end: int) -> Node:
    inputs, outputs, op, numbers = [], [], "", {}
    for number, _, first, last in fields(data, begin, end):
        if number == 1:
            inputs.append(data[first:last].decode())
        elif number == 2:
            outputs.append(data[first:last].decode())
        elif number == 4:
            op = data[first:last].decode()
        elif number == 5:
            name, values = _attribute(data, first, last)
            numbers[name] = values
    return Node(op, tuple(inputs), tuple(outputs), numbers, data[begin:end])


def _attribute(data: Data, begin: int, end: int) -> tuple[str, tuple[int, ...]]:
    name, values = "", []
    for number, _, first, last in fields(data, begin, end):
        if number == 1:
            name = data[first:last].decode()
        elif number in {6, 11}:
            raise ValueError("it has a graph within a node")
        elif number in {3, 8}:  # one number; a list comes as one field for each, or packed into one
            at = first
            while at < last:
                value, at = varint(data, at)
                values.append(value)
    return name, tuple(values)


def _weight(data: Data, begin: int, end: int, path: Path) -> tuple[str, bytes]:
    """Return a constant tensor's name and the tensor; large data is replaced by its place."""
    name, tensor, place = "", b"", (0, 0)
    for number, start, first, last in fields(data, begin, end):
        if number == 8:
            name = data[first:last].decode()
        if number == 9 and last - first >= _IN_FILE_FROM:
            place = (first, last - first)
        else:
            tensor += data[start:last]
    return name, tensor + _external(path.resolve(), *place) if place[1] else tensor


def _external(path: Path, offset: int, length: int) -> bytes:
    entries = {"location": path.name, "offset": str(offset), "length": str(length)}
    encoded = [
        bytes_field(13, bytes_field(1, key.encode()) + bytes_field(2, value.encode()))
        for key, value in entries.items()
    ]
    return b"".join(encoded) + number_field(14, 1)


def _value(data: Data, begin: int, end: int) -> tuple[str, bytes]:
    """Return the name of an input or output, and its description."""
    names = (data[first:last] for number, _, first, last in fields(data, begin, end) if number == 1)
    return next(names, b"").decode(), data[begin:end]


def _float_value(name: str) -> bytes:
    """Describe a float32 tensor of any shape (``ValueInfoProto``)."""
    return bytes_field(1, name.encode()) + bytes_field(2, bytes_field(1, number_field(1, _FLOAT)))
