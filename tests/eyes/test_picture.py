from __future__ import annotations

import io
import struct
import zlib
from typing import Any

import numpy as np
import PIL.Image
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from voicecore.config import EyesConfig
from voicecore.errors import ClientError
from voicecore.eyes.container import MAX_PARTS, MAX_SCANS, kind_of, take_apart
from voicecore.eyes.picture import look

CONFIG = EyesConfig()
RED, GREEN, WHITE, GREY = (255, 0, 0), (0, 255, 0), (255, 255, 255), (128, 128, 128)


def encoded(picture: PIL.Image.Image, kind: str, **options: Any) -> bytes:
    file = io.BytesIO()
    picture.save(file, kind, **options)
    return file.getvalue()


def plain(width: int, height: int, mode: str = "RGB", color: Any = RED) -> PIL.Image.Image:
    return PIL.Image.new(mode, (width, height), color)


def seen(data: bytes, config: EyesConfig = CONFIG) -> PIL.Image.Image:
    image = look(data, config)
    assert image.mime_type == "image/jpeg"
    with PIL.Image.open(io.BytesIO(image.data)) as picture:
        assert (picture.format, picture.mode) == ("JPEG", "RGB")
        return picture.copy()


def near(picture: PIL.Image.Image, at: tuple[int, int], color: tuple[int, int, int]) -> bool:
    """JPEG keeps flat colours to within a few steps."""
    found = picture.getpixel(at)
    assert isinstance(found, tuple)
    return all(abs(a - b) <= 6 for a, b in zip(found, color, strict=True))


def code_of(data: bytes, config: EyesConfig = CONFIG) -> str:
    with pytest.raises(ClientError) as caught:
        look(data, config)
    assert str(caught.value).endswith(".")
    return caught.value.code


def noise(width: int, height: int, channels: int = 3) -> PIL.Image.Image:
    values = np.random.default_rng(0).integers(0, 256, (height, width, channels))
    return PIL.Image.fromarray(values.astype(np.uint8))


# --- what comes out ------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_a_large_picture_is_scaled_to_its_longer_side(kind: str) -> None:
    config = EyesConfig(side_px=200)
    for size, expected in (((640, 320), (200, 100)), ((300, 1200), (50, 200))):
        picture = seen(encoded(plain(*size), kind), config)

        assert picture.size == expected
        assert near(picture, (5, 5), RED)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_a_small_picture_keeps_its_size_and_is_encoded_anew(kind: str) -> None:
    sent = encoded(plain(30, 20), kind)

    assert seen(sent).size == (30, 20)
    assert look(sent, CONFIG).data != sent


def test_a_very_long_picture_keeps_one_pixel_of_width() -> None:
    assert seen(encoded(plain(1, 5000), "PNG"), EyesConfig(side_px=100)).size == (1, 100)


@pytest.mark.parametrize(
    ("mode", "color"),
    [
        ("1", 1),
        ("L", 128),
        ("LA", (128, 255)),
        ("P", 0),
        ("RGB", RED),
        ("RGBA", (*RED, 255)),
        ("I;16", 32896),
    ],
)
def test_every_kind_of_png_pixel_keeps_its_colour(mode: str, color: Any) -> None:
    picture = plain(40, 40, mode, color)
    expected = {"1": WHITE, "P": GREEN}.get(mode, RED if mode.startswith("RGB") else GREY)
    if mode == "P":
        picture.putpalette(list(GREEN))

    assert near(seen(encoded(picture, "PNG"), EyesConfig(side_px=64)), (20, 20), expected)


def test_cmyk_becomes_rgb() -> None:
    assert near(seen(encoded(plain(40, 40, "CMYK", (0, 255, 255, 0)), "JPEG")), (20, 20), RED)


def palette_picture() -> PIL.Image.Image:
    picture = plain(200, 200, "P", 3)
    picture.putpalette(bytes(9) + bytes(RED))
    return picture


@pytest.mark.parametrize(
    ("picture", "options"),
    [
        (plain(200, 200, "RGBA", (255, 0, 0, 0)), {}),
        (plain(200, 200, "LA", (0, 0)), {}),
        (plain(200, 200, "RGB", RED), {"transparency": RED}),
        (plain(200, 200, "L", 7), {"transparency": 7}),
        (palette_picture(), {"transparency": 3}),
        (palette_picture(), {"transparency": bytes(4)}),
    ],
)
def test_what_is_transparent_becomes_white(picture: Any, options: dict[str, Any]) -> None:
    assert near(seen(encoded(picture, "PNG", **options), EyesConfig(side_px=64)), (9, 9), WHITE)


