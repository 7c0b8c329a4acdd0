"""Documents of complaints: clean copies, sealed, once each; and files that mean no good."""

import asyncio
import io
import threading
import time
import zlib
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx
import pikepdf
import pytest
from PIL import Image

from app.domain.base import new_id
from app.domain.complaint_documents import seal
from app.files import Folder, day_made
from app.routers import complaint_documents as door
from app.workflow.complaint_documents import copying, verbs
from tests.conftest import TLS, Cluster, World, serve
from tests.flows import (
    WATES,
    act,
    bring,
    done,
    draft_referral,
    event_of,
    events,
    file,
    key,
    me,
    save_survey,
)
from tests.papers import JPEG, PDF, PNG, WEBP, encoded, pdf, photo, small, upload, uploaded
from tests.processes import free_port, on_the_database_of, running, until
from tests.refusals import faults, refused
from tests.test_registry_changes import act as act_on_change
from tests.test_registry_changes import propose
from tests.test_registry_deaths import somebody


@pytest.fixture(scope="module")
def case(world: World) -> str:
    """A complaint that waits at the desk of Wates."""
    return str(file(world)["id"])


def kept(world: World) -> dict[str, Path]:
    """The files on the disk, by name."""
    return {path.name: path for path in world.files.rglob("*") if path.is_file()}


def strays(world: World) -> set[str]:
    """The names of files that belong to no document."""
    return kept(world).keys() - {
        str(row["id"]) for row in world.fetch("select id from complaint_documents")
    }


def content_of(world: World, document: dict[str, Any], who: str = "front.1") -> Any:
    path = f"/complaints/{document['complaint_id']}/documents/{document['id']}/content"
    answer = world.as_(who).get(path)
    assert answer.status_code == 200, answer.text
    return answer


def test_a_photo_upside_down_is_kept_upright_small_and_silent(world: World, case: str) -> None:
    sent = photo()
    assert 8_000_000 < len(sent) < 10 * 1024 * 1024
    answer = upload(world, case, sent, kind="house_front", note="Tampak depan.", client_ref="t-1")
    assert answer.status_code == 201, answer.text
    document = answer.json()
    place = f"/v1/complaints/{case}/documents/{document['id']}"
    assert (answer.headers["location"], answer.headers["etag"]) == (place, '"1"')
    assert (document["width"], document["height"], document["pages"]) == (2048, 1536, None)
    assert (document["received_size"], document["note"]) == (len(sent), "Tampak depan.")
    assert document["uploaded_by"]["id"] == me(world, "puskesos.wates")
    content = content_of(world, document)
    assert content.headers["content-type"] == JPEG
    assert content.headers["content-disposition"] == (
        f'attachment; filename="house_front-{document["id"]}.jpg"'
    )
    assert content.headers["content-security-policy"] == "sandbox; default-src 'none'"
    assert content.headers["cache-control"] == "no-store"
    assert content.headers["x-content-type-options"] == "nosniff"
    assert len(content.content) == document["size"] < len(sent)
    with Image.open(io.BytesIO(content.content)) as image:
        assert image.size == (2048, 1536)
        assert not image.getexif()
        assert b"rahasia" not in content.content
        red = image.convert("RGB").getpixel((1024, 100))
    assert isinstance(red, tuple)
    assert red[0] > 200
    assert red[1] < 50
    # On the disk it says nothing, and nobody else reads it.
    path = kept(world)[document["id"]]
    sealed = path.read_bytes()
    assert content.content[:64] not in sealed
    assert path.stat().st_mode & 0o777 == 0o600
    assert world.as_("front.1").get(place.removeprefix("/v1")).json() == document
    # Reading it, and adding it, is on record; the complaint's version stays.
    read, added = event_of(world, case, "document_read"), event_of(world, case, "document_added")
    assert read["data"] == {"document_id": document["id"]}
    assert read["by"]["id"] == me(world, "front.1")
    assert added["data"] == {"document_id": document["id"], "kind": "house_front"}


