"""Nouns: what things are and how they are found."""
