"""Settings, read once from the environment (SLRT_…). Every one is described in the README."""

from functools import lru_cache
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field, SecretStr, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from app.outgoing import SOURCE, Allowed, Outside

DEMO_PASSWORD = "mojokerto-2026"
DEMO_CLIENT_SECRET = "rujukan-terpadu-2026"


def _asyncpg(url: str) -> str:
    """The driver is ours to choose; the rest is the operator's."""
    scheme, separator, rest = url.partition("://")
    if not separator or scheme not in ("postgresql", "postgres", "postgresql+asyncpg"):
        raise ValueError("SLRT_DATABASE_URL must begin with postgresql://")
    return f"postgresql+asyncpg://{rest}"


def _readable(allowed: str) -> str:
    Allowed.read(allowed)
    return allowed


DatabaseUrl = Annotated[str, AfterValidator(_asyncpg)]


class Settings(BaseSettings):
    """How one process of slrt runs. Docstrings of the fields are the documentation."""

    model_config = SettingsConfigDict(
        env_prefix="SLRT_",
        env_file=".env",
        frozen=True,
        extra="ignore",
        use_attribute_docstrings=True,
    )

    database_url: DatabaseUrl | None = None
    """PostgreSQL 15 to 18, as postgresql+asyncpg://…; absent: an embedded server is started."""
    data_dir: Path | None = None
    """Where the embedded server's data and the keys lie; default var/, as root /var/lib/slrt."""
    keys_file: Path | None = None
    """The server's secrets; default keys.json in the data folder, made there when absent."""
    evidence_dir: Path | None = None
    """Where uploaded documents lie, sealed; default evidence/ in the data folder. All processes
    need the same one."""
    host: str = "127.0.0.1"
    """The address the API listens on."""
    port: Annotated[int, Field(ge=1, le=65535)] = 8000
    """The port the API listens on."""
    public_url: str | None = None
    """The address clients reach the API by, for links and the tokens' issuer."""
    demo: bool = False
    """Demo mode: synthetic data, named accounts, a clock that can be moved. `make run` sets it."""
    demo_password: SecretStr = SecretStr(DEMO_PASSWORD)
    """The password of all demo accounts. Refused outside demo mode."""
    demo_client_secret: SecretStr = SecretStr(DEMO_CLIENT_SECRET)
    """The secret of all demo clients. Refused outside demo mode."""
    pool_size: Annotated[int, Field(ge=1, le=200)] = 20
    """Database connections of one process."""
    rate_per_minute: Annotated[int, Field(ge=1)] = 3000
    """Requests a minute that one principal may make."""
    rate_burst: Annotated[int, Field(ge=1)] = 500
    """Requests that a principal may make at once, above the rate."""
    verify_after_days: Annotated[int, Field(ge=1, le=36_500)] = 365
    """After how many days a verified household is to be visited again."""
    visit_due_days: Annotated[int, Field(ge=1, le=365)] = 14
    """In how many days a visit that is shared out is due."""
    webhook_allow: Annotated[str, AfterValidator(_readable)] = ""
    """Hosts and networks, by commas, that webhooks may call though private, also by http."""
    drain_seconds: Annotated[float, Field(ge=0, le=20)] = 1.0
    """How long /readyz says 503 before the server stops taking connections."""
    log_level: str = "INFO"
    """The least severe log records that are written."""

    @property
    def base_url(self) -> str:
        return self.public_url or f"http://{self.host}:{self.port}"

    @property
    def source(self) -> str:
        """Where events come from: the address, or that it is some slrt, where none is set."""
        return self.public_url or SOURCE

    @property
    def outside(self) -> Outside:
        return Outside(self.source, Allowed.read(self.webhook_allow))

    @model_validator(mode="after")
    def _no_demo_secrets(self) -> "Settings":
        given = self.model_fields_set & {"demo_password", "demo_client_secret"}
        if given and not self.demo:
            raise ValueError(f"SLRT_{sorted(given)[0].upper()} is for demo mode only")
        return self


@lru_cache
def get_settings() -> Settings:
    return Settings()
