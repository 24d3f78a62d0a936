"""The engines of a host: one of each kind, and a language model for each name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import attrs
import pytest
import trio
from trio.testing import MockClock

from voicecore.commands.models import used_models
from voicecore.config import (
    CharacterConfig,
    Config,
    LlmConfig,
    SttConfig,
    TtsConfig,
    TurnConfig,
    VadConfig,
)
from voicecore.engines import Engines, open_engines
from voicecore.engines.fake import FakeVad, fake_llm, fake_stt, fake_tts
from voicecore.engines.interface import CalledTool, Delta, LlmChunk, Message, Prompt, Usage
from voicecore.errors import EngineError, ModelError
from voicecore.weights.files import ModelStore

FAKES = Config(
    vad=VadConfig(engine="fake"),
    stt=SttConfig(engine="fake"),
    llm=LlmConfig(engine="fake", model="small"),
    tts=TtsConfig(engine="fake"),
    turn=TurnConfig(engine="none"),
)


def with_models(config: Config, **models: str | None) -> Config:
    characters = {name: CharacterConfig(model=model) for name, model in models.items()}
    return attrs.evolve(config, characters=characters)


class NoFiles:
    def folder(self, name: str) -> Path:
        raise ModelError(f"There is no model {name!r}.")

    def file(self, name: str, suffix: str) -> Path:
        raise ModelError(f"There is no model {name!r}.")


async def test_each_name_of_a_model_is_loaded_once() -> None:
    config = with_models(FAKES, ann="big", bob="big", cy="small", dee=None, eve="vast")

    async with open_engines(config, NoFiles()) as engines:
        assert sorted(engines.llms) == ["big", "small", "vast"]
        assert engines.llm_for("small") is engines.llm_for(None) is engines.llm
        assert engines.llm_for("big").info.model == "big"
        told = [(info.kind, info.model) for info in engines.infos()]
    assert sorted(told) == [
        ("llm", "big"), ("llm", "small"), ("llm", "vast"),
        ("stt", "none"), ("tts", "none"), ("vad", "none"),
    ]  # fmt: skip
    assert told[:4] == [("vad", "none"), ("stt", "none"), ("llm", "small"), ("tts", "none")]


def test_a_model_that_is_not_loaded_is_told() -> None:
    llm = fake_llm()
    engines = Engines(FakeVad(), fake_stt(), llm, fake_tts())

    assert engines.llm_for(None) is llm
    assert len(engines.infos()) == 4
    assert engines.waiting() == {}
    with pytest.raises(EngineError, match=r"'big' is not loaded: .*Restart"):
        engines.llm_for("big")


async def test_an_unknown_model_names_its_character() -> None:
    config = with_models(attrs.evolve(FAKES, llm=LlmConfig()), robin="nothing", wren="nothing")

    async def open_all(config: Config) -> None:
        async with open_engines(config, NoFiles()):
            raise AssertionError

    with pytest.RaisesGroup(
        pytest.RaisesExc(ModelError, match=r"^There is no model 'smollm2"),
        pytest.RaisesExc(ModelError, match=r"^characters\.\w+\.model = 'nothing': There is no"),
        flatten_subgroups=True,
    ):
        await open_all(config)


async def test_a_model_the_server_lacks_names_its_character(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def warm_up(engine: Any) -> None:
        await trio.lowlevel.checkpoint()
        if engine.info.model != "small":
            raise EngineError("The server has no such model.")

    monkeypatch.setattr("voicecore.engines.openai.OpenAiChat.warm_up", warm_up)
    remote = attrs.evolve(FAKES, llm=LlmConfig(engine="openai", model="small"))

    async with open_engines(with_models(remote, robin="small"), NoFiles()):
        pass
    with pytest.raises(EngineError, match=r"^characters\.robin\.model = 'big': The server has no"):
        async with open_engines(with_models(remote, robin="big"), NoFiles()):
            pass


@pytest.mark.parametrize(("engine", "counted"), [("llama", True), ("openai", False)])
def test_a_characters_model_is_fetched_for_the_engine_inside_the_process(
    engine: str, counted: bool
) -> None:
    store = ModelStore.of(Config())
    other = "whisper-base"
    assert other in store.models
    config = with_models(Config(llm=LlmConfig(engine=engine)), ann=other, bob=other, cy="unknown")

    used = used_models(config, store)

    assert used.count(other) == counted
    assert "unknown" not in used
    assert used_models(Config(), store) == [name for name in used if name != other]


# --- the fake language model ---


async def listen(prompt: Prompt, llm: Any) -> list[tuple[float, LlmChunk]]:
    async with llm.stream(prompt) as chunks:
        return [(trio.current_time(), chunk) async for chunk in chunks]


async def test_a_fake_model_calls_tools(autojump_clock: MockClock) -> None:
    call = CalledTool("c1", "get_time", "{}")
    llm = fake_llm(
        [[Delta("Let me"), Delta(" see."), call], "It is noon."],
        first_token_s=0.5,
        tokens_per_s=10,
        sees=True,
        calls_tools=True,
        model="clever",
    )
    prompt = Prompt((Message("user", "Time?"),))

    begun_s = trio.current_time()
    found = await listen(prompt, llm)

    assert [chunk for _, chunk in found] == [
        Delta("Let me"), Delta(" see."), call, Usage(1, 3, "fake", "tool_calls"),
    ]  # fmt: skip
    assert [at_s - begun_s for at_s, _ in found] == pytest.approx([0.5, 0.6, 0.7, 0.7])
    assert (await listen(prompt, llm))[-1][1] == Usage(1, 3, "fake", "stop")
    assert (llm.info.sees, llm.info.calls_tools, llm.info.model) == (True, True, "clever")


async def test_a_fake_model_is_configured_like_a_real_one() -> None:
    config = attrs.evolve(FAKES, llm=LlmConfig(engine="fake", sees=True, tools="native"))

    async with open_engines(config, NoFiles()) as engines:
        info = engines.llm.info

    assert (info.sees, info.calls_tools) == (True, True)