@pytest.mark.parametrize(
    ("content", "media_type", "size"),
    [
        (encoded(Image.new("RGBA", (3000, 20), (9, 9, 9, 128)), "PNG"), PNG, (2048, 14)),
        (encoded(Image.new("P", (30, 20)), "PNG"), PNG, (30, 20)),
        (encoded(Image.new("I;16", (30, 20)), "PNG"), PNG, (30, 20)),
        (encoded(Image.new("CMYK", (30, 20)), "JPEG"), JPEG, (30, 20)),
        (encoded(Image.new("RGB", (30, 20), "blue"), "WEBP"), WEBP, (30, 20)),
    ],
    ids=["transparent PNG", "palette", "16 bits", "CMYK", "WebP"],
)
def test_images_of_all_sorts_keep_their_type(
    world: World, case: str, content: bytes, media_type: str, size: tuple[int, int]
) -> None:
    document = uploaded(world, case, content, media_type)
    assert document["media_type"] == media_type
    copy = content_of(world, document)
    assert copy.headers["content-type"] == media_type
    with Image.open(io.BytesIO(copy.content)) as image:
        assert (image.size, Image.MIME[str(image.format)]) == (size, media_type)


def test_a_pdf_is_written_anew_without_who_made_it(world: World, case: str) -> None:
    link = b"<</S/URI/URI(https://mojokertokota.go.id)>>"
    sent = pdf(
        b"<</Author(Bu Siti)>>", link, root=b"/OpenAction[3 0 R/Fit]", trailer=b"/Info 4 0 R"
    )
    document = uploaded(world, case, sent + b"\n<script>alert(1)</script>", PDF, kind="other")
    assert (document["width"], document["pages"]) == (None, 1)
    copy = content_of(world, document)
    assert copy.headers["content-disposition"].endswith('.pdf"')
    assert b"Bu Siti" not in copy.content
    assert b"<script>" not in copy.content
    with pikepdf.open(io.BytesIO(copy.content)) as read:
        assert len(read.pages) == 1


def bomb() -> bytes:
    """A PNG that says in its header that it has a billion pixels in four colours."""
    sent = bytearray(encoded(Image.new("RGBA", (20, 20)), "PNG"))
    sent[16:24] = (100_000).to_bytes(4, "big") + (10_000).to_bytes(4, "big")
    sent[29:33] = zlib.crc32(sent[12:29]).to_bytes(4, "big")
    return bytes(sent)


def large() -> bytes:
    return small() + b"\0" * 10 * 1024 * 1024


def much_too_large() -> bytes:
    return b"\0" * 12 * 1024 * 1024


def attached() -> bytes:
    return pdf(
        b"<</Type/EmbeddedFile/Length 5>>stream\nhalo!\nendstream",
        b"<</Type/Filespec/F(a.exe)/EF<</F 4 0 R>>>>",
        root=b"/Names<</EmbeddedFiles<</Names[(a.exe)5 0 R]>>>>",
    )


def hidden() -> bytes:
    """JavaScript with its names written in another way, compressed into an object stream."""
    made = io.BytesIO()
    with pikepdf.open(io.BytesIO(script())) as read:
        read.save(made, object_stream_mode=pikepdf.ObjectStreamMode.generate)
    return made.getvalue()


def script() -> bytes:
    return pdf(b"<</S/J#61vaScript/#4AS(app.alert\\(1\\))>>", root=b"/OpenAction 4 0 R")


def locked() -> bytes:
    made = io.BytesIO()
    with pikepdf.open(io.BytesIO(pdf())) as read:
        read.save(made, encryption=pikepdf.Encryption(owner="a", user=""))
    return made.getvalue()


def nested() -> bytes:
    return pdf(b"[" * 400 + b"]" * 400)


