"""Whom a client talks to: configured, switched, reloaded, taken over."""

from __future__ import annotations

import json
from urllib.parse import quote

import attrs
import pytest
import trio
from trio.testing import MockClock, memory_stream_pair

from tests.harness import Client, Fakes, Stage, open_stage
from voicecore.config import CharacterConfig, Config, LlmConfig, ServerConfig
from voicecore.engines.fake import fake_llm
from voicecore.errors import ConfigError
from voicecore.reload import reconfigure, try_reload
from voicecore.server import handle_connection

ROBIN = CharacterConfig(prompt="You are Robin.", greeting="Hello, I am Robin.")
TWO = Config(
    server=ServerConfig(allowed_hosts=("test",)),
    characters={"default": CharacterConfig(prompt="Be brief."), "小天": ROBIN},
)


def thinking(*replies: str) -> Fakes:
    return Fakes(llm=fake_llm(replies))


async def closed(client: Client) -> int:
    with trio.fail_after(10):
        while not client.gone.is_set():
            await client.news.park()
    assert client.socket.closed is not None
    return int(client.socket.closed.code)


async def post(stage: Stage, path: str, body: object, headers: str = "") -> tuple[int, object]:
    ours, theirs = memory_stream_pair()
    stage.nursery.start_soon(handle_connection, stage.host, theirs)
    data = json.dumps(body).encode()
    head = (
        f"POST {path} HTTP/1.1\r\nHost: test\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(data)}\r\n{headers}\r\n"
    )
    await ours.send_all(head.encode() + data)
    answer = b""
    while received := await ours.receive_some():
        answer += bytes(received)
    head_part, _, content = answer.partition(b"\r\n\r\n")
    return int(head_part.split()[1]), json.loads(content)


# --- whom one talks to ---


async def test_each_character_has_a_prompt_of_its_own(autojump_clock: MockClock) -> None:
    fakes = thinking("Hi.")
    async with (
        open_stage(fakes, TWO) as stage,
        stage.connect(f"/ws/{quote('小天')}") as client,
    ):
        await client.start()
        await client.type_text("hello")
        await client.type("text", text="Hi.")
        assert fakes.llm.requests[0].messages[0].content == "You are Robin."


async def test_a_character_greets_in_a_new_conversation(autojump_clock: MockClock) -> None:
    async with open_stage(config=TWO) as stage:
        for times in (1, 0):
            async with stage.connect(f"/ws/{quote('小天')}") as client:
                await client.start()
                await trio.sleep(5)
                assert client.text() == "Hello, I am Robin." * times
                assert bool(client.messages("audio")) is bool(times)


async def test_an_unknown_name_is_sent_to_the_active_character(autojump_clock: MockClock) -> None:
    async with open_stage(config=TWO) as stage, stage.connect("/ws/nobody%20here") as client:
        assert await closed(client) == 1000
        assert client.messages() == [
            {"type": "catgirl_switched", "new_catgirl": "default", "old_catgirl": "nobody here"}
        ]


async def test_a_model_of_its_own_answers_for_a_character(autojump_clock: MockClock) -> None:
    fakes = Fakes()
    other = fake_llm(["From the other model."])
    own = attrs.evolve(TWO.characters["default"], model="big")
    async with open_stage(fakes, Config(characters={"default": own})) as stage:
        stage.host.room.open(attrs.evolve(fakes.engines(), llms={"big": other}))
        async with stage.connect("/ws") as client:
            await client.send(type="chat", message="hi")
            assert (await client.type("done"))["finalContent"] == "From the other model."


async def test_another_agent_is_selected_for_the_turns_that_follow(
    autojump_clock: MockClock,
) -> None:
    fakes = thinking("One.", "Two.", "Three.")
    async with open_stage(fakes, TWO) as stage, stage.connect("/ws") as client:
        await client.send(type="select_agent", agentId="小天")
        assert await client.type("agent_selected") == {
            "type": "agent_selected", "agentId": "小天", "agentName": "小天",
        }  # fmt: skip
        await client.send(type="select_agent", agentId="nobody")
        assert (await client.type("error"))["error"] == 'Agent "nobody" not found'
        await client.send(type="chat", message="hi")
        await client.type("done")
        mark = client.mark()
        await client.send(type="chat", message="and you", agentId="default")
        await client.type("done", after=mark)
        systems = [request.messages[0].content for request in fakes.llm.requests]
        assert systems == ["You are Robin.", "Be brief."]


# --- the active character ---


