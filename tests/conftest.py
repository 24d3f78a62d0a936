"""What several tests use."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
import structlog
from hypothesis import settings

from voicecore import configfile
from voicecore.errors import ModelError
from voicecore.weights.files import ModelStore

# A loaded machine is no failure: time never decides a test.
settings.register_profile("voicecore", deadline=None)
settings.load_profile("voicecore")

SPEECH_SEED = int(os.environ.get("VOICECORE_TEST_SEED", "1"))
"""Piper draws the melody and the lengths of what it says by chance. Within the tests the same
sentence sounds the same in each run; another seed shows what was only luck."""

try:
    import onnxruntime
except ImportError:  # a host without native engines is tested too
    pass
else:
    onnxruntime.set_seed(SPEECH_SEED)


@pytest.fixture(autouse=True)
def own_log_settings() -> Iterator[None]:
    """Undo what a command that runs within the tests has set: others look at what is logged."""
    before = structlog.get_config()
    yield
    structlog.configure(**before)


@pytest.fixture(scope="session")
def model_files() -> ModelStore:
    """The real model files; scripts/test fetches them."""
    store = ModelStore.of(configfile.load(None))
    try:
        for name in ("whisper-tiny.en", "en_US-joe-medium", "smollm2-135m-instruct"):
            store.folder(name)
    except ModelError as error:
        pytest.fail(f"{error} (scripts/test fetches the models before it runs the tests)")
    return store
