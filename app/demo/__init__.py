"""Made-up people and stories for demonstrations, and what loads them."""
