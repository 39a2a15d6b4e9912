"""Part f: bytes in the bucket, beside the same data as JSON."""

import json
import os
import pathlib
import urllib.parse

import rig as r
from rig import figure, table

SECONDS = r.quick(1, 5)
SAMPLE = r.quick(50, 500)
FILES = r.quick(2000, 50000)


def canonical(value):
    """JSON as `jq -cS` writes it."""
    return len(json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode())


def objects(bucket):
    """Bytes of the bucket by the kind of object, and the number of its objects."""
    sizes, count = {}, 0
    for where, dirs, names in os.walk(bucket):
        if ".micelio" in dirs:
            dirs.remove(".micelio")
        for name in names:
            path = pathlib.Path(where, name)
            parts = path.relative_to(bucket).parts
            kind = parts[2] if parts[0] == "projects" and len(parts) > 2 else parts[0]
            sizes[kind] = sizes.get(kind, 0) + path.stat().st_size
            count += 1
    return sizes, count


def session_json(forge, project, entry):
    """Bytes of a landed session as canonical JSON, with the contents that it brought."""
    session = forge.json(f"/projects/{project}/sessions/{entry['session']}")
    for operation in session["operations"]:
        path = urllib.parse.quote(operation["path"])
        text = forge.get(f"/projects/{project}/files/{path}?at={entry['position']}")
        operation["content"] = {"text": text.decode()}
    return canonical(session)


def landings(rig, place):
    """Bytes per landing of a project that 32 clients have landed on."""
    bucket = place / "bucket"
    forge = r.Forge(rig, bucket)
    try:
        rig.call([r.bench_program("land_clients"), "setup", forge.address, "hot"])
        before, _ = objects(bucket)
        rig.call([r.bench_program("land_clients"), "run", forge.address, "hot", 32, SECONDS])
        head = forge.json("/projects/hot/head")
        landed = head["position"] - 1
        log = forge.json(f"/projects/hot/log?limit={SAMPLE}")["entries"]
        as_json = sum(session_json(forge, "hot", entry) for entry in log) / len(log)
    finally:
        forge.stop()
    after, count = objects(bucket)
    grown = {kind: (size - before.get(kind, 0)) / landed for kind, size in after.items()}
    return landed, grown, as_json, count


def entries(rig, place):
    """Bytes per entry of a large tree, all of it in one landing; contents left out."""
    bucket = place / "cost"
    made = json.loads(rig.call([r.bench_program("landing_cost"), "fill", bucket, FILES]).stdout)
    forge = r.Forge(rig, bucket)
    as_json = names = 0
    try:
        folders = [""]
        # A part of it is enough: all directories are alike.
        while folders and names < 2000:
            page = forge.json(f"/projects/cost/tree/{folders.pop()}?limit=1000")
            as_json += canonical(page["entries"])
            names += len(page["entries"])
            folders += [f"{page['path']}/{e['name']}".strip("/") for e in page["entries"] if e["kind"] == "dir"]
    finally:
        forge.stop()
    return made["tree_bytes"] / FILES, as_json / names


def measure(rig):
    r.program("mic-forge")
    place = rig.place("bytes")
    r.note("landings and their bytes")
    landed, grown, as_json, count = landings(rig, place)
    r.note("a tree and its bytes")
    per_entry, entry_json = entries(rig, place)
    total = sum(grown.values())
    detail = ", ".join(f"{kind} {figure(size)}" for kind, size in sorted(grown.items()) if size >= 0.5)
    table("f. Bytes in the bucket", ["what", "bucket bytes", "as JSON", "bucket to JSON"],
          [[f"a landing of 3 files of 2 KB ({landed:,} landings, 32 clients)", total, as_json, f"{total / as_json:.2f}"],
           ["an entry of a tree", per_entry, entry_json, f"{per_entry / entry_json:.2f}"]],
          [f"A landing by kind of object: {detail}. The bucket has {count / landed:.2f} objects a landing. Its bytes hold contents "
           "(compressed), session, answer, changed pages and the log; the JSON is that of the session and its contents, without pages, "
           f"as `jq -cS` writes it ({SAMPLE} of them). An entry's bytes are those of the pages of a tree of {FILES:,} files in "
           "directories of 10, directories included; its JSON is that of the listings."])
