"""The rows of the two published protocols: what each promises, and the page that shows them.

A test names its row with ``@pytest.mark.row(id)``; `test_table` holds that each has exactly one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Literal, TypeAlias

import attrs

PAGE = Path(__file__).parents[2] / "docs" / "conformance.md"
COMMAND = "python -m pytest tests/conformance --write-conformance-page"

Outcome: TypeAlias = Literal["pass", "FAIL", "–"]
Engines: TypeAlias = Literal["fakes", "models"]


@attrs.frozen
class Row:
    """One promise of a protocol."""

    id: str
    promise: str
    on_models: bool = False
    """It is also tried with the real models."""

    @property
    def section(self) -> str:
        return self.id.partition("-")[0]


SECTIONS = {
    "B": "Both protocols",
    "N1.1": "N.E.K.O.: the two dialects",
    "N1.2": "N.E.K.O.: from the client",
    "N1.3": "N.E.K.O.: from the host",
    "N1.4": "N.E.K.O.: what people complained of elsewhere",
    "C2.1": "CortexPrism: from the client",
    "C2.2": "CortexPrism: from the host",
    "C2.3": "CortexPrism: tool calls that must not be seen or heard",
    "R": "Replays of what shipped clients do",
}

MODELS = True

_ROWS = (
    # --- both ---
    Row("B-unknown", "a message of an unknown kind is an error; the connection stays", MODELS),
    Row("B-malformed", "so is a frame that is no JSON object"),
    Row("B-base64", "so is bad base64"),
    Row("B-odd", "so is sound with half a sample"),
    Row("B-type", "so is a field of a wrong type"),
    Row("B-nothing-lost", "what came before such a message is used all the same"),
    Row("B-ten", "ten of them in a row close the connection with 1008"),
    Row("B-size", "a message over the size limit closes it with 1009", MODELS),
    Row("B-ping-loading", "ping is answered while the models are loaded"),
    Row("B-ping-turn", "ping is answered during a turn", MODELS),
    Row("B-ping-unread", "ping is answered before sound that waits for a slow reader"),
    Row("B-shapes", "no message but the documented ones, in their shape", MODELS),
    Row("B-calls", "a tool call is neither shown nor spoken"),
    # --- N.E.K.O. 1.1 ---
    Row("N1.1-name", "the name in the path is percent-encoded UTF-8"),
    Row("N1.1-text-documented", "reply text is `text`", MODELS),
    Row("N1.1-text-native", "or `gemini_response`, the first of a turn marked new", MODELS),
    Row("N1.1-audio-documented", "reply sound is `audio`, base64", MODELS),
    Row("N1.1-audio-native", "or `audio_chunk` and then exactly one binary frame", MODELS),
    Row("N1.1-status-documented", "`status` is plain text", MODELS),
    Row("N1.1-status-native", "or JSON text with code and details", MODELS),
    Row("N1.1-emotion", "`emotion` is the same in both", MODELS),
    Row("N1.1-sound", "sound is 16-bit little-endian mono at 48 kHz"),
    Row("N1.1-auto", "`auto` begins as documented", MODELS),
    Row("N1.1-auto-native", "and goes over at the first sign of a shipped client"),
    Row("N1.1-dialect-url", "`?dialect=` chooses"),
    Row("N1.1-dialect-configured", "so does the configuration"),
    Row("N1.1-session", "`session_preparing`, then `session_started`, with the mode", MODELS),
    Row("N1.1-session-failed", "or `session_failed`, and why"),
    Row("N1.1-user-transcript", "`user_transcript` says what was heard", MODELS),
    Row("N1.1-user-activity", "`user_activity` names the interrupted reply, or null"),
    Row("N1.1-turn-end", "`system` tells that the reply's text is complete"),
    # --- N.E.K.O. 1.2 ---
    Row("N1.2-start", "`start_session` in every mode: started, and the documented status", MODELS),
    Row("N1.2-start-at-once", "it waits for nothing that is busy with somebody else"),
    Row("N1.2-start-new", "`new_session: true` begins a fresh conversation"),
    Row("N1.2-start-again", "`new_session: false` continues the last one"),
    Row("N1.2-start-id", "`session_id` continues that one, if it is the client's own"),
    Row("N1.2-start-starting", "a second start while one is starting changes nothing"),
    Row("N1.2-start-active", "a start while active cancels the old turn first"),
    Row("N1.2-start-bad", "a bad `input_type` is the status `INVALID_INPUT_TYPE`", MODELS),
    Row("N1.2-audio-base64", "sound as base64 is 16 kHz"),
    Row("N1.2-audio-rate", "or of the rate that is given, under either name"),
    Row("N1.2-audio-480", "an array of 480 samples is 48 kHz"),
    Row("N1.2-audio-array", "an array of another length is 16 kHz"),
    Row("N1.2-audio-array-rate", "a given rate wins over the length"),
    Row("N1.2-audio-binary", "binary sound bears its rate, at most 120 ms of it"),
    Row("N1.2-audio-lengths", "messages may be of any length"),
    Row("N1.2-audio-early", "sound before and during the start is kept and used"),
    Row("N1.2-audio-bounded", "in a bounded buffer: beyond it the client is told"),
    Row("N1.2-text", "a typed turn is answered in text and sound", MODELS),
    Row("N1.2-text-interrupts", "it interrupts a running reply"),
    Row("N1.2-picture", "JPEG, PNG, WebP, bare or as a data URL, reach a model that sees"),
    Row("N1.2-picture-size", "a picture over 10 MB is refused by status"),
    Row("N1.2-picture-newest", "the newest goes with the next turn, and only with it"),
    Row("N1.2-picture-blind", "with a model that cannot see, one status says so", MODELS),
    Row("N1.2-pause", "`pause_session` stops everything; a status says so", MODELS),
    Row("N1.2-pause-ignores", "input is ignored until the start; the conversation goes on then"),
    Row("N1.2-end", "`end_session` closes and saves it; the socket stays", MODELS),
    Row("N1.2-ping", "`ping` is answered by `pong`", MODELS),
    Row("N1.2-shipped", "what shipped clients also send is taken without an error", MODELS),
    Row("N1.2-avatar", "`avatar_interaction` is acknowledged"),
    Row("N1.2-unknown", "another action is the status `UNKNOWN_ACTION`", MODELS),
    # --- N.E.K.O. 1.3 ---
    Row("N1.3-text-first", "text comes with its sound or before, never after", MODELS),
    Row("N1.3-status", "an engine that fails is told in words, in place of silence"),
    Row("N1.3-emotion", "one of five, before the first sound", MODELS),
    Row("N1.3-emotion-tag", "from the model's tag, which is neither shown nor spoken"),
    Row("N1.3-switched", "`catgirl_switched` to all of the old character after an admin's call"),
    Row("N1.3-switched-file", "and after an edit of the configuration"),
    Row("N1.3-switched-unknown", "an unknown name is sent to the default one and closed", MODELS),
    Row("N1.3-reload", "`reload_page` when the configuration changes what a page shows"),
    Row("N1.3-notification", "`agent_notification` when a background task has news; spoken too"),
    Row("N1.3-task", "`agent_task_update` at each change of a task"),
    Row("N1.3-task-failed", "also of one that fails"),
    Row("N1.3-task-cancelled", "or is cancelled with its turn"),
    Row("N1.3-agent-status", "`agent_status_update` on connecting", MODELS),
    Row("N1.3-agent-status-changes", "and at each change: a number, or a list in `native`"),
    Row("N1.3-pong", "one `pong` for each `ping`, and nothing else"),
    Row("N1.3-partials", "with `partials=1`, `user_partial` while the person speaks"),
    Row("N1.3-words", "with `words=1`, `speech_words` before the sound they are in"),
    Row("N1.3-one-socket", "a newer socket wins; the older is told and closed", MODELS),
    # --- N.E.K.O. 1.4 ---
    Row("N1.4-interruption", "an interruption is told when the person starts, not when they stop"),
    Row("N1.4-mode", "a change of mode is one start, no more"),
    # --- CortexPrism 2.1 ---
    Row("C2.1-connect", "`connected` comes first", MODELS),
    Row("C2.1-chat", "`chat`: session, start, chunks, done", MODELS),
    Row("C2.1-chat-current", "without an id, or null: the socket's session, told once"),
    Row("C2.1-chat-reconnect", "a known id goes on with its history on another socket"),
    Row("C2.1-chat-restart", "and after a restart of the host"),
    Row("C2.1-chat-unknown", "an unknown id is created under that id"),
    Row("C2.1-chat-empty", "neither text nor file: the documented error", MODELS),
    Row("C2.1-chat-busy", "a second chat during a turn: the documented error", MODELS),
    Row("C2.1-files-text", "a text file's words are in the prompt between marks"),
    Row("C2.1-files-picture", "a picture goes to a model that sees"),
    Row("C2.1-files-pdf", "the text of a PDF goes into the prompt"),
    Row("C2.1-files-refused", "too large, unreadable, unsupported: an error and no turn", MODELS),
    Row("C2.1-files-names", "names are sanitised, and nothing is written elsewhere"),
    Row("C2.1-new", "`new_session` ends the current one and tells the new one", MODELS),
    Row("C2.1-new-first", "with none before, nothing is ended"),
    Row("C2.1-agent", "`select_agent`: `agent_selected`, and that one answers"),
    Row("C2.1-agent-unknown", "or the documented error", MODELS),
    Row("C2.1-ping", "`ping` is answered by `pong`", MODELS),
    Row("C2.1-stop", "`stop` cancels the running turn: `stopped`", MODELS),
    Row("C2.1-clip", "WebM, Ogg, MP3, WAV and PCM are understood", MODELS),
    Row("C2.1-clip-cut", "cut anywhere, with or without `session`"),
    Row("C2.1-clip-burst", "a long one may come at once, in small pieces"),
    Row("C2.1-clip-early", "recognised while it still arrives"),
    Row("C2.1-clip-answer", "answered by `transcribed`, the chat sequence and speech", MODELS),
    Row("C2.1-clip-empty", "no sound: the documented error", MODELS),
    Row("C2.1-speak", "`speak`: the text as sound", MODELS),
    Row("C2.1-voice", "`voice_state` turns spoken replies on and off", MODELS),
    Row("C2.1-speaking", "`speaking` is passed to the session's other sockets"),
    # --- CortexPrism 2.2 ---
    Row("C2.2-session", "`session` bears the id and whom one talks to", MODELS),
    Row("C2.2-tokens", "tokens are the model's own count, summed over tool rounds"),
    Row("C2.2-cost", "cost is tokens times the model's price, and 0 without one"),
    Row("C2.2-duration", "the duration is the whole turn's"),
    Row("C2.2-content", "`finalContent` is the deltas joined", MODELS),
    Row("C2.2-audio", "one playable clip for each phrase, in order, before `done`", MODELS),
    Row("C2.2-database", "one SQLite file a session: messages, calls, tokens, times"),
    Row("C2.2-events", "and events: what was stopped, what failed"),
    Row("C2.2-voice-stored", "spoken turns are stored as typed ones are"),
    Row("C2.2-half", "an interrupted reply is stored as far as it was sent, marked so"),
    # --- CortexPrism 2.3 ---
    Row("C2.3-json", "`<tool_call>` around JSON"),
    Row("C2.3-names", "`<tool_call_name>` and `<tool_call_args>`"),
    Row("C2.3-keys", "`<tool_call_arg_key>` and `<tool_call_arg_value>`"),
    Row("C2.3-attribute", '`<tool_call_name="x"/>`'),
    Row("C2.3-parameter", "`<parameter …>…</parameter>`"),
    Row("C2.3-result", "`<tool_result …>…</tool_result>`"),
    Row("C2.3-bare", "bare JSON with a name and arguments, under each of their names"),
    Row("C2.3-registered", "bare JSON whose name is a registered tool's"),
    Row("C2.3-fence", "a fence that holds only a call goes with it; no empty fence stays"),
    Row("C2.3-nested", "nested objects in a call"),
    Row("C2.3-quotes", "braces and escaped quotes in a call's strings"),
    Row("C2.3-unclosed-tag", "a tag never closed"),
    Row("C2.3-unclosed-json", "JSON never closed"),
    Row("C2.3-stray", "a stray closing tag"),
    Row("C2.3-two", "two calls in a row"),
    Row("C2.3-start", "a call at the start"),
    Row("C2.3-end", "a call at the end"),
    Row("C2.3-alone", "a call alone: the tool runs and the model answers"),
    Row("C2.3-fence-kept", "a fence without a call is kept"),
    Row("C2.3-prose", "JSON in prose is kept, and what follows does not wait"),
    Row("C2.3-angles", "`a < b` and `<b>` are kept"),
    Row("C2.3-whitespace", "deltas of white space are kept"),
    Row("C2.3-crlf", "CRLF"),
    Row("C2.3-emoji", "characters beyond the BMP next to a call"),
    Row("C2.3-splits", "each form, cut at every position, gives the same"),
    Row("C2.3-at-once", "text that cannot begin a call is not held back"),
    # --- replays ---
    Row("R-desktop", "the desktop client: 480 numbers at 48 kHz every 10 ms", MODELS),
    Row("R-mobile", "the mobile client: 512 numbers at 16 kHz every 32 ms", MODELS),
    Row("R-reconnect", "the client that reconnects and sends `start_session` again"),
    Row("R-interrupted", "the client that drops late chunks of an interrupted id"),
    Row("R-web-chat", "the web chat: `sessionId: null`, WebM cut at 65 536 characters", MODELS),
)  # fmt: skip

ROWS: Mapping[str, Row] = {row.id: row for row in _ROWS}

Outcomes: TypeAlias = Mapping[tuple[str, Engines], Outcome]


def of_section(section: str) -> list[Row]:
    return [row for row in _ROWS if row.section == section]


def summary(outcomes: Outcomes, *, whole: bool) -> Iterator[str]:
    """Say in a line for each section how many of the rows that were tried have passed.

    Rows that failed have lines of their own; with ``whole``, all rows.
    """
    for section, title in SECTIONS.items():
        rows = [row for row in of_section(section) if {"pass", "FAIL"} & {*_found(row, outcomes)}]
        if rows:
            columns = zip(*(_found(row, outcomes) for row in rows), strict=True)
            fakes, models = map(_count, columns)
            yield f"{title:<56} fakes {fakes:<8} models {models}"
        for row in rows:
            on_fakes, on_models = _found(row, outcomes)
            if whole or "FAIL" in {on_fakes, on_models}:
                yield f"  {on_fakes:<5} {on_models:<5} {row.id:<26} {row.promise}"


def _found(row: Row, outcomes: Outcomes) -> tuple[Outcome, Outcome]:
    return outcomes.get((row.id, "fakes"), "–"), outcomes.get((row.id, "models"), "–")


def _count(found: Sequence[Outcome]) -> str:
    tried = len(found) - found.count("–")
    return f"{found.count('pass')}/{tried}" if tried else "–"


def page(outcomes: Outcomes) -> str:
    """Write docs/conformance.md."""
    tables = (line for name in SECTIONS for line in _table(name, outcomes))
    return "\n".join([_head(outcomes), *tables])


def outcomes_on(text: str) -> dict[tuple[str, Engines], Outcome]:
    """Read the outcomes off the page."""
    found: dict[tuple[str, Engines], Outcome] = {}
    for match in re.finditer(
        r"^\| `(.*?)` \| .* \| (pass|FAIL|–) \| (pass|FAIL|–) \|$", text, re.MULTILINE
    ):
        found[match[1], "fakes"] = match[2]  # type: ignore[assignment] # the pattern says so
        found[match[1], "models"] = match[3]  # type: ignore[assignment]
    return found


HEAD = """\
# Conformance

