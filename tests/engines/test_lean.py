"""The lean form of the engines, on the real models: it does the same."""

from __future__ import annotations

import pytest

from voicecore.audio import EAR_HZ, MOUTH_HZ, Pcm, resample
from voicecore.commands.say import speak
from voicecore.configfile import load
from voicecore.engines import open_engines, whisper
from voicecore.engines.interface import Delta, Message, Prompt, TurnSound, Utterance
from voicecore.engines.piper.model import Whole
from voicecore.engines.piper.voice import open_voice
from voicecore.weights.files import ModelStore

pytestmark = pytest.mark.model

CONFIG = load(None, ["profile=kiosk"])


async def test_a_kiosks_engines_hear_think_and_speak(model_files: ModelStore) -> None:
    async with open_engines(CONFIG, model_files) as engines:
        spoken = await speak(engines.tts, "What is the capital of France?")
        sound = resample(Pcm(spoken, MOUTH_HZ), EAR_HZ).samples
        async with engines.stt.stream(Utterance(sound)) as transcripts:
            words = [transcript.text async for transcript in transcripts][-1]
        assert "capital of France" in words
        assert engines.turn is not None
        async with engines.turn.stream(TurnSound(sound)) as judgements:
            (judgement,) = [each async for each in judgements]
        assert judgement.probability > 0.5
        async with engines.llm.stream(Prompt((Message("user", words),))) as chunks:
            reply = [chunk.text async for chunk in chunks if isinstance(chunk, Delta)]
        assert "".join(reply)


def test_whisper_is_loaded_once(model_files: ModelStore) -> None:
    stt = whisper.load(CONFIG.stt, model_files, threads=2)
    assert stt._decoder is stt._model.model
    stt.close()


def test_a_voice_in_one_piece_speaks_long_sentences_too(model_files: ModelStore) -> None:
    """Without an arena there is nothing that could be shrunk after them."""
    voice = open_voice(CONFIG.tts.model, model_files, 1)
    ids = voice.reader.inputs(voice.reader.sentences("Well, " * 30)[0], 1)
    whole = Whole(model_files.file(CONFIG.tts.model, ".onnx"), 1, lean=True)
    assert whole.speak(ids).total > MOUTH_HZ // 2
