"""Part m: what questions and landings cost in store requests by the length of the history."""

import json

import rig as r
from rig import figure, table, verdict

LENGTHS = r.quick([1000, 3000], [1000, 10000, 100000, 1000000])
FILES = ("dir-01/a", "dir-02/b", "dir-03/c")


def asked(rig, bucket, *question):
    return json.loads(rig.call([r.bench_program("history_cost"), bucket, "p", *question]).stdout)


def bases(position):
    """Of any alignment: at the ends of rollups of all levels, and in their middle."""
    found = {1, 2, 77, position // 3, position // 2 + 1, position}
    for span in (100, 10000):
        found |= {max(1, position - span), max(1, position - position % span), max(1, position // 2 // span * span + 1)}
    return sorted(found)


def measure(rig):
    rows, asks = [], {}
    for n in LENGTHS:
        bucket, said = rig.project(f"landings={n}", "rare=4")
        position = said["position"]
        rig.call([r.program("mic-rollup"), bucket, "--once"])
        r.note(f"questions to {n:,} landings")
        log = asked(rig, bucket, "log", said["rare"])
        before = [asked(rig, bucket, "preflight", base, *FILES)["cold"] for base in bases(position)]
        # The landings change the length, so little that it does not matter.
        fresh = asked(rig, bucket, "land", position, *FILES)["cold"]
        old = asked(rig, bucket, "land", 1, *FILES)["cold"]
        asks[n] = {"log": log["cold"]["requests"], "preflight": max(one["requests"] for one in before),
                   "land": old["requests"] - fresh["requests"]}
        rows.append([f"{position:,}", log["cold"]["requests"], log["warm"]["requests"], log["cold"]["bytes_read"],
                     log["cold"]["us"] / 1000, asks[n]["preflight"], max(one["us"] for one in before) / 1000,
                     fresh["requests"], old["requests"], old["us"] / 1000])
    table("m. Store requests by the length of the history",
          ["landings", "log of a path", "warm", "bytes", "ms", "preflight, most", "ms", "landing, fresh base", "base 1", "ms"], rows,
          ["Each with nothing in the process's memory but the bucket's settings and the project's id. The path was written 5 times. Preflight: "
           f"3 paths, no conflict, the most of {len(bases(LENGTHS[-1]))} bases of any alignment. Landing: 3 new files, from the intake to the "
           "settled queue, of a session begun at the head and of one begun at position 1."])
    print()
    logs = [asks[n]["log"] for n in LENGTHS]
    most = max(b - a for a, b in zip(logs, logs[1:]))
    print(verdict("log of a path: requests more for a factor of ten, at most 6", most, most <= 6))
    last = asks[LENGTHS[-1]]
    print(verdict(f"landing with base 1 at {figure(LENGTHS[-1])} landings: requests more than with a fresh base, at most 30",
                  last["land"], last["land"] <= 30))
    print(verdict(f"preflight of 3 paths at {figure(LENGTHS[-1])} landings: requests, at most 40", last["preflight"],
                  last["preflight"] <= 40))
