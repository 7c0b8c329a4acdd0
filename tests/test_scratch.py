import asyncio
from tests.test_two_readers import *
from tests.test_two_readers import _parsed
from sqlalchemy.dialects import postgresql
ages = st.builds(lambda ends: {"age": ends}, limits(58, 62))
some1 = st.builds(lambda inner: {"someone": inner}, ages)
simple = rules(st.one_of(fact_test(["floor"]), some1))
@settings(CALM, max_examples=1500)
@given(st.lists(homes(), min_size=1, max_size=3), st.lists(simple, min_size=1, max_size=4))
def test_x(readers, rows, rr):
    try:
        readers.compare(rows, rr, rr[:1])
    except AssertionError as e:
        asked=[Asked("PKH", False, r) for r in rr]
        q = screened(asked, DAY, ("35",), [Household.id])
        c = q.compile(dialect=postgresql.dialect())
        open("/tmp/el_sql.txt","w").write(str(e)[:3000]+"\n\n"+str([r.plain() for r in rr])+"\n\n"+str(c)+"\n"+str(c.params)+"\n"+str(c.positiontup))
        raise
