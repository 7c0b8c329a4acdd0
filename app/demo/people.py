"""Made-up families, staff and stories: plausible, nobody's, and the same for the same seed."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from random import Random
from typing import Any, Literal, NamedTuple

Sex = Literal["female", "male"]
Relation = Literal["head", "spouse", "child", "grandchild", "parent", "other"]
Era = Literal["old", "middle", "young"]

TODAY = date(2026, 11, 24)
LARGEST_FAMILY = 8
WITHOUT_NATIONAL_ID = 0.02

_DATA: Mapping[str, Any] = json.loads(Path(__file__).with_name("names.json").read_text("utf-8"))


@dataclass(frozen=True, slots=True)
class Person:
    name: str
    national_id: str | None
    birth_date: date
    sex: Sex
    relation: Relation


@dataclass(frozen=True, slots=True)
class Family:
    """One family card; the first member is the head."""

    family_card_number: str
    village_code: str
    address: str
    rt: str
    rw: str
    members: tuple[Person, ...]
    decile: int
    registry_id: str


@dataclass(frozen=True, slots=True)
class Story:
    """What a citizen tells the desk, and what the citizen is told in the end."""

    kind: str
    category: str | None
    sector: str | None
    program_code: str | None
    priority: str
    narrative: str
    answer: str


class _Parts(NamedTuple):
    """How often a name of this era has one word, or three; most others have two."""

    one: float
    three: float


_PARTS: dict[Era, _Parts] = {
    "old": _Parts(0.6, 0.0),
    "middle": _Parts(0.12, 0.15),
    "young": _Parts(0.03, 0.4),
}


def _era(born: int) -> Era:
    if born < 1968:
        return "old"
    return "middle" if born < 1996 else "young"


def _words(rng: Random, sex: Sex, era: Era, shape: float) -> list[str]:
    pool, parts = _DATA[sex][era], _PARTS[era]
    words = [rng.choice(pool["first"])]
    if shape >= parts.one:
        words.append(rng.choice(pool["last"]))
    if shape >= 1 - parts.three:
        words.insert(1, rng.choice(pool["middle"]))
    return words


def full_name(rng: Random, sex: Sex, born: int | None = None) -> str:
    """A name of East Java, in the fashion of the year of birth."""
    era = _era(born if born is not None else rng.randint(1945, 2020))
    shape = rng.random()
    words = _words(rng, sex, era, shape)
    # Nobody is called Nur Nurjanah.
    while len({word[:3] for word in words}) < len(words):
        words = _words(rng, sex, era, shape)
    return " ".join(words)


def staff_name(rng: Random) -> str:
    """An adult's name of two or three words, for those who work here."""
    while True:
        name = full_name(rng, rng.choice(("female", "male")), rng.randint(1970, 2002))
        if " " in name:
            return name


def _region_digits(code: str) -> str:
    digits = code.replace(".", "")[:6]
    if len(digits) < 6 or not digits.isdecimal():
        raise ValueError(f"not a district or village code: {code!r}")
    return digits


def _serial(rng: Random) -> str:
    # Offices count from 0001 each day: a serial this high is nobody's number.
    return str(rng.randint(9001, 9999))


def national_id(rng: Random, district_code: str, birth_date: date, sex: Sex) -> str:
    """16 digits of the right structure; takes a district or village code, dotted or not."""
    day = birth_date.day + (40 if sex == "female" else 0)
    return f"{_region_digits(district_code)}{day:02}{birth_date:%m%y}{_serial(rng)}"


def _card_number(rng: Random, village_code: str, issued: date) -> str:
    return f"{_region_digits(village_code)}{issued:%d%m%y}{_serial(rng)}"


def _registry_id(rng: Random, village_code: str) -> str:
    # The real ones begin with a BPS village code, which no rule derives from a Kemendagri code:
    # only the regency's four digits are true, and 9 marks the rest as made up.
    village = int(village_code.replace(".", "")) % 99_991
    return f"{_region_digits(village_code)[:4]}9{village:05}{rng.randrange(10**8):08}"


def phone(rng: Random) -> str:
    """E.164, in a range (084x) that is no mobile operator's."""
    return f"+6284{rng.randint(5, 9)}{rng.randrange(10**8):08}"


