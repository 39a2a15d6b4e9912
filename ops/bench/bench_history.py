"""Part h: what a landing costs at the end of a long history, to what it cost at its beginning, in one run."""

import json

import rig as r
from rig import Figures, figure, median_of, ratio, table, verdict

LANDINGS, BATCH, FILES = r.quick(20000, 500000), 50, 1000
AT_ENDS = 5  # windows of landing_cost
FULL_AFTER = 50000  # by then what is kept in memory has filled its bounds


def measure(rig):
    place = rig.place("history")
    cost = r.bench_program("landing_cost")
    rig.call([cost, "fill", place, FILES])
    r.note(f"{LANDINGS:,} landings in one run")
    rows = [json.loads(line) for line in rig.call([cost, "long", place, FILES, BATCH, LANDINGS]).stdout.splitlines()]
    first, middle, last = rows[:AT_ENDS], rows[AT_ENDS:-AT_ENDS], rows[-AT_ENDS:]
    measures = ("cpu_us", "requests", "bytes_written", "bytes_read")
    kinds = [(f"1,000 of the first {first[-1]['after'] + 1000:,}", first),
             *((f"1,000 after {row['after']:,}", [row]) for row in middle), ("1,000 of the last 5,000", last)]
    table(f"h. Cost of a landing by the history of its project: {LANDINGS:,} landings in one run, in batches of {BATCH}",
          ["landings", "CPU us", "store requests", "bytes written", "bytes read", "MiB resident", "CPU to the first"],
          [[label, *(median_of(found, key) for key in measures), Figures([row["resident_kib"] / 1024 for row in found]),
            ratio(median_of(found, "cpu_us"), median_of(first, "cpu_us"))] for label, found in kinds],
          [f"Per landing of 3 files of 2 KB: intake, landing stage and log stage on a directory store. The first 1,000 are not counted; "
           f"at either end the median (least-greatest) of {AT_ENDS} times 1,000. Memory is that of the process: it grows until "
           "what is kept of pages (64 MiB), batches and answers has filled its bounds."])
    print()
    for key in measures:
        value = median_of(last, key).median / median_of(first, key).median
        print(verdict(f"{key}, the last to the first, at most 1.2", value, value <= 1.2))
    full = next((row for row in middle if row["after"] + 1000 >= FULL_AFTER), None)
    value = last[-1]["resident_kib"] / full["resident_kib"] if full else None
    print(verdict(f"memory at the end, to that after {figure(FULL_AFTER)} landings, at most 1.2", value,
                  value is not None and value <= 1.2))
