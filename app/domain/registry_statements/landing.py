"""What is new: put into the registry, all at the end or, of a first file, batch by batch.

`new_homes` and `new_people` are what lands now, from the lines after `:after` up to `:upto`.
What a household has that is new itself has nothing to meet with; to look for it costs as much
again, so that only an id of another kind is looked for.
"""

from app.domain.registry_statements.parts import NEW_ID, REGION, REGION_OF

_DERIVED = REGION_OF.format("h.village_code")
_LINES = "{0}.operation_id = cast(:op as uuid) and {0}.line > :after and {0}.line <= :upto"
_NEW = f"""
from new_homes s join registry_homes h on h.line = s.line and {_LINES.format("h")}
"""

# Whose key nobody has, with people who are numbered in it: they cannot be anybody who is known.
# What stands twice, or has a card by which it might be known, is left to the end.
HOMES_LANDING = f"""
create temporary table new_homes on commit drop as
select h.household_key, h.line, h.household_id as id
from registry_homes h
where {_LINES.format("h")} and h.card_index is null
  and not exists (select 1 from home_seen s where s.household_key = h.household_key)
  and not exists (select 1 from households a
    where a.registry_source = :source and a.registry_id = h.household_key)
  and not exists (select 1 from registry_ids b
    where b.source = :source and b.kind = 'household' and b.value = h.household_key)
"""
PEOPLE_LANDING = f"""
create temporary table new_people on commit drop as
select r.line, s.id as home_id, r.member_id as id, h.village_code
from registry_rows r
join new_homes s on s.household_key = r.household_key
join registry_homes h on h.line = s.line and {_LINES.format("h")}
where {_LINES.format("r")}
"""
NOT_LANDING = f"""
delete from new_homes where household_key in (
  select household_key from new_homes group by household_key having count(*) > 1
  union all
  select household_key from registry_rows r where {_LINES.format("r")}
  group by household_key
  having count(*) > count(distinct member_key)
    or count(national_id_index) > count(distinct national_id_index)
    or bool_or(family_card_index is not null or number is null
      or member_key <> household_key || lpad(cast(number as text), 2, '0'))
)
"""
LANDED = (
    "insert into home_standing select household_key, line, id, true, false, false, false"
    " from new_homes",
    "insert into people_standing select line, home_id, id, true, false, false, false"
    " from new_people",
    f"""
insert into home_seen
select household_key from registry_homes h where {_LINES.format("h")}
on conflict do nothing
""",
)

# At the end: what has not landed.
NEW_HOMES = """
create temporary table new_homes on commit drop as
select s.household_key, s.line, s.id
from home_standing s join import_homes i on i.line = s.line where s.new and not s.held
"""
NEW_PEOPLE = """
create temporary table new_people on commit drop as
select s.line, s.home_id, s.id, h.village_code
from people_standing s
join import_people i on i.line = s.line
join home_standing hs on hs.id = s.home_id and not hs.held
join registry_homes h on h.operation_id = cast(:op as uuid) and h.line = hs.line
where s.new
"""

HOUSEHOLDS = f"""
insert into households (id, version, registry_source, registry_id, address, rt, rw, decile,
  percentile, facts, facts_source, facts_as_of, facts_changed, presence, presence_on,
  registry_version_id, content_sha256, created_at, updated_at, {REGION})
select s.id, 1, :source, s.household_key, h.address, h.rt, h.rw, h.decile, h.percentile, h.facts,
  :source, cast(:as_of as date), '{{}}', h.presence,
  case when h.presence is not null then cast(:as_of as date) end, cast(:version_id as uuid),
  h.content_sha256, :at, :at, {_DERIVED}
{_NEW}
"""
INTO_REGISTRY_IDS = f"""
insert into registry_ids (id, household_id, source, kind, value, source_version, {REGION})
select {NEW_ID}, s.id, cast(:source as text), ids.kind, ids.value, cast(:version as text),
  {_DERIVED}
"""
REGISTRY_IDS = f"""
{INTO_REGISTRY_IDS}
{_NEW}
cross join lateral (values ('household', h.household_key)) ids (kind, value)
where ids.value not like 'kk:%'
"""
OTHER_IDS = f"""
{INTO_REGISTRY_IDS}
{_NEW}
cross join lateral (values ('ruta6', h.ruta6)) ids (kind, value)
where ids.value is not null
on conflict do nothing
"""
INTO_WELFARE_RANKS = f"""
insert into welfare_ranks (id, household_id, source, source_version, decile, percentile, as_of,
  {REGION})
select {NEW_ID}, s.id, cast(:source as text), cast(:version as text), h.decile, h.percentile,
  cast(:as_of as date), {_DERIVED}
"""
WELFARE_RANKS = f"""
{INTO_WELFARE_RANKS}
{_NEW}
where num_nonnulls(h.decile, h.percentile) > 0
"""
INTO_PARTICIPATIONS = f"""
insert into participations (id, household_id, member_id, program_code, source, as_of, {REGION})
select {NEW_ID}, s.id, null, p.code, cast(:source as text), cast(:as_of as date), {_DERIVED}
"""
PARTICIPATIONS = f"""
{INTO_PARTICIPATIONS}
{_NEW}
cross join lateral unnest(h.programs) p (code)
"""
FAMILIES = f"""
insert into families (id, household_id, number, family_card_number, family_card_number_index,
  {REGION})
select f.id, f.home_id, f.number, f.family_card_number, f.family_card_index,
  {REGION_OF.format("f.village_code")}
from import_families f where f.new
"""
_MEMBERS = f"""
insert into members (id, version, household_id, family_id, registry_id, number, name, national_id,
  national_id_index, birth_date, birth_year, sex, relation, facts, facts_source, facts_as_of,
  facts_changed, presence, presence_on, warnings, content_sha256, created_at, updated_at, {REGION})
select s.id, 1, s.home_id, {{family}}, r.member_key, r.number, r.name, r.national_id,
  r.national_id_index, r.birth_date, r.birth_year, r.sex, r.relation, r.facts, :source,
  cast(:as_of as date), '{{{{}}}}', r.presence,
  case when r.presence is not null then cast(:as_of as date) end, coalesce(r.warnings, '[]'),
  r.content_sha256, :at, :at, {REGION_OF.format("s.village_code")}
from new_people s
join registry_rows r on r.line = s.line and {_LINES.format("r")}
{{families}}
"""
MEMBERS = _MEMBERS.format(family="cast(null as uuid)", families="")
MEMBERS_IN_FAMILIES = _MEMBERS.format(
    family="f.id",
    families=(
        "left join import_families f on f.home_id = s.home_id"
        " and f.family_card_index = r.family_card_index"
    ),
)
OF_HOUSEHOLDS = (HOUSEHOLDS, REGISTRY_IDS, OTHER_IDS, WELFARE_RANKS, PARTICIPATIONS)
