"""One turn's graph, run in the turn's cancel scope: the mind and the mouth.

prompt → reply (generate → strip, tools) → phrase → synthesize → upsample → outbox
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial

import attrs
import structlog
import trio

from voicecore import events
from voicecore.config import CharacterConfig
from voicecore.engines import idle, raise_to
from voicecore.engines.interface import Llm, Message, Prompt, Urgency
from voicecore.host import Host
from voicecore.mind.prompt import build_prompt
from voicecore.mind.prompt_tools import how_told
from voicecore.mind.reply import Toolbox, Voice, reply
from voicecore.mind.turn import Turn
from voicecore.mouth.phrase import Phrase, Phraser
from voicecore.mouth.speak import phrase, upsample
from voicecore.mouth.synthesize import PhraseSound, synthesize
from voicecore.mouth.words import WordMarks
from voicecore.presence import Guest
from voicecore.tools.tasks import Caller, Result
from voicecore.tools.tool import Tool
from voicecore.wire.outbox import Outbox

log = structlog.get_logger()

WORDS = 64
PHRASES = 64
"""Text may run this far ahead of the voice: a whole reply, so that it is shown early."""
PHRASE_SOUND = 2
"""Synthesised pieces ahead of the outbox, which holds its own milliseconds."""


@attrs.frozen(eq=False)
class Answering:
    """What a turn needs of its conversation."""

    host: Host
    guest: Guest
    conversation: str
    outbox: Outbox
    emit: Callable[[events.Event], None]

    async def answer(self, turn: Turn, history: tuple[Message, ...]) -> None:
        """Answer, from the prompt to the last sound."""
        engines = await self.host.room.warm()
        profile = self.host.character(self.guest.character)
        llm = self.host.llm(engines, profile)
        if turn.held and not idle(llm):
            await self.outbox.released()  # a guess yields to the turns of others
        self.emit(events.TurnStarted(turn.id))
        tools = self.host.tools_for(profile)
        words_in, words_out = trio.open_memory_channel[str](WORDS)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(
                reply,
                llm,
                partial(self._prompt, profile, llm, tools, history, _urgency(turn)),
                Voice(turn, self.emit, words_in),
                self._toolbox(tools),
                self.outbox.released,
            )
            mouth = self._speak if turn.spoken else self._read_silently
            nursery.start_soon(mouth, words_out, turn)
            nursery.start_soon(self._hurry_when_released, turn)
        if not turn.answer:
            turn.fail("EMPTY_REPLY", "The language model gave no answer. Say it in other words.")
        await self._finish(turn)

    async def _hurry_when_released(self, turn: Turn) -> None:
        """A guess that was right is no guess any more: the person waits for its sound."""
        if turn.held:
            await self.outbox.released()
            engines = await self.host.room.warm()
            if turn.speaking is not None:
                raise_to(engines.tts, turn.speaking, Urgency.AWAITED)

    async def read_ahead(self, history: tuple[Message, ...]) -> None:
        """Have the model read what will be the prompt's beginning, if it has nothing else to do."""
        engines = await self.host.room.warm()
        profile = self.host.character(self.guest.character)
        llm = self.host.llm(engines, profile)
        if not (llm.info.reads_ahead and idle(llm)) or engines.busy_with(Urgency.GUESS):
            return
        tools = self.host.tools_for(profile)
        prompt = self._prompt(profile, llm, tools, history, Urgency.PARTIAL, (), offer=True)
        async with llm.stream(prompt) as nothing:
            async for _ in nothing:
                pass

    async def recite(self, turn: Turn) -> None:
        """Speak a text: the client's, or the host's own (which the client is shown as well)."""
        words_in, words_out = trio.open_memory_channel[str](1)
        with words_in:
            words_in.send_nowait(turn.user_text)
        if turn.unasked:
            turn.text = turn.user_text
            self.emit(events.ReplyText(turn.id, turn.text, unasked=True))
            self.emit(events.ReplyTextComplete(turn.id))
        await (self._speak if turn.spoken else self._read_silently)(words_out, turn)
        if turn.spoken and not turn.sound_s:
            turn.fail("NOTHING_TO_SAY", "There is nothing in this text that could be spoken.")
        await self._finish(turn)

    def _prompt(
        self,
        profile: CharacterConfig,
        llm: Llm,
        tools: Mapping[str, Tool],
        history: Sequence[Message],
        urgency: Urgency,
        exchanges: Sequence[Message],
        offer: bool,  # noqa: FBT001
    ) -> Prompt:
        config = self.host.config.llm
        how = how_told(config, llm.info)
        prompt = build_prompt(
            profile.prompt,
            (*history, *exchanges),
            budget_tokens=config.prompt_tokens,
            max_tokens=config.reply_tokens,
            # A list in the prompt's text stays, so that the prompt begins as the one before it.
            tools=[tool.spec for tool in tools.values()] if offer or how == "text" else (),
            tools_as=how,
        )
        return attrs.evolve(prompt, conversation=self.conversation, urgency=urgency)

    def _toolbox(self, tools: Mapping[str, Tool]) -> Toolbox:
        config = self.host.config.tools
        caller = Caller(self.guest.key, self.guest.character)

        async def run(tool: Tool, arguments: Mapping[str, object]) -> Result:
            return await self.host.workshop.run(tool, arguments, caller)

        return Toolbox(tools, run, config.max_rounds, config.filler, config.filler_ms)

    async def _speak(self, words: trio.MemoryReceiveChannel[str], turn: Turn) -> None:
        """Words to sound in the outbox."""
        engines = await self.host.room.warm()
        mouth, tts = self.host.config.mouth, self.host.config.tts
        profile = self.host.character(self.guest.character)
        voice = turn.voice or profile.voice
        phraser = Phraser(
            first_phrase_chars=mouth.first_phrase_chars,
            max_phrase_chars=mouth.max_phrase_chars,
            language=self.host.language(self.guest.character),
        )
        phrases_in, phrases_out = trio.open_memory_channel[Phrase](PHRASES)
        sound_in, sound_out = trio.open_memory_channel[PhraseSound](PHRASE_SOUND)
        async with trio.open_nursery() as nursery:
            joins = engines.tts.info.joins and self.guest.wire.chunk_ms is not None
            nursery.start_soon(
                partial(phrase, joins=joins), words, phrases_in, phraser, turn, self.emit
            )
            nursery.start_soon(
                partial(synthesize, voice=voice, speed=profile.speed or tts.speed),
                engines.tts,
                phrases_out,
                sound_in,
                turn,
            )  # fmt: skip
            nursery.start_soon(
                partial(
                    upsample,
                    chunk_ms=self.guest.wire.chunk_ms,
                    voice=voice or tts.model,
                    marks=WordMarks() if self.guest.wire.shown.words else None,
                ),
                sound_out,
                self.outbox.put_paced,
                turn,
            )  # fmt: skip

    async def _read_silently(self, words: trio.MemoryReceiveChannel[str], turn: Turn) -> None:
        """A reply that is only written ends here."""
        del turn
        with words:
            async for _ in words:
                pass

    async def _finish(self, turn: Turn) -> None:
        """Close the turn when its last sound is sent, and where sound is paced, heard."""
        await self.outbox.released()
        if turn.problem is None and not turn.recited:
            await self.outbox.put_paced(self._done(turn))
        await self.outbox.sent()
        if (sent_s := self.outbox.first_sound_s) is not None:
            turn.span("sending", "mouth.lead_ms", turn.sound_s, sent_s)
        timeline = turn.timeline()
        self.host.metrics.observe(timeline)
        self.outbox.put(timeline)
        if turn.problem is not None:
            self.emit(events.Problem(turn.problem_code, turn.problem))
        if self.guest.wire.paced:
            await self.outbox.played()
        end = "failed" if turn.problem else "complete"
        self.host.metrics.turns.labels(self.guest.wire.name, end).inc()
        log.info("turn over", end=end, tokens_out=turn.tokens_out, stages=_stages_ms(timeline))
        if self.host.config.logs.content:
            log.info("replied", text=turn.text)

    def _done(self, turn: Turn) -> events.TurnDone:
        return events.TurnDone(
            turn.id,
            turn.text,
            turn.tokens_in,
            turn.tokens_out,
            self.host.config.cost_usd(turn.model, turn.tokens_in, turn.tokens_out),
            (trio.current_time() - turn.started_s) * 1000,
            turn.model,
        )


def _urgency(turn: Turn) -> Urgency:
    return Urgency.GUESS if turn.held else Urgency.AWAITED


def _stages_ms(timeline: events.Timeline) -> dict[str, int]:
    return {span.name: round((span.end_s - span.start_s) * 1000) for span in timeline.spans}