def test_half_transparent_red_on_white_is_pink() -> None:
    sent = encoded(plain(40, 40, "RGBA", (255, 0, 0, 128)), "WEBP", lossless=True)

    assert near(seen(sent), (20, 20), (255, 127, 127))


@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
def test_the_first_frame_of_an_animation_is_seen(kind: str) -> None:
    sent = encoded(plain(40, 40), kind, save_all=True, append_images=[plain(40, 40, "RGB", GREEN)])

    assert near(seen(sent), (20, 20), RED)


# --- orientation and what else a camera writes ---------------------------------------------------

TURNED = [
    (1, (0, 0)), (2, (1, 0)), (3, (1, 1)), (4, (0, 1)),
    (5, (0, 0)), (6, (1, 0)), (7, (1, 1)), (8, (0, 1)),
]  # fmt: skip
"""EXIF's number, and the corner (right, bottom) where the stored first corner is to be seen."""


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize(("orientation", "corner"), TURNED)
def test_a_turned_picture_is_seen_upright(
    kind: str, orientation: int, corner: tuple[int, int]
) -> None:
    stored = plain(120, 60, "RGB", RED)
    stored.paste(GREEN, (0, 0, 20, 20))
    exif = PIL.Image.Exif()
    exif[0x0112] = orientation

    picture = seen(encoded(stored, kind, exif=exif))

    assert picture.size == ((120, 60) if orientation < 5 else (60, 120))
    right, bottom = picture.width - 1, picture.height - 1
    for x, y in ((0, 0), (1, 0), (0, 1), (1, 1)):
        expected = GREEN if (x, y) == corner else RED
        assert near(picture, (abs(x * right - 5), abs(y * bottom - 5)), expected)


def tiff(order: str, *entries: tuple[int, int]) -> bytes:
    head = {"<": b"II*\0", ">": b"MM\0*"}[order] + struct.pack(order + "IH", 8, len(entries))
    return head + b"".join(
        struct.pack(order + "HHIHH", tag, 3, 1, value, 0) for tag, value in entries
    )


def jpeg_with(*segments: bytes) -> bytes:
    sent = encoded(plain(20, 10), "JPEG")
    return sent[:2] + b"".join(segments) + sent[2:]


def segment(code: int, body: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, code, len(body) + 2) + body


def exif_segment(body: bytes) -> bytes:
    return segment(0xE1, b"Exif\0\0" + body)


@pytest.mark.parametrize("order", ["<", ">"])
def test_the_orientation_is_read_in_both_byte_orders(order: str) -> None:
    sent = jpeg_with(exif_segment(tiff(order, (0x010F, 3), (0x0112, 6))))

    assert take_apart(sent).orientation == 6


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"II*\0",
        b"II*\0\xff\xff\xff\xff",
        tiff("<", (0x0112, 9)),
        tiff("<", (0x0112, 0)),
        tiff("<", (0x010F, 1)),
        tiff("<", (0x010F, 1), (0x0112, 6))[:-4],
        b"JUNK" + tiff("<", (0x0112, 6)),
    ],
)
def test_a_damaged_orientation_means_upright(body: bytes) -> None:
    assert take_apart(jpeg_with(exif_segment(body))).orientation == 1


def camera_data() -> PIL.Image.Exif:
    exif = PIL.Image.Exif()
    exif[0x010E] = "secret place"
    exif.get_ifd(0x8825)[1] = "secret place"
    return exif


@pytest.mark.parametrize(
    "sent",
    [
        encoded(plain(30, 30), "JPEG", exif=camera_data(), comment=b"secret place",
                icc_profile=b"secret place", xmp=b"secret place"),
        encoded(plain(30, 30), "WEBP", exif=camera_data(), icc_profile=b"secret place",
                xmp=b"secret place"),
        encoded(plain(30, 30), "PNG", exif=camera_data(), icc_profile=b"secret place"),
    ],
    ids=["JPEG", "WEBP", "PNG"],
)  # fmt: skip
def test_nothing_but_pixels_leaves(sent: bytes) -> None:
    again = look(sent, CONFIG).data

    assert b"secret" not in again
    with PIL.Image.open(io.BytesIO(again)) as picture:
        assert not set(picture.info) & {"exif", "icc_profile", "comment", "xmp"}
    if kind_of(sent) != "WEBP":  # whose other parts libwebp skips
        assert b"secret" not in take_apart(sent).data


