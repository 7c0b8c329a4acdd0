"""What may happen to a complaint, and making it happen."""
