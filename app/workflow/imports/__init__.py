"""Importing the registry: read, check, stage in chunks, then apply as a whole."""
