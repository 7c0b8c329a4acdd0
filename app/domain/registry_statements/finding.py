"""What stands in a file twice, and which row of the registry each staged one is.

`:first` is whether the city had nothing of the source before: then nothing can be known, or end.
"""

from app.domain.registry_statements.parts import OPEN_CHANGE

STANDING = (
    """
create temporary table home_standing (household_key text collate "C", line integer, id uuid,
  new boolean, ended boolean, same boolean, held boolean) on commit drop
""",
    """
create temporary table people_standing (line integer, home_id uuid, id uuid,
  new boolean, ended boolean, same boolean, held boolean) on commit drop
""",
    """
create temporary table home_seen (household_key text collate "C" primary key) on commit drop
""",
)
HOMES_TWICE = """
create temporary table homes_twice on commit drop as
select line, n, content_sha256 <> first as differs from (
  select line, content_sha256, row_number() over w as n, first_value(content_sha256) over w as first
  from registry_homes where operation_id = cast(:op as uuid) and household_key in (
    select household_key from registry_homes where operation_id = cast(:op as uuid)
    group by household_key having count(*) > 1)
  window w as (partition by household_key order by line)
) ranked where n > 1
"""
DROP_HOMES_TWICE = """
delete from registry_homes where operation_id = :op and line in (select line from homes_twice)
"""
NUMBERS_TWICE = """
create temporary table numbers_twice on commit drop as
select line, household_key, national_id_index from registry_rows
where operation_id = cast(:op as uuid) and national_id_index in (
  select national_id_index from registry_rows
  where operation_id = cast(:op as uuid) and national_id_index is not null
  group by national_id_index having count(*) > 1)
"""
# One person twice: the same id, or the same number in one household.
ROWS_TWICE = """
create temporary table rows_twice on commit drop as
select line from (
  select line, row_number() over (partition by member_key order by line) as n
  from registry_rows where operation_id = cast(:op as uuid) and member_key in (
    select member_key from registry_rows where operation_id = cast(:op as uuid)
    group by member_key having count(*) > 1)
  union all
  select line, row_number() over (partition by household_key, national_id_index order by line)
  from numbers_twice
) ranked where n > 1 group by line
"""
DROP_ROWS_TWICE = """
with gone as (
  delete from registry_rows where operation_id = :op and line in (select line from rows_twice)
)
delete from numbers_twice where line in (select line from rows_twice)
"""
DROP_NUMBERS_ALONE = """
delete from numbers_twice where national_id_index in (
  select national_id_index from numbers_twice
  group by national_id_index having count(distinct household_key) = 1)
"""
FAULTS_FROM = """
insert into operation_faults (operation_id, number, line, "column", value, code, refused)
select cast(:op as uuid), :number + row_number() over (order by line), line,
  cast(:column as text), null, cast(:code as text), cast(:refused as boolean)
from {0}
"""

# Which household of the registry a staged one is; by its card only where no id is known.
IMPORT_HOMES = """
create temporary table import_homes on commit drop as
select h.household_key, h.line, h.household_id as new_id, h.card_index,
  coalesce(a.id, b.household_id) as id
from registry_homes h
left join households a on a.registry_source = :source and a.registry_id = h.household_key
left join registry_ids b on b.source = :source and b.kind = 'household'
  and b.value = h.household_key and a.id is null
where h.operation_id = :op and not exists (select 1 from home_standing s where s.line = h.line)
"""
HOMES_BY_CARD = """
with found as (
  select distinct on (f.household_id) i.line, f.household_id
  from import_homes i join families f on f.family_card_number_index = i.card_index
  join households h on h.id = f.household_id and h.ended_at is null
  where i.id is null and f.ended_at is null and f.regency_code = :regency
    and not exists (select 1 from import_homes other where other.id = f.household_id)
  order by f.household_id, i.line
)
update import_homes i set id = found.household_id from (
  select distinct on (line) line, household_id from found order by line, household_id
) found where found.line = i.line
"""
HOME_STANDING = f"""
insert into home_standing
select i.household_key, i.line, coalesce(i.id, i.new_id) as id, i.id is null as new,
  coalesce(e.ended_at is not null, false) as ended,
  coalesce(e.ended_at is null and e.content_sha256 = h.content_sha256, false) as same,
  coalesce(e.merged_into is not null or (e.ended_at is not null and exists (
    select 1 from registry_changes c where c.household_id = e.id and {OPEN_CHANGE})), false)
  -- Two households of the file that are one here already: the second says nothing.
  or row_number() over (partition by coalesce(i.id, i.new_id)
    order by i.household_key is distinct from e.registry_id, i.line) > 1 as held
from import_homes i
join registry_homes h on h.operation_id = cast(:op as uuid) and h.line = i.line
left join households e on e.id = i.id
"""

# Which person of the registry a staged one is: by id, else by number or name in the household.
IMPORT_PEOPLE = """
create temporary table import_people on commit drop as
with known as materialized (
  select distinct on (m.registry_id) m.registry_id, m.id
  from members m join households h on h.id = m.household_id
  where not cast(:first as boolean) and m.regency_code = :regency
    and h.registry_source = :source and m.registry_id is not null
  order by m.registry_id, m.ended_at is not null, m.merged_into is not null, m.id
)
select r.line, s.id as home_id, s.new as home_new, r.member_id as new_id, known.id
from registry_rows r
join home_standing s on s.household_key = r.household_key and not s.held
left join known on known.registry_id = r.member_key
where r.operation_id = :op and not exists (select 1 from people_standing p where p.line = r.line)
"""
PEOPLE_IN_HOME = """
with found as (
  select distinct on (p.line) p.line, m.id
  from import_people p
  join registry_rows r on r.operation_id = :op and r.line = p.line
  join members m on m.household_id = p.home_id and m.ended_at is null
    and (m.national_id_index = r.national_id_index or (
      lower(m.name) = lower(r.name) and m.birth_year = r.birth_year))
    and not exists (select 1 from import_people other where other.id = m.id)
  where p.id is null and not p.home_new
  order by p.line, m.national_id_index is distinct from r.national_id_index, m.id
)
update import_people p set id = one.id from (
  select distinct on (id) id, line from found order by id, line
) one where one.line = p.line
"""
FAMILIES = """
create temporary table import_families on commit drop as
select distinct on (p.home_id, r.family_card_index) p.home_id, r.family_card_index,
  f.id is null as new, coalesce(f.id, r.family_id) as id, r.family_card_number,
  coalesce(r.family_number, 1) as number, h.village_code
from import_people p
join registry_rows r on r.operation_id = cast(:op as uuid) and r.line = p.line
join home_standing s on s.id = p.home_id and not s.held
join registry_homes h on h.operation_id = cast(:op as uuid) and h.line = s.line
left join families f on f.household_id = p.home_id
  and f.family_card_number_index = r.family_card_index and f.ended_at is null
where r.family_card_index is not null
order by p.home_id, r.family_card_index, r.line
"""
PEOPLE_STANDING = f"""
insert into people_standing
select p.line, p.home_id, coalesce(p.id, p.new_id) as id, p.id is null as new,
  coalesce(m.ended_at is not null, false) as ended,
  coalesce(m.ended_at is null and m.household_id = p.home_id
    and m.content_sha256 = r.content_sha256, false) as same,
  coalesce(m.merged_into is not null or (m.ended_at is not null and exists (
    select 1 from registry_changes c where c.member_id = m.id and {OPEN_CHANGE})), false) as held
from import_people p
join registry_rows r on r.operation_id = cast(:op as uuid) and r.line = p.line
left join members m on m.id = p.id
"""
