from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("piper")

from voicecore.config import TtsConfig
from voicecore.engines.interface import ModelFiles
from voicecore.engines.piper import vits
from voicecore.engines.piper.graph import Graph, read_graph
from voicecore.engines.piper.model import Parted, Session, Tensors, Whole, window_ends
from voicecore.engines.piper.protobuf import bytes_field, fields, number_field, varint

# --- protobuf ------------------------------------------------------------------------------------


@given(st.lists(st.tuples(st.integers(1, 2**20), st.integers(0, 2**63) | st.binary(max_size=300))))
def test_fields_are_read_as_they_were_written(written: list[tuple[int, int | bytes]]) -> None:
    data = b"".join(
        number_field(number, value) if isinstance(value, int) else bytes_field(number, value)
        for number, value in written
    )
    found = list(fields(data, 0, len(data)))
    assert b"".join(data[start:end] for _, start, _, end in found) == data
    assert [number for number, *_ in found] == [number for number, _ in written]
    for (_, _, begin, end), (_, value) in zip(found, written, strict=True):
        read = varint(data, begin)[0] if isinstance(value, int) else data[begin:end]
        assert read == value


@given(st.binary(max_size=60))
def test_what_is_no_message_is_an_error_never_a_loop(data: bytes) -> None:
    try:
        found = list(fields(data, 0, len(data)))
    except (ValueError, IndexError):
        return
    assert [start for _, start, _, _ in found[1:]] == [end for *_, end in found[:-1]]


def test_fields_of_fixed_length_are_passed_over() -> None:
    data = bytes((1 << 3 | 5, 1, 2, 3, 4, 2 << 3 | 1, *range(8))) + number_field(3, 7)
    assert [(number, end - begin) for number, _, begin, end in fields(data, 0, len(data))] == [
        (1, 4),
        (2, 8),
        (3, 1),
    ]


# --- a small model -------------------------------------------------------------------------------


def node(op: str, inputs: str, outputs: str, **numbers: Sequence[int]) -> bytes:
    encoded = [bytes_field(1, name.encode()) for name in inputs.split()]
    encoded += [bytes_field(2, name.encode()) for name in outputs.split()]
    encoded.append(bytes_field(4, op.encode()))
    for name, values in numbers.items():
        lists = b"".join(number_field(8, value) for value in values)
        encoded.append(bytes_field(5, bytes_field(1, name.encode()) + lists + number_field(20, 7)))
    return bytes_field(1, b"".join(encoded))


def weight(name: str, *shape: int) -> bytes:
    values = np.random.default_rng(len(name)).standard_normal(shape).astype("<f4") / 10
    dims = b"".join(number_field(1, size) for size in shape)
    data = bytes_field(8, name.encode()) + bytes_field(9, values.tobytes())
    return bytes_field(5, dims + number_field(2, 1) + data)


def value(number: int, name: str) -> bytes:
    kind = bytes_field(2, bytes_field(1, number_field(1, 1)))
    return bytes_field(number, bytes_field(1, name.encode()) + kind)


def save(path: Path, *parts: bytes) -> Path:
    versions = number_field(1, 8) + bytes_field(8, number_field(2, 15))
    path.write_bytes(versions + bytes_field(7, b"".join(parts) + bytes_field(2, b"g")))
    return path


UP = {"dilations": (1,), "strides": (2,), "kernel_shape": (4,), "pads": (1, 1)}
WIDE = {"dilations": (3,), "strides": (1,), "kernel_shape": (5,), "pads": (6, 6)}

SMALL = (
    node("Ceil", "input", "durations"),
    node("Mul", "input durations", "mean"),
    node("RandomNormalLike", "mean", "random"),
    node("Mul", "random mean", "deviation"),
    node("Add", "mean deviation", "prior"),
    node("Conv", "prior w1", "moved", **WIDE),
    node("Sub", "moved mean", "latent"),
    node("Conv", "latent w1", "pre", **WIDE),
    node("LeakyRelu", "pre", "a0"),
    node("ConvTranspose", "a0 w2", "up1", **UP),
    node("Tanh", "up1", "a1"),
    node("ConvTranspose", "a1 w2", "up2", **UP),
    node("Conv", "up2 w1", "output", **WIDE),
    weight("w1", 16, 16, 5),
    weight("w2", 16, 16, 4),
    value(11, "input"),
    value(12, "output"),
)


@pytest.fixture
def small(tmp_path: Path) -> Graph:
    return read_graph(save(tmp_path / "small.onnx", *SMALL))


