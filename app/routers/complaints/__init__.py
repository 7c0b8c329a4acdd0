"""Complaints over HTTP."""

from app.routers.complaints.routes import router

__all__ = ["router"]
