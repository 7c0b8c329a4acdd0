"""slrt: the open backend for Indonesia's integrated referral service."""
