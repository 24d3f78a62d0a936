"""What `/metrics` tells: stages, turns, queues and the event loop, in Prometheus' text format."""

from __future__ import annotations

from collections.abc import Mapping

import trio
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from voicecore import __version__
from voicecore.engines.interface import Kind
from voicecore.events import Timeline

STAGE_BUCKETS = (0.01, 0.025, 0.05, 0.1, 0.2, 0.3, 0.45, 0.7, 1.0, 1.5, 2.5, 5.0, 10.0)
"""Seconds. A gap over 0.5 s between turns feels slow, over 1 s people repeat themselves."""
LAG_BUCKETS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 1.0)
LAG_PERIOD_S = 0.5


class Metrics:
    """One host's instruments. No label ever holds what was said or who said it."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        Gauge("voicecore_info", "The version that runs.", ["version"], registry=registry).labels(
            __version__
        ).set(1)
        self.sessions = Gauge(
            "voicecore_sessions", "Live connections.", ["wire"], registry=registry
        )
        self.refused = Counter(
            "voicecore_refused", "Connections refused.", ["reason"], registry=registry
        )
        self.turns = Counter(
            "voicecore_turns", "Turns by how they ended.", ["wire", "end"], registry=registry
        )
        self.problems = Counter(
            "voicecore_problems", "Problems told to clients.", ["code"], registry=registry
        )
        self.dropped_ms = Counter(
            "voicecore_sound_dropped_ms",
            "Microphone sound dropped because the host was behind.",
            registry=registry,
        )
        self._waiting = Gauge(
            "voicecore_engine_waiting",
            "Requests waiting for an engine's thread.",
            ["kind"],
            registry=registry,
        )
        self._peaks = Gauge(
            "voicecore_queue_peak",
            "The most that waited in a queue of any session.",
            ["queue"],
            registry=registry,
        )
        self._stages = Histogram(
            "voicecore_stage_seconds",
            "Time of each stage of a turn.",
            ["stage"],
            registry=registry,
            buckets=STAGE_BUCKETS,
        )
        self._voice = Histogram(
            "voicecore_voice_to_voice_seconds",
            "Last spoken sample to first sound of the answer.",
            registry=registry,
            buckets=STAGE_BUCKETS,
        )
        self._tools = Histogram(
            "voicecore_tool_seconds",
            "Calls of tools by how they ended, and how long they took.",
            ["tool", "end"],
            registry=registry,
            buckets=STAGE_BUCKETS,
        )
        self._lag = Histogram(
            "voicecore_loop_lag_seconds",
            "How late the event loop woke a sleeping task.",
            registry=registry,
            buckets=LAG_BUCKETS,
        )
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

    def text(self) -> bytes:
        return generate_latest(self.registry)

    async def watch_loop(self) -> None:
        """Measure how late the event loop is, for ever."""
        while True:
            due_s = trio.current_time() + LAG_PERIOD_S
            await trio.sleep_until(due_s)
            self._lag.observe(trio.current_time() - due_s)
