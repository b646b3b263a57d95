"""Whether a call holds its slot yet: what the hooks of a pool learn of the call they serve."""

from __future__ import annotations

from poolkit.pools.base import Stamps


class SlotCall:
    """One call of a pool; a slot is a connection, or the right to dial one."""

    __slots__ = ("has_slot", "stamps")

    def __init__(self, stamps: Stamps) -> None:
        self.stamps = stamps
        self.has_slot = False

    def take_slot(self) -> None:
        """The call holds its slot from here on; the first time counts."""
        if not self.has_slot:
            self.has_slot = True
            self.stamps.acquired()
