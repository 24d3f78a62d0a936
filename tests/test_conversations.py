"""Earlier conversations over plain HTTP: whose they are, what they say, and how they go."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from tests.harness import PLAIN, Fakes, Stage, open_stage
from voicecore.config import CharacterConfig, Config, SttConfig
from voicecore.engines.fake import fake_llm
from voicecore.errors import StoreError
from voicecore.store import MemoryStore, SessionRecord, SqliteStore, StoredMessage

MINE = {"character": "default", "client": "neko:name:me"}
LIST = "/api/conversations?character=default&client=me"


def one(session_id: str, client: str = "me", character: str = "default") -> str:
    return f"/api/conversations/{session_id}?character={character}&client={client}"


async def ask(stage: Stage, path: str, method: str = "GET", **headers: str) -> tuple[int, Any]:
    status, body = await stage.get(path, method, **headers)
    return status, json.loads(body) if body else None


async def listed(stage: Stage, path: str = LIST) -> list[str]:
    status, content = await ask(stage, path)
    assert status == 200
    return [each["id"] for each in content["conversations"]]


async def talk(stage: Stage, text: str, path: str = "/ws/default?client=me") -> None:
    """Hold a conversation of its own, and leave when all is heard."""
    async with stage.connect(path) as client:
        await client.start(new_session=True)
        await client.type_text(text)
        await client.type("system")
        await trio.sleep(20)
    await trio.sleep(1)


async def test_a_client_finds_what_it_said_before(autojump_clock: MockClock) -> None:
    fakes = Fakes(llm=fake_llm(["Hello you.", "Bye."]))
    async with open_stage(fakes) as stage:
        await talk(stage, "Hello\n there,  " + "who are you? " * 10)
        await talk(stage, "Goodbye")
        newest, oldest = (await ask(stage, LIST))[1]["conversations"]
        assert newest["title"] == "Goodbye"
        assert oldest["title"] == "Hello there, who are you? who are you? who are you? who are "
        assert (oldest["messages"], oldest["begun_s"], oldest["updated_s"]) == (2, 1_000, 1_000)
        status, whole = await ask(stage, one(newest["id"]))
        assert (status, whole) == (
            200,
            {
                "id": newest["id"],
                "messages": [
                    {"role": "user", "text": "Goodbye", "at_s": 1_000},
                    {"role": "assistant", "text": "Bye.", "at_s": 1_000},
                ],
            },
        )


@pytest.mark.parametrize(
    "others",
    [
        "character=default&client=you", "character=robin&client=me", "character=default",
        "character=default&client=name:me", "character=default&client=",
    ],
)  # fmt: skip
async def test_others_see_and_delete_nothing_of_it(others: str) -> None:
    config = Config(characters={**PLAIN.characters, "robin": CharacterConfig()})
    async with open_stage(config=config) as stage:
        store = stage.host.store
        await store.open("mine", **MINE)
        await store.append("mine", [StoredMessage("user", "hello", 1.0)])
        assert await listed(stage, f"/api/conversations?{others}") == []
        for method in ("GET", "DELETE"):
            status, content = await ask(stage, f"/api/conversations/mine?{others}", method)
            assert status == 404
            assert "no conversation 'mine'" in content["error"]
        assert await listed(stage) == ["mine"]


async def test_a_client_without_a_name_is_its_address(autojump_clock: MockClock) -> None:
    async with open_stage() as stage:
        await talk(stage, "Hello", "/ws/default")
        assert len(await listed(stage, "/api/conversations?character=default")) == 1
        assert await listed(stage) == []


async def test_what_tools_said_is_not_shown() -> None:
    async with open_stage() as stage:
        store = stage.host.store
        await store.open("mine", **MINE)
        await store.open("empty", **MINE)
        await store.append(
            "mine",
            [
                StoredMessage("user", "what time is it?", 1.0),
                StoredMessage("assistant", "", 2.0, tool_calls='[{"id":"1"}]'),
                StoredMessage("tool", "noon", 2.0, tool_calls='{"id":"1"}'),
                StoredMessage("assistant", "It is noon.", 3.0),
            ],
        )
        (found,) = (await ask(stage, LIST))[1]["conversations"]
        assert (found["messages"], found["updated_s"]) == (2, 3.0)
        _, whole = await ask(stage, one("mine"))
        assert [each["text"] for each in whole["messages"]] == ["what time is it?", "It is noon."]


async def test_a_deleted_conversation_is_gone_from_the_disk(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path, new_id=lambda: "new", now=lambda: 1.0)
    session_id = "../Mine/%2e"
    async with open_stage(store=store) as stage:
        await store.open(session_id, **MINE)
        await store.append(session_id, [StoredMessage("user", "hello", 1.0)])
        assert await listed(stage) == [session_id]
        path = one("..%2FMine%2F%252e")
        assert (await ask(stage, path))[1]["messages"][0]["text"] == "hello"
        assert await ask(stage, path, "DELETE") == (200, {"deleted": session_id})
        assert await ask(stage, path, "DELETE") == (
            404, {"error": f"There is no conversation {session_id!r} of this client."},
        )  # fmt: skip
        assert await listed(stage) == []
        assert await store.latest(**MINE) is None
    files = [path for path in (tmp_path / "sessions").rglob("*") if path.is_file()]
    assert files == []
    await store.aclose()


async def test_a_conversation_that_goes_on_is_not_deleted(autojump_clock: MockClock) -> None:
    async with open_stage() as stage, stage.connect("/ws/default?client=me") as client:
        await client.start()
        await client.type_text("Hello")
        await client.type("system")
        (session_id,) = await listed(stage)
        status, content = await ask(stage, one(session_id), "DELETE")
        assert status == 409
        assert "going on" in content["error"]
        await client.send(action="pause_session")
        await client.type("status", message="Session paused. Start it to go on.")
        assert (await ask(stage, one(session_id), "DELETE"))[0] == 409
        await client.send(action="end_session")
        await client.type("status", message="Session ended and saved.")
        assert (await ask(stage, one(session_id), "DELETE"))[0] == 200
        assert await listed(stage) == []
        await client.start()  # and the client goes on undisturbed, in another one
        await client.type_text("Hello again")
        await client.type("system", after=client.mark())
        assert len(client.statuses()) == 4


class SlowStore(MemoryStore):
    """What it is asked to do is done; then, or before that, it takes its time."""

    def __init__(self) -> None:
        ids = count(1)
        super().__init__(new_id=lambda: f"new{next(ids)}", now=lambda: 1_000.0)
        self.open_s = self.delete_s = self.append_s = 0.0

    async def open(
        self, session_id: str | None, *, character: str, client: str
    ) -> tuple[SessionRecord, bool]:
        opened = await super().open(session_id, character=character, client=client)
        await trio.sleep(self.open_s)
        return opened

    async def delete(self, session_id: str) -> bool:
        await trio.sleep(self.delete_s)
        return await super().delete(session_id)

    async def append(self, session_id: str, messages: Sequence[StoredMessage]) -> None:
        await trio.sleep(self.append_s)
        await super().append(session_id, messages)


STARTS = [{"session_id": "mine"}, {}]
"""Go on with the conversation named; with the last one, which is the same."""


async def with_mine(store: SlowStore) -> None:
    await store.open("mine", **MINE)
    await store.append("mine", [StoredMessage("user", "hello", 1.0)])


@pytest.mark.parametrize("start", STARTS)
async def test_a_conversation_that_is_being_opened_is_not_deleted(
    start: dict[str, str], autojump_clock: MockClock
) -> None:
    store = SlowStore()
    await with_mine(store)
    store.open_s = 5
    async with open_stage(store=store) as stage:
        async with stage.connect("/ws/default?client=me") as client:
            await client.send(action="start_session", input_type="text", **start)
            await trio.sleep(1)  # opened by the store, but the session does not know yet
            assert (await ask(stage, one("mine"), "DELETE"))[0] == 409
            await client.type("session_started", session_id="mine")
            await client.type_text("Hello")
            await client.type("system")
            await client.send(action="end_session")
            await client.type("status", message="Session ended and saved.")
            assert not [told for told in client.statuses() if "[" in told]
            assert (await ask(stage, one("mine"), "DELETE"))[0] == 200


async def test_a_conversation_whose_opening_was_given_up_can_be_deleted(
    autojump_clock: MockClock,
) -> None:
    store = SlowStore()
    await with_mine(store)
    store.open_s = 5
    async with open_stage(store=store) as stage:
        async with stage.connect("/ws/default?client=me") as client:
            await client.send(action="start_session", input_type="text", session_id="mine")
            await trio.sleep(1)
            await client.send(action="pause_session")
            await client.type("status", message="Session paused. Start it to go on.")
            assert (await ask(stage, one("mine"), "DELETE"))[0] == 200


@pytest.mark.parametrize("start", STARTS)
async def test_a_conversation_that_is_being_deleted_is_not_opened(
    start: dict[str, str], autojump_clock: MockClock
) -> None:
    store = SlowStore()
    await with_mine(store)
    store.delete_s = 5
    async with open_stage(store=store) as stage, trio.open_nursery() as nursery:
        answers: list[tuple[int, Any]] = []

        async def delete() -> None:
            answers.append(await ask(stage, one("mine"), "DELETE"))

        async with stage.connect("/ws/default?client=me") as client:
            nursery.start_soon(delete)
            await trio.sleep(1)
            await client.send(action="start_session", input_type="text", **start)
            if start:
                await client.type("session_failed")
                (told,) = client.statuses()
                assert told.endswith("[UNKNOWN_CONVERSATION]")
            else:
                await client.type("session_started", session_id="new1")
            assert answers == [(200, {"deleted": "mine"})]
            assert await store.read("mine") is None


async def test_a_conversation_opened_while_the_deletion_waits_stays(
    autojump_clock: MockClock,
) -> None:
    config = Config(characters={**PLAIN.characters, "robin": CharacterConfig()})
    store = SlowStore()
    await with_mine(store)
    store.append_s = 5
    async with open_stage(config=config, store=store) as stage, trio.open_nursery() as nursery:
        answers: list[int] = []

        async def delete() -> None:
            answers.append((await ask(stage, one("mine"), "DELETE"))[0])

        async with stage.connect("/ws/robin?client=me") as other:
            await other.start()
            await other.type_text("Hello")
            await other.type("system")  # and it is not stored for some seconds
            async with stage.connect("/ws/default?client=me") as client:
                nursery.start_soon(delete)
                await wait_all_tasks_blocked()
                assert answers == []
                await client.start(session_id="mine")
                await trio.sleep(60)
                assert answers == [409]
                assert await store.read("mine") is not None


async def test_nobody_waits_for_the_last_words_of_a_session_that_was_cut(
    autojump_clock: MockClock,
) -> None:
    store = SlowStore()
    await with_mine(store)
    store.append_s = math.inf
    async with open_stage(store=store) as stage:
        answers: list[int] = []

        async def delete() -> None:
            answers.append((await ask(stage, one("mine"), "DELETE"))[0])

        with trio.CancelScope() as cut:
            async with (
                trio.open_nursery() as nursery,
                stage.connect("/ws/default?client=me", within=nursery) as client,
            ):
                await client.start(new_session=True)
                await client.type_text("Hello")
                await client.type("system")
                stage.nursery.start_soon(delete)
                await wait_all_tasks_blocked()
                assert answers == []
                cut.cancel()
        await trio.sleep(1)
        assert answers == [200]


async def test_pages_of_others_delete_nothing() -> None:
    async with open_stage() as stage:
        await stage.host.store.open("mine", **MINE)
        status, content = await ask(stage, one("mine"), "DELETE", origin="http://evil.example")
        assert status == 403
        assert "http://evil.example" in content["error"]
        own = {"origin": "http://localhost:3000", "host": "localhost:3000"}
        assert (await ask(stage, one("mine"), "DELETE", **own))[0] == 200


async def test_what_cannot_be_answered_is_explained() -> None:
    class Broken(MemoryStore):
        async def read(self, session_id: str) -> None:
            raise StoreError("The file is damaged. Bring back a copy.")

    store = Broken(new_id=lambda: "new", now=lambda: 1.0)
    async with open_stage(store=store) as stage:
        assert (await ask(stage, "/api/conversations"))[0] == 400
        assert (await ask(stage, "/api/conversations/x"))[0] == 400
        assert (await ask(stage, LIST, "DELETE"))[0] == 405
        assert (await ask(stage, one("x"), "POST"))[0] == 405
        status, content = await ask(stage, one("x"))
        assert (status, content["error"]) == (500, "The file is damaged. Bring back a copy.")


async def test_no_id_is_no_conversation() -> None:
    async with open_stage() as stage:
        for session_id in ("", "x" * 500, "%00", "%ED%A0%80"):
            assert (await ask(stage, one(session_id)))[0] == 404


async def test_the_head_alone_can_be_asked_for() -> None:
    async with open_stage() as stage:
        await stage.host.store.open("mine", **MINE)
        for path in (LIST, one("mine")):
            assert await ask(stage, path, "HEAD") == (200, None)


async def test_characters_tell_what_they_speak_and_whether_they_greet() -> None:
    config = Config(
        stt=SttConfig(language="auto"),
        characters={
            "default": CharacterConfig(),
            "小天": CharacterConfig(language="zh", greeting="你好！"),
        },
    )
    async with open_stage(config=config) as stage:
        _, content = await ask(stage, "/api/characters")
    assert content == {
        "current": "default",
        "characters": [
            {"name": "default", "language": "auto", "greeting": False},
            {"name": "小天", "language": "zh", "greeting": True},
        ],
    }


# --- going on with one ---


async def test_an_earlier_conversation_is_gone_on_with(autojump_clock: MockClock) -> None:
    fakes = Fakes(llm=fake_llm(["First.", "Second.", "Third."]))
    async with open_stage(fakes) as stage:
        stage.host.wall_s = trio.current_time
        await talk(stage, "One")
        await talk(stage, "Two")
        first = (await listed(stage))[1]
        async with stage.connect("/ws/default?client=me") as client:
            await client.start(session_id=first)
            assert (await client.type("session_started"))["session_id"] == first
            await client.type_text("Three")
            await client.type("system")
        prompt = [m.content for m in stage.fakes.llm.requests[-1].messages[1:]]
        assert prompt == ["One", "First.", "Three"]
        assert (await listed(stage))[0] == first


@pytest.mark.parametrize("session_id", ["unknown", "yours", "robins", "cortex", "", "x" * 200])
async def test_a_conversation_of_somebody_else_is_not_opened(
    autojump_clock: MockClock, session_id: str
) -> None:
    config = Config(characters={**PLAIN.characters, "robin": CharacterConfig()})
    async with open_stage(config=config) as stage:
        store = stage.host.store
        await store.open("yours", character="default", client="neko:name:you")
        await store.open("robins", character="robin", client="neko:name:me")
        await store.open("cortex", character="default", client="cortex:name:me")
        async with stage.connect("/ws/default?client=me") as client:
            await client.send(action="start_session", input_type="text", session_id=session_id)
            await client.type("session_failed")
            (told,) = client.statuses()
            assert told.endswith("[UNKNOWN_CONVERSATION]")
            assert await store.read("unknown") is None
            assert stage.host.presence.of_conversation(session_id) == []
            await client.start()  # without an id it can be started
            kinds = [message["type"] for message in client.messages()]
            assert kinds.count("session_started") == 1


async def test_the_running_conversation_goes_on_when_another_cannot_be_opened(
    autojump_clock: MockClock,
) -> None:
    async with open_stage() as stage, stage.connect("/ws/default?client=me") as client:
        await client.start()
        await client.send(action="start_session", input_type="text", session_id="unknown")
        await client.type("session_failed")
        await client.type_text("Hello")
        await client.type("text")
        assert len(await listed(stage)) == 1
