#!/usr/bin/env python3
"""The `mic` command as a user types it: every command, its exit codes, its data, and what must not go wrong."""

import base64
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time

import forge
from forge import LONG, Server, land, request, write

DONE, FAILED, USAGE, CONFLICT = 0, 1, 2, 3


class User:
    """Somebody with a home of his own, who is logged in."""

    def __init__(self, server, directory, name="ann"):
        self.server, self.directory = server, directory
        self.home = os.path.join(directory, "home-" + name)
        os.makedirs(self.home, exist_ok=True)
        self.env = {k: v for k, v in os.environ.items() if not k.startswith("MIC_")}
        self.env.update(HOME=self.home, LC_ALL="C.UTF-8")
        self.env.pop("XDG_CONFIG_HOME", None)
        self.ok("login", server.url, "--author", name, cwd=directory)

    def path(self, *parts):
        return os.path.join(self.directory, *parts)

    def start(self, *args, cwd=None, **more):
        return subprocess.Popen([forge.program("mic"), *args], cwd=cwd or self.directory, env=self.env,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, **more)

    def run(self, *args, cwd=None, timeout=300):
        done = subprocess.run([forge.program("mic"), *args], cwd=cwd or self.directory, env=self.env,
                              capture_output=True, timeout=timeout)
        done.out, done.err = done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace")
        return done

    def ok(self, *args, cwd=None):
        done = self.run(*args, cwd=cwd)
        assert done.returncode == DONE, (args, done.returncode, done.out, done.err)
        return done.out

    def fails(self, status, *args, cwd=None):
        done = self.run(*args, cwd=cwd)
        assert done.returncode == status, (args, done.returncode, done.out, done.err)
        assert done.err, (args, "says nothing")
        return done.err

    def json(self, *args, cwd=None, status=DONE):
        done = self.run(*args, "--json", cwd=cwd)
        assert done.returncode == status, (args, done.returncode, done.out, done.err)
        return json.loads(done.out)

    def changes(self, cwd):
        return {c["path"]: c["state"] for c in self.json("status", cwd=cwd)["changes"]}


def write_any(path, content):
    """A write of text or of bytes."""
    if isinstance(content, str):
        return write(path, content)
    return {"op": "write", "path": path, "content": {"base64": base64.b64encode(content).decode()}}


def put(*parts, text="", mode=None):
    path = os.path.join(*parts)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as file:
        file.write(text if isinstance(text, bytes) else text.encode())
    if mode is not None:
        os.chmod(path, mode)
    return path


def get(*parts):
    with open(os.path.join(*parts), "rb") as file:
        return file.read()


def tree_of(root):
    """Path → what it is, of all but .mic."""
    found = {}
    for directory, names, files in os.walk(root):
        if directory == root and ".mic" in names:
            names.remove(".mic")
        for name in list(names) + files:
            path = os.path.join(directory, name)
            key = os.path.relpath(path, root)
            if os.path.islink(path):
                found[key] = ("link", os.readlink(path))
            elif os.path.isfile(path):
                found[key] = ("file", bool(os.stat(path).st_mode & 0o100), get(path))
    return found


def begin(directory, files=None, handle="demo"):
    """A forge, a user, a project with these files, and a workspace of it."""
    server = Server("mic-forge", os.path.join(directory, "bucket"))
    ann = User(server, directory)
    ann.ok("project", "create", handle)
    if files:
        answer = land(server.port, handle, [write_any(p, t) for p, t in files.items()])
        assert answer.status == 200, answer.body
    ann.ok("checkout", handle, "ws")
    return server, ann, ann.path("ws")


# ---- the commands -----------------------------------------------------------------------------


def test_help_and_usage(directory):
    server, ann, ws = begin(directory)
    with server:
        overview = ann.ok("help")
        for name in ("login", "project create", "project list", "checkout", "status", "diff", "land", "session start",
                     "session note", "session decide", "session guard", "session show", "session list",
                     "session abandon", "sync", "log", "show", "blame", "revert", "cat", "ls", "goto", "ref bind", "ref get", "ref ls", "ref rm", "ref log", "import dir", "import git",
                     "export git"):
            assert f"mic {name} " in overview, name
            assert f"mic {name} " in ann.ok("help", *name.split()), name
            assert f"mic {name} " in ann.ok(*name.split(), "--help"), name
        assert "session note" in ann.ok("help", "session")
        for words in (["frobnicate"], ["session"], ["session", "frob"], ["project", "creat", "x"], ["help", "frob"],
                      ["checkout"], ["status", "x"], ["land", "--frob"], ["land", "-m"], ["land"], ["land", "-m", ""],
                      ["log", "--limit", "x"], ["log", "--limit", "0"], ["goto", "x"], ["goto"], ["goto", "-1"],
                      ["show", "1x"], ["blame"], ["blame", "a", "b"], ["blame", "a", "--at", "x"], ["revert"], ["revert", "x"], ["revert", "0"], ["revert", "1", "-m", ""], ["cat"], ["cat", "a", "--at", "x"], ["login"], ["login", "ftp://x"],
                      ["login", "http://x", "--author", "a\nb"], ["project", "create", "Bad Name"],
                      ["session", "start"], ["session", "note"], ["import", "dir", "x"], ["import", "dir", ".", "p"],
                      ["ref", "bind", "a", "b"], ["ref", "bind", "head", "0" * 64], ["ref", "bind", "a//b", "0" * 64],
                      ["ref", "bind", "a", "0" * 64, "--expect", "x"], ["ref", "rm", "a", "--expect", "none"], ["ref", "get"],
                      ["ref", "log", "a", "--limit", "0"], ["ref", "log", "head"],
                      ["session", "show", "xyz"], ["status", "--json=1x", "y"]):
            said = ann.fails(USAGE, *words, cwd=ws)
            assert said.startswith("mic: "), (words, said)
            assert "usage: mic" in said or "mic help" in said, (words, said)
        assert ann.run(cwd=ws).returncode == USAGE