def test_a_graph_is_read(small: Graph) -> None:
    assert [node.op for node in small.nodes][:3] == ["Ceil", "Mul", "RandomNormalLike"]
    assert small.nodes[5].inputs == ("prior", "w1")
    assert small.nodes[5].numbers["pads"] == (6, 6)
    assert (list(small.weights), list(small.inputs)) == (["w1", "w2"], ["input"])
    assert small.outputs == ("output",)
    assert max(map(len, small.weights.values())) < 200, "weights stay in the file"
    assert [node.outputs[0] for node in small.needed(["moved"])] == [
        *("durations", "mean", "random", "deviation", "prior", "moved")
    ]


def test_a_part_makes_what_the_whole_makes(small: Graph) -> None:
    given_in = np.random.default_rng(1).standard_normal((1, 16, 30)).astype(np.float32)
    nodes = small.needed(["output"])[7:]
    part = Session(small.part(nodes, ["latent"], ["output"]), 1, small.path.parent)
    (sound,) = part.run({"latent": given_in})
    inner = Session(small.part(nodes[:3], ["latent"], ["up1"]), 1, small.path.parent)
    outer = Session(small.part(nodes[3:], ["up1"], ["output"]), 1, small.path.parent)
    (again,) = outer.run({"up1": inner.run({"latent": given_in})[0]})
    np.testing.assert_array_equal(sound, again)
    assert sound.shape == (1, 16, 120)


def test_the_small_model_is_cut_where_vits_is(small: Graph) -> None:
    parts = vits.split(small)
    assert parts.durations == "durations"
    assert set(parts.encoder.makes) == {"durations", "prior", "mean"}
    assert [(part.given, part.makes) for part in parts.local] == [
        (("prior", "mean"), ("latent",)),
        (("latent",), ("a1",)),
        (("a1",), ("output",)),
    ]
    assert [(part.reach, part.width) for part in parts.local] == [(6, 1), (7, 2), (2, 4)]


def test_windows_of_the_small_model_join_to_the_whole(small: Graph) -> None:
    parts = vits.split(small)
    model = Parted(small, parts, 22_050, 1)
    made = {
        name: np.random.default_rng(2).standard_normal((1, 16, 50)).astype(np.float32)
        for name in parts.encoder.makes
    }
    (sound,) = model.decode(made, [50])
    width = parts.local[-1].width
    for ends in ([1, 50], [49, 50], list(range(1, 51)), [13, 14, 40, 50]):
        begins = [0, *ends]
        for window, begin, end in zip(model.decode(made, ends), begins, ends, strict=False):
            expected = sound.reshape(16, -1)[:, begin * width : end * width]
            np.testing.assert_allclose(window.reshape(16, -1), expected, atol=1e-5)


@pytest.mark.parametrize(
    ("parts", "why"),
    [
        ([*SMALL[1:]], "0 nodes where VITS has one"),
        ([*SMALL[:9], node("Conv", "a0 w1", "output", **WIDE), *SMALL[13:]], "raises the rate"),
        ([*SMALL[:12], node("Softmax", "up2", "output"), *SMALL[13:]], "the operation Softmax"),
        (
            [*SMALL[:12], node("Conv", "up2 w1", "output", **WIDE | {"pads": (0, 0)}), *SMALL[13:]],
            "changes the length",
        ),
        ([*SMALL[:7], node("Softmax", "latent", "pre"), *SMALL[8:]], "begin with a convolution"),
    ],
)
def test_a_model_that_is_built_otherwise_is_not_cut(
    tmp_path: Path, parts: list[bytes], why: str
) -> None:
    graph = read_graph(save(tmp_path / "other.onnx", *parts))
    with pytest.raises(ValueError, match=why):
        vits.split(graph)


def test_a_flow_of_another_kind_stays_with_the_encoder(tmp_path: Path) -> None:
    parts = [*SMALL[:5], node("Softmax", "prior", "moved"), *SMALL[6:]]
    found = vits.split(read_graph(save(tmp_path / "other.onnx", *parts)))
    assert [part.makes for part in found.local] == [("a1",), ("output",)]
    assert set(found.encoder.makes) == {"durations", "latent"}


