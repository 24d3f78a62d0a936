"""What `/metrics` tells: stages, turns, queues and the event loop, in Prometheus' text format."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import trio
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from voicecore import __version__
from voicecore.engines.interface import Kind, Urgency
from voicecore.events import Timeline

STAGE_BUCKETS = (0.01, 0.025, 0.05, 0.1, 0.2, 0.3, 0.45, 0.7, 1.0, 1.5, 2.5, 5.0, 10.0)
"""Seconds. A gap over 0.5 s between turns feels slow, over 1 s people repeat themselves."""
LAG_BUCKETS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 1.0)
LAG_PERIOD_S = 0.5


class Metrics:
    """One host's instruments. No label ever holds what was said or who said it."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        gauge = partial(Gauge, registry=registry)
        counter = partial(Counter, registry=registry)
        histogram = partial(Histogram, registry=registry, buckets=STAGE_BUCKETS)
        gauge("voicecore_info", "The version that runs.", ["version"]).labels(__version__).set(1)
        self.sessions = gauge("voicecore_sessions", "Live connections.", ["wire"])
        self.refused = counter("voicecore_refused", "Connections refused.", ["reason"])
        self.turns = counter("voicecore_turns", "Turns by how they ended.", ["wire", "end"])
        self.problems = counter("voicecore_problems", "Problems told to clients.", ["code"])
        words = "Microphone sound dropped because the host was behind."
        self.dropped_ms = counter("voicecore_sound_dropped_ms", words)
        words = "Requests waiting for an engine's thread."
        self._waiting = gauge("voicecore_engine_waiting", words, ["kind"])
        words = "Time from a request to the beginning of its work."
        self._waited = histogram("voicecore_engine_wait_seconds", words, ["kind", "urgency"])
        words = "The most that waited in a queue of any session."
        self._peaks = gauge("voicecore_queue_peak", words, ["queue"])
        self._stages = histogram(
            "voicecore_stage_seconds", "Time of each stage of a turn.", ["stage"]
        )
        words = "Last spoken sample to first sound of the answer."
        self._voice = histogram("voicecore_voice_to_voice_seconds", words)
        words = "Calls of tools by how they ended, and how long they took."
        self._tools = histogram("voicecore_tool_seconds", words, ["tool", "end"])
        words = "How late the event loop woke a sleeping task."
        self._lag = histogram("voicecore_loop_lag_seconds", words, buckets=LAG_BUCKETS)
        self._highest: dict[str, float] = {}

    def observe(self, timeline: Timeline) -> None:
        """Count a turn's stages; its voice-to-voice time ends with the stage ``sending``."""
        for span in timeline.spans:
            self._stages.labels(span.name).observe(span.end_s - span.start_s)
            if span.name == "sending":
                self._voice.observe(span.end_s - timeline.zero_s)

    def tool_called(self, tool: str, end: str, seconds: float) -> None:
        self._tools.labels(tool, end).observe(seconds)

    def peak(self, queue: str, value: float) -> None:
        """Note the most that waited in one session's queue."""
        if value > self._highest.get(queue, -1):
            self._highest[queue] = value
            self._peaks.labels(queue).set(value)

    def engines_waiting(self, waiting: Mapping[Kind, int]) -> None:
        for kind, count in waiting.items():
            self._waiting.labels(kind).set(count)

    def engine_waited(self, kind: Kind, urgency: Urgency, seconds: float) -> None:
        self._waited.labels(kind, urgency.name.lower()).observe(seconds)

    def text(self) -> bytes:
        return generate_latest(self.registry)

    async def watch_loop(self) -> None:
        """Measure how late the event loop is, for ever."""
        while True:
            due_s = trio.current_time() + LAG_PERIOD_S
            await trio.sleep_until(due_s)
            self._lag.observe(trio.current_time() - due_s)
