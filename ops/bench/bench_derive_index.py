"""Part r: what the index of the derive log costs: making it anew, dependents, finds."""

import json

import rig as r
from rig import Figures, figure, table, verdict

RECIPES = r.quick(20000, 1000000)


def measure(rig):
    program = r.bench_program("index_cost")
    rows, figures = [], {}
    for shape in ("tree", "chain", "fan"):
        runs = []
        for i in range(r.RUNS):
            place = rig.place(f"index-{shape}-{i}")
            r.note(f"an index of {RECIPES:,} recipes, {shape}")
            runs.append(json.loads(rig.call([program, place, RECIPES, shape]).stdout))
        figures[shape] = {key: Figures([run[key] for run in runs]) for key in runs[0]}
        rows.append([shape, *(figures[shape][key] for key in (
            "rebuild_s", "restart_ms", "few_ms", "few_named_ms", "many_ms", "many_named_ms",
            "find_us", "front_us"))])
    few = f"{RECIPES // 100:,}"
    table(f"r. Index of {RECIPES:,} recipes", [
        "shape", "made anew, s", "first question after a restart, ms", f"{few} dependents, ms",
        "with addresses, ms", f"{RECIPES:,} dependents, ms", "with addresses, ms", "find in the database, µs",
        "find in memory, µs"], rows,
        ["In process. In a tree each recipe names one before it, drawn by chance; in a chain the last one; in a fan one leaf. "
         f"{few} recipes between the others depend on a leaf of their own. Made anew: out of derive objects of 500 recipes "
         "on a directory store."])
    table(f"r. The first walk of a process over {few} of {RECIPES:,} recipes, in milliseconds", [
        "shape", "right after the first question", "of 5 starts the longest", "0.1 s after it", "of 5 starts the longest"],
        [[shape, *(figures[shape][key] for key in ("first_ms", "first_most_ms", "later_ms", "later_most_ms"))]
         for shape in figures],
        ["A process that opens an index reads all edges aside; its first question about all waits for them, and no walk does."])
    tree = figures["tree"]
    print()
    for what, key, least in ((f"index of {RECIPES:,} recipes made anew, s, under 20", "rebuild_s", 20),
                             (f"dependents, {few} of {RECIPES:,} recipes, ms, under 10", "few_ms", 10),
                             ("the same, first walk after a start, longest of 5, ms, under 10", "first_most_ms", 10),
                             (f"dependents, {RECIPES:,} recipes, ms, under 1,000", "many_ms", 1000),
                             ("10,000 finds in memory, ms, under 50", "front_us", 5)):
        value = tree[key].median
        shown = value * 10 if key == "front_us" else value
        print(verdict(what, shown, value < least))
