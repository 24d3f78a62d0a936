"""From what a client received to figures. Times of events are seconds, figures are milliseconds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from voicecore.audio import MOUTH_HZ
from voicecore.bench.playback import Playback
from voicecore.bench.tape import Answer, Event, Interrupted, Spans, answers, heard
from voicecore.bench.wer import word_errors

Row: TypeAlias = dict[str, Any]
"""One line of the results: plain data."""

GAP_MS = 200.0
"""Silence inside a reply that a person notices; sentences are 100 to 200 ms apart."""

UNDER_WAY_S = 0.3
"""After a notice, sound that had been sent may still arrive for this long."""


def ms(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds * 1000, 1)


def span(spans: Spans, name: str) -> Mapping[str, Any] | None:
    return next((each for each in spans if each.get("name") == name), None)


# --- a spoken turn -------------------------------------------------------------------------------


def turn(events: Sequence[Event], playback: Playback, last_s: float, said: str) -> Row:
    """Figures of one spoken turn.

    Args:
        events: what arrived from the turn's first sample until its answer was over.
        playback: of the same client.
        last_s: when the last spoken sample was.
        said: the words.

    Returns:
        ``latency_ms``: last spoken sample to first audible sample of the answer that stood, the
        last one; None if it came before. ``cut_off``: text or sound came before the person had
        finished. ``split``: it was answered more than once. ``merged``: it was heard in pieces and
        answered once.
        ``after_endpoint_ms``: from the host's decision that the turn is over.
        ``gap_ms``: silence inside the answer, over `GAP_MS` each.
    """
    found, pieces = answers(events), heard(events)
    # What the person hears; a reply that was withdrawn before its first sound was only read.
    begun = [answer for answer in found if answer.text or answer.sound]
    stood = next((answer for answer in reversed(begun) if answer.sound), None)
    audible_s = stood.audible_s() if stood else None
    errors = word_errors(said, " ".join(pieces))
    return {
        "latency_ms": ms(audible_s - last_s) if audible_s and audible_s > last_s else None,
        "cut_off": any(answer.began_s < last_s for answer in begun),
        "split": len(begun) > 1,
        "unanswered": stood is None,
        "merged": len(pieces) > 1 and len(begun) == 1,
        "answers": len(begun),
        "pieces": len(pieces),
        "heard": " ".join(pieces),
        "word_errors": errors.errors,
        "words": errors.words,
        "after_endpoint_ms": after_endpoint_ms(stood) if stood else None,
        "reply_s": round(stood.seconds(), 2) if stood else None,
        "gap_ms": _gap_ms(stood, playback) if stood else None,
        "spans": [dict(each) for each in stood.spans] if stood else [],
    }


def after_endpoint_ms(answer: Answer) -> float | None:
    """From the end of the host's span ``endpoint`` to the first audible sample.

    The two clocks meet where the host sent its first sound, the end of ``sending``, and the client
    received it: what the network takes in between is left out.
    """
    endpoint, sending = span(answer.spans, "endpoint"), span(answer.spans, "sending")
    audible_s = answer.audible_s()
    if endpoint is None or sending is None or audible_s is None:
        return None
    soft_ms = (audible_s - answer.sound[0][0]) * 1000
    return round(float(sending["end_ms"]) - float(endpoint["end_ms"]) + soft_ms, 1)


def _gap_ms(answer: Answer, playback: Playback) -> float:
    first_s = answer.sound[0][0]
    last_s = answer.sound[-1][0]
    lengths = [(end - begin) * 1000 for begin, end in playback.gaps(first_s, last_s)]
    return round(sum(length for length in lengths if length >= GAP_MS), 1)


# --- an interruption -----------------------------------------------------------------------------


def interruption(events: Sequence[Event], mark: int, onset_s: float) -> Row:
    """Figures of one interruption of a running reply.

    Args:
        events: from the turn that was interrupted on, up to the answer of the interruption.
        mark: how many of them had arrived when the interruption began.
        onset_s: the first sample of the interrupting voice.

    Returns:
        ``told_ms``: until the client was told. ``last_sound_ms``: until the last of the old reply's
        sound arrived. ``stop_ms``: until both, after which the client is surely silent.
        ``stale_chunks`` and ``stale_ms``: sound of the old reply that came later than that.
        ``missed``: the client was never told; the other figures are then None.
    """
    told_s = next((e.at_s for e in events[mark:] if isinstance(e, Interrupted)), None)
    old = _interrupted(answers(events), told_s)
    if told_s is None or old is None:
        return {"missed": True, "told_ms": None, "last_sound_ms": None, "stop_ms": None,
                "stale_chunks": 0, "stale_ms": 0.0}  # fmt: skip
    last_s = max(old.last_sound_s() or onset_s, onset_s)
    stale = sum(len(piece) for _, piece in old.stale)
    return {
        "missed": False,
        "told_ms": ms(told_s - onset_s),
        "last_sound_ms": ms(last_s - onset_s),
        "stop_ms": ms(max(told_s, last_s) - onset_s),
        "stale_chunks": len(old.stale),
        "stale_ms": round(stale * 1000 / MOUTH_HZ, 1),
    }


def _interrupted(found: Sequence[Answer], told_s: float | None) -> Answer | None:
    return next((a for a in found if told_s is not None and a.interrupted_s == told_s), None)


# --- a disturbance -------------------------------------------------------------------------------


def disturbance(events: Sequence[Event], playback: Playback, mark: int, onset_s: float) -> Row:
    """What a noise did to a running reply.

    Args:
        events: from the turn that asked for the reply on, up to the end of the observation.
        playback: of the same client, before anything else was said.
        mark: how many of the events had arrived when the noise began.
        onset_s: the noise's first sample.

    Returns:
        ``outcome``: ``none``; ``hiccup``: the reply stopped and went on, after a notice or in a gap
        over `GAP_MS`; ``lost``: it stopped for good, or something else was answered.
        ``heard``: words that were taken from the noise.
    """
    later = events[mark:]
    told_s = next((e.at_s for e in later if isinstance(e, Interrupted)), None)
    before, after = answers(events[:mark]), answers(events)
    gaps = playback.gaps(onset_s, later[-1].at_s if later else onset_s)
    longest_ms = max(((end - begin) * 1000 for begin, end in gaps), default=0.0)
    resumed = told_s is not None and _resumed(_interrupted(after, told_s), told_s)
    outcome = "none"
    if len(after) > len(before) or (told_s is not None and not resumed):
        outcome = "lost"
    elif told_s is not None or longest_ms >= GAP_MS:
        outcome = "hiccup"
    return {
        "outcome": outcome,
        "told_ms": None if told_s is None else ms(told_s - onset_s),
        "gap_ms": round(longest_ms, 1),
        "heard": " ".join(heard(later)),
    }


def _resumed(old: Answer | None, told_s: float) -> bool:
    """Whether sound of it went on coming, and was not just under way."""
    return old is not None and any(at_s > told_s + UNDER_WAY_S for at_s, _ in old.stale)


# --- what the host remembers ---------------------------------------------------------------------


def words_heard(reply: Sequence[str], transcript: Sequence[str]) -> int:
    """Say how many words of a reply were played, by a transcript of the sound that was.

    The beginning of the reply that differs least from the transcript; of equally good ones the
    longest, for a word is misheard more often than invented. One row of the edit distance's table
    is enough: its last line holds all beginnings.
    """
    row = list(range(len(reply) + 1))
    for number, word in enumerate(transcript, start=1):
        current = [number]
        for column, said in enumerate(reply, start=1):
            cost = row[column - 1] + (word != said)
            current.append(min(row[column] + 1, current[-1] + 1, cost))
        row = current
    return min(reversed(range(len(row))), key=row.__getitem__)
