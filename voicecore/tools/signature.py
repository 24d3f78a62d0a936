"""A function's signature as a schema for a model, and the check of what the model writes by it."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable, Mapping
from typing import Annotated, Any, cast, get_type_hints

import attrs
from pydantic import ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.errors import PydanticUserError
from pydantic.fields import FieldInfo
from pydantic.json_schema import GenerateJsonSchema
from pydantic_core import ErrorDetails

from voicecore.errors import ConfigError
from voicecore.tools.tool import ToolContext, ToolError

MAX_PROBLEMS = 3
"""Wrong arguments told at once: a model mends these first, and meets the others at its next try."""

MAX_PROBLEM_CHARS = 300
"""Of one wrong argument or foreign error: what it quotes may be of any length."""


class _Schema(GenerateJsonSchema):
    """Without the titles that pydantic gives to every field: they only repeat the names."""

    def field_title_should_be_set(self, schema: Any) -> bool:  # noqa: ARG002
        return False


@attrs.frozen(eq=False)
class Signature:
    """What a function takes."""

    arguments: TypeAdapter[Any]
    """From a dictionary to an object with one attribute for each argument."""
    names: tuple[str, ...]
    optional: frozenset[str]
    contexts: tuple[str, ...]
    """Parameters that get the context."""

    def schema(self) -> Mapping[str, object]:
        schema = self.arguments.json_schema(schema_generator=_Schema)
        del schema["title"]
        return schema

    def checked(self, name: str, arguments: Mapping[str, object]) -> Mapping[str, object]:
        """Bring the arguments of a call of the tool ``name`` into the function's types.

        Raises:
            ToolError: they do not fit.
        """
        # Models write null for what they do not want to give.
        given = {
            key: value
            for key, value in arguments.items()
            if value is not None or key not in self.optional
        }
        try:
            return dict(vars(self.arguments.validate_python(given)))
        except ValidationError as error:
            problems = error.errors(include_url=False, include_context=False, include_input=False)
            # Not `from error`: what it quotes may be of any length.
            raise ToolError(_told(name, problems, self.names)) from None


def read(function: Callable[..., object], what: str, told: Mapping[str, str]) -> Signature:
    """Read a function's signature.

    Args:
        function: Its parameters, save those annotated `ToolContext`, become the arguments.
        what: The function, for the error's text.
        told: Descriptions of parameters whose annotations have none.

    Raises:
        ConfigError: a parameter is of no use to a model; says which and why.
    """
    try:
        hints = get_type_hints(function, include_extras=True)
        parameters = inspect.signature(function).parameters.values()
    except (AttributeError, NameError, SyntaxError, TypeError, ValueError) as error:
        raise ConfigError(
            f"{what}: its annotations cannot be read ({error}). What they name must be in "
            "the module when the program runs, not only under TYPE_CHECKING or in a function."
        ) from error
    fields: list[tuple[str, Any, FieldInfo]] = []
    contexts: list[str] = []
    for parameter in parameters:
        name = parameter.name
        if parameter.kind not in {parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY}:
            raise ConfigError(f"{what}: a model names its arguments, so {parameter} is of no use.")
        if name not in hints:
            raise ConfigError(f"{what}: the parameter {name!r} has no type; annotate it.")
        if hints[name] is ToolContext:
            contexts.append(name)
        else:
            fields.append((name, _described(hints[name], told.get(name)), _field(parameter)))
    return Signature(
        arguments=_adapter(what, fields),
        names=tuple(name for name, *_ in fields),
        optional=frozenset(name for name, _, field in fields if not field.is_required()),
        contexts=tuple(contexts),
    )


def _described(annotation: Any, text: str | None) -> Any:
    if text is None or FieldInfo.from_annotation(annotation).description is not None:
        return annotation
    return Annotated[annotation, Field(description=text)]


def _field(parameter: inspect.Parameter) -> FieldInfo:
    if isinstance(parameter.default, FieldInfo):
        return parameter.default
    if parameter.default is parameter.empty:
        return cast("FieldInfo", Field())
    return cast("FieldInfo", Field(default=parameter.default))


def _adapter(what: str, fields: list[tuple[str, Any, FieldInfo]]) -> TypeAdapter[Any]:
    # A dataclass, because a model's own attributes (copy, json, schema) would be taken as names.
    # Models often write a number where text is wanted: coerce_numbers_to_str.
    options = ConfigDict(extra="forbid", coerce_numbers_to_str=True)
    arguments = dataclasses.make_dataclass(
        "Arguments", fields, kw_only=True, namespace={"__pydantic_config__": options}
    )
    try:
        adapter: TypeAdapter[Any] = TypeAdapter(arguments)
        adapter.json_schema()
    except PydanticUserError as error:
        reason = short(error.message.partition("\n")[0])
        raise ConfigError(f"{what}: a parameter's type has no JSON schema. {reason}") from error
    return adapter


def _told(name: str, problems: list[ErrorDetails], names: tuple[str, ...]) -> str:
    """Say what is wrong with the arguments, in words that a model can mend them by."""
    lines = [f"- {short(_problem(problem))}" for problem in problems[:MAX_PROBLEMS]]
    if len(problems) > MAX_PROBLEMS:
        lines.append(f"- and {len(problems) - MAX_PROBLEMS} more")
    known = f"takes {', '.join(names)}" if names else "takes no arguments"
    return "\n".join([f"Nothing was done: {name} {known}.", *lines])


def _problem(problem: ErrorDetails) -> str:
    where = ".".join(str(part)[:60] for part in problem["loc"])
    match problem["type"]:
        case "missing":
            return f"{where} is missing"
        case "unexpected_keyword_argument" | "extra_forbidden":
            return f"{where} is not one of its arguments"
        case _:
            return f"{where}: {problem['msg'].removeprefix('Value error, ')}"


def short(text: str) -> str:
    """Make one line of a text that may have any length."""
    text = " ".join(text[: 4 * MAX_PROBLEM_CHARS].split())
    return text if len(text) <= MAX_PROBLEM_CHARS else f"{text[: MAX_PROBLEM_CHARS - 1]}…"
