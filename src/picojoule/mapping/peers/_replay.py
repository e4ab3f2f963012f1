"""A mapping of another tool, counted by our law and by that tool's rules, next to what the tool itself printed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .._convention import Convention

SCHEMA = "picojoule/replay/1"

REASONS = {
    "walk": "Timeloop runs iterations 0 and 1 of a loop for all: a step of an outer loop is credited with what it shares "
    "with iteration 1 of the loops inside it",
    "same words": "PEs at different places of a window may hold the same words; in Timeloop they share the read",
    "links": "Timeloop lets a PE take from a mesh neighbour what that one fetched a visit before: a read there, not above",
    "old halo": "a release before the overlap of consecutive tiles was kept: every tile is fetched whole",
    "still": "ZigZag reads an input of the innermost memory once for a run of loops that do not change it",
    "clip": "ZigZag counts no words of padding",
    "first": "ZigZag reads a sum back on its first visit too",
    "rounding": "ZigZag rounds the words of every period up to words of the narrowest port",
    "drain": "ZigZag counts a drained sum as a read of the memory that it leaves",
    "fraction": "ZigZag spreads a fraction of a PE where the extent does not divide; every tile has one size",
    "window": "ZigZag counts the tile of one PE once for every PE whose tile is not the same, windows that overlap too",
    "not printed": "the tool printed no such counter; its rules stand in for it",
    "unexplained": "no rule known here tells why",
}


@dataclass(frozen=True, slots=True)
class Row:
    """One counter: `ours` by our law, `law` by the tool's rules as written here, `theirs` as the tool printed it."""

    level: str
    tensor: str
    action: str
    ours: float
    law: float
    theirs: float | None
    reasons: tuple[str, ...]

    @property
    def against(self) -> float:
        """What ours is compared with: the tool's own number, else its rules."""
        return self.law if self.theirs is None else self.theirs

    @property
    def difference(self) -> float:
        """Ours less theirs."""
        return self.ours - self.against

    @property
    def explained(self) -> bool:
        """Is the counter equal, or the difference named?"""
        return "unexplained" not in self.reasons


@dataclass(frozen=True, slots=True)
class EnergyRow:
    """Joules of one tensor at one level, or of the MACs; `theirs_j` None where the tool printed none."""

    level: str
    tensor: str
    ours_j: float
    law_j: float
    theirs_j: float | None


@dataclass(frozen=True, slots=True)
class Cycles:
    """Cycles by our counts and by the tool's rules (None where those are not known here), and as printed.

    The busiest port sets the pace where bandwidths are stated, else the steps of the MACs.
    """

    ours: int
    law: int | None
    theirs: float | None


@dataclass(frozen=True, slots=True)
class Replay:
    """One mapping replayed. `unit` of the counters: "words", or "accesses" of port words.

    `left_out` names what the files say and the replay does not use. Energies are empty without prices. `zeros` names the
    rules by which words that are zero are left out of both; None where every word counts.
    """

    peer: str
    name: str
    convention: Convention
    unit: str
    rows: tuple[Row, ...]
    energies: tuple[EnergyRow, ...]
    macs: int
    steps: int
    cycles: Cycles | None = None
    total_j: float | None = None
    left_out: tuple[str, ...] = ()
    zeros: str | None = None

    @property
    def equal(self) -> int:
        """Counters that are the same."""
        return sum(row.difference == 0 for row in self.rows)

    @property
    def unexplained(self) -> tuple[Row, ...]:
        """Counters whose difference has no name."""
        return tuple(row for row in self.rows if not row.explained)

    @property
    def energy_j(self) -> Mapping[str, float | None]:
        """Sums of the energies, and the tool's own total where it printed one."""
        if not self.energies:
            return {"ours": None, "law": None, "theirs": self.total_j}
        theirs = [row.theirs_j for row in self.energies]
        total = self.total_j
        if total is None and None not in theirs:
            total = sum(one for one in theirs if one is not None)
        return {
            "ours": sum(row.ours_j for row in self.energies),
            "law": sum(row.law_j for row in self.energies),
            "theirs": total,
        }