def _unused(taken: set[str], draw: Callable[[], str]) -> str:
    while (number := draw()) in taken:
        pass
    taken.add(number)
    return number


class _Shape(NamedTuple):
    """Who lives together: ages of the head in years, the rest as chances or greatest numbers."""

    weight: int
    youngest: int
    oldest: int
    female: float = 0.0
    spouse: bool = False
    children: int = 0
    parents: int = 0
    grandchildren: int = 0
    others: int = 0


_SHAPES = (
    _Shape(9, 62, 88, female=0.75),
    _Shape(3, 23, 58, female=0.4),
    _Shape(11, 24, 80, spouse=True),
    _Shape(43, 25, 58, spouse=True, children=6),
    _Shape(11, 25, 58, female=0.88, children=4),
    _Shape(8, 28, 55, spouse=True, children=4, parents=2),
    _Shape(5, 54, 76, female=0.6, grandchildren=3),
    _Shape(5, 50, 74, spouse=True, children=4, grandchildren=3),
    _Shape(5, 26, 52, spouse=True, children=4, parents=1, others=2),
)
# Poorer families are the ones a registry of social protection knows.
_DECILES = (18, 17, 15, 12, 10, 8, 7, 5, 4, 4)


class _Someone(NamedTuple):
    relation: Relation
    sex: Sex
    born: date


def _years(rng: Random, fewest: float, most: float) -> timedelta:
    return timedelta(days=rng.randint(round(fewest * 365.25), round(most * 365.25)))


def _sex(rng: Random, female: float = 0.5) -> Sex:
    return "female" if rng.random() < female else "male"


def _couple(rng: Random, shape: _Shape, today: date) -> list[_Someone]:
    born = today - _years(rng, shape.youngest, shape.oldest)
    head = _Someone("head", _sex(rng, shape.female), born)
    if not shape.spouse:
        return [head]
    wife_born = min(born + _years(rng, -2, 8), today - _years(rng, 20, 22))
    return [head, _Someone("spouse", "female", wife_born)]


def _still_at_home(rng: Random, born: date, today: date) -> bool:
    age = (today - born).days / 365.25
    return age < 20 or rng.random() < (0.45 if age < 32 else 0.12)


def _children(rng: Random, couple: list[_Someone], most: int, today: date) -> list[_Someone]:
    """Born one after the other to the youngest of the couple; the grown-up ones mostly left."""
    youngest, eldest = max(p.born for p in couple), min(p.born for p in couple)
    wanted = rng.choices(range(1, most + 1), (30, 36, 20, 8, 4, 2)[:most])[0] if most else 0
    born = max(youngest + _years(rng, 18, 29), eldest + _years(rng, 19, 22))
    births: list[date] = []
    while len(births) < wanted and born <= today and born < youngest + timedelta(days=43 * 365):
        births.append(born)
        born += _years(rng, 1.2, 6)
    return [_Someone("child", _sex(rng), b) for b in births if _still_at_home(rng, b, today)]


def _parents(rng: Random, head: _Someone, most: int, today: date) -> list[_Someone]:
    if not most:
        return []
    sex = _sex(rng, 0.75)
    parents = [_Someone("parent", sex, head.born - _years(rng, 18, 38))]
    if rng.randint(1, most) == 2:
        other: Sex = "male" if sex == "female" else "female"
        older = _years(rng, 0, 4) if other == "male" else -_years(rng, 0, 1)
        parents.append(_Someone("parent", other, parents[0].born - older))
    return [person for person in parents if today - person.born < timedelta(days=95 * 365)]


def _later(
    rng: Random, relation: Relation, after: date, gap: tuple[float, float], today: date
) -> _Someone | None:
    born = after + _years(rng, *gap)
    return _Someone(relation, _sex(rng), born) if born <= today else None


def _household(rng: Random, shape: _Shape, today: date) -> list[_Someone]:
    couple = _couple(rng, shape, today)
    head, youngest = couple[0], max(p.born for p in couple)
    younger = [
        _later(rng, "grandchild", youngest, (38, 58), today)
        for _ in range(rng.randint(1, shape.grandchildren) if shape.grandchildren else 0)
    ] + [
        _later(rng, "other", head.born, (1, 20), today)
        for _ in range(rng.randint(1, shape.others) if shape.others else 0)
    ]
    everyone = [
        *couple,
        *_children(rng, couple, shape.children, today),
        *_parents(rng, head, shape.parents, today),
        *(person for person in younger if person),
    ]
    return everyone[:LARGEST_FAMILY]


