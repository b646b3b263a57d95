"""Where load comes from: the table [fleet] of a targets.toml."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from poolkit.errors import BadInput
from poolkit.targets.endpoint import is_loopback
from poolkit.targets.reading import read_toml
from poolkit.targets.words import nearest

MOST_WORKERS = 256
_TLS = ("tls_ca_file", "tls_cert_file", "tls_key_file")


class Fleet(BaseModel):
    """The generators that send load together.

    Attributes:
        workers: how many, 1 to 256: each a process with pools of its own.
        scheduler: address of a Dask scheduler whose workers they run on; None: processes of this
            machine.
        tls_ca_file, tls_cert_file, tls_key_file: paths of the PEM files for a tls:// scheduler;
            all three or none.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    workers: int = Field(2, ge=1, le=MOST_WORKERS)
    scheduler: str | None = None
    tls_ca_file: str | None = None
    tls_cert_file: str | None = None
    tls_key_file: str | None = None

    @model_validator(mode="after")
    def _goes_together(self) -> Fleet:
        files = [getattr(self, key) is not None for key in _TLS]
        if self.scheduler is None:
            if any(files):
                raise ValueError(f'{", ".join(_TLS)} go with a scheduler = "tls://HOST:PORT"')
            return self
        parts = urlsplit(self.scheduler)
        try:
            is_whole = bool(parts.hostname and parts.port)
        except ValueError:
            is_whole = False
        if parts.scheme not in ("tcp", "tls") or not is_whole:
            raise ValueError('scheduler must be an address such as "tls://10.0.0.5:8786"')
        if parts.scheme == "tls" and not all(files):
            raise ValueError(f"a tls:// scheduler needs {', '.join(_TLS)}: paths of PEM files")
        if parts.scheme == "tcp" and not self.is_here:
            raise ValueError(
                "a scheduler on another machine must be reached by tls://, with certificates: "
                "whoever reaches it may run programs on its workers"
            )
        return self

    @property
    def is_one_process(self) -> bool:
        """Whether one generator here is all: the measuring process is one itself."""
        return self.workers == 1 and self.scheduler is None

    @property
    def is_here(self) -> bool:
        """Whether what travels to the scheduler stays on this machine."""
        return self.scheduler is None or is_loopback(urlsplit(self.scheduler).hostname or "")

    @property
    def is_encrypted(self) -> bool:
        """Whether it is encrypted."""
        return self.scheduler is None or self.scheduler.startswith("tls://")

    def but(self, workers: int | None, scheduler: str | None) -> Fleet:
        """The same with these in place of its own, where they are given; raises BadInput."""
        changed = {"workers": workers, "scheduler": scheduler}
        given = {key: value for key, value in changed.items() if value is not None}
        return checked_fleet(
            {**self.model_dump(exclude_none=True), **given}, "--fleet, --scheduler"
        )


def load_fleet(path: Path | str) -> Fleet | None:
    """The [fleet] of a targets.toml; None where it has none. Raises BadInput for mistakes."""
    table = read_toml(Path(path)).get("fleet")
    return None if table is None else checked_fleet(table, f"[fleet] in {path}")


def checked_fleet(table: object, where: str) -> Fleet:
    """The fleet of a table; BadInput names what is wrong in it."""
    if not isinstance(table, Mapping):
        raise BadInput(f"{where} must be a table", "write: [fleet] and under it workers = 4")
    try:
        return Fleet.model_validate(dict(table))
    except ValidationError as error:
        raise BadInput(
            "; ".join(f"{where}: {_mistake(line)}" for line in error.errors(include_url=False)),
            "data/targets.example.toml shows every key; nothing was sent",
        ) from None


def _mistake(line: Mapping[str, Any]) -> str:
    key = ".".join(map(str, line["loc"]))
    if line["type"] == "extra_forbidden":
        return f"unknown key {key}{nearest(key, Fleet.model_fields)}"
    words = str(line["msg"]).removeprefix("Value error, ")
    return f"{key}: {words}" if key else words
