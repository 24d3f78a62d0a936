# mypy: disable-error-code="import-not-found, misc, untyped-decorator, unused-ignore"
"""A pipecat host that speaks the documented N.E.K.O. messages, for any number of clients.

It runs in its own virtual environment, from the repository's root (``benchmarks/peers/setup`` makes
the environment):

    benchmarks/peers/pipecat/.venv/bin/python -m benchmarks.peers.pipecat.host \
        --whisper FOLDER --voice FILE.onnx --llm http://127.0.0.1:8089/v1

Its pipeline is the one of pipecat's documentation: Whisper, the aggregators with Silero and the
default turn strategies (smart-turn v3.2), an OpenAI-compatible model, Piper. Everything not named
here is pipecat's default. It logs every frame unless LOGURU_LEVEL is, for example, ERROR.
"""

from __future__ import annotations

import argparse
import gc
import json
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import uvicorn
from fastapi import FastAPI, WebSocket
from pipecat.audio.vad.silero import SileroVADAnalyzer
from pipecat.audio.vad.vad_analyzer import VADParams
from pipecat.frames.frames import (
    Frame,
    InputAudioRawFrame,
    InputTransportMessageFrame,
    InterruptionFrame,
    LLMFullResponseEndFrame,
    LLMMessagesAppendFrame,
    LLMTextFrame,
    OutputAudioRawFrame,
    OutputTransportMessageFrame,
    OutputTransportMessageUrgentFrame,
    TranscriptionFrame,
    TTSStartedFrame,
    TTSStoppedFrame,
)
from pipecat.observers.user_bot_latency_observer import LatencyBreakdown, UserBotLatencyObserver
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineParams, PipelineWorker
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.aggregators.llm_response_universal import (
    LLMContextAggregatorPair,
    LLMUserAggregatorParams,
)
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.serializers.base_serializer import FrameSerializer
from pipecat.services.openai.llm import OpenAILLMService
from pipecat.services.piper.tts import PiperTTSService
from pipecat.services.whisper.stt import WhisperSTTService
from pipecat.transports.websocket.fastapi import FastAPIWebsocketParams, FastAPIWebsocketTransport
from pipecat.workers.runner import WorkerRunner

from benchmarks.peers import neko
from benchmarks.peers.neko import Json

NO_SPEECH = 0.6
"""Whisper's own threshold. Pipecat's default of 0.4 is for larger models and loses short answers
with this one."""

NO_VOLUME_GATE = 0.0
"""Silero alone decides; pipecat's default gate of 0.6 would not hear the quieter recordings."""


class NekoSerializer(FrameSerializer):
    """Microphone sound to frames, and frames to the documented messages."""

    def __init__(self) -> None:
        super().__init__()
        self._speaker = neko.Speaker()

    async def serialize(self, frame: Frame) -> str | bytes | None:
        match frame:
            case OutputAudioRawFrame():
                return json.dumps(self._speaker.sound(frame.audio))
            case InterruptionFrame():
                return json.dumps(self._speaker.interrupted())
            case OutputTransportMessageFrame() | OutputTransportMessageUrgentFrame():
                if frame.message["type"] == "timeline":
                    self._speaker.finished()
                return json.dumps(frame.message)
        return None

    async def deserialize(self, data: str | bytes) -> Frame | None:
        try:
            message = neko.decode(data)
        except neko.BadMessage as bad:
            return OutputTransportMessageUrgentFrame(message=neko.status(str(bad)))
        if isinstance(message, bytes):
            return InputAudioRawFrame(audio=message, sample_rate=neko.MICROPHONE_HZ, num_channels=1)
        return InputTransportMessageFrame(message=message)


class Desk(FrameProcessor):
    """Answers the session's messages; what the person typed goes on to the model."""

    def __init__(self, context: LLMContext) -> None:
        super().__init__()
        self._desk = neko.Desk()
        self._context = context

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        if isinstance(frame, InputTransportMessageFrame):
            await self._answer(frame.message)
        elif not isinstance(frame, InputAudioRawFrame) or self._desk.listening:
            await self.push_frame(frame, direction)

    async def _answer(self, message: Json) -> None:
        for answer in self._desk.feed(message):
            await self.push_frame(OutputTransportMessageUrgentFrame(message=answer))
        match message:
            case {"action": "start_session", "new_session": True}:
                self._context.set_messages([])
            case {"action": "pause_session" | "end_session"}:
                await self.broadcast_interruption()
            case {"action": "stream_data", "input_type": "text", "data": str(text)}:
                await self.broadcast_interruption()
                typed = [{"role": "user", "content": text}]
                await self.push_frame(LLMMessagesAppendFrame(messages=typed, run_llm=True))


class Tell(FrameProcessor):
    """Lets everything pass, and sends the client a message after some frames.

    Args:
        message: the frame's message, or None.
        behind_sound: the message waits until the sound before it was sent, and is lost with it when
            the person interrupts; otherwise it is sent at once.
    """

    def __init__(
        self, message: Callable[[Frame], Json | None], *, behind_sound: bool = False
    ) -> None:
        super().__init__()
        self._message = message
        self._frame = (
            OutputTransportMessageFrame if behind_sound else OutputTransportMessageUrgentFrame
        )

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        await self.push_frame(frame, direction)
        if direction == FrameDirection.DOWNSTREAM and (message := self._message(frame)):
            await self.push_frame(self._frame(message=message))


