"""Which files the page consists of, how they are served, and to whom."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.harness import Stage, open_stage
from voicecore import api, page
from voicecore.config import Config, ServerConfig
from voicecore.page import Page, matches


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    static = tmp_path / "static"
    (static / "core").mkdir(parents=True)
    (static / "index.html").write_text("<!doctype html>")
    (static / "app.js").write_text('import "./core/a.js";')
    (static / "core" / "a.js").write_text("// 小天")
    (static / "core" / "a.js~").write_text("an editor's copy")
    (tmp_path / "secret.js").write_text("of somebody else")
    monkeypatch.setattr(api, "PAGE", Page(static))
    return static


@pytest.mark.parametrize(
    ("path", "content_type", "body"),
    [
        ("/", "text/html; charset=utf-8", "<!doctype html>"),
        ("/page/app.js", "text/javascript; charset=utf-8", 'import "./core/a.js";'),
        ("/page/core/a.js", "text/javascript; charset=utf-8", "// 小天"),
    ],
)
async def test_the_page_is_served(folder: Path, path: str, content_type: str, body: str) -> None:
    async with open_stage() as stage:
        status, headers, content = await stage.request(path)
        assert (status, content.decode()) == (200, body)
        assert headers["content-type"] == content_type
        status, head, content = await stage.request(path, "HEAD")
        assert (status, content) == (200, b"")
        assert head == headers


@pytest.mark.parametrize(
    "path",
    [
        "/page/", "/page/index.html", "/page/core", "/page/nothing.js", "/page/core/a.js~",
        "/page/../secret.js", "/page/core/../../../secret.js", "/page/%2e%2e/secret.js",
        "/page/..%2fsecret.js", "/page//app.js", "/index.html", "/static/app.js", "/page",
    ],
)  # fmt: skip
async def test_nothing_but_the_files_of_the_page_is_served(folder: Path, path: str) -> None:
    async with open_stage() as stage:
        assert (await stage.get(path))[0] == 404


async def test_only_reading_is_allowed(folder: Path) -> None:
    async with open_stage() as stage:
        for path in ("/", "/page/app.js"):
            assert (await stage.get(path, "POST"))[0] == 405


async def test_the_page_may_load_nothing_from_elsewhere(folder: Path) -> None:
    async with open_stage() as stage:
        for path in ("/", "/page/app.js"):
            _, headers, _ = await stage.request(path)
            policy = headers["content-security-policy"].split("; ")
            assert "default-src 'none'" in policy
            assert "script-src 'self'" in policy
            assert "frame-ancestors 'none'" in policy
            assert not any("unsafe" in rule or "http" in rule or "*" in rule for rule in policy)
            assert headers["x-content-type-options"] == "nosniff"
            assert headers["referrer-policy"] == "no-referrer"
            assert "microphone=(self)" in headers["permissions-policy"]
            assert "geolocation=()" in headers["permissions-policy"]
            assert headers["cross-origin-opener-policy"] == "same-origin"
            assert headers["cross-origin-resource-policy"] == "same-origin"


async def test_what_a_browser_has_is_not_sent_again_until_it_changes(folder: Path) -> None:
    async with open_stage() as stage:
        _, first, _ = await stage.request("/page/app.js")
        assert first["cache-control"] == "no-cache"
        status, again, body = await stage.request("/page/app.js", if_none_match=first["etag"])
        assert (status, body, again["etag"]) == (304, b"", first["etag"])
        (folder / "app.js").write_text("// changed")
        status, _, body = await stage.request("/page/app.js", if_none_match=first["etag"])
        assert (status, body) == (200, b"// changed")


async def test_a_file_that_comes_or_goes_while_the_host_runs_does_so_for_the_page(
    folder: Path,
) -> None:
    async with open_stage() as stage:
        assert (await stage.get("/page/new.css"))[0] == 404
        (folder / "new.css").write_text("a{}")
        assert await stage.get("/page/new.css") == (200, b"a{}")
        (folder / "new.css").unlink()
        assert (await stage.get("/page/new.css"))[0] == 404


@pytest.mark.parametrize(
    ("told", "same"),
    [
        ('"a"', True), ('W/"a"', True), ('"b", "a"', True), ("*", True),
        ('"b"', False), ("", False), ("a", False),
    ],
)  # fmt: skip
def test_tags_are_compared_weakly(told: str, same: bool) -> None:
    assert matches(told, '"a"') is same


async def asked_as(stage: Stage, name: str, path: str) -> int:
    return (await stage.get(path, host=name))[0]


@pytest.mark.parametrize(
    "path", ["/", "/page/app.js", "/api/characters", "/api/conversations?character=default"]
)
async def test_a_name_that_others_own_is_no_name_of_this_host(folder: Path, path: str) -> None:
    """DNS rebinding: their page would be of the same origin, and could read what it gets."""
    config = Config(server=ServerConfig(allowed_hosts=("kiosk.example",)))
    async with open_stage(config=config) as stage:
        for name in ("localhost:3000", "127.0.0.1:3000", "[::1]:3000", "Kiosk.Example"):
            assert await asked_as(stage, name, path) == 200
        for name in ("evil.example", "evil.example:3000", "127.0.0.1.evil.example", "[", "a@b"):
            assert await asked_as(stage, name, path) == 421
        _, body = await stage.get(path, host="evil.example")
        assert b"'evil.example'" in body
        assert b"server.allowed_hosts" in body


async def test_programs_that_watch_the_host_may_call_it_anything(folder: Path) -> None:
    async with open_stage() as stage:
        for path in ("/healthz", "/metrics"):
            assert await asked_as(stage, "voicecore.monitoring:3000", path) == 200


def test_the_shipped_page_is_complete_and_names_no_other_host() -> None:
    shipped = Page()
    assert shipped.file("/") is not None
    for path in page.STATIC.rglob("*"):
        if path.is_file():
            assert path.suffix in page.CONTENT_TYPES, f"{path.name} would not be served"
