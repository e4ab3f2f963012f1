"""The law against the interpreter on many seeded cases: python -m tests.mapping.fuzz [cases] [first seed]."""

import sys
from collections import Counter

from picojoule.mapping import traffic
from tests.mapping.cases import case
from tests.mapping.interpreter import walk


def law(made, count=traffic):
    names = [level.name for level in made.machine.levels]
    moved = count(made.problem, made.machine, made.mapping, made.convention).counts
    return {(names.index(level), role, action): n for (level, role, action), n in moved.items() if n}


def differences(seeds):
    """(differing seeds, how often each rare feature was drawn)."""
    drawn, wrong = Counter(), []
    for seed in seeds:
        made = case(seed)
        drawn.update(name for name, present in made.features.items() if present)
        if law(made) != walk(made.nest):
            wrong.append(seed)
    return wrong, drawn


if __name__ == "__main__":
    total = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    first = int(sys.argv[2]) if len(sys.argv) > 2 else 0
    wrong, drawn = differences(range(first, first + total))
    print(f"{total} cases, {len(wrong)} differ {wrong[:5]}; drawn: {dict(drawn)}")
    sys.exit(bool(wrong))