def replay_text(replay: Replay) -> str:
    """Counters side by side, the names of differences, energies, and what was left out."""
    rules = ", ".join(f"{name} {value}" for name, value in replay.convention.as_dict().items())
    source = "as printed by the tool" if any(row.theirs is not None for row in replay.rows) else "by the tool's rules"
    lines = [
        f"{replay.name}: a mapping of {replay.peer}, {replay.macs:,} MACs in {replay.steps:,} steps",
        f"ours: {rules}",
        f"theirs: {source}; all in {replay.unit}",
        *([f"zeros, in both: {replay.zeros}"] if replay.zeros else []),
        "",
        f"{'level':<20}{'tensor':<12}{'action':<16}{'ours':>18}{'theirs':>18}{'difference':>18}  reason",
    ]
    for row in replay.rows:
        lines.append(
            f"{row.level:<20}{row.tensor:<12}{row.action:<16}{_number(row.ours):>18}{_number(row.against):>18}"
            f"{_number(row.difference):>18}  {', '.join(row.reasons)}".rstrip()
        )
    named = [reason for reason in REASONS if any(reason in row.reasons for row in replay.rows)]
    lines += [""] + [f"{reason}: {REASONS[reason]}" for reason in named]
    lines.append(
        f"{replay.equal} of {len(replay.rows)} counters are equal, "
        f"{len(replay.rows) - replay.equal - len(replay.unexplained)} differ for a reason named above, "
        f"{len(replay.unexplained)} for none"
    )
    lines += ["", *_energy_lines(replay)] if replay.energies else []
    if replay.cycles is not None:
        one = replay.cycles
        law = "its waits are not counted here" if one.law is None else f"{one.law:,} by its rules"
        theirs = "" if one.theirs is None else f", {_number(one.theirs)} as printed"
        lines.append(f"cycles: ours {one.ours:,}, {law}{theirs}")
    if replay.left_out:
        lines += ["", "read and not used: " + ", ".join(replay.left_out)]
    return "\n".join(lines)


def _energy_lines(replay: Replay) -> list[str]:
    lines = [f"{'energy, pJ':<20}{'':<12}{'ours':>20}{'by its rules':>20}{'theirs':>20}"]
    for row in replay.energies:
        theirs = "not printed" if row.theirs_j is None else f"{1e12 * row.theirs_j:,.2f}"
        lines.append(
            f"{row.level:<20}{row.tensor:<12}{1e12 * row.ours_j:>20,.2f}{1e12 * row.law_j:>20,.2f}{theirs:>20}"
        )
    total = replay.energy_j
    ours, law, theirs_j = total["ours"] or 0.0, total["law"] or 0.0, total["theirs"]
    theirs = "not printed" if theirs_j is None else f"{1e12 * theirs_j:,.2f}"
    lines.append(f"{'total':<32}{1e12 * ours:>20,.2f}{1e12 * law:>20,.2f}{theirs:>20}")
    return lines


def replay_dict(replays: Sequence[Replay]) -> dict[str, Any]:
    """`picojoule/replay/1`."""
    return {
        "schema": SCHEMA,
        "reasons": {
            name: REASONS[name]
            for name in REASONS
            if any(name in row.reasons for one in replays for row in one.rows)
        },
        "replays": [
            {
                "peer": one.peer,
                "name": one.name,
                "convention": one.convention.as_dict(),
                "unit": one.unit,
                "zeros": one.zeros,
                "macs": one.macs,
                "steps": one.steps,
                "cycles": None if one.cycles is None else {
                    "ours": one.cycles.ours, "law": one.cycles.law, "theirs": one.cycles.theirs,
                },
                "counters": [
                    {
                        "level": row.level, "tensor": row.tensor, "action": row.action, "ours": row.ours,
                        "law": row.law, "theirs": row.theirs, "difference": row.difference,
                        "reasons": list(row.reasons),
                    }
                    for row in one.rows
                ],
                "equal": one.equal,
                "unexplained": len(one.unexplained),
                "energy_j": dict(one.energy_j),
                "energies": [
                    {
                        "level": row.level, "tensor": row.tensor, "ours_j": row.ours_j, "law_j": row.law_j,
                        "theirs_j": row.theirs_j,
                    }
                    for row in one.energies
                ],
                "left_out": list(one.left_out),
            }
            for one in replays
        ],
    }  # fmt: skip


def _number(value: float) -> str:
    return f"{value:,.0f}" if value == round(value) else f"{value:,.2f}"
