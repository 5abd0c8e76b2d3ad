"""The passwords between the containers: `python -m carousel_pipeline.containers.keys FOLDER`, once before everything else.

No password stands in a file that somebody copies, and none has a default (M23). All are derived from one random key, so
this can run again at every start: it writes the same files. Each service mounts only the folder of its own, so the process
that reads strangers' pictures knows no login but its own. libpq reads PGPASSFILE, and no URL holds a password.
"""

import base64
import hashlib
import hmac
import secrets
import sys
from pathlib import Path
from types import MappingProxyType

# The folders of FOLDER, each a volume, and the logins that its owners need.
LOGINS = MappingProxyType(
    {
        "admin": ("postgres", "carousel_bot", "carousel_pipeline", "carousel_dagster", "carousel_analyst"),
        "bot": ("carousel_bot",),
        "pipeline": ("carousel_pipeline", "carousel_dagster"),
        "dagster": ("carousel_dagster",),
        "analyst": ("carousel_analyst",),
    }
)
UI_USER = "operator"
_PRIVATE = 0o600
# Read by other images, whose users are not ours; their volumes are mounted nowhere else.
_SHARED = 0o644


def main() -> None:
    """Write all files below the folder that the command line names."""
    (folder,) = sys.argv[1:]
    write_keys(Path(folder))


def write_keys(folder: Path) -> None:
    """Write each owner's `pgpass`, and `password`, `secret`, `token` or `htpasswd` where one is needed, below `folder`."""
    master = _master(folder / "admin" / "master")
    for owner, logins in LOGINS.items():
        lines = "".join(f"*:*:*:{login}:{_derive(master, login)}\n" for login in logins)
        _write(folder / owner / "pgpass", lines, _PRIVATE)
    _write(folder / "admin" / "password", _derive(master, "postgres"), _SHARED)
    number = 10**9 + int(_derive(master, "telegram id"), 16) % (9 * 10**9)
    _write(folder / "storage" / "secret", _derive(master, "storage"), _PRIVATE)
    _write(folder / "telegram" / "token", f"{number}:{_derive(master, 'telegram')[:36]}", _PRIVATE)
    password = _derive(master, "ui")
    _write(folder / "ui" / "password", password + "\n", _PRIVATE)
    _write(folder / "ui" / "htpasswd", f"{UI_USER}:{_salted(password, _derive(master, 'salt')[:16])}\n", _SHARED)


def _master(path: Path) -> bytes:
    if not path.exists():
        _write(path, secrets.token_hex(32), _PRIVATE)
    return bytes.fromhex(path.read_text(encoding="ascii"))


def _derive(master: bytes, name: str) -> str:
    return hmac.digest(master, name.encode(), "sha256").hex()


def _salted(password: str, salt: str) -> str:
    # A slow hash protects weak passwords; nobody guesses 256 random bits, and every nginx reads this one.
    digest = hashlib.sha1((password + salt).encode(), usedforsecurity=False).digest()
    return "{SSHA}" + base64.b64encode(digest + salt.encode()).decode()


def _write(path: Path, text: str, mode: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.new")
    draft.unlink(missing_ok=True)
    draft.touch(mode=mode)
    draft.chmod(mode)
    draft.write_text(text, encoding="ascii")
    draft.replace(path)


if __name__ == "__main__":
    main()
