"""The configuration: frozen, complete with defaults, one class per part of the host.

Every number carries its unit in its name. ``configfile.load`` fills these classes from TOML; the
strings below the fields are the words of docs/configuration.md (``configreference.describe``).
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Literal

import attrs
from attrs.validators import in_

from voicecore.config.conversation import CharacterConfig, EarsConfig, EyesConfig, MouthConfig
from voicecore.config.engines import (
    EngineConfig,
    LlmConfig,
    OwnModelConfig,
    PriceConfig,
    SttConfig,
    TtsConfig,
    TurnConfig,
    VadConfig,
    WakeConfig,
)
from voicecore.config.server import LogConfig, PathsConfig, ServerConfig
from voicecore.config.tools import McpServerConfig, ToolsConfig


def cores() -> int:
    """Processors this process may use (a container's or taskset's limit counts)."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@attrs.frozen(kw_only=True)
class Config:
    """Everything; the one object the parts of the host are made from."""

    profile: Literal["default", "kiosk"] = attrs.field(
        default="default", validator=in_(("default", "kiosk"))
    )
    """A set of defaults (`config/profiles.py`), which the settings given are stronger than."""
    server: ServerConfig = attrs.field(factory=ServerConfig)
    paths: PathsConfig = attrs.field(factory=PathsConfig)
    ears: EarsConfig = attrs.field(factory=EarsConfig)
    vad: VadConfig = attrs.field(factory=VadConfig)
    turn: TurnConfig = attrs.field(factory=TurnConfig)
    wake: WakeConfig = attrs.field(factory=WakeConfig)
    stt: SttConfig = attrs.field(factory=SttConfig)
    llm: LlmConfig = attrs.field(factory=LlmConfig)
    tts: TtsConfig = attrs.field(factory=TtsConfig)
    mouth: MouthConfig = attrs.field(factory=MouthConfig)
    characters: Mapping[str, CharacterConfig] = attrs.field(factory=dict)
    eyes: EyesConfig = attrs.field(factory=EyesConfig)
    tools: ToolsConfig = attrs.field(factory=ToolsConfig)
    mcp: Mapping[str, McpServerConfig] = attrs.field(factory=dict)
    prices: Mapping[str, PriceConfig] = attrs.field(factory=dict)
    models: Mapping[str, OwnModelConfig] = attrs.field(factory=dict)
    logs: LogConfig = attrs.field(factory=LogConfig)

    def character(self, name: str) -> CharacterConfig | None:
        """Return the named character; ``default`` exists without being configured."""
        found = self.characters.get(name)
        return CharacterConfig() if found is None and name == "default" else found

    def cost_usd(self, model: str, tokens_in: int, tokens_out: int) -> float:
        """What a turn of this model costs; nothing if it has no price."""
        price = self.prices.get(model, PriceConfig())
        millionths = tokens_in * price.in_per_million + tokens_out * price.out_per_million
        return millionths / 1_000_000


__all__ = [
    "CharacterConfig",
    "Config",
    "EarsConfig",
    "EngineConfig",
    "EyesConfig",
    "LlmConfig",
    "LogConfig",
    "McpServerConfig",
    "MouthConfig",
    "OwnModelConfig",
    "PathsConfig",
    "PriceConfig",
    "ServerConfig",
    "SttConfig",
    "ToolsConfig",
    "TtsConfig",
    "TurnConfig",
    "VadConfig",
    "WakeConfig",
    "cores",
]
