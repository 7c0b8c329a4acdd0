"""Whom a complaint is about, and whether two of them are about the same person or household."""

from dataclasses import dataclass
from uuid import UUID

from app.domain.complaints import Complaint
from app.domain.vocabulary import Relation


@dataclass(frozen=True, slots=True)
class Whom:
    """A person as a complaint describes them; numbers as their blind index."""

    regency_code: str
    village_code: str
    national_id: bytes | None
    family_card_number: bytes | None
    household_id: UUID | None
    name: str | None

    def is_same(self, other: "Whom") -> bool:
        """A number, family card or household in common; or, where one of them has no national id
        to compare, the same name in the same village."""
        if self.regency_code != other.regency_code:
            return False
        exact = zip(self._exact(), other._exact(), strict=True)
        if any(mine is not None and mine == theirs for mine, theirs in exact):
            return True
        if self.national_id is not None and other.national_id is not None:
            return False
        mine, theirs = (self.name, self.village_code), (other.name, other.village_code)
        return self.name is not None and mine == theirs

    def _exact(self) -> tuple[bytes | None, bytes | None, UUID | None]:
        return self.national_id, self.family_card_number, self.household_id

    def ways(self) -> list[str]:
        """All by which somebody else may be the same: whoever files by one waits for the other."""
        numbers = [one.hex() for one in (self.national_id, self.family_card_number) if one]
        home = [str(self.household_id)] if self.household_id else []
        name = [f"{self.village_code} {self.name}"] if self.name else []
        return [f"{self.regency_code} {key}" for key in (*numbers, *home, *name)]


def whom(complaint: Complaint) -> Whom:
    """The subject; or the reporter, who speaks for themself or names nobody else."""
    one, check = complaint, complaint.registry_check or {}
    known = (one.subject_name, one.subject_national_id_index, one.subject_family_card_number_index,
             one.household_id)  # fmt: skip
    own = one.reporter_relation is Relation.SELF or not any(known)
    name = one.subject_name or (one.reporter_name if own else None)
    found = check.get("household_id")
    return Whom(
        one.regency_code,
        one.village_code,
        one.subject_national_id_index or (one.reporter_national_id_index if own else None),
        one.subject_family_card_number_index,
        one.household_id or (UUID(found) if found else None),
        name.lower() if name else None,
    )
