"""What was seen of the server's side, in tables and words."""

from __future__ import annotations

from poolkit.analysis.server_side import TierSample, WaitSample, tier, waits
from poolkit.records import Gauge, PoolerSettings, ServerSide, Trial, Verdict
from poolkit.show import tables, words
from tests.analysis.synthetic import drawn_trial
from tests.show.cases import CASES, records


def seen(size: int, **changes: object) -> Trial:
    """A trial of so many clients of a pooler that lends 4, at its first and second half."""
    looks = [
        TierSample(0.25 + at, 4, size - 4 if at >= 0.6 else 0, 4, 1, 0.012)
        for at in (0.1, 0.3, 0.5, 0.7, 0.9, 1.1)
    ]
    sessions = [WaitSample(0.5, {"Lock:transactionid": 7, "Lock:tuple": 2, "CPU": 1}, {"a": 9})]
    side = ServerSide(
        pooler=tier(looks, 0.25, 1.45, PoolerSettings(pool_size=4)),
        waits=waits(sessions, 0.25, 1.45),
    )
    return drawn_trial(size, 200.0, server_side=side.model_copy(update=changes))


def test_the_pooler_over_time() -> None:
    """Slice by slice: who waits, who is served, what is lent; of the largest closed loop."""
    table = tables.pooler([seen(8), drawn_trial(32, 200.0), seen(16)])
    assert table.caption == "The pooler over time"
    assert {row[0] for row in table.rows} == {"16"}
    assert table.rows[0] == ("16", "closed", "0.3 s", "0", "4", "4", "1", "12 ms")
    assert table.rows[-1] == ("16", "closed", "1.4 s", "12", "4", "4", "1", "12 ms")


def test_the_trials_in_service_are_shown_over_time_where_there_are_any() -> None:
    verified = seen(8).model_copy(update={"loop": "open", "purpose": "verify", "arrival_rate": 9.0})
    table = tables.pooler([seen(16), verified])
    assert {row[:2] for row in table.rows} == {("8", "open, 9/s")}


def test_the_servers_side_of_each_trial() -> None:
    """Only what was looked at has columns; kinds of waits are added up."""
    table = tables.server_side([seen(8), drawn_trial(16, 200.0)])
    assert len(table.rows) == 1
    assert table.rows[0][2:] == ("2", "4", "5", "10", "row locks 90 % and its processors 10 %", "a")
    gauge = Gauge(query="q", value=0.5, labels={"resource": "disk"})
    alone = drawn_trial(4, 200.0, server_side=ServerSide(gauge=gauge))
    table = tables.server_side([alone])
    assert table.columns == ("connections", "loop", "Prometheus's query")
    assert table.rows[0][2] == "0.5 (disk)"
    for empty in (tables.server_side, tables.pooler):
        assert not empty([drawn_trial(4, 200.0)])


def test_what_was_not_looked_at_is_told_once() -> None:
    side = ServerSide(remarks=("the pooler: not allowed",))
    trials = [drawn_trial(n, 200.0, server_side=side) for n in (1, 2)]
    assert words.not_seen(trials) == ["Not looked at: The pooler: not allowed."]
    assert words.not_seen([seen(8)]) == []


def test_the_verdict_says_by_what() -> None:
    """In the table of the decision, in short, and in the reasons."""
    sizing, _, found = records(CASES["a soft knee"])
    locks = found.model_copy(update={"bound_by": "row locks on accounts"})
    assert words.bound_by(locks) == "the server, by row locks on accounts"
    assert words.verdict(locks) == "server bound, by row locks on accounts"
    verdict = Verdict(name="server_bound", evidence="seen", by="row locks on accounts")
    said = words.reasons(sizing.model_copy(update={"verdict": verdict}))
    assert said[0] == "Bound by the server, by row locks on accounts: seen."
    pooler = found.model_copy(update={"verdict": "pooler_bound"})
    assert (words.bound_by(pooler), words.verdict(pooler)) == ("the pooler", "pooler bound")
