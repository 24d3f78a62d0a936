"""A module that stands aside until it is used."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from voicecore.engines.lazy import lazily

NAME = "a_module_that_is_slow"


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    (tmp_path / f"{NAME}.py").write_text("answer = 42\n")
    (tmp_path / "a_library.py").write_text(f"import {NAME}\ndef use(): return {NAME}.answer\n")
    monkeypatch.syspath_prepend(tmp_path)
    yield NAME
    for name in (NAME, "a_library"):
        sys.modules.pop(name, None)


def test_it_is_imported_only_when_it_is_used(module: str) -> None:
    with lazily(module):
        import a_library  # type: ignore[import-not-found]
    assert module not in sys.modules
    assert a_library.use() == 42
    assert sys.modules[module].answer == 42


def test_others_import_it_as_ever(module: str) -> None:
    with lazily(module):
        import a_library  # noqa: F401
    import a_module_that_is_slow  # type: ignore[import-not-found]

    assert type(a_module_that_is_slow).__name__ == "module"


def test_who_uses_it_meanwhile_gets_it_too(module: str) -> None:
    with lazily(module):
        import a_library

        assert a_library.use() == 42
    assert sys.modules[module].answer == 42


def test_one_that_is_there_already_stays(module: str) -> None:
    import a_module_that_is_slow

    with lazily(module):
        assert sys.modules[module] is a_module_that_is_slow
    assert sys.modules[module] is a_module_that_is_slow


def test_what_it_does_not_have_is_an_attribute_error(module: str) -> None:
    with lazily(module):
        import a_library  # noqa: F401

        with pytest.raises(AttributeError, match="question"):
            _ = sys.modules[module].question


def test_a_failure_leaves_nothing_behind(module: str) -> None:
    with pytest.raises(ValueError, match="x"), lazily(module):
        raise ValueError("x")
    assert module not in sys.modules
