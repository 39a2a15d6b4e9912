"""Part a: landings per second on one hot project, beside git and beside the machine's own limit."""

import json
import subprocess
import time

import rig as r
from rig import median_of, ratio, table, verdict

SECONDS = r.quick(2, 10)
GIT_SECONDS = r.quick(6, 25)
MANY = 256


def clients_run(rig, address, clients, pid):
    args = [r.bench_program("land_clients"), "run", address, "hot", clients, SECONDS, pid]
    return json.loads(rig.call(args).stdout)


def row_of(found):
    """What land_clients counted, in the table's units."""
    seconds = found["us"] / 1e6
    landed = max(found["landed"], 1)
    return {"rate": found["landed"] / seconds, "p50": found["p50_us"] / 1000, "p99": found["p99_us"] / 1000,
            "attempts": found["attempts"] / landed, "even": found["least"] / max(found["most"], 1),
            "cpu": found["server_cpu_us"] / landed, "client_cpu": found["client_cpu_us"] / landed,
            "peak": found["peak_kib"] / 1024, "conflicts": found["conflicts"], "others": found["others"],
            "body": found["body"]}


def forge_run(rig, clients, bucket=None):
    forge = r.Forge(rig, bucket or rig.place("bucket-a"))
    try:
        rig.call([r.bench_program("land_clients"), "setup", forge.address, "hot"])
        return row_of(clients_run(rig, forge.address, clients, forge.pid))
    finally:
        forge.stop()


def limit_run(rig, clients):
    place = rig.place("limit-a")
    limit = r.Listening(rig, [r.bench_program("limit"), place / "file"], stdin=subprocess.PIPE)
    try:
        return row_of(clients_run(rig, limit.address, clients, limit.pid))
    finally:
        limit.stop()


class Tally:
    """What clients that are scripts appended to their files: 1 for an attempt that landed, 0 for another."""

    def __init__(self, place, clients):
        self.paths = [place / f"landed-{i}" for i in range(clients)]
        for path in self.paths:
            path.touch()

    def read(self):
        return [[int(n) for n in path.read_text().split()] for path in self.paths]


def scripts_run(rig, place, clients, start, seconds):
    """Runs one script a client; counts in a window after they have warmed up."""
    stop = place / "stop"
    tally = Tally(place, clients)
    log = open(place / "clients.log", "ab")
    processes = [start(i, tally.paths[i], stop, log) for i in range(clients)]
    try:
        time.sleep(r.quick(1, 3))
        before = tally.read()
        began = time.monotonic()
        time.sleep(seconds)
        after = tally.read()
        took = time.monotonic() - began
        ended = [p for p in processes if p.poll() is not None]
        if ended:
            raise RuntimeError(f"{len(ended)} clients gave up: {(place / 'clients.log').read_text()[-1500:]}")
    finally:
        stop.touch()
        until = time.monotonic() + 20
        for process in processes:
            while process.poll() is None and time.monotonic() < until:
                time.sleep(0.05)
            rig.stop(process)
        log.close()
    new = [b[len(a):] for a, b in zip(before, after)]
    counts = [sum(n) for n in new]
    landed = sum(counts)
    attempts = sum(len(n) for n in new)
    return {"rate": landed / took, "attempts": attempts / landed if landed else None,
            "even": min(counts) / max(max(counts), 1)}


def git_run(rig, how, clients):
    place = rig.place("git-a")
    seed, bare = place / "seed", place / "hot.git"
    seed.mkdir()
    rig.call([r.bench_program("land_clients"), "files", seed])
    git = lambda *args, **kw: rig.call(["git", *args], **kw)
    git("init", "-q", "--bare", bare)
    git("-C", bare, "config", "http.receivepack", "true")
    git("-C", seed, "init", "-q")
    git("-C", seed, "add", ".")
    git("-C", seed, "commit", "-q", "-m", "The hot tree")
    git("-C", seed, "push", "-q", bare, "HEAD:main")
    server = r.Nginx(rig, place, git=True)
    try:
        for i in range(clients):
            git("clone", "-q", "--no-hardlinks", f"{server.url}/hot.git", place / f"clone-{i}")

        def start(i, landed, stop, log):
            return rig.start([r.HERE / "git_client.sh", how, i, clients, seed, place / "lock", landed, stop],
                             cwd=place / f"clone-{i}", stdout=log, stderr=log)

        return scripts_run(rig, place, clients, start, GIT_SECONDS)
    finally:
        server.stop()


