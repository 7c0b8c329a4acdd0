"""Who may come in: passwords, client secrets, tokens, accounts, and how often one may ask."""

import asyncio
import base64
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import httpx
import pytest
from cryptography.exceptions import InvalidSignature

from app.auth import basic_credentials, hash_secret, verify_secret
from app.routers.limits import RateLimit
from app.settings import DEMO_CLIENT_SECRET, DEMO_PASSWORD
from tests.conftest import Cluster, World, serve
from tests.flows import KAUMAN, WATES, draft, etag, file, key
from tests.refusals import MARKER, faults, refused
from tests.tokens import verified

FORM = {"grant_type": "client_credentials"}
SECRET = "sandi-yang-panjang"


def sign_in(world: World, username: str, password: str = DEMO_PASSWORD) -> httpx.Response:
    credentials = {"username": username, "password": password}
    return world.anyone.post("/v1/auth/sessions", json=credentials)


def ask_token(world: World, sent: Any = None, **headers: str) -> httpx.Response:
    return world.anyone.post("/v1/auth/token", data=FORM if sent is None else sent, headers=headers)


def basic(name: str, secret: str) -> str:
    return f"Basic {base64.b64encode(f'{name}:{secret}'.encode()).decode()}"


def whoever(world: World, answer: httpx.Response) -> str:
    """Whose token it is."""
    headers = {"Authorization": f"Bearer {answer.json()['access_token']}"}
    found: str = world.anyone.get("/v1/me", headers=headers).json()["username"]
    return found


# People


def test_a_person_signs_in_for_ten_minutes(world: World) -> None:
    answer = sign_in(world, "front.1")
    assert answer.status_code == 201
    assert answer.headers["cache-control"] == "no-store"
    assert answer.json().keys() == {"access_token", "token_type", "expires_in"}
    assert answer.json()["token_type"] == "bearer"
    assert answer.json()["expires_in"] == 600
    assert whoever(world, answer) == "front.1"


@pytest.mark.parametrize(
    ("username", "password"),
    [
        ("front.1", MARKER), ("front.1", DEMO_PASSWORD + " "), (MARKER, DEMO_PASSWORD),
        ("FRONT.1", DEMO_PASSWORD), ("agency-pkh", DEMO_CLIENT_SECRET), ("system", DEMO_PASSWORD),
        ("front.1", "x" * 200), ("front.%", DEMO_PASSWORD), ("' or 1=1 --", "x"),
    ],
)  # fmt: skip
def test_a_wrong_name_and_a_wrong_password_are_told_apart_by_nobody(
    world: World, username: str, password: str
) -> None:
    answer = sign_in(world, username, password)
    refused(answer, 401, "credentials_invalid")
    assert answer.json()["errors"] == []


@pytest.mark.parametrize(
    ("body", "place"),
    [
        ({}, "/username"), ({"username": "front.1"}, "/password"),
        ({"username": "front.1", "password": ""}, "/password"),
        ({"username": "front.1", "password": "x" * 201}, "/password"),
        ({"username": "x" * 65, "password": "x"}, "/username"),
        ({"username": 5, "password": "x"}, "/username"),
        ({"username": "x", "password": "x", "remember": True}, "/remember"),
    ],
)  # fmt: skip
def test_credentials_that_are_none_are_refused(
    world: World, body: dict[str, Any], place: str
) -> None:
    answer = world.anyone.post("/v1/auth/sessions", json=body)
    refused(answer, 422, "validation_failed")
    assert place in faults(answer)


def test_whoever_guesses_is_told_to_wait_and_nobody_else_is(world: World) -> None:
    add_user(world, "guessed")
    for _ in range(10):
        refused(sign_in(world, "guessed", MARKER), 401, "credentials_invalid")
    for password in (MARKER, SECRET):
        answer = sign_in(world, "guessed", password)
        refused(answer, 429, "too_many_requests")
        assert 0 < int(answer.headers["retry-after"]) <= 10
        assert answer.headers["ratelimit"].startswith('"default";r=0')
    assert sign_in(world, "front.1").status_code == 201
    other = httpx.Client(transport=httpx.HTTPTransport(local_address="127.0.0.2"))
    with other:
        credentials = {"username": "guessed", "password": SECRET}
        answer = other.post(f"{world.base_url}/v1/auth/sessions", json=credentials)
        assert answer.status_code == 201