async def test_switching_by_http_sends_the_clients_of_the_old_one_to_the_new(
    autojump_clock: MockClock,
) -> None:
    async with (
        open_stage(config=TWO) as stage,
        stage.connect("/ws/default?client=a") as client,
        stage.connect(f"/ws/{quote('小天')}?client=b") as other,
    ):
        assert (await stage.get("/api/characters/current"))[1] == b'{\n "name": "default"\n}\n'
        assert await post(stage, "/api/characters/current", {"name": "小天"}) == (
            200, {"name": "小天"},
        )  # fmt: skip
        assert await client.type("catgirl_switched") == {
            "type": "catgirl_switched", "new_catgirl": "小天", "old_catgirl": "default",
        }  # fmt: skip
        await trio.sleep(1)
        assert other.messages("catgirl_switched") == []
        # The old connection goes on until its client follows.
        await client.send(action="ping")
        await client.type("pong")
        async with stage.connect("/ws") as cortex:
            await cortex.send(type="chat", message="hi")
            assert (await cortex.type("session"))["agentId"] == "小天"


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        ({"name": "nobody"}, "", 404),
        ({"name": 3}, "", 404),
        ([], "", 400),
        ({"name": "default"}, "Origin: http://evil.example\r\n", 403),
        ({"name": "default"}, "Origin: http://test\r\n", 200),
        ({"name": "default"}, "Content-Type: text/plain\r\n", 200),  # the first one counts
    ],
)
async def test_who_may_switch_and_to_whom(
    body: object, headers: str, status: int, autojump_clock: MockClock
) -> None:
    async with open_stage(config=TWO) as stage:
        assert (await post(stage, "/api/characters/current", body, headers))[0] == status


# --- reloading ---


async def test_a_reload_is_used_at_the_next_turn_and_drops_nobody(
    autojump_clock: MockClock,
) -> None:
    fakes = thinking("A long first answer that is still being spoken.", "Two.")
    async with open_stage(fakes, TWO) as stage, stage.connect() as client:
        await client.start()
        await client.type_text("hello")
        await client.type("audio")
        changed = CharacterConfig(prompt="Be verbose.")
        reconfigure(
            stage.host, attrs.evolve(TWO, characters={**TWO.characters, "default": changed})
        )
        await trio.sleep(5)
        assert client.sound_ms() > 2_000  # it was spoken to its end
        await client.type_text("and now")
        await client.type("text", text="Two.")
        assert [r.messages[0].content for r in fakes.llm.requests] == ["Be brief.", "Be verbose."]
        assert client.messages("reload_page") == []


async def test_a_page_is_told_when_what_it_shows_has_changed(autojump_clock: MockClock) -> None:
    async with open_stage(config=TWO) as stage, stage.connect() as client:
        reconfigure(stage.host, attrs.evolve(TWO, characters={**TWO.characters, "new": ROBIN}))
        message = await client.type("reload_page")
        assert "load the page again" in message["message"]


async def test_the_clients_of_a_removed_character_are_sent_to_the_active_one(
    autojump_clock: MockClock,
) -> None:
    async with open_stage(config=TWO) as stage, stage.connect(f"/ws/{quote('小天')}") as client:
        await client.start()
        only = {"default": TWO.characters["default"]}
        reconfigure(stage.host, attrs.evolve(TWO, characters=only))
        switched = await client.type("catgirl_switched")
        assert (switched["old_catgirl"], switched["new_catgirl"]) == ("小天", "default")
        mark = client.mark()
        await client.type_text("still there?")
        await client.type("text", after=mark)


async def test_editing_the_active_character_switches(autojump_clock: MockClock) -> None:
    async with open_stage(config=TWO) as stage, stage.connect() as client:
        reconfigure(stage.host, attrs.evolve(TWO, server=ServerConfig(character="小天")))
        await client.type("catgirl_switched")
        assert stage.host.active == "小天"


async def test_engines_and_addresses_stay_as_they_are_until_a_new_start(
    autojump_clock: MockClock,
) -> None:
    async with open_stage(config=TWO) as stage:
        wanted = attrs.evolve(TWO, llm=LlmConfig(model="big"), server=ServerConfig(port=1))
        assert reconfigure(stage.host, wanted) == ["llm", "server.port"]
        assert stage.host.config.llm == TWO.llm
        assert stage.host.config.server.port == TWO.server.port


