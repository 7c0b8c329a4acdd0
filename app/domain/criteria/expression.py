"""Criteria as data: a small typed expression over what may be known of a home and its people.

A node holds one key that says what it is: `{"all": […]}`, `{"any": […]}`, `{"none": […]}` join
others; `{"someone": …}` is about the people of a home; the rest are tests.
"""

from collections.abc import Iterator
from enum import StrEnum
from typing import Annotated, Any, Final, Union

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    StrictBool,
    StrictInt,
    Tag,
    model_validator,
)

from app.domain.base import line

MOST_CRITERIA: Final = 20
MOST_NODES: Final = 100
DEEPEST: Final = 6


def _short(value: float) -> float:
    """A whole number stays one: 60 is not shown as 60.0."""
    return int(value) if value.is_integer() else value


Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$", max_length=60)]
Word = Annotated[str, Field(pattern=r"^[a-z0-9]+( [a-z0-9]+)*$", max_length=40)]
Whole = Annotated[StrictInt, Field(ge=0, le=1_000)]
Limit = Annotated[
    float,
    Field(ge=-1_000_000_000, le=1_000_000_000, allow_inf_nan=False, strict=True),
    AfterValidator(_short),
]
ProgramCode = Annotated[str, Field(pattern=r"^[A-Z0-9_]+$", max_length=40)]
Place = Annotated[str, Field(pattern=r"^[0-9]{2}(\.[0-9]{2}(\.[0-9]{2}(\.[0-9]{4})?)?)?$",
    max_length=13)]  # fmt: skip


class Node(BaseModel):
    """What every node has: no key beside those it knows."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_by_name=True)


class Range(Node):
    """From `at_least` to `at_most`, both included; one of them may be absent."""

    at_least: Whole | None = None
    at_most: Whole | None = None

    @model_validator(mode="after")
    def _somewhere(self) -> "Range":
        if self.at_least is None and self.at_most is None:
            raise ValueError("missing")
        return self


class AllOf(Node):
    """Every part holds."""

    of: Annotated[list["Expression"], Field(alias="all", min_length=1, max_length=50)]


class AnyOf(Node):
    """At least one part holds."""

    of: Annotated[list["Expression"], Field(alias="any", min_length=1, max_length=50)]


class NoneOf(Node):
    """No part holds."""

    of: Annotated[list["Expression"], Field(alias="none", min_length=1, max_length=50)]


class Someone(Node):
    """It holds for at least one person who lives in the home."""

    someone: "Expression"


class FactTest(Node):
    """A fact of the home or the person: exactly one way of comparing, or both ends of a range.

    `is` for yes/no, `in` for options, `at_least` and `at_most` for numbers, `contains` (any of the
    words, letters of a-z in any case) for texts.
    """

    fact: Name
    is_: Annotated[StrictBool | None, Field(alias="is")] = None
    in_: Annotated[list[Name] | None, Field(alias="in", max_length=40)] = None
    at_least: Limit | None = None
    at_most: Limit | None = None
    contains: Annotated[list[Word], Field(min_length=1, max_length=20)] | None = None

    @model_validator(mode="after")
    def _one_way(self) -> "FactTest":
        limits = self.at_least is not None or self.at_most is not None
        ways = (self.is_ is not None, self.in_ is not None, limits, self.contains is not None)
        if sum(ways) != 1:
            raise ValueError("test_ambiguous")
        return self


class AgeTest(Node):
    """Age in whole years on the day."""

    age: Range


class DecileTest(Node):
    """The home's welfare decile, 1 (poorest) to 10; a percentile is read as its decile."""

    decile: Range


class RegionTest(Node):
    """The home lies in one of the regions, by whole segments of their codes."""

    region: Annotated[list[Place], Field(min_length=1, max_length=100)]


class RegisteredTest(Node):
    """The home is in the registry as its centre knows it, not only added here."""

    registered: StrictBool