def test_success_counts_for_nothing(world: World) -> None:
    add_user(world, "busy")
    for _ in range(12):
        assert sign_in(world, "busy", SECRET).status_code == 201


def test_guesses_sent_at_once_are_counted(world: World) -> None:
    add_user(world, "rushed")
    answers: list[int] = []
    threads = [
        threading.Thread(
            target=lambda: answers.append(
                httpx.post(
                    f"{world.base_url}/v1/auth/sessions",
                    json={"username": "rushed", "password": "wrong"},
                    timeout=30,
                ).status_code
            )
        )
        for _ in range(24)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(answers) == {401, 429}
    assert answers.count(401) == 10


# Clients


def test_a_client_gets_its_token_by_form(world: World) -> None:
    form = FORM | {"client_id": "agency-pkh", "client_secret": DEMO_CLIENT_SECRET}
    answer = ask_token(world, form)
    assert answer.status_code == 200
    assert answer.json()["token_type"] == "bearer"
    assert whoever(world, answer) == "agency-pkh"
    # What is not asked about is left alone (RFC 6749, 3.2).
    assert ask_token(world, form | {"scope": "referrals:read", "other": "1"}).status_code == 200


def test_a_client_gets_its_token_by_http_basic(world: World) -> None:
    good = basic("agency-pkh", DEMO_CLIENT_SECRET)
    for header in (good, good.replace("Basic", "basic")):
        assert whoever(world, ask_token(world, Authorization=header)) == "agency-pkh"
    # The header is who asks, whatever the form says.
    form = FORM | {"client_id": "integrator", "client_secret": "wrong"}
    assert whoever(world, ask_token(world, form, Authorization=good)) == "agency-pkh"


@pytest.mark.parametrize(
    ("form", "header"),
    [
        ({"client_id": "agency-pkh", "client_secret": "wrong"}, None),
        ({"client_id": "agency-pkh"}, None),
        ({"client_id": "nobody", "client_secret": DEMO_CLIENT_SECRET}, None),
        ({"client_id": "", "client_secret": ""}, None),
        ({}, None),
        ({"client_id": "front.1", "client_secret": DEMO_PASSWORD}, None),
        ({"client_id": "a\0b", "client_secret": "x"}, None),
        ({"client_id": "x" * 65, "client_secret": "x"}, None),
        ({"client_id": "x" * 10_000, "client_secret": "x" * 3_000}, None),
        ({}, basic("agency-pkh", "wrong")),
        ({}, basic("agency-pkh", "")),
        ({}, "Basic"),
        ({}, "Basic !!!"),
        ({}, "Basic " + base64.b64encode(b"no colon").decode()),
        ({}, "Basic " + base64.b64encode(b"\xff\xfe:x").decode()),
        ({}, "Bearer x"),
    ],
)
def test_a_client_that_is_not_known_gets_no_token(
    world: World, form: dict[str, str], header: str | None
) -> None:
    headers = {} if header is None else {"Authorization": header}
    answer = ask_token(world, FORM | form, **headers)
    refused(answer, 401, "invalid_client")
    assert answer.json()["error"] == "invalid_client"
    assert answer.headers["www-authenticate"] == 'Basic realm="slrt"'


@pytest.mark.parametrize(
    "sent",
    [
        {"client_id": "agency-pkh", "client_secret": DEMO_CLIENT_SECRET},
        "", "grant_type", "nonsense", b"\xff\xfe=1", "grant_type=client_credentials&&",
        "grant_type=client_credentials&grant_type=client_credentials",
        "&".join(f"field{n}=1" for n in range(21)),
    ],
)  # fmt: skip
def test_a_form_without_a_grant_type_is_no_request(world: World, sent: Any) -> None:
    media_type = {"Content-Type": "application/x-www-form-urlencoded"}
    more = {"data": sent} if isinstance(sent, dict) else {"content": sent}
    answer = world.anyone.post("/v1/auth/token", headers=media_type, **more)
    refused(answer, 400, "invalid_request")
    assert answer.json()["error"] == "invalid_request"


def test_json_is_no_form(world: World) -> None:
    body = FORM | {"client_id": "agency-pkh", "client_secret": DEMO_CLIENT_SECRET}
    for answer in (
        world.anyone.post("/v1/auth/token", json=body),
        world.anyone.post("/v1/auth/token"),
        world.anyone.post("/v1/auth/token", files={"grant_type": b"client_credentials"}),
    ):
        refused(answer, 400, "invalid_request")
        assert answer.json()["error"] == "invalid_request"


@pytest.mark.parametrize("grant", ["password", "authorization_code", "refresh_token", "", MARKER])
def test_another_grant_is_not_supported(world: World, grant: str) -> None:
    answer = ask_token(world, {"grant_type": grant, "username": "front.1", "password": MARKER})
    refused(answer, 400, "unsupported_grant_type")
    assert answer.json()["error"] == "unsupported_grant_type"


def test_a_form_that_is_too_large_is_not_read(world: World) -> None:
    answer = ask_token(world, FORM | {"client_secret": "x" * 20_000})
    refused(answer, 413, "body_too_large")


def test_a_client_that_guesses_is_told_to_wait(world: World) -> None:
    form = FORM | {"client_id": "guessing-client", "client_secret": "wrong"}
    for _ in range(10):
        refused(ask_token(world, form), 401, "invalid_client")
    answer = ask_token(world, form)
    refused(answer, 429, "too_many_requests")
    assert answer.json()["error"] == "temporarily_unavailable"
    assert int(answer.headers["retry-after"]) > 0


def test_a_secret_is_compared_whole(world: World) -> None:
    """What lies behind the two hundredth character counts, too."""
    secret = "s" * 200
    add_client(world, "long-secret", secret=secret)
    form = FORM | {"client_id": "long-secret"}
    assert ask_token(world, form | {"client_secret": secret}).status_code == 200
    refused(ask_token(world, form | {"client_secret": secret + "x"}), 401, "invalid_client")


# Tokens


@pytest.fixture(scope="module")
def jwks(world: World) -> dict[str, Any]:
    answer = world.anyone.get("/.well-known/jwks.json")
    assert answer.status_code == 200
    found: dict[str, Any] = answer.json()
    return found


def test_the_public_key_checks_our_tokens_and_gives_nothing_away(
    world: World, jwks: dict[str, Any]
) -> None:
    (jwk,) = jwks["keys"]
    assert jwk.keys() == {"kty", "crv", "x", "y", "kid", "use", "alg"}
    assert (jwk["kty"], jwk["crv"], jwk["alg"], jwk["use"]) == ("EC", "P-256", "ES256", "sig")
    for who in ("front.1", "agency-pkh"):
        header, claims = verified(world.token(who), jwk)
        assert header == {"alg": "ES256", "kid": jwk["kid"], "typ": "JWT"}
        assert claims.keys() == {"sub", "iss", "aud", "jti", "iat", "exp"}
        assert claims["sub"] == world.as_(who).get("/me").json()["id"]
        assert claims["exp"] - claims["iat"] == 600
    first, second = (
        verified(sign_in(world, "front.1").json()["access_token"], jwk)[1] for _ in "ab"
    )
    assert first["jti"] != second["jti"]


def test_a_token_that_was_changed_is_found_out(world: World, jwks: dict[str, Any]) -> None:
    header, _, signature = world.token("front.1").split(".")
    other = world.token("admin").split(".")[1]
    with pytest.raises(InvalidSignature):
        verified(f"{header}.{other}.{signature}", jwks["keys"][0])
    forged = {"Authorization": f"Bearer {header}.{other}.{signature}"}
    refused(world.anyone.get("/v1/me", headers=forged), 401, "token_invalid")


def test_the_issuer_is_the_public_address(cluster: Cluster, world: World) -> None:
    with serve(cluster, world.database, public_url="https://slrt.example") as other:
        jwk = other.anyone.get("/.well-known/jwks.json").json()["keys"][0]
        assert verified(other.token("front.1"), jwk)[1]["iss"] == "https://slrt.example"
        # A token of another deployment is none of ours, though the key is the same.
        foreign = {"Authorization": f"Bearer {other.token('front.1')}"}
        refused(world.anyone.get("/v1/me", headers=foreign), 401, "token_invalid")


def test_a_person_is_told_their_roles(world: World) -> None:
    found = world.as_("program.1").get("/me").json()
    assert UUID(found["id"])
    assert found["kind"] == "person"
    assert found["username"] == "program.1"
    assert found["scopes"] == []
    (role,) = found["roles"]
    assert role["role"] == "program_manager"
    assert role["region_codes"] == ["35.76"]
    assert "PKH" in role["program_codes"]
    assert world.as_("admin").get("/me").json()["roles"][0]["region_codes"] == []


def test_a_client_is_told_its_scopes(world: World) -> None:
    found = world.as_("agency-pkh").get("/me").json()
    assert found["kind"] == "client"
    assert found["roles"] == []
    assert found["scopes"] == ["referrals:answer", "referrals:read", "webhooks:manage"]
    assert (found["region_codes"], found["program_codes"]) == (["35.76"], ["PKH"])


# Secrets, without a server


def test_secrets_are_hashed_slowly_and_never_the_same_way() -> None:
    first, second = (asyncio.run(hash_secret("rahasia")) for _ in "ab")
    assert first.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert first != second
    assert asyncio.run(verify_secret(first, "rahasia"))
    assert not asyncio.run(verify_secret(first, "Rahasia"))
    assert not asyncio.run(verify_secret("no hash at all", "rahasia"))
    # Nobody has a password, not even the one that stands in for it.
    assert not asyncio.run(verify_secret(None, "nobody has this password"))


@pytest.mark.parametrize(
    ("header", "found"),
    [
        (basic("a", "b"), ("a", "b")), (basic("a", "b:c"), ("a", "b:c")), (basic("", ""), ("", "")),
        (basic("é", "ü"), ("é", "ü")), ("", None), ("Basic", None), ("Basic YQ==", None),
        ("Basic YTpi!", None), ("Basic /w==", None), ("Bearer YTpi", None),
    ],
)  # fmt: skip
def test_basic_credentials_are_read_or_are_none(header: str, found: Any) -> None:
    assert basic_credentials(header) == found


# Accounts


def add_user(world: World, username: str, **more: Any) -> dict[str, Any]:
    body = {"username": username, "name": "Orang Baru", "password": SECRET, "roles": []} | more
    answer = world.as_("admin").post("/users", json=body)
    assert answer.status_code == 201, answer.text
    assert answer.headers["location"] == f"/v1/users/{answer.json()['id']}"
    assert answer.headers["etag"] == '"1"'
    found: dict[str, Any] = answer.json()
    return found


def add_client(world: World, username: str, **more: Any) -> dict[str, Any]:
    body = {"username": username, "name": "Klien Baru", "secret": SECRET, "scopes": []} | more
    answer = world.as_("admin").post("/clients", json=body)
    assert answer.status_code == 201, answer.text
    assert answer.headers["location"] == f"/v1/clients/{answer.json()['id']}"
    assert answer.headers["etag"] == '"1"'
    found: dict[str, Any] = answer.json()
    return found


def change(world: World, path: str, version: str | None = None, **body: Any) -> httpx.Response:
    admin = world.as_("admin")
    sent = {"If-Match": version or etag(world, "admin", path)}
    return admin.patch(path, json=body, headers=sent)


def test_an_admin_lets_a_person_in(world: World) -> None:
    roles = [
        {"role": "front_office", "region_codes": ["35.76"], "program_codes": []},
        {"role": "program_manager", "region_codes": [WATES], "program_codes": ["PKH", "PIP"]},
    ]
    made = add_user(world, "newcomer", roles=roles)
    assert made["active"] is True
    assert made["roles"] == roles
    assert "password" not in made
    assert "secret_hash" not in made
    answer = sign_in(world, "newcomer", SECRET)
    assert whoever(world, answer) == "newcomer"
    headers = {"Authorization": f"Bearer {answer.json()['access_token']}"}
    filed = world.anyone.post("/v1/complaints", json=draft(), headers=headers | key())
    assert filed.status_code == 201
    assert world.as_("admin").get(f"/users/{made['id']}").json() == made


def test_an_admin_changes_roles_password_and_name(world: World) -> None:
    made = add_user(world, "changed", roles=[{"role": "head", "region_codes": ["35.76"]}])
    path = f"/users/{made['id']}"
    answer = change(world, path, name="Nama Lain")
    assert (answer.json()["name"], answer.headers["etag"]) == ("Nama Lain", '"2"')
    assert answer.json()["roles"] == made["roles"]
    given = [{"role": "supervisor", "region_codes": ["35.76.02"], "program_codes": []}]
    assert change(world, path, roles=given).json()["roles"] == given
    assert change(world, path, password="sandi-yang-lain").json()["version"] == 4
    refused(sign_in(world, "changed", SECRET), 401, "credentials_invalid")
    assert sign_in(world, "changed", "sandi-yang-lain").status_code == 201
    assert change(world, path, roles=[]).json()["roles"] == []


def test_a_change_of_an_account_names_the_version_it_changes(world: World) -> None:
    path = f"/users/{add_user(world, 'versioned')['id']}"
    client = f"/clients/{add_client(world, 'versioned-client')['id']}"
    for one in (path, client):
        refused(world.as_("admin").patch(one, json={"name": "x"}), 428, "precondition_required")
        for version in ('"2"', "*", '"1", "2"', 'W/"1"'):
            refused(change(world, one, version, name="x"), 412, "stale_version")
        assert change(world, one, '"1"', name="Baru").json()["version"] == 2
        refused(change(world, one, '"1"', name="Lagi"), 412, "stale_version")


def test_whoever_is_shut_out_is_out_at_once(world: World) -> None:
    made = add_user(world, "gone", roles=[{"role": "head", "region_codes": ["35.76"]}])
    headers = {"Authorization": f"Bearer {sign_in(world, 'gone', SECRET).json()['access_token']}"}
    assert world.anyone.get("/v1/me", headers=headers).status_code == 200
    path = f"/users/{made['id']}"
    assert change(world, path, active=False).json()["active"] is False
    refused(world.anyone.get("/v1/me", headers=headers), 401, "token_invalid")
    refused(sign_in(world, "gone", SECRET), 401, "credentials_invalid")
    assert change(world, path, active=True).json()["active"] is True
    assert sign_in(world, "gone", SECRET).status_code == 201


def test_a_client_is_let_in_changed_and_shut_out(world: World) -> None:
    made = add_client(
        world, "newclient", scopes=["referrals:read"], region_codes=[WATES], program_codes=["PIP"]
    )
    assert (made["scopes"], made["region_codes"]) == (["referrals:read"], [WATES])
    assert "secret" not in made
    form = FORM | {"client_id": "newclient", "client_secret": SECRET}
    assert whoever(world, ask_token(world, form)) == "newclient"
    path = f"/clients/{made['id']}"
    answer = change(world, path, scopes=["complaints:submit"], region_codes=[KAUMAN])
    assert answer.json()["scopes"] == ["complaints:submit"]
    assert answer.json()["program_codes"] == ["PIP"]
    headers = {"Authorization": f"Bearer {ask_token(world, form).json()['access_token']}"}
    for region, status in ((KAUMAN, 201), (WATES, 422)):
        body = draft(region_code=region, channel="batch")
        filed = world.anyone.post("/v1/complaints", json=body, headers=headers | key())
        assert filed.status_code == status
    assert change(world, path, secret="rahasia-yang-lain").is_success
    refused(ask_token(world, form), 401, "invalid_client")
    form["client_secret"] = "rahasia-yang-lain"
    assert ask_token(world, form).status_code == 200
    assert change(world, path, active=False).json()["active"] is False
    refused(ask_token(world, form), 401, "invalid_client")
    refused(world.anyone.get("/v1/me", headers=headers), 401, "token_invalid")
    assert change(world, path, program_codes=[]).json()["program_codes"] == []


def test_a_name_is_given_once_to_people_and_clients_alike(world: World) -> None:
    add_user(world, "taken")
    admin = world.as_("admin")
    user = {"username": "taken", "name": "x", "password": SECRET}
    client = {"username": "taken", "name": "x", "secret": SECRET, "scopes": []}
    refused(admin.post("/users", json=user), 409, "username_taken")
    refused(admin.post("/clients", json=client), 409, "username_taken")
    refused(admin.post("/users", json=user | {"username": "agency-pkh"}), 409, "username_taken")


def test_the_last_admin_stays(world: World) -> None:
    me = world.as_("admin").get("/me").json()["id"]
    for body in (
        {"active": False},
        {"roles": []},
        {"roles": [{"role": "head", "region_codes": ["35.76"]}]},
    ):
        refused(change(world, f"/users/{me}", **body), 409, "last_admin")
    assert world.as_("admin").get("/me").json()["roles"][0]["role"] == "admin"
    other = add_user(world, "second.admin", roles=[{"role": "admin"}])
    assert change(world, f"/users/{other['id']}", roles=[]).is_success


@contextmanager
def held(world: World, lock: str) -> Iterator[None]:
    """As if somebody else were in the middle of a transaction."""

    async def hold() -> asyncpg.Connection:
        connection = await asyncpg.connect(
            host=str(world.cluster.socket_dir), user="slrt", database=world.database
        )
        await connection.execute("begin")
        await connection.execute(lock)
        return connection

    with asyncio.Runner() as runner:
        connection = runner.run(hold())
        try:
            yield
        finally:
            runner.run(connection.close())


def test_two_admins_cannot_shut_each_other_out_at_once(fresh_world: World) -> None:
    world = fresh_world
    made = add_user(world, "second.admin", password=DEMO_PASSWORD, roles=[{"role": "admin"}])
    first = world.as_("admin").get("/me").json()["id"]
    clients = {"admin": made["id"], "second.admin": first}
    codes: list[int] = []
    for who in clients:
        world.as_(who)

    def shut_out(who: str) -> None:
        answer = world.as_(who).patch(
            f"/users/{clients[who]}", json={"active": False}, headers={"If-Match": '"1"'}
        )
        codes.append(answer.status_code)

    threads = [threading.Thread(target=shut_out, args=(who,)) for who in clients]
    with held(world, "lock events in share mode"):
        with held(world, "select from principals for update"):
            for thread in threads:
                thread.start()
            # Both are let in as admins, and wait for the accounts.
            time.sleep(0.5)
        # Whoever goes on changes an account, looks for an admin, and waits to log it.
        time.sleep(0.5)
    for thread in threads:
        thread.join()
    assert sorted(codes) == [200, 409]
    left = "select 1 from principals p join grants g on g.principal_id = p.id"
    assert len(world.fetch(f"{left} where g.role = 'admin' and p.active")) == 1


@pytest.mark.parametrize(
    ("roles", "code", "places"),
    [
        ([{"role": "king", "region_codes": ["35.76"]}], "validation_failed", {"/roles/0/role"}),
        ([{"role": "system", "region_codes": ["35.76"]}], "validation_failed", {"/roles/0/role"}),
        ([{"role": "head"}], "validation_failed", {"/roles/0/region_codes"}),
        (
            [{"role": "agency", "region_codes": ["35.76"]}],
            "validation_failed",
            {"/roles/0/program_codes"},
        ),
        (
            [{"role": "head", "region_codes": ["35.76"]}] * 2,
            "validation_failed",
            {"/roles/0/role", "/roles/1/role"},
        ),
        (
            [{"role": "head", "region_codes": ["35.76", "99.99"]}],
            "unknown_reference",
            {"/roles/0/region_codes/1"},
        ),
        (
            [{"role": "head", "region_codes": [MARKER]}],
            "validation_failed",
            {"/roles/0/region_codes/0"},
        ),
        (
            [{"role": "agency", "region_codes": ["35.76"], "program_codes": ["NONE"]}],
            "unknown_reference",
            {"/roles/0/program_codes/0"},
        ),
        ([{"role": "admin"}] * 21, "validation_failed", {"/roles"}),
    ],
)
def test_roles_have_regions_and_programmes_that_exist(
    world: World, roles: list[dict[str, Any]], code: str, places: set[str]
) -> None:
    admin = world.as_("admin")
    body = {"username": f"u-{uuid4().hex[:8]}", "name": "x", "password": SECRET, "roles": roles}
    answer = admin.post("/users", json=body)
    refused(answer, 422, code)
    assert set(faults(answer)) == places
    made = add_user(world, f"u-{uuid4().hex[:8]}")
    refused(change(world, f"/users/{made['id']}", roles=roles), 422, code)
    assert admin.get(f"/users/{made['id']}").json() == made


@pytest.mark.parametrize(
    ("field", "value", "code"),
    [
        ("username", "Upper", "invalid_format"), ("username", "x", "invalid_format"),
        ("username", "with space", "invalid_format"), ("username", "x" * 65, "too_long"),
        ("password", "too short", "too_short"), ("password", "x" * 201, "too_long"),
        ("name", " ", "too_short"), ("name", "a\nb", "line_break"),
        ("shoe_size", 43, "unknown_field"), ("roles", None, "wrong_type"),
    ],
)  # fmt: skip
def test_a_person_has_a_name_and_a_long_password(
    world: World, field: str, value: Any, code: str
) -> None:
    body = {"username": "fine", "name": "x", "password": SECRET} | {field: value}
    answer = world.as_("admin").post("/users", json=body)
    refused(answer, 422, "validation_failed")
    assert faults(answer) == {f"/{field}": code}


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"scopes": ["everything"]}, "validation_failed"),
        ({"scopes": None}, "validation_failed"),
        ({"region_codes": ["99.99"]}, "unknown_reference"),
        ({"program_codes": ["NONE"]}, "unknown_reference"),
        ({"secret": "short"}, "validation_failed"),
        ({"active": None}, "validation_failed"),
        ({"name": None}, "validation_failed"),
        ({"username": "renamed"}, "validation_failed"),
    ],
)
def test_a_client_is_changed_into_nothing_unknown(
    world: World, changes: dict[str, Any], code: str
) -> None:
    made = add_client(world, f"c-{uuid4().hex[:8]}")
    refused(change(world, f"/clients/{made['id']}", **changes), 422, code)
    assert world.as_("admin").get(f"/clients/{made['id']}").json() == made


