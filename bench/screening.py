"""Screening a whole registry: every programme's criteria over a million people, in SQL.

The city is filled by SQL, with the facts that the criteria ask for, some of them missing. Sizes go
up tenfold, so that it shows whether the time grows with the people and no faster.
"""

import argparse
import asyncio
import tempfile
import time
from collections.abc import Sequence
from datetime import date
from pathlib import Path

import asyncpg
from rich.console import Console
from rich.table import Table

from app import embedded, keys
from app.database import Sessions, create_engine, create_sessions
from app.deployment import prepare
from app.domain.criteria import Asked
from app.domain.eligibility import Coverage, Eligibles
from app.workflow.eligibility import screening

console = Console(highlight=False)
DAY, CITY = date(2026, 11, 24), "35.76"
REGION = "province_code, regency_code, district_code, village_code"
HOMES = f"""
    insert into households (id, version, registry_source, registry_id, decile, facts, facts_source,
        facts_changed, created_at, updated_at, {REGION})
    select ('00000000-0000-7000-8000-' || lpad(to_hex(i), 12, '0'))::uuid, 1, 'bench', i::text,
        case when i % 20 = 0 then null else 1 + i * 7 % 10 end,
        jsonb_strip_nulls(jsonb_build_object(
            'floor', (array['ceramic', 'cement_brick', 'earth', null])[1 + i % 4],
            'wall', (array['masonry', 'wood', 'woven_bamboo'])[1 + i % 3],
            'wall_condition', (array['good', 'poor'])[1 + i / 3 % 2],
            'roof', (array['clay_tile', 'zinc', 'thatch'])[1 + i / 5 % 3],
            'roof_condition', (array['good', 'poor'])[1 + i / 7 % 2],
            'building_status', (array['own', 'rented'])[1 + i / 2 % 2],
            'land_status', (array['own', 'other_person'])[1 + i / 2 % 2],
            'electricity_power', (array['w450', 'w900', 'w1300'])[1 + i / 11 % 3],
            'cooking_fuel', (array['gas_3kg', 'firewood'])[1 + i / 13 % 2],
            'drinking_water', (array['metered_pipe', 'unprotected_well'])[1 + i / 17 % 2],
            'toilet_use', (array['own', 'none'])[1 + i / 19 % 2],
            'has_other_house', i % 30 = 0, 'has_motorcycle', i % 3 = 0, 'rooms', 1 + i % 5,
            'land_ha', i % 40 / 10.0)),
        'bench', '{{}}', now(), now(), '35', '35.76', '35.76.0' || 1 + i % 3,
        '35.76.0' || 1 + i % 3 || '.10' || lpad((1 + i % 6)::text, 2, '0')
    from generate_series($1::int, $2::int - 1) i
"""
PEOPLE = f"""
    insert into members (id, version, household_id, number, name, national_id_index, birth_date,
        birth_year, sex, relation, facts, facts_source, facts_changed, warnings, created_at,
        updated_at, {REGION})
    select ('00000000-0000-7000-9000-' || lpad(to_hex(i * 4 + n), 12, '0'))::uuid, 1,
        ('00000000-0000-7000-8000-' || lpad(to_hex(i), 12, '0'))::uuid, n + 1, 'Orang ' || i,
        case when i % 50 = 0 then null else decode(lpad(to_hex(i * 4 + n), 16, '0'), 'hex') end,
        case when i % 10 = 0 then null else born end, extract(year from born),
        case n % 2 when 0 then 'male' else 'female' end,
        case n when 0 then 'head' else 'child' end,
        jsonb_strip_nulls(jsonb_build_object(
            'school_participation', case when n > 1
                then (array['attending', 'no_longer'])[1 + i % 2] else 'no_longer' end,
            'school_level', (array['sd', 'smp', 'sma', 'none'])[1 + (i + n) % 4],
            'pregnant', case when n = 1 and i % 5 < 4 then i % 25 = 0 end,
            'disability', (array['none', 'none', 'none', 'physical'])[1 + (i / 9 + n) % 4],
            'disability_severity',
                (array['none', 'mild', 'severe'])[1 + (i / 8 + n) % 3],
            'marital_status', case when n < 2 then 'married' else 'single' end,
            'works', n < 2,
            'occupation', (array['petani', 'tukang becak', 'guru'])[1 + (i + n) % 3],
            'monthly_income_idr', i % 50 * 100000, 'runs_business', i % 6 = n,
            'civil_servant', i % 60 = 0, 'orphan', case when n > 1 then i % 45 = 0 end)),
        'bench', '{{}}', '[]', now(), now(), '35', '35.76', '35.76.0' || 1 + i % 3,
        '35.76.0' || 1 + i % 3 || '.10' || lpad((1 + i % 6)::text, 2, '0')
    from generate_series($1::int, $2::int - 1) i, generate_series(0, 3) n,
        lateral (select date '1940-01-01' + ((i * 4 + n)::bigint * 104729 % 30000)::int as born) p
"""
TAKING = f"""
    insert into participations (id, household_id, program_code, source, {REGION})
    select gen_random_uuid(), ('00000000-0000-7000-8000-' || lpad(to_hex(i), 12, '0'))::uuid,
        code, 'bench', '35', '35.76', '35.76.01', '35.76.01.1001'
    from generate_series($1::int, $2::int - 1) i,
        unnest(array['PKH', 'KKS', 'PBI_JKN', 'PIP']) with ordinality c (code, k)
    where i % (3 + k * 2) = 0
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--people", type=int, default=100_000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="slrt-bench-", dir="/var/tmp") as name:
        folder = Path(name)
        folder.chmod(0o755)
        with embedded.start(folder) as server:
            asyncio.run(bench(server, keys.load(folder / "keys.json", make=True), options.people))


async def bench(server: embedded.Server, ring: keys.KeyRing, people: int) -> None:
    engine = create_engine(server.url)
    sessions = create_sessions(engine, ring.data)
    await prepare(engine, sessions, ring)
    table = Table(title="Every programme over a whole registry")
    for column in ("people", "programmes", "of homes, s", "of people, s", "in all, s", "per 1,000"):
        table.add_column(column, justify="right")
    filled = 0
    for count in (people // 10, people):
        await fill(server, filled // 4, count // 4)
        filled = count
        async with sessions() as session:
            rules = await screening.in_force(session, DAY)
        asked = [Asked(one.program.code, one.program.of_person, one.version.rule) for one in rules]
        begun = time.perf_counter()
        (homes, found), (persons, more) = await asyncio.gather(
            screened(sessions, [one for one in asked if not one.of_person]),
            screened(sessions, [one for one in asked if one.of_person]),
        )
        seconds = time.perf_counter() - begun
        eligible = sum(one.eligible for rule in (*found, *more) for one in rule)
        assert sum(one.screened for one in more[0]) == count
        table.add_row(
            f"{count:,}", str(len(asked)), f"{homes:.1f}", f"{persons:.1f}", f"{seconds:.1f}",
            f"{seconds / count * 1000:.4f}",
        )  # fmt: skip
        console.print(f"{count:,} people: {eligible:,} times eligible")
        for code in ("PKH", "BANSOS_LANSIA_KOTA"):
            one = next(rule for rule in asked if rule.program_code == code)
            for region in (CITY, "35.76.02.1002"):
                spent = await first_page(sessions, one, region)
                console.print(
                    f"  first page not served by {code} in {region}: {spent * 1000:.0f} ms"
                )
    console.print(table)
    await engine.dispose()


async def screened(
    sessions: Sessions, asked: Sequence[Asked]
) -> tuple[float, list[list[Coverage]]]:
    """Seconds that a statement of all these rules takes, and what it found."""
    begun = time.perf_counter()
    async with sessions() as session:
        found = await Eligibles(session).coverage(asked, DAY, (CITY,), CITY)
    return time.perf_counter() - begun, found


async def first_page(sessions: Sessions, asked: Asked, region: str) -> float:
    """Seconds until the first 50 who are eligible and not served are found."""
    begun = time.perf_counter()
    async with sessions() as session:
        await Eligibles(session).unserved(asked, DAY, (CITY,), region, None, 51)
    return time.perf_counter() - begun


async def fill(server: embedded.Server, start: int, end: int) -> None:
    connection = await asyncpg.connect(host=str(server.socket_dir), user="slrt", database="slrt")
    try:
        begun = time.perf_counter()
        for statement in (HOMES, PEOPLE, TAKING):
            await connection.execute(statement, start, end)
        for name in ("households", "members", "participations"):
            await connection.execute(f"vacuum analyze {name}")
        console.print(f"{end * 4:,} people put in, {time.perf_counter() - begun:.0f} s")
    finally:
        await connection.close()


if __name__ == "__main__":
    main()
