"""Rows that were there brought to what the file says, and the lines of their history."""

from app.domain.registry_statements.landing import (
    INTO_PARTICIPATIONS,
    INTO_REGISTRY_IDS,
    INTO_WELFARE_RANKS,
)
from app.domain.registry_statements.parts import NEW_ID, REGION, REGION_OF

_DERIVED = REGION_OF.format("h.village_code")
_STANDING = """
from home_standing s
join registry_homes h on h.operation_id = cast(:op as uuid) and h.line = s.line
"""
CHANGED_HOUSEHOLDS = f"""
update households e set version = e.version + 1, address = c.address, rt = c.rt, rw = c.rw,
  decile = c.decile, percentile = c.percentile, facts = c.facts, facts_source = :source,
  facts_as_of = cast(:as_of as date), facts_changed = c.facts_changed, presence = c.presence,
  presence_on = case when c.presence is distinct from e.presence then cast(:as_of as date)
    else e.presence_on end,
  registry_version_id = cast(:version_id as uuid), content_sha256 = c.content_sha256,
  ended_at = null, updated_at = :at,
  ({REGION}) = (select {REGION_OF.format("c.village_code")})
from home_changes c where c.id = e.id and (c.changes is not null or c.ended)
"""
# Said differently, and the same all the same.
KNOWN_HOUSEHOLDS = """
update households e set content_sha256 = c.content_sha256
from home_changes c where c.id = e.id and c.changes is null and not c.ended
"""
REGISTRY_IDS = f"""
{INTO_REGISTRY_IDS}
{_STANDING}
cross join lateral (values ('household', h.household_key), ('ruta6', h.ruta6)) ids (kind, value)
where ids.value is not null and not s.new and not s.held and not s.same
  and not (ids.kind = 'household' and ids.value like 'kk:%')
on conflict do nothing
"""
WELFARE_RANKS = f"""
{INTO_WELFARE_RANKS}
{_STANDING}
where num_nonnulls(h.decile, h.percentile) > 0 and not s.new and not s.held
on conflict (household_id, source, source_version) do update
set decile = excluded.decile, percentile = excluded.percentile, as_of = excluded.as_of
where (welfare_ranks.decile, welfare_ranks.percentile, welfare_ranks.as_of)
  is distinct from (excluded.decile, excluded.percentile, excluded.as_of)
"""
PARTICIPATIONS = f"""
{INTO_PARTICIPATIONS}
{_STANDING}
cross join lateral unnest(h.programs) p (code)
where not s.new and not s.held and not s.same
on conflict (household_id, member_id, program_code, source) do update
set as_of = excluded.as_of, ended_on = null
where participations.as_of is null or participations.as_of <= excluded.as_of
"""
ENDED_PARTICIPATIONS = """
update participations p set ended_on = cast(:as_of as date)
from home_standing s
join registry_homes h on h.operation_id = cast(:op as uuid) and h.line = s.line
where p.household_id = s.id and not s.new and not s.held and not s.same and p.source = :source
  and p.member_id is null and p.ended_on is null and p.as_of <= cast(:as_of as date)
  and p.program_code <> all (h.programs)
  and p.program_code = any (cast(:programs as text[]))
"""
CHANGED_MEMBERS = f"""
update members m set version = m.version + 1, household_id = c.home_id, family_id = c.family_id,
  registry_id = c.member_key, number = c.number, name = c.name,
  national_id = coalesce(c.national_id, m.national_id),
  national_id_index = coalesce(c.national_id_index, m.national_id_index),
  birth_date = c.birth_date, birth_year = c.birth_year, sex = c.sex, relation = c.relation,
  facts = c.facts, facts_source = :source, facts_as_of = cast(:as_of as date),
  facts_changed = c.facts_changed, presence = c.presence,
  presence_on = case when c.presence is distinct from m.presence then cast(:as_of as date)
    else m.presence_on end,
  warnings = c.warnings, content_sha256 = c.content_sha256, ended_at = null, updated_at = :at,
  ({REGION}) = (select {REGION_OF.format("c.village_code")})
from people_changes c where c.id = m.id and (c.changes is not null or c.ended)
"""
KNOWN_MEMBERS = """
update members m set content_sha256 = c.content_sha256, registry_id = c.member_key
from people_changes c where c.id = m.id and c.changes is null and not c.ended
"""
ENDED_HOUSEHOLDS = """
update households h set ended_at = :at, version = h.version + 1, updated_at = :at
from homes_ending e where e.id = h.id
"""
ENDED_MEMBERS = """
update members m set ended_at = :at, version = m.version + 1, updated_at = :at
from people_ending e where e.id = m.id
"""
KNOWN = (
    CHANGED_HOUSEHOLDS, KNOWN_HOUSEHOLDS, REGISTRY_IDS, WELFARE_RANKS, PARTICIPATIONS,
    ENDED_PARTICIPATIONS, CHANGED_MEMBERS, KNOWN_MEMBERS, ENDED_HOUSEHOLDS, ENDED_MEMBERS,
)  # fmt: skip
_ENTRY = f"""
insert into registry_entries (id, household_id, member_id, version, what, changes, source,
  registry_version_id, at, {REGION})
select {NEW_ID}, {{household}}, {{member}}, one.version, {{what}}, {{changes}},
  cast(:source as text), cast(:version_id as uuid), :at, one.province_code, one.regency_code,
  one.district_code, one.village_code
from {{rows}} c join {{table}} one on one.id = c.id {{only}}
"""
_WHAT = "case when c.ended then 'returned' else 'changed' end"
_DONE = "where c.changes is not null or c.ended"
ENTRIES = (
    _ENTRY.format(household="one.id", member="null", what=_WHAT,
        changes="coalesce(c.changes, '{}')", rows="home_changes", table="households", only=_DONE),
    _ENTRY.format(household="one.household_id", member="one.id", what=_WHAT,
        changes="coalesce(c.changes, '{}')", rows="people_changes", table="members", only=_DONE),
    _ENTRY.format(household="one.id", member="null", what="'ended'", changes="'{}'",
        rows="homes_ending", table="households", only=""),
    _ENTRY.format(household="one.household_id", member="one.id", what="'ended'", changes="'{}'",
        rows="people_ending", table="members", only=""),
)  # fmt: skip
