"""Batches for the centre: making one, its files, its answers, and what waits too long."""
