#!/usr/bin/env python3
"""Plants each bug of mutations.py in the simulator, and expects it to be found within 1,000 seeds, or
by a schedule that is played by hand.

Prints which seed or schedule found it, and as what. MIC_LONG=1 plants all of them; else those of QUICK, which
are found soon and lie in few files. Names as arguments plant these."""

import glob
import os
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
sys.dont_write_bytecode = True

import mutations  # noqa: E402

SEEDS = 1000
SECONDS_MAX = 600
QUICK = ("record_after_head", "blind_retry", "settle_before_head", "stale_head", "negative_read",
         "answer_before_head", "seen_from_head", "hlc_from_wall", "chunk_skipped",
         "derive_merge_first", "derive_later_memo")


def plant(name, build):
    """The program with the bug in it, or None."""
    made = subprocess.run(["make", "--no-print-directory", "-s", f"BUILD={build}",
                           f"MUTANT={name}", "mutant"],
                          env={k: v for k, v in os.environ.items() if not k.startswith("MAKE")},
                          capture_output=True, text=True, check=False)
    if made.returncode != 0:
        print(f"{name}: does not build\n{made.stdout}{made.stderr}")
        return None
    return os.path.join(build, "release", "mutants", name, "test_sim")


def by_schedules(folder):
    """What the schedules that did not come out as they should say."""
    said = []
    for program in sorted(glob.glob(os.path.join(folder, "test_schedules*"))):
        ran = subprocess.run([program], capture_output=True, text=True, timeout=SECONDS_MAX,
                             check=False)
        said += [line[line.index("schedule "):] for line in ran.stdout.split("\n")
                 if "test_schedule:" in line and "schedule " in line]
    return said


def found(name, build):
    program = plant(name, build)
    if program is None:
        return False
    begun = time.monotonic()
    try:
        ran = subprocess.run([program, "seeds", "1", str(SEEDS)], capture_output=True, text=True,
                             timeout=SECONDS_MAX, check=False)
    except subprocess.TimeoutExpired:
        print(f"{name}: not found in {SECONDS_MAX} s")
        return False
    took = time.monotonic() - begun
    said = [line for line in ran.stdout.split("\n") if line.startswith("seed ")]
    said = said or by_schedules(os.path.dirname(program))
    if not said:
        print(f"{name}: NOT FOUND in {SEEDS} seeds, {took:.1f} s")
        return False
    print(f"{name}, {took:.1f} s: {said[0]}")
    return True


def main():
    # MIC_BUILD is the directory of the variant.
    build = os.path.relpath(os.path.dirname(os.environ.get("MIC_BUILD") or "build/release"))
    everything = [mutation[0] for mutation in mutations.MUTATIONS]
    names = sys.argv[1:] or (everything if os.environ.get("MIC_LONG") else list(QUICK))
    results = []
    for name in names:
        results.append(found(name, build))
        sys.stdout.flush()
    failed = results.count(False)
    print(f"{len(results) - failed} passed, {failed} failed, 0 skipped")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
