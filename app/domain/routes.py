"""Routes: which documents, check and visit each kind of complaint needs. Data, not code."""

from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import Field, SQLModel

from app.domain.base import JSON, enum_type, new_id
from app.domain.vocabulary import Category, Document, Kind, Visit

D = Document
ID, FULL = [[D.ID_CARD]], [[D.ID_CARD], [D.FAMILY_CARD], [D.KELURAHAN_LETTER]]
EVIDENCE = [[D.DEATH_CERTIFICATE, D.KELURAHAN_LETTER, D.OTHER]]

# fmt: off
SHIPPED: tuple[tuple[Kind, Category | None, list[list[Document]], bool, Visit], ...] = (
    #                                                 documents  check  visit
    (Kind.QUESTION,   None,                           [],        False, Visit.NONE),
    (Kind.SUGGESTION, None,                           [],        False, Visit.NONE),
    (Kind.COMPLAINT,  Category.SERVICE_QUALITY,       [],        False, Visit.NONE),
    (Kind.COMPLAINT,  Category.ILLEGAL_FEE,           [],        False, Visit.NONE),
    (Kind.COMPLAINT,  Category.CARD_PROBLEM,          ID,        True,  Visit.OPTIONAL),
    (Kind.COMPLAINT,  Category.PROGRAM_NOT_RECEIVED,  ID,        True,  Visit.OPTIONAL),
    (Kind.COMPLAINT,  Category.INCLUSION_REQUEST,     FULL,      True,  Visit.REQUIRED),
    (Kind.COMPLAINT,  Category.EXCLUSION_OBJECTION,   FULL,      True,  Visit.REQUIRED),
    (Kind.COMPLAINT,  Category.DATA_CORRECTION,       FULL,      True,  Visit.REQUIRED),
    (Kind.COMPLAINT,  Category.DEATH_REPORT,          EVIDENCE,  True,  Visit.NONE),
    (Kind.COMPLAINT,  Category.OTHER,                 [],        False, Visit.OPTIONAL),
)
# fmt: on


class RouteRow(SQLModel, table=True):
    """A route as stored. `documents` is a list of lists: one of each inner list is needed."""

    __tablename__ = "routes"
    __table_args__ = (sa.UniqueConstraint("kind", "category", postgresql_nulls_not_distinct=True),)

    id: Any = Field(default_factory=new_id, primary_key=True, sa_type=sa.Uuid)
    kind: Kind = Field(sa_type=enum_type(Kind))
    category: Category | None = Field(default=None, sa_type=enum_type(Category))
    documents: list[list[str]] = Field(sa_type=JSON)
    check_needed: bool
    visit: Visit = Field(sa_type=enum_type(Visit))


@dataclass(frozen=True, slots=True)
class Route:
    """What must be there before a complaint of this kind may go on."""

    documents: tuple[tuple[Document, ...], ...] = ()
    check: bool = False
    visit: Visit = Visit.OPTIONAL

    def missing(self, shown: set[str]) -> list[Document]:
        """The first document of every requirement that none of the shown ones meets."""
        return [options[0] for options in self.documents if not shown.intersection(options)]


RouteTable = dict[tuple[Kind, Category | None], Route]


class Routes:
    """The only place that writes SQL about routes."""

    def __init__(self, session: AsyncSession) -> None:
        self.session = session

    async def all(self) -> RouteTable:
        """Every route by (kind, category), read once per session."""
        if "routes" not in self.session.info:
            self.session.info["routes"] = {
                (row.kind, row.category): Route(
                    tuple(tuple(Document(d) for d in options) for options in row.documents),
                    row.check_needed,
                    row.visit,
                )
                for row in await self.session.scalars(sa.select(RouteRow))
            }
        table: RouteTable = self.session.info["routes"]
        return table

    async def seed(self) -> int:
        """Add the shipped routes that are missing; what an office has changed stays."""
        rows = [
            {
                "id": new_id(), "kind": kind, "category": category, "documents": documents,
                "check_needed": check, "visit": visit,
            }
            for kind, category, documents, check, visit in SHIPPED
        ]  # fmt: skip
        await self.session.execute(insert(RouteRow).values(rows).on_conflict_do_nothing())
        return len(rows)