def test_login_and_environment(directory):
    with Server("mic-forge", os.path.join(directory, "bucket")) as server:
        ann = User(server, directory)
        assert json.loads(get(ann.home, ".config/micelio/config.json")) == {"url": server.url, "author": "ann"}
        assert ann.json("login", server.url)["author"] == "ann"  # it is kept
        ann.ok("project", "create", "demo")
        ann.env["XDG_CONFIG_HOME"] = ann.path("xdg")
        assert "login" in ann.fails(FAILED, "project", "list")
        ann.env["MIC_URL"] = server.url
        assert "demo" in ann.ok("project", "list")
        assert "author" in ann.fails(FAILED, "project", "create", "other").lower()
        ann.env["MIC_AUTHOR"] = "bea"
        ann.ok("checkout", "demo", "ws")
        put(ann.path("ws"), "a", text="1")
        ann.ok("land", "-m", "by bea", cwd=ann.path("ws"))
        assert ann.json("log", cwd=ann.path("ws"))["entries"][0]["author"] == "bea"
        ann.env["MIC_URL"] = "http://127.0.0.1:1"
        assert "127.0.0.1:1" in ann.fails(FAILED, "project", "list")


def test_projects(directory):
    with Server("mic-forge", directory + "/bucket") as server:
        ann = User(server, directory)
        made = ann.json("project", "create", "demo")
        assert made["handle"] == "demo" and len(made["id"]) == 32 and made["position"] == 0
        assert "taken" in ann.fails(FAILED, "project", "create", "demo")
        ann.ok("project", "create", "more")
        assert {p["handle"] for p in ann.json("project", "list")["projects"]} == {"demo", "more"}
        assert made["id"] in ann.ok("project", "list")
        ann.fails(FAILED, "checkout", "nothing")
        ann.ok("checkout", made["id"])  # by its id; the directory has the handle's name
        assert os.path.isdir(ann.path("demo/.mic"))


def test_round_trip_of_all_kinds(directory):
    server, ann, ws = begin(directory)
    with server:
        put(ws, "text", text="hello\n")
        put(ws, "empty")
        put(ws, "run.sh", text="#!/bin/sh\n", mode=0o755)
        put(ws, "binary", text=bytes(range(256)) * 100)
        put(ws, "a/deep/er/file", text="x" * 5000)
        put(ws, "größe/日本", text="ü")
        put(ws, "middle", text=random.Random(1).randbytes(200000))
        os.symlink("text", os.path.join(ws, "link"))
        os.symlink("/nowhere/at all", os.path.join(ws, "dangling"))
        landed = ann.json("land", "-m", "all kinds", cwd=ws)
        assert landed["verdict"] == "landed" and landed["position"] == 1 and landed["operations"] == 9, landed
        assert ann.changes(ws) == {}
        ann.ok("checkout", "demo", "copy")
        assert tree_of(ann.path("copy")) == tree_of(ws)
        assert ann.changes(ann.path("copy")) == {}
        # From a subfolder, too; a directory becomes a file and a file a directory.
        shutil.rmtree(os.path.join(ws, "a"))
        put(ws, "a", text="now a file")
        os.unlink(os.path.join(ws, "text"))
        put(ws, "text/inside", text="now a directory")
        os.chmod(os.path.join(ws, "run.sh"), 0o644)
        assert ann.changes(os.path.join(ws, "text")) == {
            "a": "added", "a/deep/er/file": "deleted", "text": "deleted", "text/inside": "added", "run.sh": "modified"}
        ann.ok("land", "-m", "turned round", cwd=os.path.join(ws, "größe"))
        ann.ok("sync", cwd=ann.path("copy"))
        assert tree_of(ann.path("copy")) == tree_of(ws)
        ann.ok("goto", "1", cwd=ann.path("copy"))
        assert get(ann.path("copy"), "text") == b"hello\n"
        ann.ok("goto", "0", cwd=ann.path("copy"))
        assert tree_of(ann.path("copy")) == {}
        ann.ok("sync", cwd=ann.path("copy"))
        assert tree_of(ann.path("copy")) == tree_of(ws)
        ann.ok("checkout", "demo", "old", "--at", "1")
        assert get(ann.path("old"), "text") == b"hello\n"
        assert "nothing" in ann.run("land", "-m", "again", cwd=ws).err


