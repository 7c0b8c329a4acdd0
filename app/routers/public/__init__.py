"""What citizens reach without an account."""

from app.routers.public.complaints import router as complaints_router
from app.routers.public.page import router as page_router
from app.routers.public.places import router as places_router
from app.routers.public.tickets import router as tickets_router

routers = (tickets_router, complaints_router, places_router, page_router)

__all__ = ["routers"]
