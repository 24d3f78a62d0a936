"""Whole conversations in a terminal: the real host on fake engines, a fake card, virtual time."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

import numpy as np
import pytest
import trio
from trio.testing import MockClock

from tests.harness import Fakes, telling_tts
from tests.talk.talking import FakeCard, FakeScreen, FakeTyping, open_scene
from voicecore.audio import EAR_HZ, MOUTH_HZ
from voicecore.client import HostUnreachable
from voicecore.config import CharacterConfig, Config
from voicecore.engines.fake import babble, fake_llm, fake_stt
from voicecore.errors import EngineError
from voicecore.talk.conversation import Plan, Superseded, address, character_of, talk
from voicecore.talk.dialogue import ReplyText
from voicecore.talk.reply import Reply
from voicecore.talk.sound import DeviceError

STORY = "Once upon a time there was a dog who wanted to see the sea and the hills."


def question(seconds: float = 0.6) -> np.ndarray[tuple[int], np.dtype[np.int16]]:
    return babble(round(seconds * EAR_HZ))


def talkative() -> Fakes:
    return Fakes(fake_stt(["Tell me a story.", "Stop."]), fake_llm([STORY, "All right."]))


async def test_a_question_is_heard_answered_and_spoken(autojump_clock: MockClock) -> None:
    fakes = Fakes(fake_stt(["What is it?"]), fake_llm(["It is a test."]), telling_tts())
    async with open_scene(fakes, timing=lambda reply, ms: f"{len(reply.spans)} {ms}") as scene:
        await scene.started()
        scene.card.say(question())
        await scene.screen.until(lambda: bool(scene.screen.texts("timing")))
        assert scene.screen.texts("you") == ["What is it?"]
        assert scene.screen.replies == ["It is a test."]
        assert scene.screen.texts("timing") == ["6 0.0"]
        # The answer was prepared while it was not sure that the question was over.
        assert scene.screen.phases[-4:] == ["listening", "hearing", "speaking", "listening"]
        # Four words of 300 ms, without a gap, all of them played.
        sound = np.flatnonzero(scene.card.sound)
        assert 1.15 < (sound[-1] - sound[0]) / MOUTH_HZ < 1.25


async def test_each_word_is_shown_when_it_is_heard(autojump_clock: MockClock) -> None:
    fakes = Fakes(fake_stt(["What is it?"]), fake_llm(["It is a test."]), telling_tts())
    async with open_scene(fakes) as scene:
        await scene.started()
        scene.card.say(question())
        await scene.screen.until(lambda: scene.screen.replies == ["It is a test."])
        shown = [(at, item.text) for at, item in scene.screen.lines if isinstance(item, ReplyText)]
        assert [text for _, text in shown] == ["It", " is", " a", " test."]
        begun_s = scene.card.heard_at[0]
        for number, (at_s, _) in enumerate(shown):
            assert at_s - begun_s == pytest.approx(0.3 * number, abs=0.1)


async def test_speaking_stops_the_reply_where_it_was_heard(
    autojump_clock: MockClock,
) -> None:
    fakes = talkative()
    fakes.tts = telling_tts()
    async with open_scene(fakes) as scene:
        await scene.started()
        scene.card.say(question())
        await scene.screen.until(lambda: scene.screen.now.phase == "speaking")
        await trio.sleep(1.5)
        assert scene.card.played[-1].any()
        scene.card.say(question(1.0))
        await trio.sleep(0.6)
        assert not np.concatenate(scene.card.played[-10:]).any()
        await scene.screen.until(lambda: len(scene.screen.replies) == 2)
        story, answer = scene.screen.replies
        assert story.endswith("|")
        assert STORY.startswith(story[:-1])
        assert answer == "All right."


async def test_stale_sound_never_plays(autojump_clock: MockClock) -> None:
    async with open_scene(talkative()) as scene:
        await scene.started()
        scene.card.say(question())
        await scene.screen.until(lambda: scene.screen.now.phase == "speaking")
        await trio.sleep(0.5)
        told_s = trio.current_time()
        scene.typing.type("Stop.")
        await scene.screen.until(lambda: len(scene.screen.replies) == 2)
        # What is heard after the interruption begins with the next reply, and is as long as it.
        after = [at for at in scene.card.heard_at if at > told_s + 0.05]
        assert len(after) * 0.02 == pytest.approx(len("All right.") * 0.06, abs=0.05)


@pytest.mark.parametrize("rate_hz", [16_000, 44_100, 48_000])
async def test_a_microphone_of_any_rate(autojump_clock: MockClock, rate_hz: int) -> None:
    card = FakeCard(rate_hz=rate_hz)
    async with open_scene(Fakes(fake_stt(["Hello."])), card=card) as scene:
        await scene.started()
        card.say(babble(rate_hz))
        await scene.screen.until(lambda: scene.screen.texts("you") == ["Hello."])
        heard_s = len(scene.stage.fakes.stt.requests[-1].samples) / EAR_HZ
        assert 0.9 < heard_s < 2.5


async def test_typing_beside_speaking(autojump_clock: MockClock) -> None:
    async with open_scene() as scene:
        await scene.started()
        scene.typing.type("  hello  ")
        await scene.screen.until(lambda: bool(scene.screen.replies))
        assert scene.screen.texts("you") == ["hello"]
        assert scene.screen.replies == ["You said: hello"]
        assert scene.screen.phases[-3:] == ["thinking", "speaking", "listening"]


async def test_enter_mutes_the_microphone(
    autojump_clock: MockClock,
) -> None:
    async with open_scene() as scene:
        await scene.started()
        scene.typing.type("")
        await scene.screen.until(lambda: scene.screen.now.muted)
        scene.card.say(question(2))
        await trio.sleep(4)
        assert scene.screen.texts("you") == []
        scene.typing.type("")
        await scene.screen.until(lambda: not scene.screen.now.muted)
        scene.card.say(question(1))
        await scene.screen.until(lambda: len(scene.screen.texts("you")) == 1)


async def test_lines_of_a_pipe_wait_for_their_answers(autojump_clock: MockClock) -> None:
    async with open_scene(card=FakeCard(has_microphone=False), interactive=False) as scene:
        for line in ("one", "two"):
            scene.typing.type(line)
        scene.typing.end()
        with trio.fail_after(30):
            await scene.over.wait()
        assert scene.screen.replies == ["You said: one", "You said: two"]
        assert scene.card.heard_at[-1] > scene.screen.lines[-1][0] - 0.2, "it was heard to its end"


async def test_without_a_speaker_a_typed_conversation_is_read(autojump_clock: MockClock) -> None:
    async with open_scene(card=FakeCard(missing=True, has_microphone=False)) as scene:
        await scene.started()
        scene.typing.type("hello")
        await scene.screen.until(lambda: scene.screen.replies == ["You said: hello"])
        assert scene.screen.texts("problem") == []


async def test_a_failed_turn_is_told_and_the_next_works(autojump_clock: MockClock) -> None:
    fakes = Fakes(llm=fake_llm([EngineError("The model is down."), "Hello."]))
    async with open_scene(fakes, interactive=False) as scene:
        for line in ("one", "two"):
            scene.typing.type(line)
        await scene.screen.until(lambda: scene.screen.replies == ["Hello."])
        assert scene.screen.texts("problem") == ["The model is down."]


async def test_leaving_is_quick_and_the_conversation_can_be_resumed(
    autojump_clock: MockClock,
) -> None:
    ids: dict[str, str] = {}
    async with open_scene(remember=ids.__setitem__) as scene:
        await scene.started()
        scene.typing.type("hello")
        await scene.screen.until(lambda: bool(scene.screen.replies))
        begun_s = trio.current_time()
        scene.leave.set()
        await scene.over.wait()
        assert trio.current_time() - begun_s < 0.5
        screen, typing, leave = FakeScreen(), FakeTyping(), trio.Event()
        plan = Plan(
            url="ws://localhost/ws/default",
            client="someone",
            resume=ids["ws://localhost/ws/default"],
            typing=typing,
            connect=scene.network.connect,
        )
        async with trio.open_nursery() as nursery:
            nursery.start_soon(talk, plan, screen, leave)
            await screen.until(lambda: "listening" in screen.phases)
            typing.type("and now")
            await screen.until(lambda: bool(screen.replies))
            leave.set()
        prompt = scene.stage.fakes.llm.requests[-1]
        said = [message.content for message in prompt.messages]
        assert said[-3:] == ["hello", "You said: hello", "and now"]


# --- the connection ---


async def test_the_address_says_what_we_want_to_be_told(
    autojump_clock: MockClock,
) -> None:
    async with open_scene() as scene:
        await scene.started()
        parts = urlsplit(scene.network.urls[0])
        assert parts.path == "/ws/default"
        assert {key: value for key, (value,) in parse_qs(parts.query).items()} == {
            "client": "someone", "dialect": "native", "timeline": "1", "partials": "1",
            "words": "1",
        }  # fmt: skip


def test_a_characters_name_is_a_part_of_the_address() -> None:
    url = address("wss://host/voice/ws/default", "小 猫/", client="me")
    assert url == "wss://host/voice/ws/%E5%B0%8F%20%E7%8C%AB%2F?client=me"
    assert character_of(url) == "小 猫/"


async def test_a_lost_host_is_waited_for(
    autojump_clock: MockClock,
) -> None:
    async with open_scene() as scene:
        await scene.started()
        scene.typing.type("my name is Ada")
        await scene.screen.until(lambda: len(scene.screen.replies) == 1)
        await scene.network.cut()
        await scene.screen.until(lambda: scene.screen.now.phase == "connecting")
        scene.typing.type("are you there")
        await trio.sleep(30)
        attempts = len(scene.network.urls)
        assert 5 <= attempts <= 9, "0.5, 1, 2, 4, 8, 8 … s apart"
        scene.network.down = None
        await scene.screen.until(lambda: scene.screen.now.phase == "listening")
        scene.typing.type("who am I")
        await scene.screen.until(lambda: len(scene.screen.replies) == 2)
        lost, *unsent = scene.screen.texts("problem")
        assert lost.endswith("Connecting again ...")
        assert unsent == ["This was not sent, for there is no connection."]
        assert "Connected again." in scene.screen.texts("notice")
        prompt = scene.stage.fakes.llm.requests[-1]
        assert "my name is Ada" in [message.content for message in prompt.messages]


async def test_a_host_that_says_nothing_is_given_up(autojump_clock: MockClock) -> None:
    async with open_scene() as scene:
        await scene.started()
        scene.network.hold_back()
        with trio.fail_after(60):
            await scene.screen.until(lambda: len(scene.network.urls) > 1)


@pytest.mark.parametrize("status", [None, 404, 503])
async def test_no_host_at_first_is_an_error(autojump_clock: MockClock, status: int | None) -> None:
    with pytest.RaisesGroup(
        pytest.RaisesExc(HostUnreachable, match="Nobody"), flatten_subgroups=True
    ):
        async with open_scene() as scene:
            scene.network.down = HostUnreachable("Nobody is there.", status=status)
            await trio.sleep(60)


async def test_a_host_that_lets_us_in_no_more_is_an_error(autojump_clock: MockClock) -> None:
    with pytest.RaisesGroup(pytest.RaisesExc(HostUnreachable, match="403"), flatten_subgroups=True):
        async with open_scene() as scene:
            await scene.started()
            await scene.network.cut(HostUnreachable("refused: 403", status=403))
            await trio.sleep(60)


async def test_a_conversation_that_the_host_does_not_know(autojump_clock: MockClock) -> None:
    with pytest.RaisesGroup(HostUnreachable, flatten_subgroups=True):
        async with open_scene(resume="of-another-host") as scene:
            await scene.screen.until(lambda: bool(scene.screen.texts("problem")))
            await trio.sleep(60)


async def test_a_full_host_is_waited_for(autojump_clock: MockClock) -> None:
    async with open_scene() as scene:
        await scene.started()
        await scene.network.cut(HostUnreachable("refused: 503", status=503))
        await trio.sleep(20)
        scene.network.down = None
        await scene.screen.until(lambda: scene.screen.now.phase == "listening")


async def test_a_second_terminal_takes_over(autojump_clock: MockClock) -> None:
    with pytest.RaisesGroup(Superseded, flatten_subgroups=True):
        async with open_scene() as scene:
            await scene.started()
            async with scene.stage.connect("/ws/default?client=someone"):
                await trio.sleep(5)
            pytest.fail("nobody noticed")


async def test_an_unknown_character_gives_the_word_to_another(
    autojump_clock: MockClock,
) -> None:
    config = Config(characters={"default": CharacterConfig(prompt="Be brief.")})
    async with open_scene(config=config, url="ws://localhost/ws/Nobody") as scene:
        await scene.started()
        assert [urlsplit(url).path for url in scene.network.urls] == ["/ws/Nobody", "/ws/default"]
        assert "Nobody gives the word to default." in scene.screen.texts("notice")
        scene.typing.type("hello")
        await scene.screen.until(lambda: scene.screen.replies == ["You said: hello"])


# --- the device ---


async def test_an_unplugged_device_comes_back(
    autojump_clock: MockClock,
) -> None:
    async with open_scene(hint="Use headphones.") as scene:
        await scene.started()
        scene.card.missing = True
        scene.card.unplugged.set()
        await scene.screen.until(lambda: bool(scene.screen.texts("problem")))
        assert scene.screen.now.level_dbfs is None or scene.card.opened == 0
        scene.typing.type("hello")
        await scene.screen.until(lambda: scene.screen.replies == ["You said: hello"])
        scene.card.missing = False
        await scene.screen.until(lambda: scene.card.opened == 1)
        scene.card.say(question())
        await scene.screen.until(lambda: len(scene.screen.texts("you")) == 2)
        assert scene.screen.texts("problem") == [
            "The sound device is gone: it was unplugged. Trying again every 2 s; type on."
        ]
        assert scene.screen.texts("notice").count("Use headphones.") == 1


async def test_a_device_unplugged_while_it_speaks(
    autojump_clock: MockClock,
) -> None:
    async with open_scene(talkative()) as scene:
        await scene.started()
        scene.card.say(question())
        await scene.screen.until(lambda: scene.screen.now.phase == "speaking")
        scene.card.missing = True
        scene.card.unplugged.set()
        await scene.screen.until(lambda: scene.screen.replies == [STORY])


async def test_no_microphone_at_first_is_an_error(autojump_clock: MockClock) -> None:
    with pytest.RaisesGroup(DeviceError, flatten_subgroups=True):
        async with open_scene(card=FakeCard(missing=True)):
            await trio.sleep(60)


async def test_a_microphone_that_is_off_is_told_once(autojump_clock: MockClock) -> None:
    async with open_scene(card=FakeCard(noise=0)) as scene:
        await scene.started()
        await trio.sleep(30)
        assert scene.screen.texts("problem") == [
            "The microphone gives nothing but silence. Is it switched off?"
        ]


async def test_the_canceller_is_made_anew_for_each_device(autojump_clock: MockClock) -> None:
    made = []

    class Canceller:
        def process(
            self, near: np.ndarray[tuple[int], np.dtype[np.int16]],
            far: np.ndarray[tuple[int], np.dtype[np.int16]],
        ) -> np.ndarray[tuple[int], np.dtype[np.int16]]:  # fmt: skip
            assert len(near) == len(far)
            return near

    def make() -> Canceller:
        made.append(trio.current_time())
        return Canceller()

    async with open_scene(open_canceller=make) as scene:
        await scene.started()
        scene.card.unplugged.set()
        await trio.sleep(10)
        assert len(made) == 2


def test_the_time_until_it_was_heard_is_kept() -> None:
    reply = Reply("t")
    reply.sound(1.0)
    reply.hear("t", 20, 1.5)
    assert (reply.came_s, reply.heard_s) == (1.0, 1.48)