def test_reading(directory):
    server, ann, ws = begin(directory, {"a": "1\n", "d/b": "2\n", "d/c": "3\n"})
    with server:
        land(server.port, "demo", [write("a", "new\n")], goal="second\nwith more lines")
        assert ann.ok("cat", "a", cwd=ws) == "new\n"
        assert ann.ok("cat", "a", "--at", "1", cwd=ws) == "1\n"
        assert ann.ok("cat", "b", cwd=os.path.join(ws, "d")) == "2\n"
        assert ann.ok("cat", "d/b", "--project", "demo") == "2\n"
        assert ann.json("cat", "a", cwd=ws)["base64"] == "bmV3Cg=="
        ann.fails(FAILED, "cat", "none", cwd=ws)
        ann.fails(FAILED, "cat", "../x", cwd=ws)
        ann.fails(FAILED, "cat", "a", "--at", "9", cwd=ws)
        names = {e["name"]: e for e in ann.json("ls", cwd=ws)["entries"]}
        assert names["a"]["stamp"] == 2 and names["d"]["files"] == 2 and names["d"]["kind"] == "dir"
        assert "b" in ann.ok("ls", "d", cwd=ws) and "b" in ann.ok("ls", cwd=os.path.join(ws, "d"))
        assert {e["name"] for e in ann.json("ls", "d", "-p", "demo")["entries"]} == {"b", "c"}
        ann.fails(FAILED, "ls", "none", cwd=ws)
        log = ann.json("log", cwd=ws)["entries"]
        assert [e["position"] for e in log] == [2, 1] and log[0]["goal"] == "second\nwith more lines"
        assert [e["position"] for e in ann.json("log", "d", cwd=ws)["entries"]] == [1]
        assert [e["position"] for e in ann.json("log", "--limit", "1", cwd=ws)["entries"]] == [2]
        assert "with more" not in ann.ok("log", cwd=ws)
        shown = ann.json("show", "2", cwd=ws)
        assert shown["goal"] == "second\nwith more lines" and shown["effects"][0]["path"] == "a"
        assert "with more" in ann.ok("show", "2", cwd=ws)
        ann.fails(FAILED, "show", "3", cwd=ws)
        ann.fails(FAILED, "show", "0", cwd=ws)
        ann.fails(FAILED, "status")  # not in a workspace


def test_diff(directory):
    server, ann, ws = begin(directory, {"a": "1\n2\n", "b": "x\n", "d/c": "c\n"})
    with server:
        assert ann.ok("diff", cwd=ws) == ""
        put(ws, "a", text="1\nzwei\n")
        os.unlink(os.path.join(ws, "b"))
        put(ws, "d/new", text="n\n")
        put(ws, "bin", text=b"\0\1")
        diff = ann.ok("diff", cwd=ws)
        for line in ("-2", "+zwei", "deleted file mode 100644", "--- a/b", "+++ b/d/new", "new file mode 100644",
                     "Binary files"):
            assert line in diff, (line, diff)
        assert "zwei" not in ann.ok("diff", "d", cwd=ws)
        assert "+n" in ann.ok("diff", ".", cwd=os.path.join(ws, "d"))
        changes = {c["path"]: c for c in ann.json("diff", "a", "b", cwd=ws)["changes"]}
        assert set(changes) == {"a", "b"} and "+zwei" in changes["a"]["diff"]
        # What git makes of it is the new tree.
        scratch = ann.path("scratch")
        put(scratch, "a", text="1\n2\n")
        put(scratch, "b", text="x\n")
        patch = ann.ok("diff", "a", "b", "d", cwd=ws)
        subprocess.run(["git", "apply"], cwd=scratch, input=patch.encode(), check=True)
        assert get(scratch, "a") == b"1\nzwei\n" and not os.path.exists(scratch + "/b") and get(scratch, "d/new") == b"n\n"


# ---- landing ------------------------------------------------------------------------------------


def test_revert(directory):
    big = os.urandom(3_000_000)
    server, ann, ws = begin(directory, {"a/one": "1", "a/two": "2", "gone/x": "x", "kept": "k"})
    with server:
        put(ws, "big", text=big)
        put(ws, "link", text="")
        os.unlink(os.path.join(ws, "link"))
        os.symlink("a/one", os.path.join(ws, "link"))
        ann.ok("land", "-m", "a link", cwd=ws)
        before = tree_of(ws)
        # Everything at once: written, made, deleted, made executable, a file in place of a directory and of a link.
        put(ws, "a", "one", text="changed")
        put(ws, "new", "deep", "file", text="new")
        os.chmod(os.path.join(ws, "a", "two"), 0o755)
        shutil.rmtree(os.path.join(ws, "gone"))
        put(ws, "gone", text="a file now")
        put(ws, "big", text="small now")
        os.unlink(os.path.join(ws, "link"))
        put(ws, "link", text="a file, too")
        assert "landed as 3" in ann.ok("land", "-m", "the wrong turn", cwd=ws)
        ann.ok("checkout", "demo", "other")
        put(ann.path("other"), "kept", text="of another")
        ann.ok("land", "-m", "after it", cwd=ann.path("other"))
        done = ann.json("revert", "3", cwd=ws)
        assert done["verdict"] == "landed" and done["position"] == 5 and done["reverts"] == 3, done
        assert done["goal"] == "Revert landing 3: the wrong turn", done
        shown = ann.json("show", "5", cwd=ws)
        reverts = base64.b64encode(b"3").decode()
        assert shown["goal"] == done["goal"] and shown["attributes"] == {"reverts": reverts}, shown
        # The workspace follows when it is told to, and what landed since is still there.
        assert get(ws, "a", "one") == b"changed"
        ann.ok("sync", cwd=ws)
        before["kept"] = ("file", False, b"of another")
        assert tree_of(ws) == before
        # The revert is a landing like any other.
        assert "landed as 6" in ann.ok("revert", "5", "-m", "no, it was right", "--project", "demo")
        ann.ok("sync", cwd=ws)
        assert get(ws, "a", "one") == b"changed" and get(ws, "gone") == b"a file now"
        assert ann.json("show", "6", cwd=ws)["goal"] == "no, it was right"


