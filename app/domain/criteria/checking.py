"""Whether a rule makes sense: facts that exist, values that fit, and neither nobody nor everybody.

Contradictions are found by writing an expression as alternatives, each a set of values that every
fact may have. What would need too many alternatives is let through: it is odd, not wrong.
"""

import math
from collections.abc import Iterator, Mapping
from typing import Any, Final

from app.domain.base import contains
from app.domain.criteria.expression import (
    MOST_NODES,
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
    walk,
)
from app.domain.errors import Fault
from app.domain.facts import FACTS, Fact, Level
from app.domain.survey_forms.v1 import Option

MOST_ALTERNATIVES: Final = 500
OLDEST: Final = 130
# What a variable may be: a set of values, or closed intervals of numbers.
Span = tuple[tuple[float, float], ...]
Domain = frozenset[Any] | Span
Variable = tuple[str, str]
Alternative = Mapping[Variable, Domain]
YES, NO = frozenset({True}), frozenset({False})


def faults(rule: Rule, of_person: bool) -> list[Fault]:
    """What is wrong with a rule, each with a pointer into it.

    `of_person`: the programme is for single people, so their facts may be asked for directly.
    """
    nodes = [
        (f"/criteria/{n}/when{pointer}", node)
        for n, one in enumerate(rule.criteria)
        for pointer, node in walk(one.when)
    ]
    if len(nodes) > MOST_NODES:
        return [Fault("too_many", "/criteria", params={"max": MOST_NODES})]
    found = [
        Fault(code, pointer)
        for n, one in enumerate(rule.criteria)
        for pointer, code in _misplaced(one.when, f"/criteria/{n}/when", of_person, False)
    ]
    found += [fault for pointer, node in nodes for fault in _misfits(pointer, node)]
    return found or list(_senseless(rule))


def _misplaced(
    node: Expression, pointer: str, of_person: bool, inside: bool
) -> Iterator[tuple[str, str]]:
    """Facts of people where no person is meant, and facts of homes where one is."""
    if isinstance(node, FactTest) and node.fact not in FACTS:
        # It is told about by itself.
        return
    if isinstance(node, Someone):
        if inside:
            yield pointer, "someone_in_someone"
        inside = of_person = True
    elif inside and not is_about_person(node):
        yield pointer, "not_about_a_person"
    elif not of_person and is_about_person(node) and not list(children(node)):
        yield pointer, "needs_someone"
    for step, child in children(node):
        yield from _misplaced(child, f"{pointer}{step}", of_person, inside)


def is_about_person(node: Expression) -> bool:
    """Whether a test asks for something of a person; what joins others may be about anything."""
    if isinstance(node, FactTest):
        return FACTS[node.fact].level is Level.MEMBER
    return not isinstance(node, DecileTest | RegionTest | RegisteredTest | RecipientTest)


def _misfits(pointer: str, node: Expression) -> Iterator[Fault]:
    if not isinstance(node, FactTest):
        return
    fact = FACTS.get(node.fact)
    if fact is None:
        yield Fault("unknown_fact", f"{pointer}/fact")
        return
    way = _way(fact)
    if way == "in" and node.in_ is not None:
        known = {str(one) for one in fact.kind}
        for n, value in enumerate(node.in_):
            if value not in known:
                options = ", ".join(sorted(known))
                yield Fault("not_an_option", f"{pointer}/in/{n}", params={"options": options})
        return
    limits = {"at_least": node.at_least, "at_most": node.at_most}
    asked = {"is": node.is_, "in": node.in_, "contains": node.contains, **limits}
    for name, given in asked.items():
        if given is None:
            continue
        fits = name == way or (way == "number" and name in limits)
        if not fits or (fact.kind is int and isinstance(given, float)):
            yield Fault("wrong_type", f"{pointer}/{name}")


def _way(fact: Fact) -> str:
    if issubclass(fact.kind, Option):
        return "in"
    return {bool: "is", str: "contains"}.get(fact.kind, "number")


class TooMany(Exception):
    """More alternatives than are worth looking at."""


def _senseless(rule: Rule) -> Iterator[Fault]:
    for n, one in enumerate(rule.criteria):
        pointer = f"/criteria/{n}/when"
        yield from (Fault("contradictory", at) for at in _impossible(one.when, pointer))
        if _never(one.when, holds=False):
            yield Fault("takes_everyone", pointer)
    whole = AllOf(of=[one.when for one in rule.criteria])
    if _never(whole) and not any(_never(one.when) for one in rule.criteria):
        yield Fault("contradictory", "/criteria")


def _impossible(node: Expression, pointer: str) -> list[str]:
    """The smallest parts of an expression that can never hold."""
    below = [at for step, child in children(node) for at in _impossible(child, f"{pointer}{step}")]
    return below or ([pointer] if _never(node) else [])


def _never(node: Expression, holds: bool = True) -> bool:
    try:
        return not _alternatives(node, holds)
    except TooMany:
        return False