def mic_run(rig, clients, bucket=None):
    """`mic land` as a process for every landing."""
    r.program("mic")
    place = rig.place("mic-a")
    seed = place / "seed"
    seed.mkdir()
    rig.call([r.bench_program("land_clients"), "files", seed])
    forge = r.Forge(rig, bucket or place / "bucket")
    try:
        rig.call([r.bench_program("land_clients"), "setup", forge.address, "hot"])
        homes = []
        for i in range(clients):
            home = place / f"home-{i}"
            home.mkdir()
            homes.append(dict(rig.env, HOME=str(home)))
            rig.call(["mic", "login", forge.url, "--author", f"agent-{i}"], env=homes[i])
            rig.call(["mic", "checkout", "hot", place / f"work-{i}"], env=homes[i])

        def start(i, landed, stop, log):
            return rig.start([r.HERE / "mic_client.sh", i, clients, seed, landed, stop],
                             cwd=place / f"work-{i}", env=homes[i], stdout=log, stderr=log)

        return scripts_run(rig, place, clients, start, r.quick(3, 10))
    finally:
        forge.stop()


def measure(rig):
    clients = r.quick(8, 32)
    many = r.quick(16, MANY)
    kinds = [
        ("forge", f"Micelio, {clients} clients", lambda: forge_run(rig, clients)),
        ("forge_many", f"Micelio, {many} clients", lambda: forge_run(rig, many)),
        ("mic", f"Micelio, {clients} workspaces, a process `mic land` each time", lambda: mic_run(rig, clients)),
        ("limit", f"this machine's limit, {clients} clients", lambda: limit_run(rig, clients)),
        ("limit_many", f"this machine's limit, {many} clients", lambda: limit_run(rig, many)),
        ("retry", f"git push, {clients} clients, retry at once", lambda: git_run(rig, "retry", clients)),
        ("backoff", f"git push, {clients} clients, back-off up to 2 s", lambda: git_run(rig, "backoff", clients)),
        ("lock", f"git push, {clients} clients, taking turns by a lock", lambda: git_run(rig, "lock", clients)),
    ]
    rows = {name: [] for name, _, _ in kinds}
    missing = []
    # Round by round, so that what else the machine does falls on all of them.
    for number in range(r.RUNS):
        for name, label, one in kinds:
            r.note(f"{label}, run {number + 1} of {r.RUNS}")
            try:
                rows[name].append(one())
            except r.Missing as why:
                missing.append(f"{label} was left out: {why}")
    out = []
    for name, label, _ in kinds:
        found = rows[name]
        rate = median_of(found, "rate")
        out.append([label, rate, median_of(found, "p50"), median_of(found, "p99"), median_of(found, "attempts"),
                    median_of(found, "even"), median_of(found, "cpu"), median_of(found, "peak"),
                    ratio(median_of(rows["forge"], "rate"), rate)])
    body = rows["limit"][0]["body"] if rows["limit"] else 0
    table("a. Landings on one hot project of 1,000 files, 3 files of 2 KB each",
          ["who", "landings/s", "p50 ms", "p99 ms", "attempts a landing", "slowest/fastest client",
           "server CPU us a landing", "server peak MiB", f"Micelio, {clients} clients, to this"], out,
          [f"Median (least-greatest) of {r.RUNS} runs, Micelio and the limit {SECONDS} s each, git {GIT_SECONDS} s. "
           f"Each client works in its directory of 32, on its own files. A landing is {body:,} bytes on the wire. "
           "The server and its clients share the cores. Micelio has everything on disk before it answers; git as it comes "
           "syncs neither loose objects nor references. git is served by nginx, fcgiwrap and git http-backend. "
           "A workspace of `mic land`, as a clone, also takes in what the others landed.",
           *dict.fromkeys(missing)])
    goals(rows)


def goals(rows):
    forge = {key: median_of(rows["forge"], key).median for key in ("rate", "p50", "p99", "attempts", "even", "peak")}
    if forge["rate"] is None:
        return

    def to(name):
        other = median_of(rows[name], "rate").median
        return forge["rate"] / other if other else None

    def line(text, value, holds):
        print(verdict(text, value, value is not None and holds(value)))

    print()
    line("to the machine's limit, at least 0.1", to("limit"), lambda v: v >= 0.1)
    line("to stock git, at least 500", to("retry"), lambda v: v >= 500)
    line("to git with a lock, at least 100", to("lock"), lambda v: v >= 100)
    line("attempts a landing, 1.0", forge["attempts"], lambda v: v < 1.02)
    line("p99 to p50, under 10", forge["p99"] / forge["p50"], lambda v: v < 10)
    line("slowest client to fastest, at least 0.5", forge["even"], lambda v: v >= 0.5)
    line("memory of mic-forge, below 256 MiB", forge["peak"], lambda v: v < 256)
