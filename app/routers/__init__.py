"""Doors: HTTP in, HTTP out."""
