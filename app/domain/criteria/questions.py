"""Which question of the home visit settles what a rule asks for."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from pydantic import BaseModel

from app.domain.facts import FACTS, Level
from app.domain.survey_forms import CURRENT, v1


@dataclass(frozen=True, slots=True)
class Question:
    """A question of the survey: its place in the answers, its words, and the form that asks it."""

    id: str
    text_id: str
    text_en: str
    form_version: str


def _questions(form: type[BaseModel], prefix: str) -> Mapping[str, Question]:
    found = {}
    for name, asked in form.model_fields.items():
        extra: Any = asked.json_schema_extra
        words = extra["x-labels"]
        found[name] = Question(f"{prefix}{name}", words["id"], words["en"], CURRENT)
    return found


_OF_HOME: Final = _questions(v1.Answers, "")
_OF_PERSON: Final = _questions(v1.Member, "members.")


def question_of(name: str) -> Question | None:
    """The question that asks for a fact, or for `birth_date`; None where the survey has none."""
    of_home = name in FACTS and FACTS[name].level is Level.HOUSEHOLD
    return (_OF_HOME if of_home else _OF_PERSON).get(name)
