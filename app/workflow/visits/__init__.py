"""Home visits of their own: shared out, made, and reminded of."""
