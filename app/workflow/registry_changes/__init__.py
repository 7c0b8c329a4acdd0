"""What may happen to a registry change, and making it happen."""
