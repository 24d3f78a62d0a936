"""Earlier conversations over plain HTTP: listed, read and deleted by the client they are of.

Whoever knows the name a client gives itself is that client, here as on the WebSocket.
"""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import unquote

import structlog

from voicecore.errors import StoreError
from voicecore.host import Host
from voicecore.http import Head, json_response
from voicecore.presence import client_key
from voicecore.store import SessionRecord, Summary

log = structlog.get_logger()

PATH = "/api/conversations"
PROTOCOL = "neko"
"""Whose conversations these are. CortexPrism's clients keep their ids themselves."""

NAME_IT = f"Name the character, as in {PATH}?character=default&client=NAME."
LIVE = (
    "This conversation is going on. End it or begin another one, and then delete it; "
    "or close the page that it goes on in."
)


async def answer_conversations(host: Host, head: Head, address: str) -> bytes:
    """Answer a request to the list, or to one conversation in it."""
    query = head.parameters
    if "character" not in query:
        return _error(400, NAME_IT)
    me = {"character": query["character"], "client": client_key(PROTOCOL, query, address)}
    try:
        if head.path == PATH:
            found = await host.store.conversations(**me)
            content: object = {"conversations": [_summary(each) for each in found]}
            return json_response(200, content, head_only=head.method == "HEAD")
        return await _one(host, head, me)
    except StoreError as error:
        log.warning("a conversation cannot be looked at", reason=str(error))
        return _error(500, str(error))


async def _one(host: Host, head: Head, me: Mapping[str, str]) -> bytes:
    session_id = unquote(head.path.removeprefix(f"{PATH}/"))
    record = await host.store.read(session_id)
    if record is None or not record.is_of(**me):
        return _error(404, f"There is no conversation {session_id[:80]!r} of this client.")
    if head.method != "DELETE":
        return json_response(200, _whole(record), head_only=head.method == "HEAD")
    if host.presence.is_live(session_id):
        return _error(409, LIVE)
    for seat in host.presence.of_client(me["client"]):
        await seat.stored()  # its last words, if it was ended just now
    async with host.presence.claims:
        if host.presence.is_live(session_id):  # it was opened meanwhile
            return _error(409, LIVE)
        await host.store.delete(session_id)
    log.info("a conversation was deleted", session=session_id)
    return json_response(200, {"deleted": session_id})


def _error(status: int, text: str) -> bytes:
    return json_response(status, {"error": text})


def _summary(summary: Summary) -> dict[str, object]:
    return {
        "id": summary.id,
        "begun_s": summary.created_at,
        "updated_s": summary.updated_at,
        "title": summary.title,
        "messages": summary.messages,
    }


def _whole(record: SessionRecord) -> dict[str, object]:
    messages = [
        {"role": each.role, "text": each.content, "at_s": each.at}
        for each in record.messages
        if each.role != "tool" and each.content
    ]
    return {"id": record.id, "messages": messages}
