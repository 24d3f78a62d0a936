"""Every error voicecore raises on purpose: who is to blame, and what to do about it.

The message is a sentence for the person who can mend it: what happened, why, what to do. ``code``
is the stable name a program can match, and what the wires send.
"""

from __future__ import annotations


class VoicecoreError(Exception):
    """Base of all expected errors; its text is fit to be shown to a person."""

    code = "INTERNAL_ERROR"


class ConfigError(VoicecoreError):
    """The configuration is wrong; the person who starts the host can mend it."""

    code = "CONFIG_ERROR"


class ModelError(VoicecoreError):
    """A model file is missing, corrupt or cannot be fetched."""

    code = "MODEL_ERROR"


class EngineError(VoicecoreError):
    """An engine cannot be loaded, or failed on one request. The engine itself lives on."""

    code = "ENGINE_ERROR"


class EngineMissing(EngineError):
    """The engine is not installed; the message names the command that installs it."""

    code = "ENGINE_MISSING"


class StoreError(VoicecoreError):
    """A conversation cannot be read or written."""

    code = "STORE_ERROR"


class ClientError(VoicecoreError):
    """The client sent something that cannot be used. Answered in its protocol's own error form."""

    code = "BAD_MESSAGE"

    def __init__(self, message: str, code: str | None = None) -> None:
        super().__init__(message)
        if code is not None:
            self.code = code


class BadAudio(ClientError):
    """Sound that cannot be decoded."""

    code = "BAD_AUDIO"


class ClientTooSlow(VoicecoreError):
    """The client does not read what it is sent; its connection is closed."""

    code = "CLIENT_TOO_SLOW"
