"""What every engine of a kind must do: the fakes, and with the real models the real ones."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import numpy as np
import pytest
import trio

from voicecore.audio import EAR_HZ, Pcm, resample
from voicecore.config import Config, LlmConfig, SttConfig, TtsConfig, TurnConfig, VadConfig
from voicecore.engines import open_engine
from voicecore.engines.interface import (
    VAD_FRAME_MS,
    CalledTool,
    Delta,
    Engine,
    Kind,
    Message,
    Prompt,
    SpeechRequest,
    Stt,
    ToolSpec,
    TurnSound,
    Usage,
    Utterance,
)
from voicecore.mind.prompt import build_prompt
from voicecore.weights.files import ModelStore

FAKES = Config(
    vad=VadConfig(engine="fake"),
    stt=SttConfig(engine="fake"),
    llm=LlmConfig(engine="fake"),
    tts=TtsConfig(engine="fake"),
    turn=TurnConfig(engine="fake"),
)
REAL = Config(turn=TurnConfig(engine="smart-turn"))
WEBRTC = Config(vad=VadConfig(engine="webrtc"))

EITHER = [pytest.param(FAKES, id="fake"), pytest.param(REAL, id="real", marks=pytest.mark.model)]
ENGINES: list[Kind] = ["stt", "llm", "tts", "turn"]

REQUESTS: dict[Kind, Any] = {
    "stt": Utterance(np.zeros(EAR_HZ, np.int16)),
    "llm": Prompt((Message("system", "Be brief."), Message("user", "Count to one hundred."))),
    "tts": SpeechRequest("This is a sentence that takes a moment to say."),
    "turn": TurnSound(np.zeros(EAR_HZ, np.int16)),
}


@asynccontextmanager
async def opened(config: Config, kind: Kind, files: ModelStore) -> AsyncIterator[Any]:
    async with open_engine(config, kind, files) as engine:
        yield engine


async def chunks(engine: Engine[Any, Any], request: object) -> list[Any]:
    async with engine.stream(request) as found:
        return [chunk async for chunk in found]


@pytest.mark.parametrize("config", EITHER)
@pytest.mark.parametrize("kind", ENGINES)
class TestEveryEngine:
    async def test_it_says_what_it_is(
        self, config: Config, kind: Kind, model_files: ModelStore
    ) -> None:
        async with opened(config, kind, model_files) as engine:
            assert engine.info.kind == kind
            assert engine.info.name
            assert engine.info.version

    async def test_several_can_listen_at_once(
        self, config: Config, kind: Kind, model_files: ModelStore
    ) -> None:
        answers: list[list[Any]] = []

        async def listen() -> None:
            answers.append(await chunks(engine, REQUESTS[kind]))

        async with opened(config, kind, model_files) as engine:
            with trio.fail_after(60):
                async with trio.open_nursery() as nursery:
                    for _ in range(3):
                        nursery.start_soon(listen)
        assert len(answers) == 3
        assert all(answers)

    async def test_leaving_at_any_chunk_leaves_it_able_to_serve(
        self, config: Config, kind: Kind, model_files: ModelStore
    ) -> None:
        async with opened(config, kind, model_files) as engine:
            for wanted in range(3):
                async with engine.stream(REQUESTS[kind]) as found:
                    seen = 0
                    while seen < wanted and await anext(found, None) is not None:
                        seen += 1
            with trio.move_on_after(0):
                await chunks(engine, REQUESTS[kind])
            assert await chunks(engine, REQUESTS[kind])


# --- recognition ---


async def spoken(text: str, files: ModelStore) -> Utterance:
    async with open_engine(REAL, "tts", files) as tts:
        found = await chunks(tts, SpeechRequest(text))
    sound = np.concatenate([chunk.samples for chunk in found])
    return Utterance(resample(Pcm(sound, found[0].rate_hz), EAR_HZ).samples)


@pytest.mark.parametrize("config", EITHER)
async def test_recognition_gives_one_transcript_with_a_confidence(
    config: Config, model_files: ModelStore
) -> None:
    utterance = await spoken("The weather is nice today.", model_files)
    async with open_engine(config, "stt", model_files) as stt:
        (transcript,) = await chunks(stt, utterance)
    assert transcript.text
    assert 0 < transcript.confidence <= 1


@pytest.mark.model
async def test_recognition_gives_the_words_and_no_words_for_none(model_files: ModelStore) -> None:
    utterance = await spoken("The weather is nice today.", model_files)
    rng = np.random.default_rng(1)
    noise = (rng.standard_normal(3 * EAR_HZ) * 500).astype(np.int16)
    async with open_engine(REAL, "stt", model_files) as stt:
        assert await heard(stt, utterance) == "the weather is nice today"
        assert await heard(stt, Utterance(np.zeros(2 * EAR_HZ, np.int16))) == ""
        assert await heard(stt, Utterance(noise)) == ""


async def heard(stt: Stt, utterance: Utterance) -> str:
    (transcript,) = await chunks(stt, utterance)
    return str(transcript.text).lower().rstrip(".")


# --- language ---


@pytest.mark.parametrize("config", EITHER)
async def test_a_reply_is_text_and_then_its_cost(config: Config, model_files: ModelStore) -> None:
    prompt = Prompt((Message("user", "Say hello."),), max_tokens=20)
    async with open_engine(config, "llm", model_files) as llm:
        *deltas, usage = await chunks(llm, prompt)
    assert deltas
    assert all(isinstance(delta, Delta) and delta.text for delta in deltas)
    assert isinstance(usage, Usage)
    assert usage.tokens_in > 0
    assert 0 < usage.tokens_out <= 20
    assert usage.model


@pytest.mark.parametrize("config", EITHER)
async def test_a_model_that_is_told_of_tools_in_words_answers_from_a_result(
    config: Config, model_files: ModelStore
) -> None:
    tool = ToolSpec("get_time", "Tells the time.", {"type": "object", "properties": {}})
    history = (
        Message("user", "What time is it?"),
        Message("assistant", "", calls=(CalledTool("c1", "get_time", "{}"),)),
        Message("tool", "It is a quarter past nine.", call_id="c1"),
    )
    prompt = build_prompt(
        "Be brief.", history, budget_tokens=2_048, max_tokens=30, tools=(tool,), tools_as="text"
    )
    async with open_engine(config, "llm", model_files) as llm:
        assert not llm.info.calls_tools
        *deltas, usage = await chunks(llm, prompt)
    assert deltas
    assert isinstance(usage, Usage)


@pytest.mark.model
async def test_a_question_asked_twice_gets_the_same_answer(model_files: ModelStore) -> None:
    question, answer = "What is the capital of France?", "The capital of France is Paris."
    prompt = build_prompt(
        Config().character("default").prompt,  # type: ignore[union-attr] # it always exists
        (Message("user", question), Message("assistant", answer), Message("user", question)),
        budget_tokens=2_048,
        max_tokens=60,
    )
    async with open_engine(REAL, "llm", model_files) as llm:
        found = await chunks(llm, prompt)
    assert "Paris" in "".join(chunk.text for chunk in found if isinstance(chunk, Delta))


# --- voice ---


@pytest.mark.parametrize("config", EITHER)
async def test_speech_is_as_long_as_its_words_and_faster_when_asked(
    config: Config, model_files: ModelStore
) -> None:
    async def seconds(text: str, speed: float = 1.0) -> float:
        found = await chunks(tts, SpeechRequest(text, speed=speed))
        assert all(chunk.samples.dtype == np.int16 for chunk in found)
        return float(sum(len(chunk.samples) / chunk.rate_hz for chunk in found))

    text = "One two three four five six seven eight nine ten."
    async with open_engine(config, "tts", model_files) as tts:
        normal = await seconds(text)
        assert 1.5 < normal < 6
        assert await seconds(text, speed=2.0) < 0.7 * normal
        assert await seconds(text[:13]) < 0.5 * normal


# --- end of turn ---


@pytest.mark.parametrize("config", EITHER)
@pytest.mark.parametrize("seconds", [0, 0.5, 20])
async def test_a_turn_of_any_length_has_one_probability(
    config: Config, seconds: float, model_files: ModelStore
) -> None:
    sound = (np.random.default_rng(1).standard_normal(int(seconds * EAR_HZ)) * 500).astype(np.int16)
    async with open_engine(config, "turn", model_files) as judge:
        (found,) = await chunks(judge, TurnSound(sound))
    assert 0 <= found.probability <= 1


# --- voice activity ---


@pytest.mark.parametrize(
    "config", [*EITHER, pytest.param(WEBRTC, id="webrtc", marks=pytest.mark.model)]
)
async def test_speech_is_told_from_silence_by_each_detector_on_its_own(
    config: Config, model_files: ModelStore
) -> None:
    speech = (await spoken("Good morning, how are you today?", model_files)).samples
    frame = EAR_HZ * VAD_FRAME_MS // 1000
    async with open_engine(config, "vad", model_files) as vad:
        one, other = vad.detector(), vad.detector()
        voiced = [
            (one.feed(speech[at : at + frame]), other.feed(np.zeros(frame, np.int16)))
            for at in range(0, len(speech) - frame, frame)
        ]
        assert sum(mine for mine, _ in voiced) > len(voiced) * 0.5
        assert not any(others for _, others in voiced)
        again = [one.feed(np.zeros(frame, np.int16)) for _ in range(50)]
        assert not any(again[25:])
        one.reset()
        assert not one.feed(np.zeros(frame, np.int16))
