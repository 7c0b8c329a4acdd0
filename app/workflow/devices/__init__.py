"""Tablets: handed out and taken back, what they promise, and what has not come of them."""
