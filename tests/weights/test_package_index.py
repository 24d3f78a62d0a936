from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.weights.loopback_index import LoopbackIndex
from tests.weights.model_samples import Told, contents, packaged, real_files, store_of
from voicecore.errors import ModelError
from voicecore.weights import web
from voicecore.weights.fetch import ensure
from voicecore.weights.index import (
    Link,
    choose,
    index_url,
    normalised,
    read_page,
    with_credentials,
)

PAGE = "https://index.test/simple/ear-model/"


def test_names_are_normalised() -> None:
    assert normalised("Ear._Model") == "ear-model"


def test_a_json_page() -> None:
    content = b"""{"meta": {"api-version": "1.4"}, "name": "ear-model", "files": [
        {"filename": "a.whl", "url": "../../f/a.whl", "hashes": {"sha256": "abc"}, "size": 3},
        {"filename": "b.whl", "url": "https://files.test/b.whl", "hashes": {}, "yanked": true}
    ]}"""
    assert read_page("application/vnd.pypi.simple.v1+json", content, PAGE) == [
        Link("a.whl", "https://index.test/f/a.whl", "abc"),
        Link("b.whl", "https://files.test/b.whl", None),
    ]


def test_an_html_page() -> None:
    content = b"""<html><head><title>x</title></head><body><h1>Links</h1>
        <a href="../../f/a%2Bcpu.whl#sha256=abc" data-requires-python="&gt;=3.9">a+cpu.whl</a>
        <a name="no-link">x</a><A HREF="https://files.test/b.whl#md5=1">b.whl</A></body>"""
    assert read_page("text/html; charset=UTF-8", content, PAGE) == [
        Link("a+cpu.whl", "https://index.test/f/a%2Bcpu.whl", "abc"),
        Link("b.whl", "https://files.test/b.whl", None),
    ]


def test_an_html_page_with_a_base() -> None:
    content = b'<base href="https://files.test/x/"><a href="a.whl">a.whl</a>'
    assert read_page("text/html", content, PAGE)[0].url == "https://files.test/x/a.whl"


@pytest.mark.parametrize("content", [b"<html>", b'{"files": 3}', b"[]"])
def test_a_page_that_is_none(content: bytes) -> None:
    with pytest.raises(ModelError, match="not a page of a package index"):
        read_page("application/vnd.pypi.simple.v1+json", content, PAGE)


def test_the_wheel_of_the_version_for_every_platform() -> None:
    names = [
        "ear_model-1.0.tar.gz",
        "ear_model-1.0.1-py3-none-any.whl",
        "ear_model-1.0-cp311-cp311-linux_x86_64.whl",
        "ear_model_other-1.0-py3-none-any.whl",
        "Ear_Model-1.0-py3-none-any.whl",
    ]
    links = [Link(name, name) for name in names]
    assert choose(links, "ear-model", "1.0") == links[-1]
    assert choose(links, "ear-model", "2.0") is None


def test_credentials_stay_on_their_host() -> None:
    index = "https://me:pw@index.test/simple/x/"
    assert with_credentials("https://index.test/f", index) == "https://me:pw@index.test/f"
    assert with_credentials("https://files.test/f", index) == "https://files.test/f"
    assert with_credentials("http://index.test/f", index) == "http://index.test/f"
    assert with_credentials("https://me:pw@index.test/f", index) == "https://me:pw@index.test/f"


async def test_the_indexs_credentials_are_sent(
    tmp_path: Path, index: LoopbackIndex, told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", index.simple.replace("//", "//me:pw@"))
    index.add_package("ear-model", "1.0", contents())
    page = index.pages["/simple/ear-model/"]
    page.content = page.content.replace(b"../../files/", index.url("/files/").encode())

    await ensure(["ear"], store=store_of(tmp_path, packaged()), progress=told)

    assert [seen.authorization for seen in index.seen] == ["Basic bWU6cHc="] * 2
    assert len(real_files(tmp_path)) == 2


# --- which index ---------------------------------------------------------------------------------


def _python(folder: Path, script: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put a shell script in the interpreter's place."""
    program = folder / "python"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(program))
    monkeypatch.delenv("PIP_INDEX_URL")


async def test_the_environment_comes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", "https://mirror.test/simple")
    assert await index_url() == "https://mirror.test/simple"


async def test_then_pips_configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _python(tmp_path, 'test "$2 $3 $4" = "pip config get" && echo https://set.test/', monkeypatch)
    assert await index_url() == "https://set.test/"


async def test_then_pips_default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _python(tmp_path, 'test "$1" = -c && echo https://default.test/simple', monkeypatch)
    assert await index_url() == "https://default.test/simple"


async def test_without_pip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _python(tmp_path, "exit 1", monkeypatch)
    with pytest.raises(ModelError, match="Set it to the address of an index"):
        await index_url()


async def test_an_index_that_is_no_web_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", "file:///srv/wheels")
    with pytest.raises(ModelError, match="only http and https"):
        await index_url()


# --- the pages' bounds ---------------------------------------------------------------------------


async def test_a_page_without_end_is_not_read_to_it(
    tmp_path: Path, index: LoopbackIndex, told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    index.add_package("ear-model", "1.0", contents())
    index.pages["/simple/ear-model/"].content += b" " * 3_000_000
    monkeypatch.setattr(web, "MAX_PAGE_BYTES", 1000)

    with pytest.raises(ModelError, match="longer than 1000 bytes"):
        await ensure(["ear"], store=store_of(tmp_path, packaged()), progress=told)


async def test_certificates_that_are_none(
    tmp_path: Path, told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_CERT", str(tmp_path / "absent.pem"))
    with pytest.raises(ModelError, match="PIP_CERT"):
        await ensure(["ear"], store=store_of(tmp_path, packaged()), progress=told)
