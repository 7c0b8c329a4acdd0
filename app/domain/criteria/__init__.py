"""What makes somebody eligible: rules as data, and the two readers that must agree."""

from app.domain.criteria.checking import faults
from app.domain.criteria.compiled import Asked, screened, sub_region
from app.domain.criteria.expression import Criterion, Rule, Status
from app.domain.criteria.home import (
    CriterionReading,
    Eligibility,
    Home,
    Met,
    Person,
    Reading,
    Seen,
    Taking,
)
from app.domain.criteria.homes import Homes, is_there
from app.domain.criteria.questions import Question, question_of
from app.domain.criteria.reading import read

__all__ = [
    "Asked",
    "Criterion",
    "CriterionReading",
    "Eligibility",
    "Home",
    "Homes",
    "Met",
    "Person",
    "Question",
    "Reading",
    "Rule",
    "Seen",
    "Status",
    "Taking",
    "faults",
    "is_there",
    "question_of",
    "read",
    "screened",
    "sub_region",
]
