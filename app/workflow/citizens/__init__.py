"""What citizens read and do without an account: by a ticket and its PIN, or by the public form."""
