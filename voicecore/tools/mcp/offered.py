"""What all servers offer together, under names that models accept and that stay the same."""

from __future__ import annotations

import re
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from itertools import count

import attrs

from voicecore.tools.tool import Tool

MAX_NAME_CHARS = 64
"""OpenAI's bound for the name of a function."""

_NAME = re.compile(rf"[A-Za-z0-9_-]{{1,{MAX_NAME_CHARS}}}")


class McpTools(Mapping[str, Tool]):
    """The tools by name, servers in the order of the configuration; changes as they do.

    A tool has its own name, or ``SERVER_NAME`` if models would not accept that or another has it.
    It keeps its name as long as its server lists it; while its server is down too.
    """

    def __init__(self, servers: Iterable[str], taken: Container[str] = ()) -> None:
        self._taken = taken
        self._of: dict[str, dict[str, Tool]] = {server: {} for server in servers}
        """For each server, its tools by their own names, under the names they are given."""
        self._by_name: dict[str, Tool] = {}

    def __getitem__(self, name: str) -> Tool:
        return self._by_name[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._by_name)

    def __len__(self) -> int:
        return len(self._by_name)

    def offer(self, server: str, tools: Sequence[Tool]) -> None:
        """Take a server's list in place of its last one; of two with one name, the first."""
        before = self._of[server]
        listed = {tool.name: tool for tool in reversed(tools)}
        # A name whose tool is listed no more is free again.
        self._of[server] = {own: before[own] for own in before if own in listed}
        self._collect()
        for own in dict.fromkeys(tool.name for tool in tools):
            name = before[own].name if own in before else self._name(server, own)
            self._of[server][own] = attrs.evolve(listed[own], name=name)
            self._by_name[name] = self._of[server][own]
        order = dict.fromkeys(tool.name for tool in tools)
        self._of[server] = {own: self._of[server][own] for own in order}
        self._collect()

    def _collect(self) -> None:
        self._by_name = {tool.name: tool for of in self._of.values() for tool in of.values()}

    def _name(self, server: str, own: str) -> str:
        if _NAME.fullmatch(own) and self._free(own):
            return own
        whole = re.sub(r"[^A-Za-z0-9_-]", "_", f"{server}_{own}")
        endings = ("" if number == 1 else f"_{number}" for number in count(1))
        names = (whole[: MAX_NAME_CHARS - len(ending)] + ending for ending in endings)
        return next(name for name in names if self._free(name))

    def _free(self, name: str) -> bool:
        return name not in self._taken and name not in self._by_name
