"""What can be wrong with a file, a row, a cell: the codes, and faults as they are listed."""

from dataclasses import dataclass, field
from typing import Any


class Unreadable(Exception):
    """The whole file is refused; `code` is why, `details` name what is missing or unknown."""

    def __init__(self, code: str, **details: Any) -> None:
        super().__init__(code)
        self.code, self.details = code, details


class Refused(Exception):
    """A row does not land; `code` is why, `column` where, `value` what stood there, masked."""

    def __init__(self, code: str, column: str | None = None, value: str | None = None) -> None:
        super().__init__(code)
        self.code, self.column, self.value = code, column, value


# Of rows: what is found by the reader, by the checks, and by comparing the rows of a file.
REFUSALS = (
    "cell_too_large", "unterminated_quote", "quotes_broken", "truncated", "too_few_columns",
    "too_many_columns", "character_not_allowed", "formula", "missing", "too_long", "not_an_option",
    "invalid_format", "implausible_date", "implausible_age", "region_unknown", "region_ambiguous",
    "region_contradiction", "region_out_of_scope", "duplicate_row",
)  # fmt: skip
WARNINGS = (
    "encoding_mixed", "fact_unreadable", "household_differs", "national_id_invalid",
    "national_id_structure", "national_id_birth_date", "national_id_sex", "national_id_twice",
    "family_card_number_invalid", "sex_unreadable", "birth_date_unreadable",
    "program_unknown", "not_whole",
)  # fmt: skip


@dataclass(slots=True)
class RowFault:
    line: int
    code: str
    column: str | None = None
    value: str | None = None
    refused: bool = True


@dataclass(slots=True)
class Tally:
    """What a chunk of rows came to, beside the rows themselves.

    `torn` is the first line that hides whose row it is, or swallowed others.
    """

    faults: list[RowFault] = field(default_factory=list)
    read: int = 0
    refused: int = 0
    mapped: dict[str, int] = field(default_factory=dict)
    torn: int | None = None

    def refuse(self, line: int, code: str, column: str | None, value: str | None) -> None:
        self.refused += 1
        self.faults.append(RowFault(line, code, column, value))

    def warn(self, line: int, code: str, column: str | None, value: str | None = None) -> None:
        self.faults.append(RowFault(line, code, column, value, refused=False))

    def mapped_once(self, how: str | None) -> None:
        """Count how a household's village was found, where it did not stand so in the row."""
        if how is not None:
            self.mapped[how] = self.mapped.get(how, 0) + 1