def _alternatives(node: Expression, holds: bool) -> list[Alternative]:
    """The ways in which an expression holds (or does not); none: it cannot."""
    if isinstance(node, Someone):
        # Apart from whether anybody could be so, it is a fact like others.
        possible = not _never(node.someone, holds)
        name = node.model_dump_json(by_alias=True)
        return [{("someone", name): YES if holds else NO}] if possible else []
    parts = [child for _, child in children(node)]
    if not parts:
        return [one for one in _of_test(node, holds) if _is_possible(one)]
    each = holds if not isinstance(node, NoneOf) else not holds
    together = holds if isinstance(node, AllOf | NoneOf) else not holds
    ways = [_alternatives(part, each) for part in parts]
    if not together:
        return [one for way in ways for one in way]
    found: list[Alternative] = [{}]
    for way in ways:
        both = (_joined(one, other) for one in found for other in way)
        found = [one for one in both if one is not None]
        if len(found) > MOST_ALTERNATIVES:
            raise TooMany
    return found


def _of_test(node: Expression, holds: bool) -> list[Alternative]:
    if isinstance(node, RegionTest):
        return _one_of("region", node.region, holds)
    if isinstance(node, RecipientTest):
        return _one_of("recipient_of", node.recipient_of, holds)
    if isinstance(node, FactTest) and node.contains is not None:
        return _one_of(node.fact, node.contains, holds)
    variable, domain, universe = _values(node)
    if not holds:
        domain = _rest(universe, domain)
    return [{variable: domain}] if domain else []


def _one_of(kind: str, names: list[str], holds: bool) -> list[Alternative]:
    if holds:
        return [{(kind, name): YES} for name in names]
    return [{(kind, name): NO for name in names}]


def _values(node: Expression) -> tuple[Variable, Domain, Domain]:
    """What a test lets through, and what there is at all."""
    if isinstance(node, AgeTest):
        return ("", "age"), _span(node.age, 0, OLDEST), ((0, OLDEST),)
    if isinstance(node, DecileTest):
        return ("", "decile"), _span(node.decile, 1, 10), ((1, 10),)
    if isinstance(node, RegisteredTest | NationalIdTest):
        name = "registered" if isinstance(node, RegisteredTest) else "national_id"
        return ("", name), frozenset({getattr(node, name)}), YES | NO
    assert isinstance(node, FactTest)
    fact, variable = FACTS[node.fact], ("fact", node.fact)
    if node.is_ is not None:
        return variable, frozenset({node.is_}), YES | NO
    if node.in_ is not None:
        return variable, frozenset(node.in_), frozenset(str(one) for one in fact.kind)
    # What is left beside whole numbers begins one further on, beside others at once.
    least, most = (fact.kind(end) for end in (fact.least, fact.most))
    return variable, _span(node, least, most), ((least, most),)


def _span(limits: Range | FactTest, least: float, most: float) -> Span:
    low: float = least if limits.at_least is None else max(limits.at_least, least)
    high: float = most if limits.at_most is None else min(limits.at_most, most)
    if isinstance(least, float):
        low, high = float(low), float(high)
    return ((low, high),) if low <= high else ()


def _rest(universe: Domain, domain: Domain) -> Domain:
    """What is left of everything there is without a domain."""
    if isinstance(universe, frozenset):
        assert isinstance(domain, frozenset)
        return universe - domain
    assert not isinstance(domain, frozenset)
    if not domain:
        return universe
    (least, most), (low, high) = universe[0], domain[0]
    whole = isinstance(least, int)
    below = low - 1 if whole else math.nextafter(low, -math.inf)
    above = high + 1 if whole else math.nextafter(high, math.inf)
    ends = ((least, below), (above, most))
    return tuple(end for end in ends if end[0] <= end[1])


def _joined(one: Alternative, other: Alternative) -> Alternative | None:
    """Both at once; None where that cannot be."""
    found = dict(one)
    for variable, domain in other.items():
        common = _common(found[variable], domain) if variable in found else domain
        if not common:
            return None
        found[variable] = common
    return found if _is_possible(found) else None


def _common(one: Domain, other: Domain) -> Domain:
    if isinstance(one, frozenset):
        assert isinstance(other, frozenset)
        return one & other
    assert not isinstance(other, frozenset)
    both = ((max(a[0], b[0]), min(a[1], b[1])) for a in one for b in other)
    return tuple(span for span in both if span[0] <= span[1])


def _is_possible(one: Alternative) -> bool:
    """Whether a home can lie in these regions, and not in those, at once."""
    regions = [name for (kind, name), value in one.items() if kind == "region" and value == YES]
    without = [name for (kind, name), value in one.items() if kind == "region" and value == NO]
    apart = any(not contains(a, b) and not contains(b, a) for a in regions for b in regions)
    return not apart and not any(contains(no, yes) for no in without for yes in regions)
