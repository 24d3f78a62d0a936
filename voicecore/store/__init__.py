"""Where conversations are kept: one SQLite file each, resumable by id across restarts.

``records`` is the vocabulary and the `Store` interface, ``memory`` a store for simulations,
``sqlite`` the real one: Trio outside, and inside it ``files``, plain blocking code for one thread.
"""

from voicecore.store.memory import MemoryStore
from voicecore.store.names import MAX_ID_CHARS
from voicecore.store.records import JsonValue, SessionRecord, Store, StoredMessage, Summary
from voicecore.store.sqlite import SqliteStore

__all__ = [
    "MAX_ID_CHARS",
    "JsonValue",
    "MemoryStore",
    "SessionRecord",
    "SqliteStore",
    "Store",
    "StoredMessage",
    "Summary",
]
