from __future__ import annotations

import pytest

from voicecore.errors import ModelError
from voicecore.weights.download import Body, StartAgain, read_head, request_headers
from voicecore.weights.web import TryAgain, shown

URL = "https://user:secret@example.test/x"


def test_the_first_request_asks_for_everything() -> None:
    assert request_headers(0) == {"Accept-Encoding": "identity"}
    assert request_headers(7) == {"Accept-Encoding": "identity", "Range": "bytes=7-"}


@pytest.mark.parametrize(
    ("status", "headers", "expected"),
    [
        (200, {"Content-Length": "100"}, Body(0, 100)),
        (200, {}, Body(0, None)),
        (206, {"Content-Range": "bytes 40-99/100"}, Body(40, 100)),
        (206, {"Content-Range": "bytes 40-99/*"}, Body(40, None)),
        (416, {"Content-Range": "bytes */40"}, None),
    ],
)
def test_usable_answers(status: int, headers: dict[str, str], expected: Body | None) -> None:
    assert read_head(status, headers, 40, URL) == expected


@pytest.mark.parametrize(
    ("status", "headers"),
    [
        (206, {"Content-Range": "bytes 0-99/100"}),
        (206, {}),
        (416, {"Content-Range": "bytes */30"}),
        (416, {}),
    ],
)
def test_what_does_not_fit_is_begun_again(status: int, headers: dict[str, str]) -> None:
    with pytest.raises(StartAgain):
        read_head(status, headers, 40, URL)


@pytest.mark.parametrize("status", [408, 429, 500, 503])
def test_a_server_in_trouble_is_tried_again(status: int) -> None:
    with pytest.raises(TryAgain):
        read_head(status, {}, 0, URL)


@pytest.mark.parametrize("status", [401, 403, 404, 410])
def test_a_refusal_is_final_and_shows_no_password(status: int) -> None:
    with pytest.raises(ModelError) as caught:
        read_head(status, {}, 0, URL)
    assert str(status) in str(caught.value)
    assert "secret" not in str(caught.value)


def test_a_url_is_shown_without_its_password() -> None:
    assert shown(URL) == "https://example.test/x"
