"""Households over HTTP: lists, pages, histories, searches, and numbers shown on record."""

from app.routers.households.routes import router

__all__ = ["router"]
