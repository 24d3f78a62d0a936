"""Rows as a table on the terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich.console import Console
from rich.table import Table


def show(title: str, rows: Sequence[Mapping[str, object]], *, width: int = 140) -> None:
    """Print rows of the same columns; text to the left, numbers to the right."""
    table = Table(title=title, title_justify="left", box=None, header_style="bold")
    for column, value in rows[0].items():
        table.add_column(column, justify="left" if isinstance(value, str) else "right")
    for row in rows:
        table.add_row(*map(str, row.values()))
    Console(width=width).print(table)
