"""Part n: questions to a project of a billion files."""

import json

import rig as r
from rig import table

FILES = 1000000000
LANDINGS = r.quick(200, 10000)


def measure(rig):
    bucket, said = rig.project(f"files={FILES}", "shared", f"landings={LANDINGS}", "rare=5")
    position = said["position"]
    path = said["rare"]
    directory = path.rpartition("/")[0]
    new = [f"{directory}/new", "dir-00/dir-00/dir-00/dir-00/new", "dir-09/dir-87/dir-65/dir-43/new"]
    questions = [("ls of the root", "ls", ""), ("ls of a directory of 100 files, 5 levels deep", "ls", directory),
                 ("log of a file written 5 times", "log", path),
                 ("diff of a directory over all landings", "diff", 1, position, directory),
                 ("diff of all over the last 10 landings", "diff", position - 10, position, ""),
                 ("diff of all over all landings, its first 1,000 changes", "diff", 1, position, ""),
                 ("preflight of 3 files, base 1", "preflight", 1, *new), ("preflight of 3 files, fresh base", "preflight", position, *new),
                 ("landing of 3 files, base 1", "land", 1, *new), ("landing of 3 files, fresh base", "land", position, *new)]
    rows = []
    for label, *question in questions:
        r.note(label)
        one = json.loads(rig.call([r.bench_program("history_cost"), bucket, "p", *question]).stdout)
        rows.append([label, one["cold"]["found"], one["cold"]["requests"], one["cold"]["bytes_read"], one["cold"]["us"] / 1000,
                     one["warm"]["requests"], one["warm"]["us"] / 1000])
    r.note("the check")
    check = rig.measured([r.program("mic-fsck"), bucket])
    table(f"n. A project of {FILES:,} files and {position:,} landings",
          ["question", "found", "requests, cold", "bytes read", "ms", "requests, again", "ms"], rows,
          [f"A synthetic project (make_project) whose equal directories are one page; {r.bytes_below(bucket) / 1e6:.0f} MB. Each question by a "
           "process of its own, which asks it twice: nothing in its memory, and again. Landing waits for the disk; `found` of a landing counts what "
           f"the stage did. mic-fsck: {check['seconds']:.1f} s, clean."])
