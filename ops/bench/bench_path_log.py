"""Part l: which landings changed a file, beside `git log -- path` of the same history."""

import http.client
import json
import time

import rig as r
from rig import Figures, figure, table, verdict

LANDINGS = r.quick(1000, 50000)
ASKED = r.quick(20, 200)  # warm requests, one after another


def request(connection, path):
    began = time.monotonic()
    connection.request("GET", f"/api/mic/projects/p/log?path={path}", headers={"Mic-Author": "bench"})
    answer = connection.getresponse()
    body = answer.read()
    seconds = time.monotonic() - began
    if answer.status != 200:
        raise RuntimeError(f"log: {answer.status} {body[:300]!r}")
    return seconds * 1000, len(json.loads(body)["entries"])


def over_http(rig, bucket, path):
    """The first question to a server that has just started, with nothing in the system's memory, and the next ones; and
    the program `mic log`, which asks that server."""
    cold, warm, found = [], [], set()
    for _ in range(r.RUNS):
        r.evict(bucket)
        forge = r.Forge(rig, bucket)
        try:
            connection = http.client.HTTPConnection("127.0.0.1", forge.port, timeout=60)
            connection.connect()
            first = request(connection, path)
            rest = [request(connection, path) for _ in range(ASKED)]
            cold.append(first[0])
            warm.append(Figures([one[0] for one in rest]).median)
            found |= {one[1] for one in (first, *rest)}
            connection.close()
        finally:
            forge.stop()
    return Figures(cold), Figures(warm), found


def environment(rig, forge):
    return {**rig.env, "MIC_URL": forge.url, "MIC_AUTHOR": "bench"}


def mic_log(rig, bucket, path):
    took = []
    forge = r.Forge(rig, bucket)
    try:
        for _ in range(r.RUNS + 1):
            began = time.monotonic()
            rig.call([r.program("mic"), "log", "--project", "p", path], env=environment(rig, forge))
            took.append((time.monotonic() - began) * 1000)
    finally:
        forge.stop()
    return Figures(took[1:])


def git_log(rig, git, path, *options):
    """Cold and warm."""
    def once():
        began = time.monotonic()
        text = rig.call(["git", "-C", git, *options, "log", "--format=%H", "--", path]).stdout
        return (time.monotonic() - began) * 1000, len(text.splitlines())
    cold, warm, found = [], [], set()
    for _ in range(r.RUNS):
        r.evict(git)
        cold.append(once())
    warm = [once() for _ in range(r.RUNS)]
    found = {one[1] for one in cold + warm}
    return Figures([one[0] for one in cold]), Figures([one[0] for one in warm]), found


def git_make(rig, bucket, git):
    forge = r.Forge(rig, bucket)
    r.note("the same history in git")
    try:
        rig.call([r.program("mic"), "export", "git", "p", git, "--bare"], env=environment(rig, forge))
    finally:
        forge.stop()
    rig.call(["git", "-C", git, "repack", "-adq"])


def measure(rig):
    r.needed("git")
    bucket, said = rig.project(f"landings={LANDINGS}", "rare=4")
    path = said["rare"]
    git = rig.place("path-log") / "git"
    git_make(rig, bucket, git)
    r.note("questions")
    graph = ["git", "-C", git, "commit-graph", "write", "--reachable"]
    gits = {"git log -- path": git_log(rig, git, path)}
    rig.call(graph)
    gits["the same with a commit-graph"] = git_log(rig, git, path)
    rig.call([*graph, "--changed-paths"])
    gits["the same with changed-path filters"] = git_log(rig, git, path)
    empty = Figures([rig.timed(["git", "--version"]) * 1000 for _ in range(r.RUNS)])
    cold, warm, found = over_http(rig, bucket, path)
    library = json.loads(rig.call([r.bench_program("history_cost"), bucket, "p", "log", path]).stdout)
    process = mic_log(rig, bucket, path)
    filters = gits["the same with changed-path filters"]
    rows = [["GET /log?path=", warm, cold, 1.0],
            ["the library's call", library["warm"]["us"] / 1000, library["cold"]["us"] / 1000,
             library["warm"]["us"] / 1000 / warm.median],
            ["the program mic log, asking that server", process, "-", process.median / warm.median]]
    rows += [[name, one[1], one[0], one[1].median / warm.median] for name, one in gits.items()]
    rows += [["git --version: only starting it", empty, "-", empty.median / warm.median]]
    table(f"l. Which landings changed a file: one that was written {found} times in {said['position']:,} landings over 10,000 files"
          .replace("{", "").replace("}", ""),
          ["question", "ms, warm", "ms, cold", "to GET /log?path=, warm"], rows,
          [f"Cold: a server that has just started, and what lies on the disk is not in the system's memory (of the library: only its own "
           f"memory is empty). Warm: again; of the server the median of {ASKED} requests. A time of git has the start of its process in it. "
           f"The library reads {library['cold']['requests']} objects cold and {library['warm']['requests']} warm, out of "
           f"{library['cold']['bytes_read']:,} bytes."])
    print()
    if any(one[2] != found for one in gits.values()):
        print(f"* they do not agree on how many there are: {found}, {[one[2] for one in gits.values()]}")
    for number, when, ours in ((1, "warm", warm), (0, "cold", cold)):
        for name, least in (("the same with changed-path filters", 5), ("the same with a commit-graph", 50), ("git log -- path", 50)):
            value = gits[name][number].median / ours.median
            shown = {"git log -- path": "git without a commit-graph", "the same with a commit-graph": "git with a commit-graph without filters",
                     "the same with changed-path filters": "git with changed-path filters"}[name]
            print(verdict(f"{shown} to the server, {when}, at least {least}", value, value >= least))
