"""Verbs: what may happen, and making it happen."""
