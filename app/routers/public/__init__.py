"""What citizens reach without an account."""

from app.routers.public.tickets import router

__all__ = ["router"]
