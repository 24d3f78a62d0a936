"""Where the graph of a Piper voice can be cut, found by its structure.

A Piper voice is VITS (Kim, Kong and Son, 2021): an encoder that reads all phonemes and says how
many frames each lasts, a flow, and a HiFi-GAN decoder, in one graph that gives sound only at its
end. The flow and the decoder look only so many frames to either side, their reach. So they can be
run on windows of frames: given as many more frames on each side, they make exactly the samples that
they would make of the whole.

The decoder is cut once more, before its second upsampling. What comes before reaches furthest (10
frames) and is a fifth of the work; the dear rest reaches 2 frames. So windows repeat less.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from itertools import pairwise

import attrs

from voicecore.engines.piper.graph import Graph, Node

_ARITHMETIC = frozenset(("Add", "Sub", "Mul", "Div", "Neg", "Exp"))
_ACTIVATIONS = frozenset(("Tanh", "Sigmoid", "Relu", "LeakyRelu"))
_SHAPES = frozenset(
    ("Split", "Concat", "Slice", "Shape", "ConstantOfShape", "Squeeze", "Unsqueeze", "Identity")
)
_POINTWISE = _ARITHMETIC | _ACTIVATIONS | _SHAPES
"""Operations that take each frame by itself, as VITS uses them: it splits and joins channels. That
a voice does so too is checked with sound when it is loaded."""


@attrs.frozen
class Part:
    """A piece of the graph that a session of its own runs."""

    nodes: tuple[Node, ...] = attrs.field(repr=False)
    given: tuple[str, ...]
    """Tensors from parts before it, that of the one just before first. Frames are the last axis of
    those that have frames."""
    makes: tuple[str, ...]
    reach: int = 0
    """Frames to either side that one frame depends on."""
    width: int = 1
    """Values on the last axis that come of one frame: the last part's are samples."""


@attrs.frozen
class Parts:
    """A voice in parts. The encoder gives the frames of each phoneme id, and what others take."""

    encoder: Part
    local: tuple[Part, ...]
    """Each takes the one before it, the first one the encoder."""
    durations: str


def split(graph: Graph) -> Parts:
    """Find a voice's parts.

    Raises:
        ValueError: the graph is not built like VITS; says in what.
    """
    sound = graph.outputs[0]
    durations = _only([node for node in graph.needed([sound]) if node.op == "Ceil"]).outputs[0]
    upsampling = [node for node in graph.needed([sound]) if node.op == "ConvTranspose"]
    if len(upsampling) < 2:
        raise ValueError("it has no decoder that raises the rate in steps")
    latent = _decoder_input(graph, upsampling[0])
    decoder = (latent, upsampling[1].inputs[0], sound)
    try:
        return _parts(graph, durations, (_flow_input(graph, durations, latent), *decoder))
    except ValueError:
        return _parts(graph, durations, decoder)  # another kind of flow stays with the encoder


def _decoder_input(graph: Graph, upsampling: Node) -> str:
    """Go back from the first upsampling to the convolution before it, and return what it takes."""
    makers = {name: node for node in graph.nodes for name in node.outputs}
    node = makers.get(upsampling.inputs[0])
    while node is not None and node.op != "Conv":
        node = makers.get(node.inputs[0]) if node.op in _POINTWISE else None
    if node is None:
        raise ValueError("its decoder does not begin with a convolution")
    return node.inputs[0]


def _flow_input(graph: Graph, durations: str, latent: str) -> str:
    """Find where chance is added to each frame: mean + random * deviation * scale."""
    before = set(graph.needed([durations]))
    after = [node for node in graph.needed([latent]) if node not in before]
    name = _only([node for node in after if node.op == "RandomNormalLike"]).outputs[0]
    while True:
        node = _only([node for node in after if name in node.inputs])
        name = node.outputs[0]
        if node.op == "Add":
            return name
        if node.op != "Mul":
            raise ValueError("its chance is not added to its frames")


def _parts(graph: Graph, durations: str, cuts: Sequence[str]) -> Parts:
    nodes = graph.needed([durations, cuts[0]])
    local: list[Part] = []
    made, width = _made(nodes), 1
    for before, makes in pairwise(cuts):
        inner = tuple(node for node in graph.needed([makes]) if made.isdisjoint(node.outputs))
        given = _given(graph, inner)
        if before not in given or not given - {before} <= _made(nodes):
            raise ValueError(f"what makes {makes} takes more than one part makes")
        far, growth = _reach(inner)
        reach, width = math.ceil(far / width), width * growth
        takes = (before, *sorted(given - {before}))
        local.append(Part(inner, takes, (makes,), reach, width))
        made |= _made(inner)
    taken = {name for part in local for name in part.given} & _made(nodes)
    encoder = Part(nodes, (), (durations, *sorted(taken - {durations})))
    return Parts(encoder, tuple(local), durations)


def _made(nodes: Iterable[Node]) -> set[str]:
    """Return the tensors that nodes make. Constants are none: each part has its own."""
    return {name for node in nodes if node.op != "Constant" for name in node.outputs}


def _given(graph: Graph, nodes: Sequence[Node]) -> set[str]:
    taken = {name for node in nodes for name in node.inputs if name}
    return taken - {name for node in nodes for name in node.outputs} - set(graph.weights)


def _only(nodes: list[Node]) -> Node:
    if len(nodes) != 1:
        raise ValueError(f"it has {len(nodes)} nodes where VITS has one")
    return nodes[0]


# --- how far a part looks ------------------------------------------------------------------------


def _reach(nodes: Sequence[Node]) -> tuple[float, int]:
    """Return how many positions of a part's input one of its outputs depends on, to either side.

    And how many positions of the output one of the input becomes.
    """
    far: dict[str, float] = {}
    growth: dict[str, int] = {}
    for node in nodes:
        begin = max(far.get(name, 0.0) for name in node.inputs or ("",))
        times = max(growth.get(name, 1) for name in node.inputs or ("",))
        more, stride = _reach_of(node)
        for name in node.outputs:
            far[name], growth[name] = begin + more / times, times * stride
    last = nodes[-1].outputs[0]
    return far[last], growth[last]


def _reach_of(node: Node) -> tuple[float, int]:
    """Return how far one operation looks, in positions of its input, and its upsampling."""
    if node.op in _POINTWISE or node.op == "Constant":
        return 0.0, 1
    if node.op not in {"Conv", "ConvTranspose"}:
        raise ValueError(f"it has the operation {node.op} where VITS has none")
    (kernel,) = node.numbers.get("kernel_shape", (0,))
    (stride,) = node.numbers.get("strides", (1,))
    (dilation,) = node.numbers.get("dilations", (1,))
    before, after = node.numbers.get("pads", (0, 0))
    span = dilation * (kernel - 1)
    if node.op == "Conv" and stride == 1 and before == after == span / 2:
        return span / 2, 1
    if node.op == "ConvTranspose" and dilation == 1 and before == after == (kernel - stride) / 2:
        return max(kernel - 1 - before, before) / stride, stride
    raise ValueError(f"its {node.op} {node.outputs[0]} changes the length")