def test_colours_stored_as_adobe_does_are_kept() -> None:
    """Without its APP14 segment this RGB-stored JPEG would be taken for YCbCr."""
    sent = encoded(plain(40, 40), "JPEG", keep_rgb=True)

    assert near(seen(sent), (20, 20), RED)


def test_a_second_picture_behind_the_first_is_left_out() -> None:
    first, second = encoded(plain(20, 10), "JPEG"), encoded(noise(50, 50), "JPEG")

    assert look(first + second, CONFIG) == look(first, CONFIG)


# --- limits --------------------------------------------------------------------------------------


def test_too_many_bytes() -> None:
    sent = encoded(noise(40, 40), "PNG")

    look(sent, EyesConfig(max_picture_bytes=len(sent)))
    assert code_of(sent, EyesConfig(max_picture_bytes=len(sent) - 1)) == "PICTURE_TOO_LARGE"


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_too_many_pixels(kind: str) -> None:
    sent = encoded(plain(40, 30), kind)

    look(sent, EyesConfig(max_picture_pixels=1200))
    assert code_of(sent, EyesConfig(max_picture_pixels=1199)) == "PICTURE_TOO_LARGE"


def chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def header(width: int, height: int) -> bytes:
    return chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))


def png(*chunks: bytes) -> bytes:
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks) + chunk(b"IEND", b"")


PIXELS = zlib.compress(bytes(10 * (1 + 3 * 10)))
FRAME = struct.pack(">BHHB", 8, 60_000, 60_000, 3) + bytes([1, 17, 0, 2, 17, 1, 3, 17, 1])


def webp(*chunks: tuple[bytes, bytes]) -> bytes:
    body = b"WEBP" + b"".join(name + struct.pack("<I", len(data)) + data for name, data in chunks)
    return b"RIFF" + struct.pack("<I", len(body)) + body


@pytest.mark.parametrize(
    "bomb",
    [
        png(header(60_000, 60_000), chunk(b"IDAT", PIXELS)),
        png(header(2**31 - 1, 2**31 - 1), chunk(b"IDAT", PIXELS)),
        jpeg_with(segment(0xC0, FRAME)),  # whichever frame a decoder believes
        encoded(plain(20, 10), "JPEG")[:-2] + segment(0xC2, FRAME),
        webp((b"VP8X", bytes(4) + b"\xff\xff\xff" * 2)),
        webp((b"VP8L", b"\x2f" + b"\xff" * 9)),
        webp((b"VP8 ", b"\0\0\0\x9d\x01\x2a" + struct.pack("<HH", 16383, 16383))),
    ],
)
def test_a_bomb_is_found_before_it_is_unpacked(bomb: bytes) -> None:
    assert code_of(bomb) == "PICTURE_TOO_LARGE"


def test_only_the_first_header_of_a_png_counts() -> None:
    sent = png(header(10, 10), header(60_000, 60_000), chunk(b"IDAT", PIXELS))

    assert seen(sent).size == (10, 10)
    assert code_of(png(chunk(b"PLTE", bytes(RED)), header(10, 10))) == "BAD_PICTURE"


def test_too_many_scans() -> None:
    """Each of them is decoded over the whole picture, however few bytes it has."""
    sent = encoded(plain(64, 64, "L", 128), "JPEG", progressive=True)
    scans, last = sent.count(b"\xff\xda"), sent[sent.rindex(b"\xff\xda") : -2]

    look(sent[:-2] + last * (MAX_SCANS - scans) + b"\xff\xd9", CONFIG)
    assert code_of(sent[:-2] + last * (MAX_SCANS - scans + 1) + b"\xff\xd9") == "BAD_PICTURE"


@pytest.mark.parametrize(
    "sent",
    [
        png(header(10, 10), chunk(b"tEXt", b"") * MAX_PARTS, chunk(b"IDAT", PIXELS)),
        png(header(10, 10), chunk(b"IDAT", b"") * MAX_PARTS, chunk(b"IDAT", PIXELS)),
        jpeg_with(segment(0xFE, b"") * MAX_PARTS),
        webp((b"VP8X", bytes(10)), *[(b"JUNK", b"")] * MAX_PARTS),
    ],
    ids=["PNG text", "PNG data", "JPEG", "WebP"],
)
def test_too_many_parts(sent: bytes) -> None:
    with pytest.raises(ClientError, match="too many parts"):
        look(sent, CONFIG)


