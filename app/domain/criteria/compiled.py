"""The second reader of a rule: compiled to SQL, for a whole registry at once.

What is unknown is NULL, and SQL's own three values are those of `app.domain.criteria.reading`.
Both readers must say the same of every home; a property test holds them together.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from string import ascii_lowercase, ascii_uppercase
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY

from app.domain.base import within
from app.domain.criteria.expression import (
    AgeTest,
    AllOf,
    DecileTest,
    Expression,
    FactTest,
    NationalIdTest,
    NoneOf,
    Range,
    RecipientTest,
    RegionTest,
    RegisteredTest,
    Rule,
    Someone,
    children,
)
from app.domain.facts import FACTS, Level
from app.domain.households import Household, Member, Participation, Presence
from app.domain.registry_changes import ChangeKind, ChangeState, RegistryChange

# Who is there no longer is not screened, nor what was merged or has left the registry.
GONE: Final = (Presence.DEAD, Presence.MOVED, Presence.DUPLICATE, Presence.NOT_FOUND)
# Homes that were added here carry this source until the centre has them.
HERE: Final = "slrt"
H: Any = Household
M: Any = Member
P: Any = Participation
C: Any = RegistryChange
Column = sa.ColumnElement[Any]


@dataclass(frozen=True, slots=True)
class Asked:
    """A rule to be read over the registry. `of_person`: over its people one by one."""

    program_code: str
    of_person: bool
    rule: Rule


def standing() -> Any:
    """Homes that are screened."""
    return _is_there(H)


def living() -> Any:
    """People who are screened."""
    return _is_there(M)


def _is_there(row: Any) -> Any:
    present = sa.or_(row.presence.is_(None), row.presence.not_in(GONE))
    return sa.and_(row.ended_at.is_(None), row.merged_into.is_(None), present)


def takes_part(day: date) -> Any:
    """Participations that are under way on a day."""
    begun = sa.or_(P.began_on.is_(None), P.began_on <= day)
    return sa.and_(begun, sa.or_(P.ended_on.is_(None), P.ended_on > day))


def decile() -> Column:
    """A percentile is read as its decile."""
    return sa.func.coalesce(H.decile, (H.percentile + 9) // 10)


def registered() -> Column:
    """Known to the centre: it came with its registry, or was confirmed."""
    confirmed = sa.exists().where(
        C.household_id == H.id,
        C.kind == ChangeKind.ADD_HOUSEHOLD,
        C.state == ChangeState.CONFIRMED,
    )
    imported = sa.or_(H.registry_source != HERE, H.registry_version_id.is_not(None))
    return sa.case((imported, sa.true()), else_=confirmed)


def reached(bound: int, day: date) -> Column:
    """Whether an age reaches a bound: by the birth date, else by a year that may be one off."""
    by_year = sa.case(
        (M.birth_year <= day.year - 1 - bound, sa.true()),
        (M.birth_year > day.year + 1 - bound, sa.false()),
    )
    return sa.case((M.birth_date.is_not(None), M.birth_date <= born_by(bound, day)), else_=by_year)


def born_by(age: int, day: date) -> date:
    """The latest day of birth of those who have reached an age."""
    year = max(day.year - age, 1)
    try:
        return day.replace(year=year)
    except ValueError:
        # A 29th of February: who was born on the 28th has reached the age by then.
        return date(year, 2, 28)


@dataclass
class Compiling:
    """One statement under way: what its rules ask of the people of each home."""

    day: date
    someones: list[Column] = field(default_factory=list)

    def rule(self, rule: Rule) -> Column:
        return sa.and_(*(self.node(one.when) for one in rule.criteria))

    def node(self, node: Expression) -> Column:
        if isinstance(node, Someone):
            inner = self.node(node.someone)
            # Yes if one says yes, else unknown if one is unknown, else no: also for nobody at all.
            # Not `inner is null`: after a NOT that would be read as "not (… is null)".
            unknown = sa.func.bool_or(sa.func.num_nulls(inner) > 0)
            value = sa.case(
                (sa.func.bool_or(inner), sa.true()), (unknown, sa.null()), else_=sa.false()
            )
            self.someones.append(value.label(f"s{len(self.someones)}"))
            return sa.literal_column(f"home_people.s{len(self.someones) - 1}", sa.Boolean)
        parts = [self.node(child) for _, child in children(node)]
        if not parts:
            return self.test(node)
        if isinstance(node, AllOf):
            return sa.and_(*parts)
        return sa.not_(sa.or_(*parts)) if isinstance(node, NoneOf) else sa.or_(*parts)

    def test(self, node: Expression) -> Column:
        if isinstance(node, RegionTest):
            return within(Household, tuple(node.region))
        if isinstance(node, RegisteredTest):
            return registered() == node.registered
        if isinstance(node, RecipientTest):
            codes = sa.literal(node.recipient_of, ARRAY(sa.Text))
            taken: Column = TAKEN.bool_op("&&")(codes)
            return taken
        if isinstance(node, DecileTest):
            return _between(decile(), node.decile.at_least, node.decile.at_most)
        if isinstance(node, AgeTest):
            return self.age(node.age)
        if isinstance(node, NationalIdTest):
            has_one: Column = M.national_id_index.is_not(None) == node.national_id
            return has_one
        assert isinstance(node, FactTest)
        return _fact(node)

    def age(self, limits: Range) -> Column:
        ends = []
        if limits.at_least is not None:
            ends.append(reached(limits.at_least, self.day))
        if limits.at_most is not None:
            ends.append(sa.not_(reached(limits.at_most + 1, self.day)))
        return sa.and_(*ends)


# What a home takes part in, and what of it is not one person's: columns of `_taking`.
TAKEN: Final[Column] = sa.literal_column("home_taking.taken", ARRAY(sa.Text))
SHARED: Final[Column] = sa.literal_column("home_taking.shared", ARRAY(sa.Text))


def _fact(node: FactTest) -> Column:
    fact = FACTS[node.fact]
    facts = H.facts if fact.level is Level.HOUSEHOLD else M.facts
    text: Column = facts[node.fact].astext
    if node.is_ is not None:
        return text == ("true" if node.is_ else "false")
    if node.in_ is not None:
        return text.in_(node.in_)
    if node.contains is not None:
        lower = sa.func.translate(text, ascii_uppercase, ascii_lowercase)
        return sa.or_(*(sa.func.strpos(lower, word) > 0 for word in node.contains))
    # Guarded: one value that is no number must not fail the whole registry.
    number = sa.case(
        (sa.func.jsonb_typeof(facts[node.fact]) == "number", sa.cast(text, sa.Numeric))
    )
    return _between(number, _exact(node.at_least), _exact(node.at_most))


def _exact(value: float | None) -> Decimal | None:
    return None if value is None else Decimal(repr(value))


def _between(value: Column, at_least: Any, at_most: Any) -> Column:
    ends = [value >= at_least] if at_least is not None else []
    return sa.and_(*ends, *([value <= at_most] if at_most is not None else []))


def screened(
    asked: Sequence[Asked], day: date, regions: tuple[str, ...], columns: Sequence[Column] = ()
) -> sa.Select[Any]:
    """A statement over the homes (or, for rules of people, the people) of the regions.

    Its columns are `columns`, then for each rule `v0`, `v1`, … (eligible: yes, no or NULL) and
    `t0`, `t1`, … (whether they take part already). All rules are of homes, or all of people.
    """
    of_person = asked[0].of_person
    assert all(one.of_person is of_person for one in asked)
    making = Compiling(day)
    verdicts: list[Column] = []
    for n, one in enumerate(asked):
        verdicts.append(making.rule(one.rule).label(f"v{n}"))
        verdicts.append(_takes(one, day).label(f"t{n}"))
    source: Any = sa.join(Household, _taking(day), sa.true())
    if making.someones:
        source = source.join(_people(making.someones), sa.true())
    statement = sa.select(*columns, *verdicts)
    if of_person:
        source = source.join(Member, M.household_id == H.id)
        statement = statement.where(living())
    return statement.select_from(source).where(standing(), within(Household, regions))


def _taking(day: date) -> Any:
    """What each home takes part in, in one row."""
    code = P.program_code
    nothing: Any = sa.literal_column("cast('{}' as text[])", ARRAY(sa.Text))
    taken = sa.func.array_agg(sa.cast(code, sa.Text))
    shared = taken.filter(P.member_id.is_(None))
    return (
        sa.select(
            sa.func.coalesce(taken, nothing).label("taken"),
            sa.func.coalesce(shared, nothing).label("shared"),
        )
        .where(P.household_id == H.id, takes_part(day))
        .correlate(Household)
        .lateral("home_taking")
    )


def _people(someones: list[Column]) -> Any:
    """What is so of somebody in each home, in one row."""
    statement = sa.select(*someones).where(M.household_id == H.id, living())
    return statement.correlate(Household).lateral("home_people")


def _takes(asked: Asked, day: date) -> Column:
    code = sa.cast(sa.literal(asked.program_code), sa.Text)
    home = code == sa.any_(TAKEN)
    if not asked.of_person:
        return home
    own = sa.exists().where(
        P.household_id == H.id,
        P.member_id == M.id,
        P.program_code == asked.program_code,
        takes_part(day),
    )
    # Few homes take part at all: only for those is it asked who of them.
    return sa.case((home, sa.or_(code == sa.any_(SHARED), own)), else_=sa.false())


def sub_region(region: str) -> Column:
    """The column of the regions directly under one; a village has none and is its own."""
    levels = (H.regency_code, H.district_code, H.village_code, H.village_code)
    column: Column = levels[region.count(".")]
    return column
