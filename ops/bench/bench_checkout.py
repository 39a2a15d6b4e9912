"""Part d: checking out a large tree, beside git clone and beside only writing the files."""

import rig as r
from rig import Figures, ratio, table, verdict

FILES = r.quick(2000, 50000)


def measure(rig):
    r.program("mic")
    place = rig.place("checkout")
    source, served = place / "source", place / "served"
    source.mkdir()
    served.mkdir()
    r.note(f"a tree of {FILES:,} files")
    rig.call([r.bench_program("write_files"), source, FILES])
    forge = r.Forge(rig, place / "bucket")
    env = dict(rig.env, MIC_URL=forge.url, MIC_AUTHOR="bench")
    server = None
    try:
        rig.call(["mic", "project", "create", "large"], env=env)
        rig.call(["mic", "import", "dir", source, "large", "-m", "The large tree"], env=env)
        rig.call(["git", "-C", source, "init", "-q"])
        rig.call(["git", "-C", source, "add", "."])
        rig.call(["git", "-C", source, "commit", "-q", "-m", "The large tree"])
        rig.call(["git", "clone", "-q", "--bare", source, served / "large.git"])
        rig.call(["git", "-C", served / "large.git", "repack", "-q", "-a", "-d"])
        server = r.Nginx(rig, served, git=True)
        kinds = [
            ("mic", "mic checkout over HTTP", ["mic", "checkout", "large"], []),
            ("http", "git clone over HTTP", ["git", "clone", "-q", f"{server.url}/large.git"], []),
            ("file", "git clone of file://", ["git", "clone", "-q", f"file://{served}/large.git"], []),
            ("write", "only writing the files", [r.bench_program("write_files")], [FILES]),
        ]
        seconds = {name: [] for name, _, _, _ in kinds}
        for number in range(r.RUNS):
            r.note(f"checkout, run {number + 1} of {r.RUNS}")
            for name, _, args, more in kinds:
                target = rig.place("target")
                seconds[name].append(rig.timed([*args, target, *more], env=env))
                if name == "mic" and number == 0:
                    rig.call(["diff", "-rq", "--exclude=.git", "--exclude=.mic", source, target])
    finally:
        if server:
            server.stop()
        forge.stop()
    found = {name: Figures(values) for name, values in seconds.items()}
    table(f"d. Checkout of {FILES:,} files", ["how", "seconds", "files/s", "to mic checkout"],
          [[label, found[name], FILES / found[name].median, ratio(found[name], found["mic"])] for name, label, _, _ in kinds],
          ["What is read is in memory. git is served by nginx, fcgiwrap and git http-backend, from one pack."])
    print()
    value = found["http"].median / found["mic"].median
    print(verdict("git clone's time to ours, over 1", value, value > 1))