def test_revert_conflicts_with_what_came_since(directory):
    server, ann, ws = begin(directory, {"a": "1", "b": "1"})
    with server:
        put(ws, "a", text="2")
        put(ws, "b", text="2")
        ann.ok("land", "-m", "both", cwd=ws)
        put(ws, "b", text="3")
        ann.ok("land", "-m", "b again", cwd=ws)
        said = ann.fails(CONFLICT, "revert", "2", cwd=ws)
        assert "\n  b (operation)" in said and "b again" in said and "  a (" not in said, said
        assert "nothing landed" in said, said
        done = ann.json("revert", "2", cwd=ws, status=CONFLICT)
        assert done["verdict"] == "conflicted" and [c["path"] for c in done["conflicts"]] == ["b"], done
        assert ann.json("log", cwd=ws)["entries"][0]["position"] == 3
        assert ann.json("show", "2", cwd=ws)["goal"] == "both"
        # The newest first, and then it is the other's turn.
        ann.ok("revert", "3", cwd=ws)
        ann.ok("revert", "2", cwd=ws)
        assert ann.ok("cat", "a", cwd=ws) == "1" and ann.ok("cat", "b", cwd=ws) == "1"
        # What is so already is no conflict.
        assert "landed as 6" in ann.ok("revert", "2", cwd=ws)
        assert "changed nothing" in ann.run("revert", "6", cwd=ws).stderr.decode()
        assert "no landing 99" in ann.fails(FAILED, "revert", "99", cwd=ws)


def test_conflict_sync_land(directory):
    lines = [f"line {i}\n" for i in range(30)]
    server, ann, ws = begin(directory, {"f": "".join(lines), "bin": b"\0one", "gone": "1", "other": "1"})
    with server:
        bea = User(server, directory, "bea")
        bea.ok("checkout", "demo", "bea")
        theirs = bea.path("bea")
        put(theirs, "f", text="".join(["first\n"] + lines[1:]))
        put(theirs, "bin", text=b"\0theirs")
        put(theirs, "new", text="from bea\n")
        os.unlink(os.path.join(theirs, "other"))
        bea.ok("land", "-m", "bea was here", cwd=theirs)
        put(ws, "f", text="".join(lines[:-1] + ["last\n"]))
        put(ws, "bin", text=b"\0ours")
        os.unlink(os.path.join(ws, "gone"))
        said = ann.fails(CONFLICT, "land", "-m", "ann too", cwd=ws)
        for part in ("f (operation)", "seen file", "there is file", "by landing 2 of bea: bea was here",
                     "run: mic sync"):
            assert part in said, (part, said)
        refused = ann.json("land", "-m", "ann too", cwd=ws, status=CONFLICT)
        assert refused["verdict"] == "conflicted" and {c["path"] for c in refused["conflicts"]} == {"f", "bin"}
        assert all(c["by"] == 2 for c in refused["conflicts"])
        synced = ann.json("sync", cwd=ws, status=CONFLICT)
        assert [c["path"] for c in synced["conflicts"]] == ["bin"] and synced["position"] == 2
        assert synced["conflicts"][0]["theirs"] == "bin.theirs"
        assert get(ws, "f").startswith(b"first\n") and get(ws, "f").endswith(b"last\n")  # merged
        assert get(ws, "bin") == b"\0ours" and get(ws, "bin.theirs") == b"\0theirs"
        assert get(ws, "new") == b"from bea\n" and not os.path.exists(ws + "/other")
        assert "bin.theirs" in ann.fails(CONFLICT, "land", "-m", "too early", cwd=ws)
        os.unlink(ws + "/bin.theirs")
        assert ann.json("land", "-m", "ann too", cwd=ws)["position"] == 3
        bea.ok("sync", cwd=theirs)
        assert tree_of(theirs) == tree_of(ws)


def test_markers(directory):
    server, ann, ws = begin(directory, {"f": "1\n2\n3\n"})
    with server:
        land(server.port, "demo", [write("f", "1\ntheirs\n3\n"), write("added", "theirs\n")], author="bea")
        put(ws, "f", text="1\nours\n3\n")
        put(ws, "added", text="ours\n")
        said = ann.fails(CONFLICT, "sync", cwd=ws)
        assert "f:" in said and "added:" in said
        assert get(ws, "f") == b"1\n<<<<<<< this workspace\nours\n=======\ntheirs\n>>>>>>> position 2\n3\n"
        assert ann.json("status", cwd=ws)["position"] == 2
        ann.fails(CONFLICT, "land", "-m", "with markers", cwd=ws)
        put(ws, "f", text="1\nboth\n3\n")
        put(ws, "added", text="both\n")
        ann.ok("land", "-m", "without", cwd=ws)
        assert request(server.port, "GET", "/projects/demo/files/f").body == b"1\nboth\n3\n"