@pytest.mark.parametrize(
    ("content", "media_type", "status", "code"),
    [
        (bomb(), PNG, 422, "too_many_pixels"),
        (small()[:300], JPEG, 422, "damaged_file"),
        (small(format="PNG")[:60], PNG, 422, "damaged_file"),
        (pdf()[:-40], PDF, 422, "damaged_file"),
        (pdf() + b"PK\x03\x04" + b"x" * 5000, PDF, 422, "damaged_file"),
        (b"%PDF-1.7\nhalo", PDF, 422, "damaged_file"),
        (small(), PNG, 422, "file_type_mismatch"),
        (b"GIF89a" + small(), JPEG, 422, "file_type_mismatch"),
        (b"\n" + pdf(), PDF, 422, "file_type_mismatch"),
        (b"", JPEG, 422, "file_type_mismatch"),
        (encoded(Image.new("P", (9, 9)), "GIF"), "image/gif", 415, "file_type_not_taken"),
        (b"<svg/>", "image/svg+xml", 415, "file_type_not_taken"),
        (script(), PDF, 422, "active_pdf"),
        (hidden(), PDF, 422, "active_pdf"),
        (pdf(root=b"/OpenAction<</S/Launch/F(cmd.exe)>>"), PDF, 422, "active_pdf"),
        (attached(), PDF, 422, "active_pdf"),
        (locked(), PDF, 422, "encrypted_pdf"),
        (nested(), PDF, 422, "file_too_demanding"),
        (large, JPEG, 413, "document_too_large"),
        (much_too_large, JPEG, 413, "document_too_large"),
    ],
    ids=[
        "PNG bomb", "cut JPEG", "cut PNG", "cut PDF", "PDF and ZIP", "no PDF", "JPEG as PNG",
        "GIF and JPEG", "PDF behind something", "empty", "GIF", "SVG", "JavaScript", "hidden",
        "launch", "embedded file", "encrypted", "nested", "too large", "much too large",
    ],
)  # fmt: skip
def test_a_file_that_means_no_good_is_refused(
    world: World, case: str, content: Any, media_type: str, status: int, code: str
) -> None:
    sent = content() if callable(content) else content
    refused(upload(world, case, sent, media_type), status, code)
    assert not strays(world)
    assert world.anyone.get("/livez").status_code == 200


def test_a_polyglot_is_kept_as_the_image_that_it_is(world: World, case: str) -> None:
    both = small(1000) + b"PK\x03\x04<?php system($_GET['x']); ?>" + pdf()
    document = uploaded(world, case, both)
    copy = content_of(world, document).content
    assert b"<?php" not in copy
    assert b"%PDF" not in copy


@pytest.mark.parametrize(
    ("fields", "place", "code"),
    [
        ({"kind": "selfie"}, "/kind", "not_an_option"),
        ({"note": "NIK 3576 0245 0784 9001"}, "/note", "number_in_text"),
        ({"client_ref": "a b"}, "/client_ref", "invalid_format"),
        ({"gps": "1"}, "/gps", "unknown_field"),
    ],
)
def test_what_is_said_of_a_file_is_checked(
    world: World, case: str, fields: dict[str, str], place: str, code: str
) -> None:
    answer = upload(world, case, **fields)
    refused(answer, 422, "validation_failed")
    assert faults(answer) == {place: code}


def test_a_key_is_required_and_other_forms_are_refused(world: World, case: str) -> None:
    refused(upload(world, case, headers={}), 400, "idempotency_key_missing")
    path, client = f"/complaints/{case}/documents", world.as_("front.1")
    refused(client.post(path, json={}, headers=key()), 415, "form_required")
    nothing = client.post(path, data={"kind": "id_card"}, files={"x": b"1"}, headers=key())
    refused(nothing, 422, "validation_failed")
    assert faults(nothing) == {"/file": "missing"}