def test_people_and_clients_are_kept_apart(world: World) -> None:
    person, client = add_user(world, "apart"), add_client(world, "apart-client")
    admin = world.as_("admin")
    refused(admin.get(f"/clients/{person['id']}"), 404, "not_found")
    refused(admin.get(f"/users/{client['id']}"), 404, "not_found")


def accounts(world: World, path: str, limit: int) -> Iterator[str]:
    cursor: dict[str, str] = {}
    while True:
        body = world.as_("admin").get(path, params={"limit": limit} | cursor).json()
        yield from (one["username"] for one in body["items"])
        if body["next_cursor"] is None:
            return
        cursor = {"cursor": body["next_cursor"]}


def test_accounts_are_listed_by_name(world: World) -> None:
    people = list(accounts(world, "/users", 30))
    assert people == sorted(people)
    assert len(people) == len(set(people)) > 80
    assert {"admin", "front.1", "facilitator.wates.7"} <= set(people)
    clients = list(accounts(world, "/clients", 1))
    assert clients == sorted(clients)
    assert {"agency-pkh", "integrator", "script-batch"} <= set(clients)
    assert not set(people) & set(clients)


@pytest.mark.parametrize("who", ["front.1", "manager", "head", "dpo", "agency-pkh", "program.1"])
def test_nobody_but_an_admin_keeps_accounts(world: World, who: str) -> None:
    client, me = world.as_(who), world.as_(who).get("/me").json()["id"]
    for path in ("/users", "/clients", f"/users/{me}", f"/clients/{me}"):
        refused(client.get(path), 403, "role_not_allowed")
    user = {"username": "friend", "name": "x", "password": SECRET}
    refused(client.post("/users", json=user), 403, "role_not_allowed")
    account = {"username": "friend", "name": "x", "secret": SECRET, "scopes": []}
    refused(client.post("/clients", json=account), 403, "role_not_allowed")
    promotion = {"roles": [{"role": "admin"}]}
    sent = {"If-Match": '"1"'}
    answer = client.patch(f"/users/{me}", json=promotion, headers=sent)
    refused(answer, 403, "role_not_allowed")
    refused(client.post("/demo/clock", json={"advance_seconds": 1}), 403, "role_not_allowed")


