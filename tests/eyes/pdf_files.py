"""PDF files written by hand, so that the tests know every byte of them."""

from __future__ import annotations

import zlib
from collections.abc import Sequence

FONT = b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>"


def pdf(objects: Sequence[bytes], trailer: bytes = b"") -> bytes:
    """Number the objects from 1; the first is the catalog."""
    file, offsets = b"%PDF-1.7\n", []
    for number, body in enumerate(objects, 1):
        offsets.append(len(file))
        file += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    table = b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    return file + (
        b"xref\n0 %d\n0000000000 65535 f \n%strailer\n<</Size %d/Root 1 0 R%s>>\n"
        b"startxref\n%d\n%%%%EOF\n"
    ) % (len(objects) + 1, table, len(objects) + 1, trailer, len(file))


def stream(body: bytes, entries: bytes = b"") -> bytes:
    packed = zlib.compress(body)
    return b"<</Filter/FlateDecode/Length %d%s>>\nstream\n%s\nendstream" % (
        len(packed),
        entries,
        packed,
    )


def text_page(*lines: bytes) -> bytes:
    shown = b"".join(b"(%s) Tj T* " % line for line in lines)
    return b"BT /F1 12 Tf 72 720 Td 14 TL %sET" % shown


def document(*pages: bytes, forms: Sequence[bytes] = (), trailer: bytes = b"") -> bytes:
    """Make a file of pages with these contents; forms are /X0, /X1 and so on."""
    first = 4 + len(forms)
    kids = b" ".join(b"%d 0 R" % (first + 2 * at) for at in range(len(pages)))
    named = b"".join(b"/X%d %d 0 R" % (at, 4 + at) for at in range(len(forms)))
    objects = [
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Kids[%s]/Count %d>>" % (kids, len(pages)),
        FONT,
        *forms,
    ]
    for at, contents in enumerate(pages):
        objects += [
            b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 612 792]/Contents %d 0 R"
            b"/Resources<</Font<</F1 3 0 R>>/XObject<<%s>>>>>>" % (first + 2 * at + 1, named),
            stream(contents),
        ]
    return pdf(objects, trailer)
