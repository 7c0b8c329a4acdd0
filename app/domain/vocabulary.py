"""The field's fixed words: kinds, categories, documents. Values are part of the contract."""

from enum import StrEnum


class Kind(StrEnum):
    COMPLAINT = "complaint"
    QUESTION = "question"
    SUGGESTION = "suggestion"


class Category(StrEnum):
    INCLUSION_REQUEST = "inclusion_request"
    EXCLUSION_OBJECTION = "exclusion_objection"
    PROGRAM_NOT_RECEIVED = "program_not_received"
    CARD_PROBLEM = "card_problem"
    DATA_CORRECTION = "data_correction"
    DEATH_REPORT = "death_report"
    SERVICE_QUALITY = "service_quality"
    ILLEGAL_FEE = "illegal_fee"
    OTHER = "other"


class Sector(StrEnum):
    HEALTH = "health"
    EDUCATION = "education"
    SOCIAL_ECONOMIC = "social_economic"
    FOOD = "food"
    ENERGY = "energy"
    AGRICULTURE = "agriculture"
    FISHERIES = "fisheries"
    HOUSING = "housing"
    CIVIL_REGISTRATION = "civil_registration"


class Priority(StrEnum):
    NORMAL = "normal"
    EMERGENCY = "emergency"


class Channel(StrEnum):
    PUSKESOS = "puskesos"
    SECRETARIAT = "secretariat"
    TABLET = "tablet"
    PHONE = "phone"
    PAPER = "paper"
    BATCH = "batch"
    PUBLIC = "public"
    OTHER = "other"


class Relation(StrEnum):
    """What the reporter is to the person the complaint is about."""

    SELF = "self"
    FAMILY = "family"
    NEIGHBOUR = "neighbour"
    OFFICIAL = "official"
    OTHER = "other"


class Document(StrEnum):
    ID_CARD = "id_card"
    FAMILY_CARD = "family_card"
    KELURAHAN_LETTER = "kelurahan_letter"
    BIRTH_CERTIFICATE = "birth_certificate"
    DEATH_CERTIFICATE = "death_certificate"
    SCHOOL_LETTER = "school_letter"
    MEDICAL_LETTER = "medical_letter"
    HOUSE_FRONT = "house_front"
    HOUSE_INSIDE = "house_inside"
    OTHER = "other"


class WaiverReason(StrEnum):
    """Why a document could not be shown."""

    NEVER_HAD = "never_had"
    LOST = "lost"
    HELD_BY_OTHER = "held_by_other"
    DISASTER = "disaster"


class Outcome(StrEnum):
    """What was decided on a complaint."""

    GRANTED = "granted"
    PARTLY_GRANTED = "partly_granted"
    WAITLISTED = "waitlisted"
    DECLINED = "declined"
    CANCELLED = "cancelled"
    RESOLVED = "resolved"
    REJECTED = "rejected"
    UNANSWERED = "unanswered"
    WITHDRAWN = "withdrawn"
    ARCHIVED = "archived"
    TRANSFERRED = "transferred"
    JOINED = "joined"


class Delivery(StrEnum):
    """Whether the citizen was told."""

    PENDING = "pending"
    TOLD = "told"
    UNDELIVERABLE = "undeliverable"


class Visit(StrEnum):
    """Whether a route needs a home visit before it can be decided."""

    NONE = "none"
    OPTIONAL = "optional"
    REQUIRED = "required"


class VisitResult(StrEnum):
    """What became of a visit that gave no survey."""

    NOT_HOME = "not_home"
    ADDRESS_NOT_FOUND = "address_not_found"
    REFUSED = "refused"
    MOVED = "moved"
    DECEASED = "deceased"


class Purpose(StrEnum):
    """What a programme is asked to do."""

    ENROL = "enrol"
    RESTORE = "restore"
    PAYMENT = "payment"
    CARD = "card"
    CORRECT_DATA = "correct_data"


class DeliveryMethod(StrEnum):
    IN_PERSON = "in_person"
    PHONE = "phone"
    MESSAGE = "message"
    LETTER = "letter"
    PUBLIC_STATUS = "public_status"


class DeliveryResult(StrEnum):
    TOLD = "told"
    NOT_REACHED = "not_reached"


class ContactResult(StrEnum):
    REACHED = "reached"
    NOT_REACHED = "not_reached"


class CheckOutcome(StrEnum):
    """What the registry knows of a person."""

    REGISTERED = "registered"
    UNREGISTERED = "unregistered"
    SIMILAR = "similar"
    NO_REGISTRY = "no_registry"
