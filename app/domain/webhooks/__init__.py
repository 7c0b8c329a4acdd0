"""Webhooks: the endpoints that events are sent to, and what became of each event sent."""

from app.domain.webhooks.deliveries import WebhookDeliveries
from app.domain.webhooks.endpoints import WebhookEndpoints, is_admin
from app.domain.webhooks.rows import (
    KEPT_FOR,
    PING,
    DeliveryState,
    Disabled,
    Failure,
    Message,
    WebhookDelivery,
    WebhookEndpoint,
)

__all__ = [
    "KEPT_FOR",
    "PING",
    "DeliveryState",
    "Disabled",
    "Failure",
    "Message",
    "WebhookDeliveries",
    "WebhookDelivery",
    "WebhookEndpoint",
    "WebhookEndpoints",
    "is_admin",
]
