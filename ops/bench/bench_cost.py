"""Part b: what a landing costs by the size of its project."""

import json

import rig as r
from rig import median_of, ratio, table, verdict

SMALL, LARGE, HUGE = 1000, r.quick(20000, 1000000), 1000000000
ROUNDS = {1: r.quick(20, 600), 32: r.quick(5, 150)}


def measure(rig):
    place = rig.place("cost")
    cost = r.bench_program("landing_cost")
    for files, how in ((SMALL, "fill"), (LARGE, "fill"), (HUGE, "share")):
        r.note(f"a project of {files:,} files")
        rig.call([cost, how, place / str(files), files])
    kinds = [("small", SMALL, "near"), ("large", LARGE, "near"), ("huge", HUGE, "near")]
    if not r.QUICK:
        kinds.append(("deep", LARGE, "deep"))
    rows = {(name, batch): [] for name, _, _ in kinds for batch in ROUNDS}
    for number in range(max(r.RUNS, 1 if r.QUICK else 5)):
        r.note(f"landings, run {number + 1}")
        for batch, rounds in ROUNDS.items():
            for name, files, where in kinds:
                found = rig.call([cost, "land", place / str(files), files, batch, rounds, where]).stdout
                rows[name, batch].append(json.loads(found))
    out = []
    labels = {"small": f"{SMALL:,} files", "large": f"{LARGE:,} files",
              "huge": f"{HUGE:,} files", "deep": f"{LARGE:,} files, where the tree is deepest"}
    measures = ("cpu_us", "requests", "bytes_written", "bytes_read")
    for batch in ROUNDS:
        for name, _, _ in kinds:
            found = rows[name, batch]
            out.append([f"{labels[name]}, batches of {batch}", *(median_of(found, key) for key in measures),
                        ratio(median_of(found, "cpu_us"), median_of(rows["small", batch], "cpu_us"))])
    table("b. Cost of a landing by the size of the project: 3 files of 2 KB in one directory",
          ["project", "CPU us", "store requests", "bytes written", "bytes read", "CPU to the small one"], out,
          ["Per landing: intake and landing stage on a directory store. All directories have 10 entries; but where said, "
           f"the paths are equally deep. Of the {HUGE:,} files all but 900 lie in pages that are shared."])
    print()
    for batch in ROUNDS:
        for name, files in (("large", LARGE), ("huge", HUGE)):
            for key in measures:
                small = median_of(rows["small", batch], key).median
                value = median_of(rows[name, batch], key).median / small if small else None
                most = 1.0 if key == "requests" else 1.3
                print(verdict(f"{key}, batches of {batch}: {files:,} files to {SMALL:,}, at most {most}", value,
                              value is not None and value <= most + 0.0005))
