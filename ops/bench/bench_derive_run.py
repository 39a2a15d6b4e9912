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
    node_program = r.bench_program("derive_node")

    def play_node(what, n):
        return [json.loads(rig.call([node_program, what, rig.place(f"node-{what}-{i}"), n]).stdout) for i in range(RUNS)]

    node_chain, node_resolve = play_node("chain", CHAIN), play_node("resolve", ROOT)
    identity = play_node("identity", CHAIN)
    rows = [[f"a chain of {CHAIN:,}, 64 bytes each", r.median_of(chain, "us"), r.median_of(chain, "cpu_us")],
            ["the same over a node", r.median_of(node_chain, "us"), r.median_of(node_chain, "cpu_us")],
            [f"over a node, a chain of {CHAIN:,} identity", r.median_of(identity, "us"), r.median_of(identity, "cpu_us")],
            [f"the root over {ROOT:,}, known and cached", r.median_of(resolve, "us"), ""],
            ["the same over a node", r.median_of(node_resolve, "us"), ""]]
    table("q. Recipes: microseconds of each", ["what", "us", "of all threads"], rows,
          ["In process, over a table in memory; and over a node as it is, with the derive log and its index over a store in "
           "memory, where the recipes were put before. Each recipe of the chain is a `slice` that gives all of its input, "
           "with a parameter of its own: recipes with equal inputs and parameters share a run, as those of identity do."])
    fans = {n: play("fan", n, SLOTS) for n in FANS}
    table(f"q. {WAIT_MS} ms of waiting side by side, on {SLOTS} slots, in milliseconds",
          ["functions", "took", "ideal", "one after the other", "took, to ideal"],
          [[str(n), r.median_of(runs, "ms"), r.median_of(runs, "ideal_ms"), r.median_of(runs, "serial_ms"),
            r.median_of(runs, "ratio")] for n, runs in fans.items()], [])
    print()
    for what, runs in (("chain, over a table", chain), ("chain, over a node", node_chain),
                       ("chain of identity, over a node", identity)):
        value = r.median_of(runs, "us").median
        print(verdict(f"microseconds a recipe of a {what}, below 5", value, value < 5))
    for where, roots in (("table", resolve), ("node", node_resolve)):
        value = r.median_of(roots, "us").median
        print(verdict(f"microseconds to resolve what is known, over a {where}, below 2", value, value < 2))
    value = max(r.median_of(runs, "ratio").median for runs in fans.values())
    print(verdict("the slowest fan-out, to the ideal, at most 1.15", value, value <= 1.15))
