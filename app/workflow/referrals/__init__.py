"""What may happen to a referral, and making it happen."""
