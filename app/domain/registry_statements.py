"""The SQL of an import: staged rows against the registry, as sets, in one transaction.

`:op` is the operation; `:source`, `:version`, `:as_of` and `:regency` say of what the file is.
Temporary tables end with the transaction: `import_homes` and `import_people` say which row of the
registry each staged one is, `home_changes` and `people_changes` what it changes there.
"""

# A UUIDv7 of this moment: `:stamp` is its first fifteen characters.
NEW_ID = "overlay(gen_random_uuid()::text placing cast(:stamp as text) from 1 for 15)::uuid"
REGION_OF = """left({0}, 2), left({0}, 5), left({0}, 8), {0}"""
REGION = "province_code, regency_code, district_code, village_code"
OPEN_CHANGE = "c.state in ('manager_approved', 'dispatched')"

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
where h.operation_id = :op
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
create temporary table home_standing on commit drop as
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

# What stays although the file says otherwise: what somebody changed here later than the version,
# or what the centre has not confirmed yet; and what this layout cannot say anything about.
_RETAINED = """
lateral (
  select coalesce(jsonb_object_agg(name, e.facts -> name) filter (where e.facts ? name), '{{}}')
      as facts,
    coalesce(jsonb_object_agg(name, coalesce(e.facts_changed -> name, jsonb_build_object(
      'source', e.facts_source, 'as_of', e.facts_as_of))), '{{}}') as changed,
    coalesce(array_agg(name), '{{}}') as names
  from (
    select key as name from jsonb_each(e.facts_changed)
    where coalesce(cast(value ->> 'as_of' as date) > cast(:as_of as date), true)
      or exists (select 1 from registry_changes c where {open} and {about})
    union
    (select jsonb_object_keys(e.facts) except select unnest(cast(:covered as text[])))
  ) names
) retained
"""
_DIFFERENCE = """
lateral (
  select jsonb_object_agg(name, jsonb_build_array(o.said -> name, n.said -> name)) as changes
  from jsonb_object_keys(o.said || n.said) name
  where (o.said -> name) is distinct from (n.said -> name)
) difference
"""
_HOME_SAID = """
lateral (select jsonb_strip_nulls({facts} || jsonb_build_object('address', {one}.address,
  'rt', {one}.rt, 'rw', {one}.rw, 'region_code', {one}.village_code, 'decile', {one}.decile,
  'percentile', {one}.percentile, 'presence', {one}.presence)) as said) {name}
"""
HOME_CHANGES = f"""
create temporary table home_changes on commit drop as
select s.id, s.line, s.ended, v.*, retained.changed as facts_changed, h.content_sha256,
  difference.changes
from home_standing s
join registry_homes h on h.operation_id = cast(:op as uuid) and h.line = s.line
join households e on e.id = s.id
cross join {_RETAINED.format(open=OPEN_CHANGE, about="c.household_id = e.id")}
cross join lateral (
  select not exists (select 1 from welfare_ranks w where w.household_id = e.id
    and w.as_of > cast(:as_of as date)) and num_nonnulls(h.decile, h.percentile) > 0 as newest
) rank
cross join lateral (select
  h.facts || retained.facts as facts,
  case when 'address' = any(retained.names) then e.address else h.address end as address,
  case when 'rt' = any(retained.names) then e.rt else h.rt end as rt,
  case when 'rw' = any(retained.names) then e.rw else h.rw end as rw,
  case when retained.names && array['region_code', 'village_code'] then e.village_code
    else h.village_code end as village_code,
  case when rank.newest then h.decile else e.decile end as decile,
  case when rank.newest then h.percentile else e.percentile end as percentile,
  case when h.presence is null or e.presence = 'dead' then e.presence else h.presence end
    as presence
) v
cross join {_HOME_SAID.format(facts="e.facts", one="e", name="o")}
cross join {_HOME_SAID.format(facts="v.facts", one="v", name="n")}
cross join {_DIFFERENCE}
where not s.new and not s.held and not s.same
"""

# Which person of the registry a staged one is: by id, else by number or name in the household.
IMPORT_PEOPLE = """
create temporary table import_people on commit drop as
with known as materialized (
  select distinct on (m.registry_id) m.registry_id, m.id
  from members m join households h on h.id = m.household_id
  where m.regency_code = :regency and h.registry_source = :source and m.registry_id is not null
  order by m.registry_id, m.ended_at is not null, m.merged_into is not null, m.id
)
select r.line, s.id as home_id, s.new as home_new, r.member_id as new_id, known.id
from registry_rows r
join home_standing s on s.household_key = r.household_key and not s.held
left join known on known.registry_id = r.member_key
where r.operation_id = :op
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
create temporary table people_standing on commit drop as
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
# Numbers that differ are sealed anew, for the row that they go to.
NUMBERS_TO_SEAL = """
select s.line, s.id, r.member_id, r.national_id, m.national_id as before
from people_standing s
join registry_rows r on r.operation_id = :op and r.line = s.line
join members m on m.id = s.id
where not s.new and not s.held and not s.same and r.national_id is not null
  and r.national_id_index is distinct from m.national_id_index and s.line > :after