def heard(frame: Frame) -> Json | None:
    if isinstance(frame, TranscriptionFrame):
        return {"type": "user_transcript", "text": frame.text.strip()}
    return None


def said(frame: Frame) -> Json | None:
    match frame:
        case LLMTextFrame():
            return {"type": "text", "text": frame.text}
        case LLMFullResponseEndFrame():
            return {"type": "system", "data": "turn end"}
    return None


class Timeline:
    """Where the last turn's time went, as pipecat's own observer attributes it."""

    def __init__(self) -> None:
        self.observer = UserBotLatencyObserver()
        self.observer.add_event_handler("on_latency_breakdown", self._keep)
        self._spans: list[Json] = []

    async def _keep(self, _: UserBotLatencyObserver, breakdown: LatencyBreakdown) -> None:
        zero_s = breakdown.user_turn_start_time
        if zero_s is None:
            return  # a first reply that nobody spoke for is timed from the connection
        for part in breakdown.contributions:
            begin_s = part.start_time - zero_s
            self._spans.append(
                neko.span(part.label, part.owner, begin_s, begin_s + part.duration_secs)
            )

    def end(self, frame: Frame) -> Json | None:
        match frame:
            case TTSStartedFrame():
                self._spans = []
            case TTSStoppedFrame():
                # A short reply is spoken before its first sound is sent, and the spans come with
                # that: they are in this list by the time the message, which is last, is written.
                return neko.timeline(self._spans)
        return None


def build(args: argparse.Namespace, websocket: WebSocket) -> PipelineWorker:
    """Make one client's pipeline, with engines of its own as pipecat's services are."""
    params = FastAPIWebsocketParams(
        audio_in_enabled=True, audio_out_enabled=True, serializer=NekoSerializer()
    )
    transport = FastAPIWebsocketTransport(websocket, params)
    context = LLMContext()
    vad = SileroVADAnalyzer(params=VADParams(min_volume=NO_VOLUME_GATE))
    user, assistant = LLMContextAggregatorPair(
        context, user_params=LLMUserAggregatorParams(vad_analyzer=vad)
    )
    timeline = Timeline()
    stages = [
        transport.input(), Desk(context),
        speech_to_text(args), Tell(heard), user,
        language_model(args), Tell(said),
        text_to_speech(args), Tell(timeline.end, behind_sound=True),
        transport.output(), assistant,
    ]  # fmt: skip
    worker = PipelineWorker(
        Pipeline(stages),
        params=PipelineParams(
            audio_in_sample_rate=neko.MICROPHONE_HZ,
            audio_out_sample_rate=neko.SPEAKER_HZ,
            enable_metrics=True,
        ),
        observers=[timeline.observer],
        enable_rtvi=False,
        idle_timeout_secs=None,
    )

    @transport.event_handler("on_client_disconnected")
    async def leave(_: FastAPIWebsocketTransport, __: WebSocket) -> None:
        await worker.cancel()

    return worker


def speech_to_text(args: argparse.Namespace) -> WhisperSTTService:
    settings = WhisperSTTService.Settings(model=str(args.whisper), no_speech_prob=NO_SPEECH)
    return WhisperSTTService(device="cpu", compute_type="int8", settings=settings)


def language_model(args: argparse.Namespace) -> OpenAILLMService:
    settings = OpenAILLMService.Settings(
        model=args.model, system_instruction=args.instructions or None
    )
    return OpenAILLMService(api_key="none", base_url=args.llm, settings=settings)


def text_to_speech(args: argparse.Namespace) -> PiperTTSService:
    settings = PiperTTSService.Settings(voice=args.voice.stem)
    return PiperTTSService(download_dir=args.voice.parent, settings=settings)


async def converse(args: argparse.Namespace, websocket: WebSocket) -> None:
    runner = WorkerRunner(handle_sigint=False)
    await runner.add_workers(build(args, websocket))
    await runner.run()


def application(args: argparse.Namespace, url: str) -> FastAPI:
    @asynccontextmanager
    async def announced(_: FastAPI) -> AsyncIterator[None]:
        print(f"pipecat is ready on {url}", flush=True)
        yield

    app = FastAPI(lifespan=announced)

    @app.websocket("/ws/{character}")
    async def serve(websocket: WebSocket, character: str) -> None:
        del character
        await websocket.accept()
        await converse(args, websocket)
        # Else the engines of a client that left stay in memory until some later collection.
        gc.collect()

    return app


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.peers.pipecat.host")
    parser.add_argument("--port", type=int, default=0, help="0 for any (the default)")
    parser.add_argument("--whisper", type=Path, required=True, help="a CTranslate2 model's folder")
    parser.add_argument("--voice", type=Path, required=True, help="a Piper voice's .onnx file")
    parser.add_argument("--llm", required=True, help="an OpenAI-compatible address, with /v1")
    parser.add_argument("--model", default="stub", help="the language model's name there")
    parser.add_argument("--instructions", default="", help="the system prompt")
    return parser.parse_args()


def main() -> None:
    args = parse()
    with socket.create_server(("127.0.0.1", args.port)) as listener:
        port = listener.getsockname()[1]
        app = application(args, f"http://127.0.0.1:{port}")
        uvicorn.Server(uvicorn.Config(app, log_level="error")).run(sockets=[listener])


if __name__ == "__main__":
    main()
