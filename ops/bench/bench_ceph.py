"""Part j: three agents that land with `mic`, on a bucket of Ceph here and on a directory, in one run."""

import shlex
import subprocess

import bench_landing
import rig as r
from rig import median_of, ratio, table

AGENTS = 3


class Ceph:
    """The S3 server of the tests, and a new place in its bucket for each forge."""

    def __init__(self, rig):
        place = rig.place("ceph")
        self.dir, log = place / "cluster", place / "start.log"
        self.places = 0
        self.tool = r.ROOT / "ops/dev/ceph"
        # Not by the rig: its daemons outlive the tool, and keep a pipe that they are given.
        done = subprocess.run([self.tool, "start", self.dir], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                              stderr=open(log, "wb"), check=False)
        if done.returncode == 3:
            raise r.Missing("Ceph is not installed; `ops/dev/setup s3` installs it")
        if done.returncode != 0:
            raise RuntimeError(log.read_text())
        text = rig.call([self.tool, "env", self.dir]).stdout.decode()
        self.env = dict(word.split("=", 1) for word in shlex.split(text) if "=" in word)

    def place(self):
        self.places += 1
        return f"s3://{self.env['MIC_S3_BUCKET']}/bench-{self.places}"

    def stop(self):
        subprocess.run([self.tool, "stop", self.dir], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                       stderr=subprocess.DEVNULL, check=False)


def measure(rig):
    r.program("mic")
    ceph = Ceph(rig)
    before = dict(rig.env)
    rig.env.update(ceph.env)
    places = {"a directory": lambda: rig.place("bucket-j"), "Ceph": ceph.place}
    rows = {(name, who): [] for name in places for who in ("mic", "http")}
    try:
        for number in range(r.RUNS):
            for name, place in places.items():
                r.note(f"{AGENTS} agents on {name}, run {number + 1} of {r.RUNS}")
                rows[name, "mic"].append(bench_landing.mic_run(rig, AGENTS, place()))
                rows[name, "http"].append(bench_landing.forge_run(rig, AGENTS, place()))
    finally:
        rig.env.clear()
        rig.env.update(before)
        ceph.stop()
    labels = {"mic": f"{AGENTS} workspaces, a process `mic land` each time", "http": f"{AGENTS} clients over HTTP"}
    out = []
    for who, label in labels.items():
        for name in places:
            found = rows[name, who]
            rate = median_of(found, "rate")
            out.append([f"{label}, on {name}", rate, median_of(found, "p50"), median_of(found, "p99"), median_of(found, "attempts"),
                        ratio(rate, median_of(rows["a directory", who], "rate"))])
    table("j. Landings on one hot project by three agents, on Ceph and on a directory",
          ["who", "landings/s", "p50 ms", "p99 ms", "attempts a landing", "to the directory"], out,
          ["The landings of part a: 3 files of 2 KB in a project of 1,000 files. Ceph is one OSD and its gateway on this machine "
           f"(ops/dev/ceph), on the same cores. Median (least-greatest) of {r.RUNS} runs."])
