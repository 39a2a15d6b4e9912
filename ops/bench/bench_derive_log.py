"""Part o: how fast recipes become durable in the derive log, near and far."""

import json

import rig as r
from rig import Figures, figure, table, verdict

SECONDS = r.quick(1, 5)
# Clients, recipes that each has under way, what a store request takes in ms, and what must be reached.
LOADS = ((32, 1, 0, 20000), (32, 16, 0, None), (32, 16, 30, 5000))


def measure(rig):
    program = r.bench_program("derive_put")
    rows, verdicts = [], []
    for clients, outstanding, delay, wanted in LOADS:
        runs = []
        for i in range(r.quick(1, 3)):
            place = rig.place(f"derive-{clients}-{outstanding}-{delay}-{i}")
            runs.append(json.loads(rig.call([program, place, clients, outstanding, SECONDS, delay]).stdout))
        figures = {key: Figures([run[key] for run in runs]) for key in runs[0]}
        name = f"{clients} clients, {outstanding} recipes each under way" + (f", {delay} ms a request" if delay else "")
        rows.append([name, *(figures[key] for key in ("rate", "puts", "p50_ms", "p99_ms", "read_rate", "look_ms"))])
        if wanted:
            rate = figures["rate"].median
            verdicts.append(verdict(f"recipes durable in a second, {name}, at least {figure(wanted)}", rate, rate >= wanted))
    table("o. Recipes into the derive log", ["load", "recipes/s", "objects/s", "p50 ms", "p99 ms", "read back, recipes/s", "look without news, ms"], rows,
          ["In process, recipes of about 100 bytes of one project, on a directory store; each is counted when it is durable. "
           "In the end another node reads the log and must find every recipe that was answered."])
    print()
    print("\n".join(verdicts))