order by s.line limit 2000
"""
SEALED_NUMBERS = """
create temporary table sealed_numbers (
  line integer primary key, sealed bytea, before text, after text
) on commit drop
"""
ADD_SEALED_NUMBERS = """
insert into sealed_numbers select * from unnest(
  cast(:lines as integer[]), cast(:sealed as bytea[]), cast(:before as text[]),
  cast(:after as text[]))
"""
_PERSON_SAID = """
lateral (select jsonb_strip_nulls({facts} || jsonb_build_object('name', {one}.name,
  'national_id', {number}, 'birth_date', {one}.birth_date, 'birth_year', {one}.birth_year,
  'sex', {one}.sex, 'relation', {one}.relation, 'number', {one}.number,
  'presence', {one}.presence)) as said) {name}
"""
PEOPLE_CHANGES = f"""
create temporary table people_changes on commit drop as
select s.id, s.line, s.home_id, s.ended, v.*, retained.changed as facts_changed,
  r.member_key, r.content_sha256, coalesce(r.warnings, '[]') as warnings, h.village_code,
  case when kept.number then null else sealed.sealed end as national_id,
  case when kept.number or sealed.line is null then null else r.national_id_index end
    as national_id_index,
  case when m.household_id <> s.home_id then
    jsonb_build_object('household_id', jsonb_build_array(m.household_id, s.home_id))
    || coalesce(difference.changes, '{{}}') else difference.changes end as changes
from people_standing s
join registry_rows r on r.operation_id = cast(:op as uuid) and r.line = s.line
join home_standing hs on hs.id = s.home_id and not hs.held
join registry_homes h on h.operation_id = cast(:op as uuid) and h.line = hs.line
join members m on m.id = s.id
cross join lateral (select m.facts, m.facts_changed, m.facts_source, m.facts_as_of) e
cross join {_RETAINED.format(open=OPEN_CHANGE, about="c.member_id = m.id")}
cross join lateral (select 'national_id' = any(retained.names) as number) kept
left join sealed_numbers sealed on sealed.line = s.line
left join import_families f on f.home_id = s.home_id and f.family_card_index = r.family_card_index
cross join lateral (select
  r.facts || retained.facts as facts,
  case when 'name' = any(retained.names) then m.name else r.name end as name,
  case when r.birth_date is null or 'birth_date' = any(retained.names) then m.birth_date
    else r.birth_date end as birth_date,
  case when r.birth_year is null or 'birth_date' = any(retained.names)
    or (r.birth_date is null and m.birth_date is not null) then m.birth_year
    else r.birth_year end as birth_year,
  case when r.sex is null or 'sex' = any(retained.names) then m.sex else r.sex end as sex,
  case when 'relation' = any(retained.names) then m.relation else r.relation end as relation,
  coalesce(r.number, m.number) as number,
  case when r.presence is null or m.presence = 'dead' or 'presence' = any(retained.names)
    then m.presence else r.presence end as presence,
  coalesce(f.id, m.family_id) as family_id
) v
cross join {_PERSON_SAID.format(facts="m.facts", one="m", name="o", number="cast(null as text)")}
cross join {_PERSON_SAID.format(facts="v.facts", one="v", name="n", number="cast(null as text)")}
cross join lateral (
  select case when sealed.line is null or kept.number then changes else
    coalesce(changes, '{{}}') || jsonb_build_object('national_id',
      jsonb_build_array(sealed.before, sealed.after)) end as changes
  from (select 1) one left join {_DIFFERENCE} on true
) difference
where not s.new and not s.held and not s.same
"""
# A whole version ends what it no longer has; a row that did not land ends nobody.
HOMES_ENDING = """
create temporary table homes_ending on commit drop as
select h.id from households h
where cast(:whole as boolean) and h.regency_code = :regency and h.registry_source = :source
  and h.ended_at is null
  and not exists (select 1 from home_standing s where s.id = h.id)
  and not exists (select 1 from registry_refusals r
    where r.operation_id = :op and r.household_key = h.registry_id)
"""
PEOPLE_ENDING = """
create temporary table people_ending on commit drop as
select m.id, m.household_id from members m
where m.ended_at is null and m.household_id in (select id from homes_ending)
union all
select m.id, m.household_id from members m join households h on h.id = m.household_id
where cast(:whole as boolean) and h.regency_code = :regency and h.registry_source = :source
  and m.ended_at is null and m.registry_id is not null
  and h.id in (select id from home_standing where not new and not held)
  and not exists (select 1 from people_standing s where s.id = m.id)
  and not exists (select 1 from registry_rows r
    where r.operation_id = :op and r.member_key = m.registry_id)
  and not exists (select 1 from registry_refusals r
    where r.operation_id = :op and r.household_key = h.registry_id)
"""
COUNTS = """
select
  (select count(*) from {0}_standing where new) as new,
  (select count(*) from {0}_changes where changes is not null and not ended) as changed,
  (select count(*) from {0}_changes where ended) as returned,
  (select count(*) from {0}_standing where same)
    + (select count(*) from {0}_changes where changes is null and not ended) as unchanged,
  (select count(*) from {0}_standing where held) as held,
  (select count(*) from {1}_ending) as ended
