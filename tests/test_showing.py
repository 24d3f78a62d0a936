"""Pictures and files in a conversation, over both wires. Real threads look, so time is real."""

from __future__ import annotations

import base64
import io

import trio
from PIL import Image as Pillow

from tests.harness import Client, Fakes, open_stage
from voicecore.engines.fake import fake_llm


def picture(colour: str = "red", size: tuple[int, int] = (64, 48)) -> str:
    file = io.BytesIO()
    Pillow.new("RGB", size, colour).save(file, "PNG")
    return base64.b64encode(file.getvalue()).decode()


def colour_of(data: bytes) -> str:
    red, green, _ = Pillow.open(io.BytesIO(data)).convert("RGB").resize((1, 1)).getpixel((0, 0))  # type: ignore[misc]
    return "red" if red > green else "green"


def seeing(*replies: str, sees: bool = True) -> Fakes:
    return Fakes(llm=fake_llm(replies, sees=sees, first_token_s=0.01, tokens_per_s=1_000))


async def show(client: Client, data: str, kind: str = "screen") -> None:
    await client.send(action="stream_data", input_type=kind, data=data)


async def test_the_newest_picture_goes_with_the_message_typed_after_it() -> None:
    fakes = seeing("It is red.", "Yes.")
    async with open_stage(fakes) as stage, stage.connect() as client:
        await client.start()
        await show(client, picture("green"))
        await show(client, f"data:image/png;base64,{picture('red', (2000, 1000))}", "camera")
        await client.type_text("what is this")
        await client.type("system")
        (image,) = fakes.llm.requests[0].messages[-1].images
        assert colour_of(image.data) == "red"
        assert max(Pillow.open(io.BytesIO(image.data)).size) <= 1024
        await trio.sleep(1.5)  # until it was heard: then it is no part of the next question
        mark = client.mark()
        await client.type_text("sure")
        await client.type("system", after=mark)
        assert fakes.llm.requests[1].messages[-1].images == ()


async def test_a_model_that_cannot_see_is_told_of_once() -> None:
    fakes = seeing("I see nothing.", sees=False)
    async with open_stage(fakes) as stage, stage.connect() as client:
        await client.start()
        for _ in range(3):
            await show(client, picture())
        await client.type_text("what is this")
        await client.type("system")
        assert sum("takes no pictures" in status for status in client.statuses()) == 1
        assert fakes.llm.requests[0].messages[-1].images == ()


async def test_a_picture_that_cannot_be_used_is_told_and_harms_nothing() -> None:
    fakes = seeing("Hello.")
    async with open_stage(fakes) as stage, stage.connect() as client:
        await client.start()
        await show(client, base64.b64encode(b"no picture at all").decode())
        await show(client, "not base64!")
        await client.type_text("hi")
        await client.type("system")
        assert len(client.statuses()) == 3  # started, and one for each


async def send_chat(client: Client, text: str, *files: tuple[str, str, bytes]) -> None:
    await client.send(
        type="chat",
        message=text,
        files=[
            {"filename": name, "mimeType": kind, "data": base64.b64encode(data).decode()}
            for name, kind, data in files
        ],
    )


async def test_what_files_say_and_show_goes_to_the_model() -> None:
    fakes = seeing("Milk.")
    async with open_stage(fakes) as stage, stage.connect("/ws") as client:
        await send_chat(
            client,
            "What shall I buy?",
            ("../../list.txt", "text/plain", b"two pints of milk"),
            ("pic.png", "image/png", base64.b64decode(picture("green"))),
        )
        await client.type("done")
        message = fakes.llm.requests[0].messages[-1]
        assert "two pints of milk" in message.content
        assert message.content.endswith("What shall I buy?")
        assert "/" not in message.content.split("two pints")[0].replace("</", "")
        assert [colour_of(image.data) for image in message.images] == ["green"]


async def test_a_file_that_cannot_be_used_is_an_error_and_runs_no_turn() -> None:
    fakes = seeing("Fine.")
    async with open_stage(fakes) as stage, stage.connect("/ws") as client:
        await send_chat(client, "look", ("a.bin", "application/octet-stream", bytes(range(256))))
        error = await client.type("error")
        assert "a.bin" in error["error"]
        await send_chat(client, "look", ("a.png", "image/png", b"\x89PNG\r\n\x1a\n broken"))
        await client.type("error", after=client.mark())
        assert client.messages("start") == []
        await client.send(type="chat", message="never mind")
        await client.type("done")
        (request,) = fakes.llm.requests
        assert request.messages[-1].content == "never mind"


async def test_a_picture_for_a_model_that_cannot_see_is_an_error() -> None:
    async with open_stage(seeing(sees=False)) as stage, stage.connect("/ws") as client:
        await send_chat(client, "look", ("a.png", "image/png", base64.b64decode(picture())))
        error = await client.type("error")
        assert "takes no pictures" in error["error"]


async def test_nothing_but_files_is_a_message_and_nothing_at_all_is_none() -> None:
    fakes = seeing("I have read it.")
    async with open_stage(fakes) as stage, stage.connect("/ws") as client:
        await send_chat(client, "")
        assert (await client.type("error"))["error"] == "Empty message"
        await send_chat(client, "", ("note.md", "text/markdown", b"# Hello"))
        await client.type("done")
        assert "# Hello" in fakes.llm.requests[0].messages[-1].content


async def test_too_many_files_are_refused() -> None:
    async with open_stage() as stage, stage.connect("/ws") as client:
        await send_chat(client, "look", *[("a.txt", "text/plain", b"x")] * 9)
        assert "9 files" in (await client.type("error"))["error"]


async def test_a_long_file_is_shortened_to_the_models_room_and_says_so() -> None:
    fakes = seeing("Long.")
    async with open_stage(fakes) as stage, stage.connect("/ws") as client:
        book = "\n".join(f"Line {number} of it." for number in range(2_000)).encode()
        await send_chat(client, "What is it about?", ("book.txt", "text/plain", book))
        await client.type("done")
        content = fakes.llm.requests[0].messages[-1].content
        assert "Line 0 of it." in content
        assert content.endswith("What is it about?")
        assert "book.txt" in content
        assert len(content) < 3_000