def test_the_same_file_is_there_once(world: World) -> None:
    id = file(world)["id"]
    content, once = small(2), key()
    first = upload(world, id, content, headers=once, client_ref="tab-07-1")
    assert first.status_code == 201
    again = upload(world, id, content, headers=once, client_ref="tab-07-1")
    assert (again.status_code, again.json()) == (201, first.json())
    assert again.headers["idempotency-replayed"] == "true"
    refused(upload(world, id, small(3), headers=once), 422, "idempotency_key_reused")
    # Under another key, by the same reference or somebody else's hand.
    for who, fields in (
        ("puskesos.wates", {"client_ref": "tab-07-1"}),
        ("front.1", {}),
        ("front.1", {"note": "Sekali lagi."}),
    ):
        found = upload(world, id, content, who=who, **fields)
        assert (found.status_code, found.json()) == (200, first.json())
        assert found.headers["idempotency-replayed"] == "true"
    other_kind = refused(upload(world, id, content, kind="other"), 409, "document_kept_already")
    assert other_kind["document_id"] == first.json()["id"]
    for more in ({"content": small(4)}, {"note": "Lain."}):
        sent = {"content": content, "client_ref": "tab-07-1"} | more
        refused(upload(world, id, **sent), 409, "client_ref_taken")
    # Of another complaint it is another document.
    elsewhere = file(world)["id"]
    refused(upload(world, elsewhere, content, client_ref="tab-07-1"), 409, "client_ref_taken")
    assert uploaded(world, elsewhere, content)["id"] != first.json()["id"]
    listed = world.as_("front.1").get(f"/complaints/{id}/documents").json()
    assert [one["id"] for one in listed["items"]] == [first.json()["id"]]
    assert not strays(world)