def test_edit_and_delete(directory):
    server, ann, ws = begin(directory, {"edited": "1", "deleted": "1", "kept": "1"})
    with server:
        delete = {"op": "delete", "path": "edited"}
        assert land(server.port, "demo", [delete, write("deleted", "theirs")]).status == 200
        put(ws, "edited", text="mine")
        os.unlink(ws + "/deleted")
        said = ann.fails(CONFLICT, "sync", cwd=ws)
        assert "deleted here, changed there" in said and "changed here, deleted there" in said
        assert get(ws, "edited") == b"mine" and get(ws, "deleted") == b"theirs"
        assert ann.changes(ws) == {"edited": "added"}
        ann.ok("land", "-m", "mine stays", cwd=ws)


def test_equal_edits_and_unrelated_ones(directory):
    server, ann, ws = begin(directory, {"a": "1", "b": "1"})
    with server:
        land(server.port, "demo", [write("a", "2"), write("c", "1")])
        put(ws, "a", text="2")
        put(ws, "b", text="2")
        done = ann.run("land", "-m", "equal edits land", cwd=ws)
        assert done.returncode == DONE and "took in 1 landing of others" in done.err, done
        assert get(ws, "c") == b"1" and ann.changes(ws) == {}
        assert ann.json("status", cwd=ws)["position"] == 3


def test_guards(directory):
    server, ann, ws = begin(directory, {"a": "1", "d/b": "1"})
    with server:
        land(server.port, "demo", [write("d/b", "2")], author="bea")
        put(ws, "a", text="2")
        said = ann.fails(CONFLICT, "land", "-m", "relies on d", "--guard", "d", cwd=ws)
        assert "d (guard)" in said and "seen dir" in said, said
        ann.ok("sync", cwd=ws)
        ann.ok("land", "-m", "relies on d", "--guard", "d", "-g", "nothing/here", "--note", "why not", cwd=ws)
        shown = ann.json("show", "3", cwd=ws)
        assert {g["path"] for g in shown["guards"]} == {"d", "nothing/here"}
        assert shown["conversation"][0]["text"] == "why not"


def test_sessions(directory):
    server, ann, ws = begin(directory, {"a": "1"})
    with server:
        ann.fails(FAILED, "session", "note", "to nobody", cwd=ws)
        ann.fails(FAILED, "session", "show", cwd=ws)
        sid = ann.json("session", "start", "-m", "make it right", cwd=ws)["session"]
        ann.fails(FAILED, "session", "start", "-m", "twice", cwd=ws)
        ann.ok("session", "note", "what shall we do?", cwd=ws)
        ann.ok("session", "note", "--role", "assistant", "this", cwd=ws)
        ann.ok("session", "decide", "to do it", cwd=ws)
        ann.ok("session", "guard", "a", "b", cwd=ws)
        assert ann.json("status", cwd=ws)["session"] == sid
        shown = ann.json("session", "show", cwd=ws)
        assert shown["state"] == "open" and shown["goal"] == "make it right"
        assert [s["id"] for s in ann.json("session", "list", cwd=ws)["sessions"]] == [sid]
        assert sid in ann.ok("session", "list", "-p", "demo")
        ann.fails(USAGE, "land", "-m", "another goal", cwd=ws)
        put(ws, "c", text="new")
        assert ann.json("land", cwd=ws)["session"] == sid
        assert "session" not in ann.json("status", cwd=ws)
        text = ann.ok("show", "2", cwd=ws)
        for part in (sid, "make it right", "what shall we do?", "assistant", "to do it", "write", "relied on"):
            assert part in text, (part, text)
        assert [t["role"] for t in ann.json("show", "2", cwd=ws)["conversation"]] == ["user", "assistant"]
        assert ann.json("session", "show", sid, "-p", "demo")["state"] == "landed"
        assert ann.json("session", "list", cwd=ws)["sessions"] == []


def test_session_conflict_and_abandon(directory):
    server, ann, ws = begin(directory, {"a": "1", "g": "1"})
    with server:
        sid = ann.json("session", "start", "-m", "goes through a conflict", cwd=ws)["session"]
        ann.ok("session", "guard", "g", cwd=ws)
        put(ws, "a", text="ours")
        put(ws, "dropped", text="for now")
        land(server.port, "demo", [write("a", "theirs"), write("g", "2")], author="bea")
        said = ann.fails(CONFLICT, "land", cwd=ws)
        assert "a (operation)" in said and "g (guard)" in said
        assert ann.json("session", "show", cwd=ws)["state"] in ("open", "conflicted")
        os.unlink(ws + "/dropped")
        ann.fails(CONFLICT, "sync", cwd=ws)
        put(ws, "a", text="both")
        landed = ann.json("land", cwd=ws)
        assert landed["session"] == sid and landed["position"] == 3
        assert request(server.port, "GET", "/projects/demo/files/dropped").status == 404
        assert ann.changes(ws) == {}
        other = ann.json("session", "start", "-m", "for nothing", cwd=ws)["session"]
        put(ws, "stays", text="1")
        ann.ok("session", "abandon", "no more", cwd=ws)
        assert ann.json("session", "list", cwd=ws)["sessions"] == []
        assert ann.json("session", "show", other, cwd=ws)["state"] == "abandoned"
        assert ann.changes(ws) == {"stays": "added"}
        ann.ok("land", "-m", "by itself", cwd=ws)


