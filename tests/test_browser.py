"""The documentation pages, in a real browser: drawn from our own disk, without an error."""

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.conftest import World

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = [
    pytest.mark.embedded,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine"),
]
QUIET = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--disable-dev-shm-usage", "--virtual-time-budget=20000", "--enable-logging=stderr", "--v=0",
    # Only what is in sight is drawn: enough of it for the complaints.
    "--window-size=1200,4000",
)  # fmt: skip


def drawn(url: str, profile: Path) -> tuple[str, str]:
    """The page as the browser has it in the end, and what its console said."""
    assert CHROMIUM is not None
    done = subprocess.run(
        [CHROMIUM, *QUIET, f"--user-data-dir={profile}", "--dump-dom", url],
        capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    console = [line for line in done.stderr.splitlines() if "CONSOLE" in line]
    return done.stdout, "\n".join(console)


@pytest.mark.parametrize("page", ["/docs", "/reference"])
def test_a_page_shows_the_calls(world: World, tmp_path: Path, page: str) -> None:
    html, console = drawn(f"{world.base_url}{page}", tmp_path)
    assert "File Complaint" in html or "/v1/complaints" in html
    assert "ERROR" not in console
    assert "Refused" not in console
