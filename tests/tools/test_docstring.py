from __future__ import annotations

from voicecore.tools.docstring import read

DOCSTRING = """Look up the weather.

    For the next three
    days.

    Args:
        place (str): A city,
            or a village.
        days: How many: one to three.

    Returns:
        Words.
    """


def test_a_docstring_is_taken_apart() -> None:
    found = read(DOCSTRING)
    assert found.tool == "Look up the weather.\nFor the next three days."
    assert found.parameters == {
        "place": "A city, or a village.",
        "days": "How many: one to three.",
    }


def test_what_has_no_sections_is_all_description() -> None:
    assert read("Say: hello.").tool == "Say: hello."
    assert read("Say hello.").parameters == {}
    assert read("").tool == ""


def test_a_section_title_is_a_line_of_its_own() -> None:
    assert read("Add. Args: none.\n\nRaises:\n    ToolError: it cannot.").tool == "Add. Args: none."