def test_an_admin_has_no_case_data_by_being_admin(world: World) -> None:
    id = file(world)["id"]
    admin = world.as_("admin")
    refused(admin.get(f"/complaints/{id}"), 404, "not_found")
    refused(admin.post("/complaints", json=draft(), headers=key()), 403, "role_not_allowed")
    for path in ("/complaints", "/referrals", "/inbox"):
        assert admin.get(path).json()["items"] == []
    refused(admin.get("/households"), 403, "role_not_allowed")


def test_a_change_of_an_account_leaves_an_event(world: World) -> None:
    made = add_user(world, "logged")
    change(world, f"/users/{made['id']}", active=False)
    sql = "select type, actor_role, data::text from events where subject_id = $1 order by seq"
    rows = world.fetch(sql, UUID(made["id"]))
    assert [row["type"] for row in rows] == ["account.created", "account.changed"]
    assert {row["actor_role"] for row in rows} == {"admin"}
    assert "Orang" not in "".join(row["data"] for row in rows)


# How often one may ask


def test_whoever_asks_too_often_is_told_to_wait(cluster: Cluster) -> None:
    with (
        cluster.clone() as database,
        serve(cluster, database, rate_per_minute=60, rate_burst=5) as world,
    ):
        client = world.as_("front.1")
        for left in (4, 3, 2, 1, 0):
            answer = client.get("/me")
            assert answer.status_code == 200
            assert answer.headers["ratelimit-policy"] == '"default";q=60;w=60'
            assert answer.headers["ratelimit"].startswith(f'"default";r={left};t=')
        for path in ("/me", "/complaints/x", "/complaints?nonsense=1"):
            answer = client.get(path)
            refused(answer, 429, "too_many_requests")
            assert 0 < int(answer.headers["retry-after"]) <= 2
            assert answer.headers["ratelimit"].startswith('"default";r=0;t=')
        # Each principal has a measure of their own, and strangers have none.
        assert world.as_("manager").get("/me").status_code == 200
        assert world.anyone.get("/livez").status_code == 200
        refused(world.anyone.get("/v1/me"), 401, "token_missing")


