"""The layout's promises, held by reading the source."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import voicecore

ROOT = Path(voicecore.__file__).parent
MODULES = sorted(path.relative_to(ROOT).as_posix() for path in ROOT.rglob("*.py"))

BELOW = ("ears", "eyes", "mind", "mouth", "engines", "tools", "store", "weights", "page")
"""Folders that know neither the protocols nor the host."""

TRIO_ENGINES = {"__init__.py", "worker.py", "fake.py", "openai.py"}
"""Of engines/: the rest is blocking code that any thread may run."""


def tree(module: str) -> ast.Module:
    return ast.parse((ROOT / module).read_text(encoding="utf-8"))


def imports(module: str) -> Iterator[str]:
    for node in ast.walk(tree(module)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


def in_folder(module: str, *folders: str) -> bool:
    return module.split("/")[0] in folders


@pytest.mark.parametrize("module", MODULES)
def test_imports_follow_the_flow(module: str) -> None:
    found = set(imports(module))
    if in_folder(module, *BELOW):
        assert not [name for name in found if name.startswith("voicecore.wire")]
        assert not found & {"voicecore.session", "voicecore.server", "voicecore.host"}
    if in_folder(module, "engines") and module.split("/")[1] not in TRIO_ENGINES:
        assert "trio" not in found
    if in_folder(module, "talk"):  # a client: it knows the host by its wire only
        ours = {name for name in found if name.startswith("voicecore") and ".talk" not in name}
        assert ours <= {"voicecore.audio", "voicecore.client", "voicecore.errors"}
    if not in_folder(module, "wire") and module not in {
        "server.py", "session.py", "reception.py", "client.py",
    }:  # fmt: skip
        assert "trio_websocket" not in found


@pytest.mark.parametrize(
    "module", [name for name in MODULES if in_folder(name, "ears", "mind", "mouth")]
)
def test_classes_are_synchronous_and_tasks_are_functions(module: str) -> None:
    for node in ast.walk(tree(module)):
        if isinstance(node, ast.ClassDef) and "Protocol" not in map(ast.unparse, node.bases):
            assert not [item for item in node.body if isinstance(item, ast.AsyncFunctionDef)]


def test_functions_and_modules_stay_small() -> None:
    lengths = []
    for module in MODULES:
        source = (ROOT / module).read_text(encoding="utf-8")
        assert source.count("\n") <= 400, module
        for node in ast.walk(tree(module)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                body = node.body[1:] if ast.get_docstring(node) else node.body
                lengths.append((body[-1].end_lineno or 0) - body[0].lineno + 1 if body else 0)
    lengths.sort()
    assert lengths[len(lengths) * 9 // 10] <= 25


def test_broad_catches_stand_only_at_the_boundaries() -> None:
    """One around each connection, one around people's own functions, one around the MCP SDK."""
    broad = [
        module
        for module in MODULES
        for node in ast.walk(tree(module))
        if isinstance(node, ast.ExceptHandler)
        and isinstance(node.type, ast.Name)
        and node.type.id == "Exception"
    ]
    assert sorted(broad) == ["server.py", "tools/function.py", "tools/mcp/faults.py"]