@pytest.fixture
def slow_to_decide(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever has looked what is there takes a while before it does something."""
    look = verbs.known

    async def known(*asked: Any) -> Any:
        found = await look(*asked)
        await asyncio.sleep(0.1)
        return found

    monkeypatch.setattr(verbs, "known", known)


@pytest.mark.usefixtures("slow_to_decide")
@pytest.mark.parametrize("same", ["key", "client_ref", "file"])
def test_copies_at_once_are_one_document(world: World, same: str) -> None:
    id, once = file(world)["id"], key()
    content = small(5)

    def send(n: int) -> Any:
        headers = once if same == "key" else key()
        fields = {"client_ref": "copies"} if same == "client_ref" else {}
        for _ in range(100):
            answer = upload(world, id, content, headers=headers, **fields)
            if answer.status_code != 409:
                break
            refused(answer, 409, "idempotency_key_in_use")
            time.sleep(0.05)
        return answer

    with ThreadPoolExecutor(3) as pool:
        answers = list(pool.map(send, range(3)))
    assert {answer.status_code for answer in answers} <= {200, 201}
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert sum("idempotency-replayed" not in answer.headers for answer in answers) == 1
    rows = world.fetch("select 1 from complaint_documents where complaint_id = $1", UUID(id))
    assert len(rows) == 1
    assert len([one for one in events(world, id) if one["action"] == "document_added"]) == 1
    assert not strays(world)


@pytest.mark.usefixtures("slow_to_decide")
def test_a_reference_used_for_two_complaints_at_once_is_of_one(world: World) -> None:
    cases = [file(world)["id"] for _ in range(2)]
    with ThreadPoolExecutor(2) as pool:
        sent = pool.map(lambda id: upload(world, id, small(6), client_ref="two"), cases)
        answers = sorted(sent, key=lambda answer: answer.status_code)
    assert answers[0].status_code == 201
    refused(answers[1], 409, "client_ref_taken")
    assert not strays(world)


def test_who_may_upload_and_who_may_read(world: World) -> None:
    assigned = bring(world, "assigned", channel="puskesos")
    id = assigned["id"]
    hands = ("puskesos.wates", "back.1", "supervisor.magersari", "facilitator.wates.1")
    for n, who in enumerate(hands):
        uploaded(world, id, small(10 + n), who=who)
    refused(upload(world, id, who="manager"), 403, "role_not_allowed")
    for who in ("puskesos.kauman", "facilitator.wates.2", "agency-pkh"):
        refused(upload(world, id, who=who), 404, "not_found")
    # A tablet that comes back on the line after its owner was replaced.
    chosen = {"facilitator_id": me(world, "facilitator.wates.2")}
    done(world, "front.1", id, "reassign", data=chosen)
    late = uploaded(world, id, small(20), who="facilitator.wates.1", kind="house_inside")
    # Who filed for another kelurahan brings what the citizen shows; also a script.
    for who in ("puskesos.kauman", "facilitator.wates.1", "script-batch"):
        mine = file(world, who, channel="other")["id"]
        uploaded(world, mine, small(21), who=who)
    page = world.as_("manager").get(f"/complaints/{id}/documents", params={"limit": 2})
    assert [one["kind"] for one in page.json()["items"]] == ["id_card", "id_card"]
    rest, seen = page.json(), page.json()["items"]
    while rest["next_cursor"]:
        rest = world.as_("manager").get(
            f"/complaints/{id}/documents", params={"limit": 2, "cursor": rest["next_cursor"]}
        ).json()  # fmt: skip
        seen += rest["items"]
    assert len(seen) == 5
    content_of(world, late, who="manager")
    for path in (late["id"], f"{late['id']}/content", str(uuid4()), "x", f"{uuid4()}/content"):
        who = "puskesos.kauman" if late["id"] in path else "front.1"
        refused(world.as_(who).get(f"/complaints/{id}/documents/{path}"), 404, "not_found")
    other = file(world)["id"]
    path = f"/complaints/{other}/documents/{late['id']}/content"
    refused(world.as_("front.1").get(path), 404, "not_found")


def test_what_is_closed_takes_documents_while_it_can_be_opened_again(fresh_world: World) -> None:
    world = fresh_world
    id = file(world)["id"]
    done(world, "puskesos.wates", id, "withdraw", note="Dicabut.")
    uploaded(world, id, small(30))
    world.advance(days=15)
    refused(upload(world, id, small(31)), 409, "complaint_closed")
    # What was archived for want of documents waits for them a year.
    waits = file(world)["id"]
    done(world, "puskesos.wates", waits, "request_documents", data={"missing": ["id_card"]})
    contact = {"how": "phone", "to": "Bu Siti", "result": "not_reached"}
    done(world, "puskesos.wates", waits, "record_contact", data=contact)
    world.advance(days=31)
    world.sweep("incomplete")
    [row] = world.fetch("select outcome from complaints where id = $1", UUID(waits))
    assert row["outcome"] == "archived"
    uploaded(world, waits, small(32))
    world.advance(days=366)
    refused(upload(world, waits, small(33)), 409, "complaint_closed")


def test_no_connection_is_held_while_a_copy_is_made(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, may_end = threading.Event(), threading.Event()
    clean = copying.clean

    def slowly(*asked: Any) -> Any:
        begun.set()
        assert may_end.wait(20)
        return clean(*asked)

    monkeypatch.setattr(copying, "clean", slowly)
    monkeypatch.setattr(door, "TURN_WITHIN", 0.2)
    with cluster.clone() as database, serve(cluster, database, pool_size=1) as world:
        id = file(world)["id"]
        with ThreadPoolExecutor(3) as pool:
            sent = [pool.submit(upload, world, id, small(n)) for n in (40, 41)]
            assert begun.wait(20)
            # The one connection there is serves others meanwhile.
            assert world.as_("puskesos.wates").get(f"/complaints/{id}").status_code == 200
            # Two copies are made at a time; who would wait for long is told to come again.
            refused(upload(world, id, small(42)), 503, "busy")
            closed = pool.submit(done, world, "puskesos.wates", id, "withdraw", note="Dicabut.")
            assert closed.result()["state"] == "closed"
            # What became impossible meanwhile leaves nothing behind.
            world.advance(days=15)
            may_end.set()
            for one in sent:
                refused(one.result(), 409, "complaint_closed")
        assert world.fetch("select 1 from complaint_documents") == []
        assert not kept(world)


def copied_by(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, program: str) -> None:
    """Let copies be made by another program."""
    path = tmp_path / "copy.py"
    path.write_text(program)
    monkeypatch.setattr(copying, "PROGRAM", path)


@pytest.mark.parametrize(
    ("program", "status", "code"),
    [
        ("import time; time.sleep(60)", 422, "file_too_demanding"),
        ("import os; os.kill(os.getpid(), 11)", 422, "file_too_demanding"),
        ("raise SystemExit(3)", 500, "internal_error"),
    ],
    ids=["too slow", "killed", "broken"],
)
def test_a_process_that_ends_badly_harms_nobody(
    world: World, case: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path,
    program: str, status: int, code: str,
) -> None:  # fmt: skip
    copied_by(monkeypatch, tmp_path, program)
    if "sleep" in program:
        monkeypatch.setattr(copying, "SECONDS", 0.3)
    refused(upload(world, case, small(50)), status, code)
    assert world.as_("front.1").get(f"/complaints/{case}").status_code == 200


def test_a_process_gets_no_secrets_and_little_memory(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("SLRT_DATABASE_URL", "postgresql://slrt:rahasia@db/slrt")
    eats = copying.PROGRAM.read_text().replace(
        '"application/pdf": copy_pdf',
        '"application/pdf": lambda _: ({"n": len(bytearray(2 * MEMORY))}, b""),'
        ' "env": lambda _: (dict(os.environ), b"")',
    )
    copied_by(monkeypatch, tmp_path, eats)
    with (tmp_path / "x").open("w+b") as nothing:
        with pytest.raises(Exception, match="file_too_demanding"):
            copying.clean(nothing, PDF)
        said, _ = copying.clean(nothing, "env")
    assert not [name for name in said if name.startswith("SLRT_")]


def test_a_file_without_a_row_is_let_go_after_a_day(fresh_world: World) -> None:
    world = fresh_world
    document = uploaded(world, file(world)["id"], small(60))
    [row] = world.fetch("select files_id from deployment")
    owner, folder = row["files_id"], Folder(world.files)
    now = datetime.now(UTC)
    old = UUID(int=int((now - timedelta(days=3)).timestamp() * 1000) << 80 | uuid4().int >> 52)
    young = new_id()
    for id in (old, young):
        folder.put(owner, id, seal(world.cluster.keys.data, id, b"terpotong"))
    place = world.files / str(owner) / day_made(old).isoformat()
    draft = place / f"{old}.1a2b3c4d"
    draft.write_bytes(b"half")
    elsewhere = uuid4()
    folder.put(elsewhere, old, b"of another database")
    assert world.sweep("housekeeping")["acted"] >= 1
    assert not list(place.iterdir())
    assert folder.get(owner, young)
    assert folder.get(elsewhere, old)
    assert content_of(world, document).content
    folder.remove(owner, young)
    folder.remove(owner, young)


def test_a_file_is_whole_or_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, owner, id = Folder(tmp_path), uuid4(), new_id()
    folder.put(owner, id, b"one")

    def full(_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space"):
        folder.put(owner, id, b"two")
    monkeypatch.undo()
    assert folder.get(owner, id) == b"one"
    assert list(folder.on(owner, day_made(id))) == [id]


def test_the_proof_of_a_delivery_is_a_document_of_the_complaint(world: World) -> None:
    id = bring(world, "answered")["id"]
    elsewhere = uploaded(world, file(world)["id"], small(70))
    told = {"how": "in_person", "to": "Bu Siti"}
    for wrong in (elsewhere["id"], str(uuid4())):
        answer = act(
            world, "facilitator.wates.1", id, "deliver_answer",
            data=told | {"proof_document_id": wrong},
        )  # fmt: skip
        refused(answer, 422, "unknown_document")
        assert faults(answer) == {"/data/proof_document_id": "unknown_document"}
    proof = uploaded(world, id, small(71), who="facilitator.wates.1", kind="other")["id"]
    done(
        world, "facilitator.wates.1", id, "deliver_answer",
        data=told | {"proof_document_id": proof},
    )  # fmt: skip
    assert event_of(world, id, "deliver_answer")["data"]["proof_document_id"] == proof
    [row] = world.fetch(
        "select proof_document_id from delivery_attempts where complaint_id = $1", UUID(id)
    )
    assert str(row["proof_document_id"]) == proof


def test_evidence_of_a_change_may_be_a_document_of_its_complaint(world: World) -> None:
    case = bring(world, "assigned")
    id, member = case["id"], somebody(world)
    elsewhere = uploaded(world, file(world)["id"], small(80))["id"]
    letter = uploaded(world, id, small(81), kind="kelurahan_letter")["id"]

    def shown(document: str | None) -> list[dict[str, Any]]:
        return [{"kind": "kelurahan_letter", "reference": "470/12", "document_id": document}]

    dead = {"kind": "report_death", "member_id": member, "fields": {"died_on": "2026-01-02"}}
    place = "/evidence/0/document_id"
    for complaint, document in ((id, elsewhere), (None, letter)):
        asked = dead | {"evidence": shown(document), "complaint_id": complaint}
        answer = propose(world, "front.1", **asked)
        refused(answer, 422, "unknown_document")
        assert faults(answer) == {place: "unknown_document"}
    # In a survey it is told where it stands there.
    for document, status in ((elsewhere, 422), (letter, 200)):
        answer = save_survey(world, id, registry_changes=[dead | {"evidence": shown(document)}])
        assert answer.status_code == status, answer.text
        if status == 422:
            assert faults(answer) == {f"/registry_changes/0{place}": "unknown_document"}
    done(world, "facilitator.wates.1", id, "submit_survey")
    [change] = (
        world.as_("front.1").get("/registry-changes", params={"complaint_id": id}).json()["items"]
    )
    read = world.as_("front.1").get(f"/registry-changes/{change['id']}").json()
    assert read["evidence"][0]["document_id"] == letter
    # Corrected, it may name what it named before and other documents of the complaint.
    done(world, "supervisor.magersari", id, "approve")
    done(world, "manager", id, "forward")
    world.fetch("update registry_changes set state = 'declined' where id = $1", change["id"])
    more = uploaded(world, id, small(82), kind="death_certificate", who="front.1")["id"]
    both = [*shown(letter), *shown(more), *shown(None)]
    wrong = act_on_change(
        world, "front.1", change["id"], "resubmit", data={"evidence": shown(elsewhere)}
    )
    refused(wrong, 422, "unknown_document")
    assert faults(wrong) == {f"/data{place}": "unknown_document"}
    again = act_on_change(world, "front.1", change["id"], "resubmit", data={"evidence": both})
    assert [one.get("document_id") for one in again.json()["evidence"]] == [letter, more, None]


def test_the_visit_after_an_emergency_may_name_what_its_complaint_has(world: World) -> None:
    complaint = file(world, priority="emergency")
    id = complaint["id"]
    letter = uploaded(world, id, small(83), kind="kelurahan_letter")["id"]
    home = world.fetch("select id from households where village_code = $1 limit 1", WATES)[0]["id"]
    member = somebody(world)
    world.fetch("update members set household_id = $1 where id = $2", home, UUID(member))
    world.fetch("update complaints set household_id = $1 where id = $2", home, UUID(id))
    done(world, "puskesos.wates", id, "forward_to_secretariat")
    draft_referral(world, "front.1", complaint)
    done(world, "front.1", id, "submit_without_visit")
    [visit] = world.fetch("select * from visits where complaint_id = $1", UUID(id))
    [person] = world.fetch("select username from principals where id = $1", visit["assignee_id"])
    data = {
        "result": "deceased", "member_id": member, "died_on": "2026-01-02",
        "evidence": [{"kind": "kelurahan_letter", "document_id": letter}],
    }  # fmt: skip
    path, who = f"/visits/{visit['id']}", world.as_(person["username"])
    headers = {"If-Match": who.get(path).headers["etag"]} | key()
    answer = who.post(
        f"{path}/actions", json={"action": "record_attempt", "data": data}, headers=headers
    )
    assert answer.status_code == 200, answer.text
    [row] = world.fetch("select kind from registry_changes where visit_id = $1", visit["id"])
    assert row["kind"] == "report_death"


def test_to_have_read_a_document_keeps_nobody_in_sight_of_the_complaint(
    fresh_world: World,
) -> None:
    world, neighbour = fresh_world, "supervisor.prajuritkulon"
    id = bring(world, "awaiting_supervisor")["id"]
    document = uploaded(world, id, small(84))
    path = f"/complaints/{id}"
    refused(world.as_(neighbour).get(path), 404, "not_found")
    world.advance(hours=9)
    world.sweep("unconfirmed")
    content_of(world, document, who=neighbour)
    done(world, "supervisor.magersari", id, "approve")
    refused(world.as_(neighbour).get(path), 404, "not_found")
    refused(world.as_(neighbour).get(f"{path}/documents"), 404, "not_found")


@pytest.mark.deep
def test_whatever_is_killed_each_document_is_there_once_and_opens(fresh_world: World) -> None:
    """60 uploads, each until it is answered, while the API is killed again and again."""
    world, port = fresh_world, free_port()
    settings = on_the_database_of(world) | {"port": port}
    ids = [file(world)["id"] for _ in range(6)]
    token = world.token("puskesos.wates")
    ended = threading.Event()
    kills = 0

    def send(n: int) -> tuple[str, str]:
        headers = key() | {"Authorization": f"Bearer {token}"}
        path = f"http://127.0.0.1:{port}/v1/complaints/{ids[n % 6]}/documents"
        until_ = time.monotonic() + 120
        while time.monotonic() < until_:
            try:
                answer = httpx.post(
                    path, files={"file": ("x", small(n, "PNG"), PNG)}, data={"kind": "other"},
                    headers=headers, timeout=20, verify=TLS,
                )  # fmt: skip
            except httpx.HTTPError:
                time.sleep(0.1)
                continue
            if answer.is_success:
                return answer.json()["id"], answer.json()["sha256"]
            assert answer.status_code in (409, 503), answer.text
            time.sleep(0.1)
        raise AssertionError("never answered")

    def keep_killing() -> None:
        nonlocal kills
        while not ended.is_set():
            with running("serve", **settings) as process:
                until(lambda: answers_at(port))
                if ended.wait(1.5):
                    return
                process.kill()
                process.wait()
                kills += 1

    with ThreadPoolExecutor(9) as pool:
        killing = pool.submit(keep_killing)
        try:
            confirmed = list(pool.map(send, range(60)))
        finally:
            ended.set()
        killing.result()
    assert kills >= 2
    rows = world.fetch("select id, complaint_id, sha256 from complaint_documents")
    assert {(str(row["id"]), row["sha256"]) for row in rows} == set(confirmed)
    assert len(rows) == 60
    for row in rows:
        document = {"id": str(row["id"]), "complaint_id": str(row["complaint_id"])}
        assert content_of(world, document).headers["content-type"] == PNG


def answers_at(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/livez", timeout=2, verify=TLS).is_success
    except httpx.HTTPError:
        return False
