"""Part p: computing time that the cache of results saves, beside least recently used."""

import json

import rig as r
from rig import figure, table, verdict

RECIPES, EXPONENT, PERCENT = 20000, 0.9, 10
REQUESTS = r.quick(50000, 1000000)
SPREADS = (1.0, 1.5, 2.0)


def measure(rig):
    play = r.bench_program("zipf_cache")
    rows, ratios = [], {}
    for spread in SPREADS:
        runs = [json.loads(rig.call([play, seed, RECIPES, EXPONENT, REQUESTS, spread, PERCENT]).stdout)
                for seed in (1, 2, 3)]
        ratios[spread] = r.median_of(runs, "ratio")
        for name, label in (("gdsf", "GreedyDual-Size-Frequency"), ("lru", "least recently used")):
            own = [run[name] for run in runs]
            rows.append([str(spread), label, r.median_of(own, "hits"), r.median_of(own, "saved"),
                         r.median_of(own, "evictions"),
                         figure(ratios[spread].median) if name == "gdsf" else "1"])
    table(f"p. Results: Zipf {EXPONENT} over {RECIPES:,} recipes, {REQUESTS:,} requests, {PERCENT} % of the bytes",
          ["spread", "policy", "requests that hit", "time saved", "evictions", "saved, to least recently used"], rows,
          ["Sizes and costs are log-normal and independent; spread is the deviation of their logarithms. "
           "The policies are played without bytes, on seeds 1, 2 and 3. Time saved is a part of what all requests "
           "together would take to compute."])
    print()
    for spread, found in ratios.items():
        value = found.median
        print(verdict(f"time saved to that of least recently used, spread {spread}, at least 1.3", value, value >= 1.3))