# --- what is no picture --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"hello",
        b"GIF89a" + bytes(30),
        b"BM" + bytes(60),
        b"%PDF-1.7",
        b"RIFF\0\0\0\0WAVE",
        b"\xff\xd8\xff",
        b"\x89PNG\r\n\x1a\n",
        b"RIFF\0\0\0\0WEBP",
        jpeg_with()[:100],
        png(header(0, 10), chunk(b"IDAT", PIXELS)),
        png(chunk(b"IHDR", bytes(5))),
        png(header(10, 10)),
        png(header(10, 10), chunk(b"IDAT", zlib.compress(b"short"))),
        png(header(10, 10), chunk(b"IDAT", b"no zlib data")),
        png(chunk(b"IHDR", struct.pack(">IIBBBBB", 10, 10, 8, 3, 0, 0, 0)), chunk(b"IDAT", PIXELS)),
        webp((b"VP8 ", bytes(10))),
        webp((b"ALPH", bytes(10))),
        jpeg_with(b"\xff\xe0\0\1"),
    ],
)
def test_what_cannot_be_read_is_refused(data: bytes) -> None:
    assert code_of(data) == "BAD_PICTURE"


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_a_truncated_picture_is_refused(kind: str) -> None:
    sent = encoded(noise(64, 64), kind)

    for length in (len(sent) // 10, len(sent) // 2, len(sent) * 9 // 10):
        assert code_of(sent[:length]) == "BAD_PICTURE"


def test_padding_and_junk_between_segments_is_skipped() -> None:
    sent = jpeg_with(b"\xff\xff\xff\xff", segment(0xFE, b"x"), b"junk\xff\x00")

    assert seen(sent).size == (20, 10)


# --- fuzzing -------------------------------------------------------------------------------------

SMALL = EyesConfig(side_px=64, max_picture_pixels=1_000_000)
EXIF = PIL.Image.Exif()
EXIF[0x0112] = 6
SEEDS = [
    encoded(noise(40, 30), "JPEG", exif=EXIF),
    encoded(noise(40, 30), "JPEG", progressive=True),
    encoded(noise(40, 30).convert("CMYK"), "JPEG"),
    encoded(noise(40, 30), "PNG", exif=EXIF),
    encoded(noise(40, 30, 4), "PNG"),
    encoded(noise(40, 30).convert("P"), "PNG", transparency=bytes(range(200))),
    encoded(noise(40, 30).convert("1"), "PNG", transparency=0),
    encoded(plain(40, 30, "I;16", 999), "PNG", transparency=999),
    encoded(noise(40, 30), "PNG", save_all=True, append_images=[plain(40, 30)]),
    encoded(noise(40, 30), "WEBP", exif=EXIF),
    encoded(noise(40, 30, 4), "WEBP", lossless=True),
    encoded(noise(40, 30), "WEBP", save_all=True, append_images=[plain(40, 30)]),
]
PLACE = st.integers(0, 200) | st.integers(0, 5_000)
CHANGE = st.tuples(PLACE, PLACE, st.binary(max_size=12))
"""Where, how many bytes go, and what comes in their place."""


@st.composite
def mutations(draw: st.DrawFn) -> bytes:
    data = draw(st.sampled_from(SEEDS))
    for at, count, new in draw(st.lists(CHANGE, min_size=1, max_size=5)):
        data = data[:at] + new + data[at + count % 16 :]
    return data[: draw(st.integers(0, len(data)))] if draw(st.booleans()) else data


MAGIC = [b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR",
         b"RIFF\xff\0\0\0WEBP", b"RIFF\xff\0\0\0WEBPVP8 ", b"RIFF\xff\0\0\0WEBPVP8X",
         b"RIFF\xff\0\0\0WEBPVP8L"]  # fmt: skip
RANDOM = st.builds(bytes.__add__, st.sampled_from(MAGIC), st.binary(max_size=300))


def palette_picture_without_a_palette() -> bytes:
    return SEEDS[5].replace(b"PLTE", b"pLTe")


@settings(max_examples=1500)
@given(mutations() | RANDOM | st.binary(max_size=40))
@example(palette_picture_without_a_palette())
@example(SEEDS[0].replace(b"\xff\xe0\0\x10", b"\xff\xe0\0\0"))
def test_a_picture_or_a_named_error_and_never_anything_else(data: bytes) -> None:
    """Warnings are errors here, so that none is ever given either."""
    try:
        picture = seen(data, SMALL)
    except ClientError as error:
        outcome = error.code
    else:
        outcome = "seen" if max(picture.size) <= SMALL.side_px else "too large"
    assert outcome in {"seen", "BAD_PICTURE", "PICTURE_TOO_LARGE"}


def test_the_seeds_of_the_fuzzing_are_pictures() -> None:
    for data in SEEDS:
        assert look(data, SMALL).data