"""
EXAMPLES = """
(select 'new' as what, r.line, null as household_id, r.name, null as changes
 from people_standing s join registry_rows r on r.operation_id = cast(:op as uuid)
   and r.line = s.line where s.new order by r.line limit 34)
union all
(select 'changed', c.line, cast(c.home_id as text), c.name, c.changes from people_changes c
 where c.changes is not null order by c.line limit 33)
union all
(select 'changed', c.line, cast(c.id as text), null, c.changes from home_changes c
 where c.changes is not null order by c.line limit 33)
union all
(select 'ended', null, cast(e.household_id as text), m.name, null
 from people_ending e join members m on m.id = e.id order by m.id limit 34)
"""

# Applying
_DERIVED = REGION_OF.format("h.village_code")
NEW_HOUSEHOLDS = f"""
insert into households (id, version, registry_source, registry_id, address, rt, rw, decile,
  percentile, facts, facts_source, facts_as_of, facts_changed, presence, presence_on,
  registry_version_id, content_sha256, created_at, updated_at, {REGION})
select s.id, 1, :source, s.household_key, h.address, h.rt, h.rw, h.decile, h.percentile, h.facts,
  :source, cast(:as_of as date), '{{}}', h.presence,
  case when h.presence is not null then cast(:as_of as date) end, cast(:version_id as uuid),
  h.content_sha256, :at, :at, {_DERIVED}
from home_standing s
join registry_homes h on h.operation_id = cast(:op as uuid) and h.line = s.line
where s.new and not s.held
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
insert into registry_ids (id, household_id, source, kind, value, source_version, {REGION})
select {NEW_ID}, s.id, cast(:source as text), ids.kind, ids.value, cast(:version as text),
  {_DERIVED}
from home_standing s
join registry_homes h on h.operation_id = cast(:op as uuid) and h.line = s.line
cross join lateral (values ('household', h.household_key), ('ruta6', h.ruta6)) ids (kind, value)
where ids.value is not null and not s.held and not s.same
  and not (ids.kind = 'household' and ids.value like 'kk:%')
on conflict do nothing
"""
WELFARE_RANKS = f"""
insert into welfare_ranks (id, household_id, source, source_version, decile, percentile, as_of,
  {REGION})
select {NEW_ID}, s.id, cast(:source as text), cast(:version as text), h.decile, h.percentile,
  cast(:as_of as date), {_DERIVED}
from home_standing s
join registry_homes h on h.operation_id = cast(:op as uuid) and h.line = s.line
where num_nonnulls(h.decile, h.percentile) > 0 and not s.held
on conflict (household_id, source, source_version) do update
set decile = excluded.decile, percentile = excluded.percentile, as_of = excluded.as_of
where (welfare_ranks.decile, welfare_ranks.percentile, welfare_ranks.as_of)
  is distinct from (excluded.decile, excluded.percentile, excluded.as_of)
"""
PARTICIPATIONS = f"""
insert into participations (id, household_id, member_id, program_code, source, as_of, {REGION})
select {NEW_ID}, s.id, null, p.code, cast(:source as text), cast(:as_of as date), {_DERIVED}
from home_standing s
join registry_homes h on h.operation_id = cast(:op as uuid) and h.line = s.line
cross join lateral unnest(h.programs) p (code)
where not s.held and not s.same
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
NEW_FAMILIES = f"""
insert into families (id, household_id, number, family_card_number, family_card_number_index,
  {REGION})
select f.id, f.home_id, f.number, f.family_card_number, f.family_card_index,
  {REGION_OF.format("f.village_code")}
from import_families f where f.new
"""
NEW_MEMBERS = f"""
insert into members (id, version, household_id, family_id, registry_id, number, name, national_id,
  national_id_index, birth_date, birth_year, sex, relation, facts, facts_source, facts_as_of,
  facts_changed, presence, presence_on, warnings, content_sha256, created_at, updated_at, {REGION})
select s.id, 1, s.home_id, {{family}}, r.member_key, r.number, r.name, r.national_id,
  r.national_id_index, r.birth_date, r.birth_year, r.sex, r.relation, r.facts, :source,
  cast(:as_of as date), '{{{{}}}}', r.presence,
  case when r.presence is not null then cast(:as_of as date) end, coalesce(r.warnings, '[]'),
  r.content_sha256, :at, :at, {_DERIVED}
from people_standing s
join registry_rows r on r.operation_id = cast(:op as uuid) and r.line = s.line
join home_standing hs on hs.id = s.home_id and not hs.held
join registry_homes h on h.operation_id = cast(:op as uuid) and h.line = hs.line
{{families}}
where s.new
"""
NEW_MEMBERS_ALONE = NEW_MEMBERS.format(family="null", families="")
NEW_MEMBERS_IN_FAMILIES = NEW_MEMBERS.format(
    family="f.id",
    families=(
        "left join import_families f on f.home_id = s.home_id"
        " and f.family_card_index = r.family_card_index"
    ),
)
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
