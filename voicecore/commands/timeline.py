"""A turn's timeline, for a terminal and as a picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias
from xml.sax.saxutils import escape

from rich.table import Table

Spans: TypeAlias = Sequence[Mapping[str, Any]]
"""As the host sends them: name, owner, start_ms and end_ms after the last spoken sample."""

BAR_WIDTH = 22

_ROW, _LEFT, _RIGHT, _TOP = 30, 130, 190, 56
_WIDTH = 860
_COLOURS = {"endpoint": "#9aa5b1", "recognition": "#3e7cb1", "first token": "#7b5ea7",
            "first phrase": "#b5838d", "voice": "#2a9d8f", "sending": "#e9a03b"}  # fmt: skip


def table(spans: Spans) -> Table:
    """Draw the stages as rows with bars."""
    drawn = Table(box=None, pad_edge=False, header_style="bold")
    for title in ("STAGE", "FROM", "TOOK", "", "WHOSE TIME"):
        drawn.add_column(title, justify="right" if title in {"FROM", "TOOK"} else "left")
    whole_ms = max(span["end_ms"] for span in spans) or 1
    for span in spans:
        drawn.add_row(
            span["name"],
            f"{span['start_ms']:.0f} ms",
            f"{span['end_ms'] - span['start_ms']:.0f} ms",
            _bar(span["start_ms"] / whole_ms, span["end_ms"] / whole_ms),
            span["owner"],
        )
    return drawn


def line(spans: Spans, *, more: Mapping[str, float]) -> str:
    """Write the stages into one line, and what else took time (name: ms) behind them."""
    took_ms = [(span["name"], span["end_ms"] - span["start_ms"]) for span in spans]
    return " · ".join(f"{name} {ms:.0f}" for name, ms in [*took_ms, *more.items()])


def _bar(start: float, end: float) -> str:
    first, last = round(max(start, 0) * BAR_WIDTH), round(end * BAR_WIDTH)
    filled = max(1, last - first)
    first = min(first, BAR_WIDTH - filled)
    return " " * first + "█" * filled


def svg(spans: Spans, title: str) -> str:
    """Draw the stages as a picture that needs nothing else: no fonts, no scripts."""
    whole_ms = max(span["end_ms"] for span in spans) or 1
    scale = (_WIDTH - _LEFT - _RIGHT) / whole_ms
    height = _TOP + _ROW * len(spans) + 34
    size = f'width="{_WIDTH}" height="{height}"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} viewBox="0 0 {_WIDTH} {height}">',
        "<style>text { font: 12px system-ui, sans-serif; fill: #52606d }</style>",
        f'<rect {size} fill="#ffffff"/>',
        f'<text x="16" y="28" style="font-size: 15px; font-weight: 600">{escape(title)}</text>',
    ]
    parts += _grid(whole_ms, scale, height)
    for row, span in enumerate(spans):
        parts += _svg_row(span, _TOP + row * _ROW, scale)
    return "\n".join([*parts, "</svg>", ""])


def _grid(whole_ms: float, scale: float, height: int) -> list[str]:
    lines = []
    for ms in range(0, int(whole_ms) + 1, 100):
        x = f"{_LEFT + ms * scale:.1f}"
        lines += [
            f'<line x1="{x}" y1="{_TOP - 8}" x2="{x}" y2="{height - 28}" stroke="#e4e7eb"/>',
            f'<text x="{x}" y="{height - 12}" text-anchor="middle">{ms} ms</text>',
        ]
    return lines


def _svg_row(span: Mapping[str, Any], y: int, scale: float) -> list[str]:
    x = _LEFT + max(span["start_ms"], 0) * scale
    took_ms = span["end_ms"] - span["start_ms"]
    width = max(2.0, took_ms * scale)
    colour = _COLOURS.get(span["name"], "#52606d")
    name, label = escape(span["name"]), escape(f"{took_ms:.0f} ms, {span['owner']}")
    return [
        f'<text x="{_LEFT - 12}" y="{y + 15}" text-anchor="end">{name}</text>',
        f'<rect x="{x:.1f}" y="{y}" width="{width:.1f}" height="20" rx="3" fill="{colour}"/>',
        f'<text x="{x + width + 8:.1f}" y="{y + 15}">{label}</text>',
    ]
