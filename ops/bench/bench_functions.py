"""Part s: what functions take, beside their libraries called directly."""

import json

import rig as r
from rig import median_of, table, verdict

NAMES = ("sha256", "zstd.compress", "zstd.decompress", "uppercase", "base64.encode", "hex.encode")
SIZE_MIB = r.quick(4, 64)


def measure(rig):
    program = r.bench_program("function_cost")
    runs = {name: [json.loads(rig.call([program, name, str(SIZE_MIB)]).stdout) for _ in range(r.RUNS)] for name in NAMES}
    for rows in runs.values():
        for row in rows:
            row["ratio"] = row["function_ms"] / row["library_ms"]
    table(f"s. Functions over {SIZE_MIB} MiB, in milliseconds",
          ["function", "the library, on a buffer", "the function", "to the library", "the whole run"],
          [[name, *(median_of(rows, key) for key in ("library_ms", "function_ms", "ratio", "whole_ms"))]
           for name, rows in runs.items()],
          ["Text of 13 letters by chance. The function gets its input in views of a chunk and its output in blocks. "
           "The whole run reads its input, hashes its result, and keeps it in memory."])
    print()
    for name, rows in runs.items():
        value = median_of(rows, "ratio").median
        print(verdict(f"{name}: time to that of the library, at most 1.2", value, value <= 1.2))