Every promise of the two protocols that [wire.md](wire.md) describes has a test of its own, and so has what their shipped clients do.
Each talks to a running host over a real socket, with `websockets`, a library that the host does not use.
*Fakes* are the engines of `voicecore/engines/fake.py`: quick, and they can be told to fail.
*Models* are the default ones, tried where a model makes a difference.

In the run that wrote this page, {fakes} of {rows} rows passed on the fakes and {models} of {modelled} on the models.
`{command}` runs them all and writes the page anew.
Every message that a test receives is also held against the shapes in `tests/conformance/shapes.py`.
"""  # noqa: E501 - a sentence a line


def _head(outcomes: Outcomes) -> str:
    return HEAD.format(
        rows=len(_ROWS),
        modelled=sum(row.on_models for row in _ROWS),
        fakes=_passed(outcomes, "fakes"),
        models=_passed(outcomes, "models"),
        command=COMMAND,
    )


def _passed(outcomes: Outcomes, engines: Engines) -> int:
    return sum(outcomes.get((row.id, engines)) == "pass" for row in _ROWS)


def _table(section: str, outcomes: Outcomes) -> Iterator[str]:
    yield f"## {SECTIONS[section]}"
    yield ""
    yield "| row | what is promised | fakes | models |"
    yield "|---|---|---|---|"
    for row in of_section(section):
        yield f"| `{row.id}` | {row.promise} | {' | '.join(_found(row, outcomes))} |"
    yield ""
