"""What several statements are made of."""

# A UUIDv7 of this moment: `:stamp` is one but for its last twelve digits, which count the rows.
# Ids in order go to the end of an index, at half the cost of a place within it.
NEW_ID = "(cast(:stamp as text) || lpad(to_hex(row_number() over ()), 12, '0'))::uuid"
REGION_OF = """left({0}, 2), left({0}, 5), left({0}, 8), {0}"""
REGION = "province_code, regency_code, district_code, village_code"
OPEN_CHANGE = "c.state in ('manager_approved', 'dispatched')"