async def test_a_model_that_a_reload_names_needs_a_new_start(autojump_clock: MockClock) -> None:
    async with open_stage(config=TWO) as stage, stage.connect("/ws") as client:
        characters = {"default": CharacterConfig(model="big")}
        wanted = attrs.evolve(TWO, characters={**TWO.characters, **characters})
        assert reconfigure(stage.host, wanted) == ["characters.default.model"]
        await client.send(type="chat", message="hi")
        await client.type("done")


async def test_a_wrong_configuration_changes_nothing(autojump_clock: MockClock) -> None:
    def wrong() -> Config:
        raise ConfigError("Unknown key: charakters.")

    async with open_stage(config=TWO) as stage:
        await try_reload(stage.host, wrong)
        assert stage.host.config is TWO
        assert (await post(stage, "/api/reload", {}))[0] == 409
        stage.host.load = wrong
        status, answer = await post(stage, "/api/reload", {})
        assert (status, "charakters" in str(answer)) == (422, True)
        stage.host.load = lambda: TWO
        assert await post(stage, "/api/reload", {}) == (
            200, {"reloaded": True, "need_restart": []},
        )  # fmt: skip


# --- one live socket per character and client ---


async def test_a_newer_connection_wins_and_the_older_is_told_and_closed(
    autojump_clock: MockClock,
) -> None:
    fakes = thinking(" ".join(["One more sentence of it."] * 20), "Yes.")
    async with open_stage(fakes, TWO) as stage, stage.connect() as old:
        await old.start()
        await old.type_text("tell me")
        await old.type("audio")
        await trio.sleep(3)
        begun_s = trio.current_time()
        async with stage.connect() as new:
            assert await closed(old) == 1000
            assert trio.current_time() - begun_s < 0.1
            assert "newer connection" in old.statuses()[-1]
            await new.start()
            await new.type_text("are you there")
            await new.type("text", text="Yes.")
        # What was heard of the first answer is known to the second.
        roles = [message.role for message in fakes.llm.requests[-1].messages]
        assert roles == ["system", "user", "assistant", "user"]


@pytest.mark.parametrize(
    "other", ["/ws/default?client=someone", f"/ws/{quote('小天')}", "/ws", "/ws?client=local"]
)
async def test_other_clients_characters_and_protocols_are_left_alone(
    other: str, autojump_clock: MockClock
) -> None:
    async with (
        open_stage(config=TWO) as stage,
        stage.connect() as client,
        stage.connect(other),
    ):
        await trio.sleep(1)
        await client.send(action="ping")
        await client.type("pong")


async def test_sessions_of_one_address_are_limited(autojump_clock: MockClock) -> None:
    config = attrs.evolve(TWO, server=ServerConfig(max_sessions_per_address=2))
    async with (
        open_stage(config=config) as stage,
        stage.connect("/ws?client=1"),
        stage.connect("/ws?client=2"),
    ):
        ours, theirs = memory_stream_pair()
        stage.nursery.start_soon(handle_connection, stage.host, theirs)
        await ours.send_all(
            b"GET /ws HTTP/1.1\r\nHost: test\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
        )
        answer = bytes(await ours.receive_some())
        assert answer.startswith(b"HTTP/1.1 503")


# --- several sockets of one conversation (CortexPrism) ---


async def test_sockets_of_one_conversation_know_of_each_other(autojump_clock: MockClock) -> None:
    fakes = thinking("Hi Ann.", "You are Ann.")
    async with (
        open_stage(fakes, TWO) as stage,
        stage.connect("/ws") as one,
        stage.connect("/ws") as two,
    ):
        for client in (one, two):
            await client.send(type="chat", message="", sessionId="shared")
        await one.send(type="chat", message="I am Ann.", sessionId="shared")
        await one.type("done")
        await two.send(type="chat", message="Who am I?", sessionId="shared")
        await two.type("done")
        contents = [message.content for message in fakes.llm.requests[-1].messages[1:]]
        assert contents == ["I am Ann.", "Hi Ann.", "Who am I?"]
        mark = one.mark()
        await two.send(type="voice_state", speaking=True)
        assert await one.type("voice_state", after=mark) == {
            "type": "voice_state", "speaking": True,
        }  # fmt: skip
        # And from now on each hears at once what the other says.
        await one.send(type="chat", message="And now I am Bob.", sessionId="shared")
        await one.type("done", after=mark)
        await two.send(type="chat", message="Who now?", sessionId="shared")
        await two.type("done", after=mark)
        contents = [message.content for message in fakes.llm.requests[-1].messages]
        assert "And now I am Bob." in contents
