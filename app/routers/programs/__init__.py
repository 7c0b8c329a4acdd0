"""Programmes over HTTP: the catalogue, its criteria, and who is eligible and not served."""

from fastapi import APIRouter

from app.routers.doors import Door
from app.routers.programs import catalogue, criteria, eligibility

router = APIRouter(route_class=Door)
for part in (catalogue, criteria, eligibility):
    router.include_router(part.router)

__all__ = ["router"]
