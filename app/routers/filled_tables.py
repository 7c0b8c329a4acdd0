"""Rows in a body: as JSON, or as the table that somebody has filled in and sent back."""

from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, PrivateAttr, model_validator

from app.workflow.filled_tables import FilledTable


class RowsOrTable(BaseModel):
    """A body with `rows`; sent as `text/csv` it is read as `table`, and its lines are `_lines`."""

    model_config = ConfigDict(extra="forbid")

    table: ClassVar[FilledTable[Any]]
    rows: list[Any]
    _lines: list[Any] = PrivateAttr(default_factory=list)

    @model_validator(mode="wrap")
    @classmethod
    def _read(cls, sent: Any, build: Any) -> "RowsOrTable":
        if not isinstance(sent, bytes):
            built: RowsOrTable = build(sent)
            return built
        found = cls.model_construct(rows=[])
        found._lines = cls.table.lines(sent)
        return found