class RecipientTest(Node):
    """The home, or anybody in it, takes part in one of the programmes on the day."""

    recipient_of: Annotated[list[ProgramCode], Field(min_length=1, max_length=40)]


class NationalIdTest(Node):
    """Whether the registry has a national id of the person."""

    national_id: StrictBool


KINDS: Final[dict[str, type[Node]]] = {
    "all": AllOf, "any": AnyOf, "none": NoneOf, "someone": Someone, "fact": FactTest,
    "age": AgeTest, "decile": DecileTest, "region": RegionTest, "registered": RegisteredTest,
    "recipient_of": RecipientTest, "national_id": NationalIdTest,
}  # fmt: skip
# Before a tag that is no part of the JSON: pointers leave it out.
MARK: Final = ":"


def _tag(value: Any) -> str | None:
    """Which node it is, by the one key that says so."""
    if isinstance(value, Node):
        return next(MARK + name for name, kind in KINDS.items() if type(value) is kind)
    found = [name for name in KINDS if isinstance(value, dict) and name in value]
    return MARK + found[0] if len(found) == 1 else None


def _shallow(value: Any) -> Any:
    """Refuse what is too deep before anything walks down it."""
    level, depth = [value], 0
    while level := [
        child
        for one in level
        if isinstance(one, dict)
        for part in (one.get("all"), one.get("any"), one.get("none"), one.get("someone"))
        for child in (part if isinstance(part, list) else [part])
        if child is not None
    ]:
        depth += 1
        if depth >= DEEPEST:
            raise ValueError("too_deep")
    return value


Expression = Annotated[
    Union[  # noqa: UP007 - a union of annotated types, by their tags
        Annotated[AllOf, Tag(":all")],
        Annotated[AnyOf, Tag(":any")],
        Annotated[NoneOf, Tag(":none")],
        Annotated[Someone, Tag(":someone")],
        Annotated[FactTest, Tag(":fact")],
        Annotated[AgeTest, Tag(":age")],
        Annotated[DecileTest, Tag(":decile")],
        Annotated[RegionTest, Tag(":region")],
        Annotated[RegisteredTest, Tag(":registered")],
        Annotated[RecipientTest, Tag(":recipient_of")],
        Annotated[NationalIdTest, Tag(":national_id")],
    ],
    Discriminator(_tag),
]
for _kind in (AllOf, AnyOf, NoneOf, Someone):
    _kind.model_rebuild()


class Status(StrEnum):
    """Where a criterion comes from: a rule that was published, or our reading of it."""

    OFFICIAL = "official"
    ASSUMED = "assumed"


class Criterion(Node):
    """One criterion: what it says to people, where it comes from, and when it is met."""

    text_id: line(300)  # type: ignore[valid-type]
    text_en: line(300)  # type: ignore[valid-type]
    status: Status
    when: Annotated[Expression, BeforeValidator(_shallow)]


class Rule(Node):
    """The criteria of a programme. All must be met."""

    criteria: Annotated[list[Criterion], Field(min_length=1, max_length=MOST_CRITERIA)]

    def plain(self) -> list[dict[str, Any]]:
        """The criteria as JSON, as they were written."""
        return [
            one.model_dump(mode="json", by_alias=True, exclude_none=True) for one in self.criteria
        ]


def walk(node: Expression, pointer: str = "") -> Iterator[tuple[str, Expression]]:
    """A node and all below it, each with its pointer."""
    yield pointer, node
    for step, child in children(node):
        yield from walk(child, f"{pointer}{step}")


def children(node: Expression) -> Iterator[tuple[str, Expression]]:
    """What a node joins, each with the steps that lead there."""
    if isinstance(node, AllOf | AnyOf | NoneOf):
        name = {AllOf: "all", AnyOf: "any", NoneOf: "none"}[type(node)]
        yield from ((f"/{name}/{n}", child) for n, child in enumerate(node.of))
    elif isinstance(node, Someone):
        yield "/someone", node.someone