@pytest.mark.parametrize(
    "data",
    [b"", b"not a model" * 99, b"\x3a\xff\xff\xff\x7fxx", b"\x3a\x02\x0a\x7f"],
)
def test_a_damaged_file_is_a_value_error(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "bad.onnx"
    path.write_bytes(data)
    with pytest.raises(ValueError, match=r"."):
        vits.split(read_graph(path))


def test_a_graph_within_a_node_is_refused(tmp_path: Path) -> None:
    inner = bytes_field(5, bytes_field(1, b"then_branch") + bytes_field(6, b""))
    condition = bytes_field(1, bytes_field(4, b"If") + inner)
    with pytest.raises(ValueError, match="graph within a node"):
        read_graph(save(tmp_path / "if.onnx", condition))


# --- windows -------------------------------------------------------------------------------------


@given(st.integers(1, 3_000), st.floats(0.03, 0.2))
def test_windows_cover_all_frames_and_grow(frames: int, per_ms: float) -> None:
    ends = list(window_ends(frames, per_ms))
    sizes = [end - begin for begin, end in pairwise([0, *ends])]
    assert ends[-1] == frames
    assert all(size > 0 for size in sizes)
    assert sizes[0] <= 450 * per_ms + 1
    assert max(sizes) <= 1_800 * per_ms + 1
    assert sizes[:-1] == sorted(sizes[:-1])


# --- the real voice ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def voice_file(model_files: ModelFiles) -> Path:
    return model_files.file(TtsConfig().model, ".onnx")


@pytest.fixture(scope="module")
def parts(voice_file: Path) -> vits.Parts:
    return vits.split(read_graph(voice_file))


@pytest.fixture(scope="module")
def parted(voice_file: Path, parts: vits.Parts) -> Parted:
    return Parted(read_graph(voice_file), parts, 22_050, 1)


def inputs(ids: int, noise: float = 0.667) -> Tensors:
    drawn = np.random.default_rng(ids).integers(14, 60, (1, ids))
    drawn[0, ::2] = 0
    return {
        "input": drawn.astype(np.int64),
        "input_lengths": np.array([ids]),
        "scales": np.array([noise, 1, noise and 0.8], np.float32),
    }


Sound = npt.NDArray[np.float32]


@pytest.fixture(scope="module")
def encoded(parted: Parted, parts: vits.Parts) -> tuple[Tensors, int, Sound]:
    made, frames = parted._encode(inputs(121))
    (sound,) = parted.decode(made, [frames])
    return made, frames, sound


@pytest.mark.model
def test_a_real_voice_has_the_parts_of_vits(parts: vits.Parts) -> None:
    assert [(part.reach, part.width) for part in parts.local] == [(32, 1), (10, 8), (2, 256)]


@pytest.mark.model
@settings(max_examples=10)
@given(st.lists(st.integers(1, 300), max_size=20))
def test_windows_of_any_size_join_to_exactly_the_whole(
    parted: Parted, encoded: tuple[Tensors, int, Sound], cuts: list[int]
) -> None:
    made, frames, sound = encoded
    ends = [*sorted({cut for cut in cuts if cut < frames}), frames]
    joined = np.concatenate(list(parted.decode(made, ends)))
    assert len(joined) == len(sound) == frames * 256
    np.testing.assert_allclose(joined, sound, rtol=0, atol=2e-5)


@pytest.mark.model
def test_windows_of_one_frame_join_to_exactly_the_whole(
    parted: Parted, encoded: tuple[Tensors, int, Sound]
) -> None:
    made, frames, sound = encoded
    joined = np.concatenate(list(parted.decode(made, range(1, frames + 1))))
    np.testing.assert_allclose(joined, sound, rtol=0, atol=2e-5)


@pytest.mark.model
@pytest.mark.parametrize("ids", [3, 9, 61, 241])
def test_the_parts_say_what_the_whole_model_says(
    parted: Parted, voice_file: Path, ids: int
) -> None:
    """Without chance, which draws other numbers in another graph."""
    quiet = inputs(ids, noise=0)
    (whole,) = Whole(voice_file, 1).speak(quiet).whole()
    speech = parted.speak(quiet)
    sound = np.concatenate(list(speech.whole()))
    np.testing.assert_allclose(sound, whole, rtol=0, atol=2e-5)
    assert speech.durations is not None
    assert (len(speech.durations), speech.durations.sum()) == (ids, len(sound))


@pytest.mark.model
def test_the_durations_of_ids_sum_to_the_sound(parted: Parted) -> None:
    speech = parted.speak(inputs(121))
    assert speech.durations is not None
    assert speech.durations.sum() == speech.total
    assert speech.durations.min() > 0
