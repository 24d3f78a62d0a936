"""From session ids, which clients choose, to file names, which they must not.

The rule: the id's UTF-8 bytes, where every byte but ``a-z 0-9 - _`` is written as ``%`` and two
lower-case hexadecimal digits. Capitals are escaped too, so two ids never meet on a file system
that ignores case; nothing is left for one that normalises Unicode; no dot or slash ever gets
through. A name of more than 120 characters is cut to 48, followed by ``~`` (which no escaped name
contains) and the id's SHA-256.
"""

from __future__ import annotations

import hashlib

from voicecore.errors import ClientError

MAX_ID_CHARS = 128
"""Ids are UUIDs and the like; this leaves room and keeps them fit for a log line."""

_LONGEST_STEM = 120
"""With ``.sqlite3-journal`` 136: below the 255 of common file systems and the 143 of eCryptfs."""

_KEPT_PREFIX = 48

_PLAIN = frozenset(b"abcdefghijklmnopqrstuvwxyz0123456789-_")


def checked_id(session_id: str) -> str:
    """Return the id.

    Raises:
        ClientError: it is empty, longer than 128 characters, or not valid Unicode.
    """
    if not session_id:
        raise ClientError("The session id is empty: leave it out to begin a new session.")
    if len(session_id) > MAX_ID_CHARS:
        raise ClientError(
            f"The session id has {len(session_id)} characters; at most {MAX_ID_CHARS} are allowed."
        )
    try:
        session_id.encode()
    except UnicodeEncodeError as exc:
        raise ClientError("The session id is not valid Unicode: a lone surrogate in it.") from exc
    return session_id


def is_id(session_id: str) -> bool:
    """Whether there could be a conversation of this id."""
    try:
        checked_id(session_id)
    except ClientError:
        return False
    return True


def file_stem(session_id: str) -> str:
    """The file's name without its suffix; different for any two valid ids."""
    data = session_id.encode()
    escaped = "".join(chr(byte) if byte in _PLAIN else f"%{byte:02x}" for byte in data)
    if len(escaped) <= _LONGEST_STEM:
        return escaped
    return f"{escaped[:_KEPT_PREFIX]}~{hashlib.sha256(data).hexdigest()}"