def _person(
    rng: Random, someone: _Someone, village_code: str, names: set[str], numbers: set[str]
) -> Person:
    relation, sex, born = someone
    name = _unused(names, lambda: full_name(rng, sex, born.year))
    number = None
    if rng.random() >= WITHOUT_NATIONAL_ID:
        number = _unused(numbers, lambda: national_id(rng, village_code, born, sex))
    return Person(name, number, born, sex, relation)


def _address(rng: Random) -> str:
    lane = f" Gg. {rng.choice(('I', 'II', 'III', 'IV', 'V'))}" if rng.random() < 0.5 else ""
    return f"Jl. {rng.choice(_DATA['streets'])}{lane} No. {rng.randint(1, 120)}"


def _family(rng: Random, village_code: str, numbers: set[str], today: date) -> Family:
    shape = rng.choices(_SHAPES, [shape.weight for shape in _SHAPES])[0]
    household = _household(rng, shape, today)
    issued = today - _years(rng, 0.1, min(15, (today - household[0].born).days / 365.25 - 20))
    names: set[str] = set()
    return Family(
        family_card_number=_unused(numbers, lambda: _card_number(rng, village_code, issued)),
        registry_id=_unused(numbers, lambda: _registry_id(rng, village_code)),
        village_code=village_code,
        address=_address(rng),
        rt=f"{rng.randint(1, 8):03}",
        rw=f"{rng.randint(1, 6):03}",
        decile=rng.choices(range(1, 11), _DECILES)[0],
        members=tuple(_person(rng, who, village_code, names, numbers) for who in household),
    )


def families(seed: int, count: int, villages: Sequence[str], today: date = TODAY) -> list[Family]:
    """Families spread evenly over the villages; a larger count begins with the smaller one's."""
    if count > 0 and not villages:
        raise ValueError("families need a village to live in")
    rng, numbers = Random(seed), set[str]()
    return [_family(rng, villages[n % len(villages)], numbers, today) for n in range(count)]


def one_family(rng: Random, village_code: str, today: date = TODAY) -> Family:
    """A family of a file too large to remember all of it: a number may be drawn twice."""
    return _family(rng, village_code, set(), today)


_KINDS = {"complaint": 82, "emergency": 4, "question": 9, "suggestion": 5}
_CATEGORIES = {
    "inclusion_request": 30,
    "program_not_received": 19,
    "card_problem": 16,
    "data_correction": 11,
    "other": 8,
    "death_report": 6,
    "exclusion_objection": 5,
    "service_quality": 3,
    "illegal_fee": 2,
}
_MONTHS = ("dua", "tiga", "empat", "lima", "enam")
_CHILDREN = ("anak pertama", "anak kedua", "anak bungsu")
_WORK = (
    "buruh cuci",
    "buruh jahit",
    "buruh pabrik harian",
    "pemulung",
    "penjaga warung",
    "penjual gorengan",
)


def _weighted(rng: Random, weights: Mapping[str, int]) -> str:
    return rng.choices(list(weights), list(weights.values()))[0]


def _told(rng: Random, kind: str) -> tuple[str | None, Mapping[str, Any]]:
    if kind == "complaint":
        category = _weighted(rng, _CATEGORIES)
        return category, rng.choice(_DATA["complaints"][category])
    if kind == "emergency":
        told = rng.choice(_DATA["emergencies"])
        return told["category"], told
    return None, rng.choice(_DATA[f"{kind}s"])


def story(rng: Random) -> Story:
    """One of the stories desks hear, about as often as they hear it."""
    kind = _weighted(rng, _KINDS)
    category, told = _told(rng, kind)
    child = rng.choice(_CHILDREN)
    details = {
        "months": rng.choice(_MONTHS),
        "work": rng.choice(_WORK),
        "child": child,
        "child_cap": child.capitalize(),
    }
    return Story(
        kind="complaint" if kind == "emergency" else kind,
        category=category,
        sector=told["sector"],
        program_code=told["program_code"],
        priority="emergency" if kind == "emergency" else "normal",
        narrative=told["narrative"].format(**details),
        answer=told["answer"].format(**details),
    )