def test_import_dir(directory):
    server, ann, ws = begin(directory)
    with server:
        source = ann.path("source")
        for i in range(300):
            put(source, f"d{i % 7}", f"f{i}", text=f"file {i}\n" * (i % 40))
        put(source, ".micignore", text="*.tmp\n")
        put(source, "x.tmp", text="no")
        put(source, "large", text=os.urandom(300000))
        os.mkfifo(source + "/pipe")
        done = ann.run("import", "dir", source, "vendor", "-m", "first", "--json")
        assert done.returncode == DONE and "pipe" in done.err, done.err
        counted = json.loads(done.out)
        assert counted["operations"] == 302 and counted["left_out"] == 1, counted
        ann.ok("checkout", "vendor", "out")
        expected = tree_of(source)
        expected.pop("x.tmp")
        assert tree_of(ann.path("out")) == expected
        assert ann.json("import", "dir", "source", "vendor", "-m", "again")["operations"] == 0
        shutil.rmtree(source + "/d1")
        put(source, "d2/f2", text="changed")
        assert ann.json("import", "dir", source, "vendor", "-m", "less")["operations"] == 1
        assert ann.json("import", "dir", source, "vendor", "-m", "gone", "--delete")["operations"] == 43
        ann.ok("sync", cwd=ann.path("out"))
        expected = tree_of(source)
        expected.pop("x.tmp")
        assert tree_of(ann.path("out")) == expected
        ann.fails(FAILED, "import", "dir", "/nowhere", "vendor", "-m", "x")


def test_goto_keeps_what_is_changed(directory):
    server, ann, ws = begin(directory, {"a": "1", "b": "1"})
    with server:
        land(server.port, "demo", [write("a", "2")])
        put(ws, "a", text="mine")
        assert "a" in ann.fails(CONFLICT, "goto", "2", cwd=ws)
        assert get(ws, "a") == b"mine" and ann.json("status", cwd=ws)["position"] == 1
        put(ws, "a", text="1")
        put(ws, "b", text="mine")  # not in its way
        ann.ok("goto", "2", cwd=ws)
        assert get(ws, "a") == b"2" and get(ws, "b") == b"mine"
        assert ann.changes(ws) == {"b": "modified"}
        ann.fails(FAILED, "goto", "7", cwd=ws)


def test_positions_inside_a_batch(directory):
    server, ann, ws = begin(directory, {"base": "0"})
    with server:
        series = [{"goal": f"n{i}", "operations": [write("n", str(i)), write(f"f{i}", str(i))]} for i in range(9)]
        for s in series[1:]:
            s["operations"] = s["operations"][1:]
        answer = request(server.port, "POST", "/projects/demo/land?wait=30s", {"sessions": series})
        assert answer.status == 200, answer.body
        for position in (4, 2, 8, 10, 5, 1, 7):
            ann.ok("goto", str(position), cwd=ws)
            assert sorted(tree_of(ws)) == sorted(["base"] + ["n"] * (position > 1) + [f"f{i}" for i in range(position - 1)])
            assert ann.changes(ws) == {}
        ann.ok("checkout", "demo", "inside", "--at", "6")
        assert sorted(tree_of(ann.path("inside"))) == ["base", "f0", "f1", "f2", "f3", "f4", "n"]
        put(ann.path("inside"), "mine", text="1")
        ann.ok("land", "-m", "from inside", cwd=ann.path("inside"))
        assert len(tree_of(ann.path("inside"))) == 12


# ---- what must not go wrong ----------------------------------------------------------------------


def test_checkout_refuses_and_resumes(directory):
    with Server("mic-forge", directory + "/bucket") as server:
        ann = User(server, directory)
        source = ann.path("source")
        for i in range(3000):
            put(source, f"d{i // 50}", f"f{i}", text=f"content of {i}\n" * 20)
        ann.ok("import", "dir", source, "many", "-m", "many files")
        put(ann.path("full"), "mine", text="1")
        assert "not empty" in ann.fails(FAILED, "checkout", "many", "full")
        assert os.listdir(ann.path("full")) == ["mine"]
        put(ann.path("file"), text="1")
        ann.fails(FAILED, "checkout", "many", "file")
        expected = tree_of(source)
        killed = owned = 0
        for attempt in range(4):
            shutil.rmtree(ann.path("out"), ignore_errors=True)
            for at in (0, 1, 700 * attempt, 2500):
                process = ann.start("checkout", "many", "out")
                while process.poll() is None and sum(len(f) for _, _, f in os.walk(ann.path("out"))) <= at:
                    pass
                process.kill()
                process.communicate()
                killed += process.returncode == -signal.SIGKILL
            own = None
            if os.path.exists(ann.path("out/.mic/journal")):
                names = [n for n in sorted(expected) if os.path.isfile(ann.path("out", n))]
                if len(names) > 1:
                    with open(ann.path("out", names[0]), "r+b") as file:  # as a crash could leave it
                        file.truncate(7)
                    own = names[1]
                    put(ann.path("out"), own, text="the user's own")
                    owned += 1
            if os.path.exists(ann.path("out/.mic/journal")):
                done = ann.run("checkout", "many", "out")
            else:
                done = ann.run("status", cwd=ann.path("out"))
                if done.returncode != DONE:
                    done = ann.run("checkout", "many", "out")
            found = tree_of(ann.path("out"))
            if own:
                assert done.returncode == CONFLICT and own in done.err, done.err
                assert found[own][2] == b"the user's own" and ann.changes(ann.path("out")) == {own: "modified"}
                found[own] = expected[own]
            assert found == expected, (len(found), len(expected))
            if not own:
                assert ann.changes(ann.path("out")) == {}
        assert killed > 3 and owned > 0, (killed, owned)
        assert "workspace already" in ann.fails(FAILED, "checkout", "many", "out")
        ann.ok("project", "create", "else")
        assert "another project" in ann.fails(FAILED, "checkout", "else", "out")


