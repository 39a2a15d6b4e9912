#!/usr/bin/env python3
"""What was: the log of a path, one landing, what differs between two positions, and who wrote each line."""

import base64
import json
import os
import random
import subprocess
import sys

import forge
from forge import Server, land, request, write
from test_cli import CONFLICT, DONE, FAILED, USAGE, User, begin, get, put, tree_of, write_any  # noqa: F401


def delete(path):
    return {"op": "delete", "path": path}


def rename(path, target):
    return {"op": "rename", "path": path, "target": target}


def lands(server, *operations, goal="a change", author="ann", project="demo", **session):
    """Lands them; gives the position."""
    answer = land(server.port, project, list(operations), goal=goal, author=author, **session)
    assert answer.status == 200, answer.body
    return answer.json["results"][0]["position"]


# ---- log ----------------------------------------------------------------------------------------


def test_log_of_a_path(directory):
    server, ann, ws = begin(directory, {"src/a": "1\n", "src/deep/b": "1\n", "c": "1\n"})  # 1
    with server:
        lands(server, write("src/a", "2\n"), goal="two\nand more of it")
        lands(server, write("src/deep/b", "2\n"), goal="three", author="ben")
        lands(server, delete("src/a"), goal="four")

        def log(*words, cwd=ws):
            return [e["position"] for e in ann.json("log", *words, cwd=cwd)["entries"]]

        assert log("src/a") == [4, 2, 1] and log("src") == [4, 3, 2, 1] and log("src/deep") == [3, 1]
        assert log("deep", cwd=os.path.join(ws, "src")) == [3, 1] and log(".", cwd=os.path.join(ws, "src")) == [4, 3, 2, 1]
        assert log(".") == log() == [4, 3, 2, 1] and log("never/was") == []
        assert log("src", "--limit", "2") == [4, 3] and log("src/deep/", "-p", "demo", cwd=ann.directory) == [3, 1]
        said = ann.ok("log", "src/deep", cwd=ws).splitlines()
        assert len(said) == 2 and said[0].startswith("3  ") and said[0].endswith("  ben  three"), said
        assert ann.ok("log", "never/was", cwd=ws) == ""
        assert "and more" not in ann.ok("log", "src/a", cwd=ws)
        for bad in ("../x", "/a", "a\nb", ".mic/x"):
            ann.fails(FAILED, "log", bad, cwd=ws)
        ann.fails(USAGE, "log", "--follow", cwd=ws)
        ann.fails(FAILED, "log", "a", "-p", "nowhere", cwd=ws)


def test_log_says_where_a_file_was_moved_from(directory):
    server, ann, ws = begin(directory, {"old": "text\n", "other": "o\n", "empty1": "", "over": "x\n"})  # 1
    with server:
        lands(server, write("old", "more\n"))                                              # 2
        lands(server, rename("old", "dir/new"), write("other", "o2\n"))                    # 3
        lands(server, write("dir/new", "most\n"))                                          # 4
        lands(server, write("old", "another file\n"))                                      # 5
        lands(server, delete("empty1"), write("empty2", ""), delete("other"), write("fresh", "f\n"))  # 6
        entries = ann.json("log", "dir/new", cwd=ws)["entries"]
        assert [(e["position"], e.get("moved_from")) for e in entries] == [(4, None), (3, "old")], entries
        assert "    moved from old\n" in ann.ok("log", "dir/new", cwd=ws)
        followed = ann.json("log", "--follow", "dir/new", cwd=ws)["entries"]
        assert [(e["position"], e["path"]) for e in followed] == [(4, "dir/new"), (3, "dir/new"), (2, "old"), (1, "old")]
        assert len(ann.json("log", "--follow", "dir/new", "--limit", "3", cwd=ws)["entries"]) == 3
        # The name that it had is another file's by now, and its log has all that was under this name.
        assert [e["position"] for e in ann.json("log", "old", cwd=ws)["entries"]] == [5, 3, 2, 1]
        # What came as something went is no rename, unless it is the same; nothing is the same as nothing.
        for path in ("empty2", "fresh"):
            assert "moved_from" not in ann.json("log", path, cwd=ws)["entries"][0], path
        # A workspace's own mv, with a mode of its own, and of several alike the one with the name.
        ann.ok("sync", cwd=ws)
        for name in ("x/one", "x/two"):
            put(ws, name, text="the same\n")
        ann.ok("land", "-m", "twins", cwd=ws)                                              # 7
        os.rename(os.path.join(ws, "x"), os.path.join(ws, "y"))
        os.chmod(os.path.join(ws, "y/two"), 0o755)
        ann.ok("land", "-m", "moved by hand", cwd=ws)                                      # 8
        for name in ("one", "two"):
            entry = ann.json("log", f"y/{name}", cwd=ws)["entries"][0]
            assert entry["moved_from"] == f"x/{name}", entry
        # Over a file that was there.
        lands(server, rename("dir/new", "over"))                                           # 9
        followed = ann.json("log", "-f", "over", cwd=ws)["entries"]
        assert [e["position"] for e in followed] == [9, 4, 3, 2, 1], followed


if __name__ == "__main__":
    wanted = sys.argv[1:]
    forge.main([value for name, value in list(globals().items())
                if name.startswith("test_") and callable(value) and (not wanted or name in wanted)])
