"""A target of the lab: what its upstream is, and what its service asks of it."""

from __future__ import annotations

import json
from dataclasses import dataclass

from poolkit.lab.models import Model

DSN_VARIABLE = "POOLKIT_LAB_DSN"


@dataclass(frozen=True, slots=True)
class LabTarget:
    """One upstream of the lab and the keys of its table in targets.toml.

    `model` is the truth of an HTTP upstream; the database has none and says it in `truth`.
    """

    name: str
    driver: str
    sentence: str
    truth: str
    target_rate: float  # calls/s
    max_size: int
    wait_p99: float = 0.010  # s
    model: Model | None = None
    statements: tuple[str, ...] = ()
    read_only: bool = True

    def toml(self, url: str | None) -> str:
        """Its table in targets.toml, the truth in comments; `url` for HTTP upstreams."""
        values: dict[str, object] = {"driver": self.driver}
        if self.model is not None:
            values["url"] = url
        else:
            values["dsn_env"] = DSN_VARIABLE
            values["statements"] = list(self.statements)
            if not self.read_only:
                values["read_only"] = False
        values |= {
            "target_rate": self.target_rate,
            "wait_p99": self.wait_p99,
            "max_size": self.max_size,
        }
        lines = [f"# {self.sentence}", f"# Truth: {self.truth}", f"[targets.{self.name}]"]
        # JSON's texts, numbers and lists of texts are TOML's as well.
        lines += [f"{key} = {json.dumps(value)}" for key, value in values.items()]
        return "\n".join(lines) + "\n"