def test_killed_sync_is_finished(directory):
    server, ann, ws = begin(directory, {f"d{i % 20}/f{i}": f"one {i}\n" for i in range(1500)})
    with server:
        lines = "".join(f"{k}\n" for k in range(20))
        land(server.port, "demo", [write("merged", lines)])
        ann.ok("sync", cwd=ws)
        for attempt in range(5):
            was = get(ws, "merged").decode().splitlines(True)
            changed = [write(f"d{i % 20}/f{i}", f"{attempt} of {i}\n") for i in range(1500)]
            changed.append(write("merged", "".join([f"theirs {attempt}\n"] + was[1:])))
            assert land(server.port, "demo", changed).status == 200
            put(ws, "merged", text="".join(was[:-1] + [f"ours {attempt}\n"]))
            put(ws, "mine", text=str(attempt))
            process = ann.start("sync", cwd=ws)
            while process.poll() is None and not os.path.exists(ws + "/.mic/journal"):
                pass
            time.sleep(random.random() * 0.1)
            process.kill()
            process.communicate()
            # The head moves on: what was begun must be finished before that is looked at.
            changed = [write(f"d{i % 20}/f{i}", f"{attempt} again {i}\n") for i in range(0, 1500, 3)]
            assert land(server.port, "demo", changed).status == 200
            done = ann.run("sync", cwd=ws)
            assert done.returncode == DONE, done.err
            for i in range(1500):
                word = "of" if i % 3 else "again"
                assert get(ws, f"d{i % 20}/f{i}") == f"{attempt} {word} {i}\n".encode(), i
            merged = get(ws, "merged").decode()
            assert merged.startswith(f"theirs {attempt}\n") and merged.endswith(f"ours {attempt}\n"), merged
            assert set(ann.changes(ws)) == {"merged", "mine"}
            ann.ok("land", "-m", f"attempt {attempt}", cwd=ws)


def test_never_through_a_link(directory):
    server, ann, ws = begin(directory, {"d/a": "1", "d/b": "1", "f": "1"})
    with server:
        outside = ann.path("outside")
        put(outside, "a", text="precious")
        # The user's link where the tree has a directory.
        shutil.rmtree(ws + "/d")
        os.symlink(outside, ws + "/d")
        assert ann.changes(ws) == {"d": "added", "d/a": "deleted", "d/b": "deleted"}
        land(server.port, "demo", [write("d/a", "evil"), write("d/new", "evil"), write("f", "2")])
        done = ann.run("sync", cwd=ws)
        assert done.returncode == CONFLICT, done.err
        assert os.listdir(outside) == ["a"] and get(outside, "a") == b"precious"
        assert get(ws, "f") == b"2" and get(ws, "d.theirs/new") == b"evil"
        # The tree's own link, which then becomes a directory, and back.
        link = {"op": "write", "path": "x", "kind": "link", "content": {"text": outside}}
        assert land(server.port, "demo", [link]).status == 200
        remove = {"op": "delete", "path": "x"}
        assert land(server.port, "demo", [remove, write("x/a", "evil"), write("x/b", "evil")]).status == 200
        assert land(server.port, "demo", [write("y", "1")]).status == 200
        ann.ok("checkout", "demo", "fresh", "--at", "3")
        assert os.path.islink(ann.path("fresh/x"))
        for position in ("4", "3", "5", "2", "3", "5"):
            ann.ok("goto", position, cwd=ann.path("fresh"))
            assert os.listdir(outside) == ["a"] and get(outside, "a") == b"precious", position
        assert get(ann.path("fresh"), "x/a") == b"evil"
        # A link in place of the folder that mic writes its own files to.
        shutil.rmtree(ann.path("fresh/.mic/tmp"), ignore_errors=True)
        os.symlink(outside, ann.path("fresh/.mic/tmp"))
        ann.fails(FAILED, "goto", "3", cwd=ann.path("fresh"))
        assert os.listdir(outside) == ["a"]


def test_several_at_once_in_one_workspace(directory):
    server, ann, ws = begin(directory, {f"f{i}": "0" for i in range(200)})
    with server:
        problems = []

        def work(number):
            for k in range(4):
                put(ws, f"own-{number}-{k}", text=f"{number} {k}")
                for words in (["land", "-m", f"{number} {k}"], ["status"], ["sync"], ["status", "--json"]):
                    done = ann.run(*words, cwd=ws)
                    if done.returncode != DONE:
                        problems.append((words, done.returncode, done.err))

        threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
        for thread in threads:
            thread.start()
        for k in range(8):
            land(server.port, "demo", [write(f"f{k}", "others")], author="bea")
        for thread in threads:
            thread.join()
        # A file may be caught by another's landing before its own, which then finds nothing to land.
        assert not problems, problems
        ann.ok("sync", cwd=ws)
        assert ann.changes(ws) == {}
        ann.ok("checkout", "demo", "check")
        assert tree_of(ann.path("check")) == tree_of(ws)
        assert len(tree_of(ws)) == 216


