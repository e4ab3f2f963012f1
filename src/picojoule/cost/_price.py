"""All the physics there is: E = counts @ prices + static power · time, in every draw at once."""

import hashlib
from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from picojoule.hardware import STATIC, Action, Technology
from picojoule.quantity import InputError, Value

from ._activity import Activity, Term
from ._cost import Cost

_MOST: Final = 10**8  # numbers drawn: 800 MB of each quantity


def price(activities: Sequence[Activity], technology: Technology, *, draws: int = 1000, seed: int = 0) -> Cost:
    """Price `activities`: E[o, k] = Σ_a counts[o, a] · price[a, k] + P_static[k] · t[o, k].

    Prices are log-normal and drawn once per price, whatever action uses it. The stream of a price depends on its
    source value and `seed` alone, so two machines that share a price share its draws and their ratio stays honest.
    """
    if draws * max(1, len(activities)) > _MOST:
        raise InputError(f"{draws:,} draws of {len(activities):,} operators", where="draws",
                         expected=f"at most {_MOST // max(1, len(activities)):,} draws", example="--draws 10000")  # fmt: skip
    actions = _actions(activities, technology)
    keys = {action: technology.key(action) for action in actions}
    prices = {action: technology.prices[keys[action]] for action in actions}
    dynamic = [action for action in actions if action != STATIC]
    counts = np.array([[float(a.counts.get(action, 0)) for action in dynamic] for a in activities], dtype=float)
    unit_j = np.array([factors(prices[action], draws, seed) * prices[action].nominal for action in dynamic])
    time_s = _times(activities, draws, seed)
    energy_j = counts.reshape(len(activities), len(dynamic)) @ unit_j.reshape(len(dynamic), 1 + draws)
    if STATIC in prices:
        energy_j += time_s * (prices[STATIC].nominal * factors(prices[STATIC], draws, seed))
    return Cost(
        activities=tuple(activities), energy_j=energy_j, time_s=time_s, actions=actions, prices=prices,
        price_keys=keys, rates=_rates(activities), scope=technology.scope, seed=seed,
    )  # fmt: skip


def factors(value: Value, draws: int, seed: int) -> NDArray[np.float64]:
    """Multipliers (1 + draws,) of `value`: 1, then exp(sigma · z) with z of this value's own stream."""
    name = f"{seed}|{value.source}|{value.where}|{value.unit}|{value.nominal!r}|{value.spread!r}"
    stream = int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest(), "big")
    z = np.random.Generator(np.random.Philox(stream)).standard_normal(draws)
    return np.concatenate(([1.0], np.exp(value.sigma * z)))


def _actions(activities: Sequence[Activity], technology: Technology) -> tuple[Action, ...]:
    seen = dict.fromkeys(action for activity in activities for action in activity.counts)
    if any(fits == ".".join(STATIC) for fits in technology.prices):
        seen[STATIC] = None
    return tuple(seen)


def _rates(activities: Sequence[Activity]) -> dict[str, Value]:
    return {
        term.key: term.rate
        for activity in activities
        for term in (*activity.terms, *((activity.overhead,) if activity.overhead else ()))
        if term.rate is not None
    }


def _times(activities: Sequence[Activity], draws: int, seed: int) -> NDArray[np.float64]:
    """t[o, k] = max over terms of seconds / rate factor, plus the overhead; (operators, 1 + draws)."""
    slow = {key: 1.0 / factors(value, draws, seed) for key, value in _rates(activities).items()}
    known = np.ones(1 + draws)
    times = np.zeros((len(activities), 1 + draws))
    memo: dict[tuple[tuple[Term, ...], Term | None], NDArray[np.float64]] = {}
    for row, activity in enumerate(activities):
        same = (activity.terms, activity.overhead)
        if same not in memo:
            time = np.zeros(1 + draws)
            for term in activity.terms:
                np.maximum(time, term.seconds * slow.get(term.key, known), out=time)
            if activity.overhead is not None:
                # An overhead is a time, not a rate: a longer one is longer.
                time += activity.overhead.seconds / slow.get(activity.overhead.key, known)
            memo[same] = time
        times[row] = memo[same]
    return times
