"""Screenings over HTTP: made, listed, read; needs proposed from a survey."""

from app.routers.screenings.routes import router

__all__ = ["router"]
