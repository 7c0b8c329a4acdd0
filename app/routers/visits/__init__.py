"""Visits over HTTP: who needs one, sharing them out, and making them."""

from app.routers.visits.routes import router

__all__ = ["router"]
