"""``pytest tests/fuzz --hypothesis-profile long``: for an hour, not for every change."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("long", deadline=None, max_examples=10_000, print_blob=True)
