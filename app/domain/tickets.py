"""Tickets: what a citizen is given to ask by. `3576-2026-000123-7`, the last a check digit."""

from stdnum import damm


def ticket(regency_code: str, year: int, number: int) -> str:
    """The Damm digit catches any one wrong digit and any two that changed places."""
    digits = f"{regency_code.replace('.', '')}{year}{number:06d}"
    return f"{digits[:4]}-{digits[4:8]}-{digits[8:]}-{damm.calc_check_digit(digits)}"
