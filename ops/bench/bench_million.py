"""Part k: a million landings of history: how fast rollups are made of them, and they are replayed and checked."""

import shutil

import rig as r
from rig import Figures, figure, table, verdict

LANDINGS = r.quick(3000, 1000000)
SCATTERED = r.quick(3000, 100000)
OPTIONS = (f"landings={LANDINGS}", "rare=4")


def rollup(rig, bucket, said):
    shutil.rmtree(bucket / "projects" / said["project"] / "landing-log" / "bloom-index", ignore_errors=True)
    return rig.measured([r.program("mic-rollup"), bucket, "--once"])


def replay(rig, bucket, said):
    return rig.measured([r.program("mic-replay"), bucket, "p", "--verify"])


def check(rig, bucket, said):
    return rig.measured([r.program("mic-fsck"), bucket])


def row(rig, label, work, bucket, said):
    """Once with nothing in the system's memory, then again and again."""
    r.note(label)
    r.evict(bucket)
    cold = work(rig, bucket, said)
    warm = [work(rig, bucket, said) for _ in range(r.RUNS)]
    n = said["position"]
    return [label, Figures([n / w["seconds"] for w in warm]), n / cold["seconds"],
            Figures([w["cpu"] * 1e6 / n for w in warm]), max(w["mib"] for w in [cold, *warm])]


def measure(rig):
    bucket, said = rig.project(*OPTIONS)
    other, other_said = rig.project(f"landings={SCATTERED}", "scattered")
    rows = {name: row(rig, name, work, bucket, said)
            for name, work in (("mic-rollup --once", rollup), ("mic-replay --verify", replay), ("mic-fsck", check))}
    scattered = [row(rig, f"{name}, {SCATTERED:,} scattered", work, other, other_said)
                 for name, work in (("mic-replay --verify", replay), ("mic-fsck", check))]
    table(f"k. A history of {said['position']:,} landings: what goes through all of it",
          ["program", "landings/s", "from the disk", "CPU us a landing", "MiB at most"], [*rows.values(), *scattered],
          [f"A synthetic project (make_project): 3 files a landing, in one directory, batches of 32, 10,000 files in directories of 100; "
           f"made in {said['seconds']:.0f} s, its log in {said['log_seconds']:.0f} s; {r.bytes_below(bucket) / 1e9:.1f} GB on a disk. "
           "The first figure is with what is read in the system's memory, the second from the disk. Scattered: the files of a "
           "landing lie in any directories. mic-fsck is not the deep one, and reads the rollups, too."])
    print()
    for name, least in (("mic-rollup --once", 200000), ("mic-replay --verify", 20000), ("mic-fsck", 50000)):
        value = rows[name][1].median
        print(verdict(f"{name}, landings/s, at least {figure(least)}", value, value >= least))
    value = rows["mic-rollup --once"][4]
    print(verdict("memory of mic-rollup, MiB, below 256", value, value < 256))
