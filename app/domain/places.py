"""Places: the village that a row of a file means, found by its codes and names, never guessed."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from app.domain.regions import Region, RegionLevel

DOTTED = re.compile(r"\d{2}\.\d{2}\.\d{2}\.\d{4}")


class Unplaced(Exception):
    """No village can be said; `code` is why."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


def plain(name: str) -> str:
    """A name as it is compared: neither case nor spaces matter."""
    return "".join(name.split()).casefold()


def kemendagri(digits: str) -> str:
    """Ten digits, dotted as 2+2+2+4."""
    return f"{digits[:2]}.{digits[2:4]}.{digits[4:6]}.{digits[6:]}"


@dataclass(frozen=True, slots=True)
class Said:
    """What a row says about where it lies, as text; empty where it says nothing."""

    code: str = ""
    province: str = ""
    regency: str = ""
    district: str = ""
    village: str = ""
    district_name: str = ""
    village_name: str = ""

    def composed(self) -> str:
        """The whole code: as it stands, or put together from its parts; empty without one.

        The widths of the parts tell the systems apart: 2+2+2+4 is dotted, 2+2+3+3 is not. Parts
        that have lost their leading zeros are no code.
        """
        for whole in (self.code, self.village):
            if DOTTED.fullmatch(whole) or (whole.isdigit() and len(whole) == 10):
                return whole
        if self.code:
            return self.code
        if not self.village:
            return ""
        province, regency, district = self.province, self.regency[-2:], self.district
        if len(district) in (6, 7):
            district = district[4:]
        parts = (province, regency, district, self.village)
        widths = tuple(map(len, parts))
        if not all(part.isdigit() for part in parts):
            return "?"
        if widths == (2, 2, 2, 4):
            return ".".join(parts)
        return "".join(parts) if widths == (2, 2, 3, 3) else "?"


@dataclass
class Places:
    """The villages of one regency, by every code and name they have or had."""

    regency_code: str
    present: dict[str, Region] = field(default_factory=dict)
    former: dict[str, Region] = field(default_factory=dict)
    bps: dict[str, str] = field(default_factory=dict)
    by_name: dict[str, list[Region]] = field(default_factory=dict)
    districts: dict[str, set[str]] = field(default_factory=dict)

    @classmethod
    def of(cls, regency_code: str, regions: Iterable[Region], bps: Mapping[str, str]) -> "Places":
        places = cls(regency_code, bps=dict(bps))
        for region in regions:
            names = {plain(name) for name in (region.name, *region.aliases)}
            if region.level is RegionLevel.DISTRICT:
                places.districts[region.code] = names
            if region.level is not RegionLevel.VILLAGE:
                continue
            places.present[region.code] = region
            for code in region.former_codes:
                places.former[code] = region
            for name in names:
                places.by_name.setdefault(name, []).append(region)
        return places

    def find(self, said: Said) -> tuple[str, str | None]:
        """The village's code, and how it was mapped: None where it stands so in the row.

        Raises Unplaced.
        """
        code, name = said.composed(), plain(said.village_name)
        candidates = self._by_code(code)
        if not candidates:
            if self._outside(code):
                raise Unplaced("region_out_of_scope")
            if not name:
                raise Unplaced("region_unknown")
            return self._by_name(name, plain(said.district_name)), "name"
        if name:
            fitting = [one for one in candidates if self._is_called(one[0], name)]
            if not fitting:
                raise Unplaced("region_contradiction")
            candidates = fitting
        if len({region for region, _ in candidates}) > 1:
            raise Unplaced("region_ambiguous")
        return candidates[0]

    def _by_code(self, code: str) -> list[tuple[str, str | None]]:
        """The villages that a code may mean, each with how it was mapped."""
        found: list[tuple[str, str | None]] = []
        dotted = code if DOTTED.fullmatch(code) else kemendagri(code) if len(code) == 10 else ""
        if dotted in self.present:
            found.append((dotted, None))
        if dotted in self.former:
            found.append((self.former[dotted].code, "former_code"))
        if code in self.bps and self.bps[code] in self.present:
            found.append((self.bps[code], "bps"))
        return found

    def _outside(self, code: str) -> bool:
        """Whether a code is of another regency: both systems begin with the same four digits."""
        digits = code.replace(".", "")
        return len(digits) == 10 and digits[:4] != self.regency_code.replace(".", "")

    def _is_called(self, code: str, name: str) -> bool:
        return any(one.code == code for one in self.by_name.get(name, ()))

    def _by_name(self, name: str, district: str) -> str:
        found: Sequence[Region] = self.by_name.get(name, ())
        if len(found) > 1 and district:
            found = [
                one
                for one in found
                if district in self.districts.get(one.code.rpartition(".")[0], ())
            ]
        if not found:
            raise Unplaced("region_unknown")
        if len(found) > 1:
            raise Unplaced("region_ambiguous")
        return found[0].code
