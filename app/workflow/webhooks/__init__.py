"""Webhooks: endpoints and who keeps them, signing, delivering."""
