"""What a file changes in rows that were there, and whom it ends."""

from app.domain.registry_statements.parts import OPEN_CHANGE

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
# Where a household stays where it is, its people and families, new ones too, do with it.
PLACES_KEPT = """
update registry_homes h set village_code = coalesce(c.village_code, e.village_code)
from home_standing s join households e on e.id = s.id
left join home_changes c on c.line = s.line
where h.operation_id = :op and h.line = s.line and not s.new
  and h.village_code <> coalesce(c.village_code, e.village_code)
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
where cast(:whole as boolean) and not cast(:first as boolean)
  and h.regency_code = :regency and h.registry_source = :source
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
where cast(:whole as boolean) and not cast(:first as boolean)
  and h.regency_code = :regency and h.registry_source = :source
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
