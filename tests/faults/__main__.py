"""`python -m tests.faults`: single and double faults by the thousand, and one line of JSON with what came of them.

- `--faults 10000`: 10,000 single and 10,000 double faults;
- `--short`: what the suite runs, every single fault once and some pairs;
- `--case 'settled@bot.confirm#1:answer_lost+3.14'`: one case again, as a run printed it;
- `--plant resend`: the same with a bug in the path, see plants.py;
- `--plants`: every such bug, and the case that must find it;
- `--restarts 200`: PostgreSQL killed so often under load.
"""

import argparse
import json
import random
import secrets
import sys
import time
from itertools import cycle, islice

from .harness import Counts, one, pairs, path_of, play, ready, singles
from .plan import VARIANTS, Case
from .plants import PLANTS
from .restarts import kill_and_restart


def main() -> int:
    """Run what the arguments ask for; 1 when anything was wrong."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--faults", type=int, default=0, help="how many single and how many double faults")
    parser.add_argument("--short", action="store_true", help="every single fault once and some pairs")
    parser.add_argument("--case", help="one case to play again")
    parser.add_argument("--plant", choices=PLANTS, help="a bug to plant before the case")
    parser.add_argument("--plants", action="store_true", help="plant every bug in turn")
    parser.add_argument("--seed", type=int, default=None, help="of the random choices")
    parser.add_argument("--workers", type=int, default=2, help="how many cases at once")
    parser.add_argument("--restarts", type=int, default=0, help="how often PostgreSQL is killed")
    arguments = parser.parse_args()
    seed = secrets.randbits(32) if arguments.seed is None else arguments.seed
    if arguments.restarts:
        found = kill_and_restart(arguments.restarts, seed)
        print(json.dumps(found))  # noqa: T201 - the result
        return 1 if found["lost"] or found["wallets_wrong"] or found["violations"] else 0
    if arguments.case is not None:
        return _one(Case.parse(arguments.case), arguments.plant)
    if arguments.plants:
        return _plants()
    with ready(arguments.workers) as places:
        path = path_of(places[0])
        every = singles(path)
        chance = random.Random(seed)  # noqa: S311 - which cases, not a secret
        if arguments.short:
            single = [
                Case(chance.choice(VARIANTS), case.point, case.nth, case.kind) for case in singles(path, VARIANTS[:1])
            ]
            double = pairs(every, 60, seed)
        else:
            chance.shuffle(every)
            single = list(islice(cycle(every), arguments.faults))
            double = pairs(every, arguments.faults, seed)
        report: dict[str, object] = {"seed": seed, "points": len(path), "point_kinds": len(every) // len(VARIANTS)}
        wrong = 0
        for name, cases in (("single", single), ("double", double)):
            began = time.monotonic()
            counts = play(places, cases)
            report[name] = _figures(counts, time.monotonic() - began)
            wrong += sum(counts.wrong.values())
            for failure in counts.failures[:20]:
                print(failure, file=sys.stderr)  # noqa: T201 - what a person replays
    print(json.dumps(report))  # noqa: T201 - the result
    return 1 if wrong else 0


def _one(case: Case, plant: str | None) -> int:
    with ready(1) as places:
        result = one(places[0], case, PLANTS[plant].plant if plant else None)
    print(json.dumps(vars(result)))  # noqa: T201 - the result
    return 1 if result.wrong else 0


def _plants() -> int:
    """Find every planted bug, and nothing where none is planted; a database each, for a bug may break its invariants."""
    report = {}
    with ready(len(PLANTS)) as places:
        for place, (name, bug) in zip(places, PLANTS.items(), strict=True):
            case = Case.parse(bug.case)
            sound, planted = one(place, case), one(place, case, bug.plant)
            report[name] = {"sound": sound.wrong, "planted": planted.wrong}
    print(json.dumps(report))  # noqa: T201 - the result
    return 1 if any(found["sound"] or not found["planted"] for found in report.values()) else 0


def _figures(counts: Counts, took: float) -> dict[str, object]:
    return {
        "cases": counts.cases,
        "cases_per_s": round(counts.cases / max(took, 0.001), 1),
        "processes_killed": counts.killed,
        "asked": counts.asked,
        "asked_needlessly": counts.needless,
        "faults": dict(sorted(counts.faults.items())),
        "wrong": dict(counts.wrong),
    }


if __name__ == "__main__":
    sys.exit(main())