def test_status_reads_nothing_that_is_unchanged(directory):
    server, ann, ws = begin(directory)
    with server:
        for i in range(3000):
            put(ws, f"d{i // 100}", f"f{i}", text=str(i))
        ann.ok("land", "-m", "many", cwd=ws)
        ann.ok("status", cwd=ws)
        time.sleep(0.05)
        ann.ok("status", cwd=ws)
        seen = ann.json("status", cwd=ws)
        assert seen["files"] == 3000 and seen["files_read"] == 0, seen
        # The same size, and its old times back: only ctime is another.
        path = put(ws, "d0", "f1", text="1")
        put(ws, "d0", "f1", text="7")
        os.utime(path, ns=(0, 0))
        assert ann.changes(ws) == {"d0/f1": "modified"}
        # Changed over and over at the same size: never missed.
        for k in range(60):
            put(ws, "d0", "f2", text=f"{k:03}")
            assert ann.changes(ws).get("d0/f2") == "modified", k
            if k % 20 == 0:
                ann.ok("land", "-m", f"racy {k}", cwd=ws)


def test_ignore_rules(directory):
    server, ann, ws = begin(directory, {"tracked.log": "1"})
    with server:
        put(ws, ".micignore", text="*.log\nbuild/\n/top\n!keep.log\n")
        put(ws, "sub/.micignore", text="!local.log\nsecret\n")
        for name in ("a.log", "keep.log", "build/x", "sub/build/x", "top", "sub/top", "sub/local.log", "sub/secret"):
            put(ws, name, text="1")
        put(ws, "tracked.log", text="2")
        os.makedirs(ws + "/sub/.git")
        put(ws, "sub/.git/config", text="1")
        expected = {".micignore": "added", "sub/.micignore": "added", "keep.log": "added", "sub/top": "added",
                    "sub/local.log": "added", "tracked.log": "modified"}
        assert ann.changes(ws) == expected, ann.changes(ws)
        ann.ok("land", "-m", "not what is ignored", cwd=ws)
        ann.ok("checkout", "demo", "copy")
        assert set(tree_of(ann.path("copy"))) == set(expected)
        # An ignored file in the way of one that others land is not overwritten.
        land(server.port, "demo", [write("a.log", "theirs")])
        ann.fails(CONFLICT, "sync", cwd=ws)
        assert b"1" in get(ws, "a.log")


def rss_of(ann, *args, cwd=None):
    """Runs it; gives its peak of memory in MiB."""
    done = subprocess.run(["/usr/bin/env", "python3", "-c", "import resource,subprocess,sys\n"
                           "status = subprocess.call(sys.argv[1:])\n"
                           "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss, file=sys.stderr)\n"
                           "sys.exit(status)", forge.program("mic"), *args],
                          cwd=cwd or ann.directory, env=ann.env, capture_output=True, text=True, timeout=1200)
    assert done.returncode == DONE, done.stderr
    return int(done.stderr.split()[-1]) / 1024


def large_file(directory, mib, limit):
    server, ann, ws = begin(directory)
    with server:
        block = random.Random(3).randbytes(1 << 20)
        with open(ws + "/large", "wb") as file:
            for i in range(mib):
                file.write(i.to_bytes(8, "big") + block[8:])
        used = [rss_of(ann, "land", "-m", "large", cwd=ws)]
        used.append(rss_of(ann, "checkout", "demo", "copy"))
        subprocess.run(["cmp", ws + "/large", ann.path("copy/large")], check=True)
        os.truncate(ws + "/large", (mib << 20) - 5)
        used.append(rss_of(ann, "land", "-m", "shorter", cwd=ws))
        used.append(rss_of(ann, "sync", cwd=ann.path("copy")))
        subprocess.run(["cmp", ws + "/large", ann.path("copy/large")], check=True)
        assert max(used) < limit, used
        print(f"  mic used at most {max(used):.0f} MiB of memory, mic-forge {server.rss_peak_kib() >> 10} MiB")


def test_200_mib_in_little_memory(directory):
    large_file(directory, 200, 64)


def test_2_gib_in_little_memory(directory):
    if not LONG:
        return "only with MIC_LONG=1"
    return large_file(directory, 2048, 64)


def test_forge_that_is_not_there(directory):
    server, ann, ws = begin(directory, {"a": "1"})
    server.stop()
    put(ws, "a", text="2")
    assert ann.changes(ws) == {"a": "modified"}  # needs no forge
    for words in (["land", "-m", "x"], ["sync"], ["log"], ["goto", "1"], ["diff"], ["cat", "a"]):
        assert "127.0.0.1" in ann.fails(FAILED, *words, cwd=ws), words
    assert ann.changes(ws) == {"a": "modified"}
    assert ann.json("status", cwd=ws)["position"] == 1


if __name__ == "__main__":
    wanted = sys.argv[1:]
    forge.main([value for name, value in list(globals().items())
                if name.startswith("test_") and (not wanted or name in wanted)])
