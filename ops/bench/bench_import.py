"""Part c: importing git history, beside `git fast-export | git fast-import`."""

import shlex
import sys

import rig as r
from rig import Figures, ratio, table, verdict

COMMITS = r.quick(300, 20000)


def mic_run(rig, repository):
    bucket = rig.place("bucket-c")
    forge = r.Forge(rig, bucket)
    try:
        env = dict(rig.env, MIC_URL=forge.url, MIC_AUTHOR="bench")
        return rig.timed([r.program("mic"), "import", "git", repository, "imported"], env=env)
    finally:
        forge.stop()


def git_run(rig, repository):
    place = rig.place("git-c")
    rig.call(["git", "init", "-q", "--bare", place / "imported.git"])
    command = (f"git -C {shlex.quote(str(repository))} fast-export --signed-tags=strip main | "
               f"git -C {shlex.quote(str(place / 'imported.git'))} fast-import --quiet")
    return rig.timed(["sh", "-c", command])


def own_history(rig):
    """A bare copy of this repository, whose branch is called main; or None."""
    place = rig.place("own") / "own.git"
    if rig.call(["git", "-C", r.ROOT, "rev-parse", "-q", "--verify", "HEAD"], check=False).returncode != 0:
        return None
    rig.call(["git", "init", "-q", "--bare", place])
    rig.call(["git", "-C", place, "fetch", "-q", r.ROOT, "HEAD:refs/heads/main"])
    return place


def commits_of(rig, repository):
    return int(rig.call(["git", "-C", repository, "rev-list", "--count", "--first-parent", "main"]).stdout)


def measure(rig):
    r.program("mic"), r.program("mic-forge")
    generated = rig.place("history") / "generated.git"
    r.note(f"a history of {COMMITS:,} commits")
    rig.call([sys.executable, "-B", r.HERE / "make_history.py", generated, "--commits", COMMITS, "--seed", 1])
    sources = [("generated history", generated)]
    own = own_history(rig)
    if own is not None:
        sources.append(("this repository's own history", own))
    out, goals, notes = [], [], []
    for label, repository in sources:
        n = commits_of(rig, repository)
        seconds = {"mic": [], "git": []}
        for number in range(r.RUNS):
            r.note(f"{label}, run {number + 1} of {r.RUNS}")
            seconds["mic"].append(mic_run(rig, repository))
            seconds["git"].append(git_run(rig, repository))
        mic, git = Figures(seconds["mic"]), Figures(seconds["git"])
        out.append([f"{label}, {n:,} commits", mic, git, n / mic.median, n / git.median, ratio(git, mic)])
        goals.append(verdict(f"{label}: git's time to ours, at least 1", git.median / mic.median,
                             git.median >= mic.median))
    if own is None:
        notes.append("This repository has no history of its own yet; it was left out.")
    table("c. Import of git history", ["what", "mic import git, s", "fast-export, fast-import, s", "mic commits/s",
                                       "git commits/s", "git's time to ours"], out,
          ["Every commit is a landing, durable before the next request; git's side ends with one pack.", *notes])
    print()
    print("\n".join(goals))
