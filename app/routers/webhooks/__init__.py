"""Webhook endpoints over HTTP: where events are sent, what was sent, and what did not arrive."""

from app.routers.webhooks.routes import router

__all__ = ["router"]