class Clock:
    """Seconds that pass only when a test says so."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_a_burst_is_let_through_and_fills_up_again_at_the_rate(clock: Clock) -> None:
    limit = RateLimit(60, 3, clock)
    assert [limit.take("a")[0] for _ in range(3)] == [0, 0, 0]
    wait, state = limit.take("a")
    assert (wait, state) == (1.0, '"default";r=0;t=3')
    # Being refused costs nothing.
    assert limit.take("a")[0] == 1.0
    clock.now += 0.75
    assert limit.take("a")[0] == pytest.approx(0.25)
    clock.now += 0.25
    assert limit.take("a") == (0, '"default";r=0;t=3')
    clock.now += 2
    assert [limit.take("a")[0] for _ in range(3)] == [0, 0, 1.0]
    clock.now += 3600
    assert [limit.take("a")[0] for _ in range(4)] == [0, 0, 0, 1.0]


def test_the_header_says_what_is_left_and_when_all_of_it_is_back(clock: Clock) -> None:
    limit = RateLimit(120, 4, clock)
    assert limit.policy == '"default";q=120;w=60'
    states = [limit.take("a")[1] for _ in range(4)]
    assert states == [
        '"default";r=3;t=1', '"default";r=2;t=1', '"default";r=1;t=2', '"default";r=0;t=2',
    ]  # fmt: skip


def test_each_has_a_measure_of_their_own(clock: Clock) -> None:
    limit = RateLimit(60, 1, clock)
    assert limit.take("a")[0] == 0
    assert limit.take("b")[0] == 0
    assert limit.take("a")[0] == 1.0


def test_a_look_counts_nothing(clock: Clock) -> None:
    limit = RateLimit(60, 1, clock)
    assert [limit.take("a", count=False)[0] for _ in range(5)] == [0] * 5
    assert limit.take("a")[0] == 0
    assert limit.take("a", count=False)[0] == 1.0


def test_at_a_steady_rate_nobody_waits_and_above_it_somebody_does(clock: Clock) -> None:
    limit = RateLimit(3000, 500, clock)
    for _ in range(10_000):
        assert limit.take("steady")[0] == 0
        clock.now += 0.0201
    waits = []
    for _ in range(1_200):
        waits.append(limit.take("eager")[0])
        clock.now += 0.01
    assert waits[0] == 0
    assert waits[-1] > 0
    let_through = waits.count(0)
    assert 1_095 <= let_through <= 1_105


def test_who_was_long_away_is_forgotten(clock: Clock) -> None:
    limit = RateLimit(60, 5, clock)
    for n in range(10_001):
        limit.take(n)
    assert len(limit.empty_at) == 10_001
    clock.now += 3600
    limit.take("new")
    assert len(limit.empty_at) == 1
