"""A picture a person shows, made small and clean for a model that can see.

Whatever comes in, one kind of file goes out: a JPEG of at most ``side_px``, always encoded anew. So
the decoder inside a language model's engine never meets a stranger's file, no camera data or place
leaves the host, and every picture costs the model about the same.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping

import PIL.Image
from PIL.Image import Resampling, Transpose
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.WebPImagePlugin import WebPImageFile

from voicecore.config import EyesConfig
from voicecore.engines.interface import Image
from voicecore.errors import ClientError
from voicecore.eyes.container import Container, Kind, damaged, take_apart

QUALITY = 90
"""Of the JPEG, with colours at full resolution (4:4:4). Screens hold thin, coloured letters: on a
4K screen of text and photo, scaled to 1024 pixels, this keeps 35 dB (325 kB, 4 ms), Pillow's own
default of 75 with halved colours 29 dB (161 kB)."""

REDUCING_GAP = 2.0
"""Scaling begins by whole factors, in the JPEG decoder itself, down to this many times the wanted
size. Pillow's own default: "very close to fair resampling"."""

_TURNS = {
    2: Transpose.FLIP_LEFT_RIGHT,
    3: Transpose.ROTATE_180,
    4: Transpose.FLIP_TOP_BOTTOM,
    5: Transpose.TRANSPOSE,
    6: Transpose.ROTATE_270,
    7: Transpose.TRANSVERSE,
    8: Transpose.ROTATE_90,
}
"""What makes a picture of each EXIF orientation upright."""

_OPEN: Mapping[Kind, Callable[[io.BytesIO], PIL.Image.Image]] = {
    "JPEG": JpegImageFile,
    "PNG": PngImageFile,
    "WEBP": WebPImageFile,
}
"""Not `PIL.Image.open`: it guesses among formats, warns, and has limits of its own."""

_SCALABLE = {"L", "LA", "RGB", "RGBA", "CMYK"}
"""Modes whose pixels can be averaged. Palette indices and single bits cannot."""

_DECODING_ERRORS = (OSError, SyntaxError, ValueError, EOFError, MemoryError)
"""What Pillow raises for damaged files: ``SyntaxError`` for headers, ``EOFError`` for a missing
frame, ``MemoryError`` when a codec asks for more than there is, the others for the pixels."""


def look(data: bytes, config: EyesConfig) -> Image:
    """Turn a JPEG, PNG or WebP file into an upright RGB JPEG whose longer side is ``side_px``.

    The kind is told by the bytes. A smaller picture keeps its size. Of an animated one the first
    frame is taken (of an animated PNG, its still picture). What is transparent becomes white.
    Colour profiles are dropped, not applied.

    Blocks for the decoding: 0.1 to 0.4 s for a 4K screen. Pillow lets other threads run meanwhile.

    Raises:
        ClientError: ``PICTURE_TOO_LARGE``, in bytes or in pixels, found before anything is
            decoded; or ``BAD_PICTURE``: not one of the three kinds, damaged or incomplete.
    """
    _check_bytes(len(data), config.max_picture_bytes)
    container = take_apart(data)
    _check_pixels(container, config.max_picture_pixels)
    try:
        return Image("image/jpeg", _jpeg(_small(container, config.side_px)))
    except _DECODING_ERRORS as error:
        raise damaged(container.kind) from error


def _check_bytes(size: int, limit: int) -> None:
    if size > limit:
        raise ClientError(
            f"The picture has {size} bytes, and at most {limit} are taken. "
            "Send it smaller, or as JPEG.",
            "PICTURE_TOO_LARGE",
        )


def _check_pixels(container: Container, limit: int) -> None:
    width, height = container.width_px, container.height_px
    if width * height > limit:
        raise ClientError(
            f"The picture has {width} by {height} pixels, which is more than the {limit} that "
            "are unpacked here. Scale it down and send it again.",
            "PICTURE_TOO_LARGE",
        )


def _small(container: Container, side_px: int) -> PIL.Image.Image:
    """Decode, scale, turn and flatten, in this order: later steps have fewer pixels to do."""
    picture = _scalable(_OPEN[container.kind](io.BytesIO(container.data)))
    picture.thumbnail((side_px, side_px), Resampling.LANCZOS, reducing_gap=REDUCING_GAP)
    turn = _TURNS.get(container.orientation)
    return _on_white(picture if turn is None else picture.transpose(turn))


def _scalable(picture: PIL.Image.Image) -> PIL.Image.Image:
    """Bring palettes, single bits, 16-bit greys and transparent colours to averageable pixels."""
    if picture.mode in _SCALABLE and "transparency" not in picture.info:
        return picture
    if picture.mode == "P" and picture.palette is None:
        raise ValueError("palette indices without a palette")  # Pillow asserts that there is one
    if picture.mode == "I;16":  # which Pillow's own conversion clips at 255
        picture.info.pop("transparency", None)
        return picture.point(lambda level: level / 256).convert("L")
    return picture.convert("RGBA" if picture.has_transparency_data else "RGB")


def _on_white(picture: PIL.Image.Image) -> PIL.Image.Image:
    if not picture.has_transparency_data:
        return picture.convert("RGB")
    white = PIL.Image.new("RGB", picture.size, "white")
    white.paste(picture.convert("RGB"), mask=picture.getchannel("A"))
    return white


def _jpeg(picture: PIL.Image.Image) -> bytes:
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=QUALITY, subsampling="4:4:4")
    return file.getvalue()
