"""File names of sessions: plain, short, and different for different ids on any file system."""

from hypothesis import given
from hypothesis import strategies as st

from voicecore.store import MAX_ID_CHARS
from voicecore.store.names import file_stem

IDS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=MAX_ID_CHARS)


@given(IDS)
def test_file_names_are_plain_and_short(session_id: str) -> None:
    stem = file_stem(session_id)
    assert len(stem) <= 120
    assert set(stem) <= set("abcdefghijklmnopqrstuvwxyz0123456789-_%~")


@given(IDS, st.data())
def test_no_two_ids_share_a_file_name(session_id: str, data: st.DataObject) -> None:
    variants = st.sampled_from([session_id.upper(), session_id.lower(), session_id + "x"])
    other = data.draw(IDS | variants | st.just(file_stem(session_id)))
    assert (file_stem(session_id) == file_stem(other)) == (session_id == other)
