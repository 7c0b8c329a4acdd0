"""The forms of the home visit by version: schema, example, and what is wrong in answers."""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from types import MappingProxyType
from typing import Any, Final

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from app.domain.survey_forms import v1

Param = str | int | float


@dataclass(frozen=True)
class AnswerProblem:
    """What is wrong, where, and the limit that was passed; never the value that was typed."""

    pointer: str
    code: str
    params: dict[str, Param] = field(default_factory=dict)


@dataclass(frozen=True)
class SurveyForm:
    """One version: its fields, its rules across fields, and the same rules in JSON Schema."""

    version: str
    valid_from: date
    answers: type[BaseModel]
    rules: Callable[[object], Iterator[tuple[str, str]]] = field(repr=False)
    rules_as_schema: Callable[[dict[str, Any]], dict[str, Any]] = field(repr=False)
    sample: Callable[[], dict[str, Any]] = field(repr=False)

    def json_schema(self) -> dict[str, Any]:
        """Draft 2020-12, without `$ref`, so that any part can be shown or embedded by itself."""
        generated = self.answers.model_json_schema()
        schema: dict[str, Any] = _inlined(generated, generated["$defs"])
        return {
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            **self.rules_as_schema(schema),
            "title": f"Home visit survey {self.version}",
        }

    def problems(self, answers: object) -> list[AnswerProblem]:
        """Every reason why these answers cannot be submitted yet; none for a complete survey."""
        found = [*self._problems_of_fields(answers), *self._problems_across_fields(answers)]
        return list({(problem.pointer, problem.code): problem for problem in found}.values())

    def draft_problems(self, answers: object) -> list[AnswerProblem]:
        """As `problems`, but a draft may be unfinished: what is not answered yet is no problem."""
        return [problem for problem in self.problems(answers) if problem.code not in UNFINISHED]

    def example(self, visited_at: datetime) -> dict[str, Any]:
        """A complete body of the survey, ready to be sent; `visited_at` must know its time zone."""
        if visited_at.tzinfo is None:
            raise ValueError("visited_at has no time zone")
        at = visited_at.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="seconds")
        return {"form_version": self.version, "visited_at": f"{at}Z", **self.sample()}

    def _problems_of_fields(self, answers: object) -> Iterator[AnswerProblem]:
        try:
            self.answers.model_validate(answers)
        except ValidationError as refused:
            yield from map(_problem, refused.errors(include_url=False))

    def _problems_across_fields(self, answers: object) -> Iterator[AnswerProblem]:
        for pointer, code in self.rules(answers):
            yield AnswerProblem(pointer, code)


# pydantic's name of an error → our code, and the limits worth telling by pydantic's name and ours
_CODES: Final[Mapping[str, tuple[str, Mapping[str, str]]]] = {
    "missing": ("missing", {}),
    "string_too_short": ("missing", {}),  # an empty text, an empty list: nothing was answered
    "too_short": ("missing", {}),
    "extra_forbidden": ("unknown_field", {}),
    "enum": ("not_an_option", {"expected": "options"}),
    "string_too_long": ("too_long", {"max_length": "max"}),
    "too_long": ("too_many", {"max_length": "max"}),
    "greater_than_equal": ("too_small", {"ge": "min"}),
    "less_than_equal": ("too_large", {"le": "max"}),
    "finite_number": ("too_large", {}),
    "string_pattern_mismatch": ("invalid_format", {"pattern": "pattern"}),
    "date_format": ("invalid_format", {"format": "format"}),
    "string_type": ("wrong_type", {}),
    "option_type": ("wrong_type", {}),
    "bool_type": ("wrong_type", {}),
    "int_type": ("wrong_type", {}),
    "float_type": ("wrong_type", {}),
    "date_type": ("wrong_type", {}),
    "list_type": ("wrong_type", {}),
    "model_type": ("wrong_type", {}),
}
_OTHER: Final = ("invalid", MappingProxyType[str, str]({}))

PROBLEM_CODES: Final = frozenset(code for code, _ in (*_CODES.values(), _OTHER)) | v1.RULE_CODES
UNFINISHED: Final = frozenset({"missing", "no_head"})  # what a draft may have

# A name that no field of ours could have may be a person's: it is not repeated.
_LIKE_A_FIELD: Final = re.compile(r"[a-z][a-z0-9_]{0,63}")


def _problem(error: ErrorDetails) -> AnswerProblem:
    path, (code, limits) = error["loc"], _CODES.get(error["type"], _OTHER)
    if code == "unknown_field" and not _LIKE_A_FIELD.fullmatch(str(path[-1])):
        path = path[:-1]
    if error["input"] is None and path and isinstance(path[-1], str):
        code, limits = "missing", {}  # null, where an answer is needed
    told = error.get("ctx", {})
    return AnswerProblem(
        pointer="".join(f"/{part}" for part in path),
        code=code,
        params={ours: told[theirs] for theirs, ours in limits.items()},
    )


def _inlined(node: Any, definitions: Mapping[str, Any]) -> Any:
    if isinstance(node, list):
        return [_inlined(item, definitions) for item in node]
    if not isinstance(node, dict):
        return node
    target = definitions[node["$ref"].rpartition("/")[2]] if "$ref" in node else {}
    merged = {**target, **node}
    return {k: _inlined(v, definitions) for k, v in merged.items() if k not in ("$ref", "$defs")}


FORMS: Final[Mapping[str, SurveyForm]] = MappingProxyType(
    {
        "2026-1": SurveyForm(
            version="2026-1",
            valid_from=date(2026, 1, 1),
            answers=v1.Answers,
            rules=v1.rules,
            rules_as_schema=v1.rules_as_schema,
            sample=v1.sample,
        )
    }
)
CURRENT: Final = "2026-1"
