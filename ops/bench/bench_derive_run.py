"""Part q: what running recipes costs beside the functions themselves."""

import json

import rig as r
from rig import table, verdict

CHAIN, ROOT, SLOTS, WAIT_MS = r.quick(1000, 10000), 1000, 8, 10
FANS = r.quick((1, 8), (1, 8, 16, 32, 64, 100))
RUNS = r.quick(1, 5)


def measure(rig):
    program = r.bench_program("derive_run")

    def play(*args):
        return [json.loads(rig.call([program, *args]).stdout) for _ in range(RUNS)]

    chain, resolve = play("chain", CHAIN), play("resolve", ROOT)
    rows = [[f"a chain of {CHAIN:,}, 64 bytes each", r.median_of(chain, "us"), r.median_of(chain, "cpu_us")],
            [f"the root over {ROOT:,}, known and cached", r.median_of(resolve, "us"), ""]]
    table("q. Recipes: microseconds of each", ["what", "us", "of all threads"], rows,
          ["In process, over a table in memory. Each recipe of the chain is a `slice` that gives all of its input, "
           "with a parameter of its own: recipes with equal inputs and parameters would share a run."])
    fans = {n: play("fan", n, SLOTS) for n in FANS}
    table(f"q. {WAIT_MS} ms of waiting side by side, on {SLOTS} slots, in milliseconds",
          ["functions", "took", "ideal", "one after the other", "took, to ideal"],
          [[str(n), r.median_of(runs, "ms"), r.median_of(runs, "ideal_ms"), r.median_of(runs, "serial_ms"),
            r.median_of(runs, "ratio")] for n, runs in fans.items()], [])
    print()
    value = r.median_of(chain, "us").median
    print(verdict("microseconds a recipe of a chain, below 5", value, value < 5))
    value = r.median_of(resolve, "us").median
    print(verdict("microseconds to resolve what is known, below 2", value, value < 2))
    value = max(r.median_of(runs, "ratio").median for runs in fans.values())
    print(verdict("the slowest fan-out, to the ideal, at most 1.15", value, value <= 1.15))
