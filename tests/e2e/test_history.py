#!/usr/bin/env python3
"""What was: the log of a path, one landing, what differs between two positions, and who wrote each line."""

import base64
import http.server
import json
import os
import random
import re
import subprocess
import sys
import threading

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


def test_show(directory):
    server, ann, ws = begin(directory, {"a": "1\n2\n3\n", "old": "moved\n"})  # 1
    with server:
        ann.ok("session", "start", "-m", "Make it two\nand say so", cwd=ws)
        ann.ok("session", "note", "--role", "user", "Why not zwei?", cwd=ws)
        ann.ok("session", "decide", "English it is", cwd=ws)
        put(ws, "a", text="1\ntwo\n3\n")
        os.rename(os.path.join(ws, "old"), os.path.join(ws, "new"))
        ann.ok("land", cwd=ws)  # 2
        shown = ann.ok("show", "2", cwd=ws)
        for part in ("landing 2\n", "author  ann\n", "    Make it two\n    and say so\n", "  user\n    Why not zwei?\n",
                     "decisions\n    English it is\n", "    write   a\n", "\n-2\n+two\n", "rename from old\nrename to new\n"):
            assert part in shown, (part, shown)
        assert "+1\n+2\n" in ann.ok("show", "1", "-p", "demo")
        brief = ann.ok("show", "2", "--brief", cwd=ws)
        assert "+two" not in brief and shown.startswith(brief), brief
        data = ann.json("show", "2", cwd=ws)
        assert data["position"] == 2 and data["decisions"][0]["text"] == "English it is", data
        changes = {c["path"]: c for c in data["changes"]}
        assert set(changes) == {"a", "new"} and changes["new"]["from"] == "old" and "+two" in changes["a"]["diff"]
        assert "changes" not in ann.json("show", "2", "--brief", cwd=ws)
        assert "no landing 3" in ann.fails(FAILED, "show", "3", cwd=ws)
        # Of an import a person sees the first files, a program all of them.
        lands(server, *[write(f"many/{i}", f"{i}\n") for i in range(1003)])  # 3
        done = ann.run("show", "3", cwd=ws)
        assert done.returncode == DONE and done.out.count("\ndiff --git ") == 1000, done.out[-500:]
        assert "1000 of 1003 changed files" in done.err, done.err
        assert len(ann.json("show", "3", cwd=ws)["changes"]) == 1003


# ---- diff ---------------------------------------------------------------------------------------


FILE, EXEC, LINK = "0644", "0755", "link"


def tree_write(root, files):
    """Files of a state as files on a disk."""
    os.makedirs(root)
    for path, (kind, content) in files.items():
        if kind == LINK:
            os.makedirs(os.path.dirname(os.path.join(root, path)), exist_ok=True)
            os.symlink(content, os.path.join(root, path))
        else:
            put(root, path, text=content, mode=0o755 if kind == EXEC else 0o644)


def tree_read(root):
    """The state that a directory is, but for git's own and mic's."""
    return {path: (LINK, what[1].encode()) if what[0] == "link" else (EXEC if what[1] else FILE, what[2])
            for path, what in tree_of(root).items() if not path.startswith(".git/")}


def operations_between(a, b):
    gone = [delete(path) for path in a if path not in b]
    return gone + [{"op": "write", "path": path, "content": {"base64": base64.b64encode(content).decode()},
                    **({"kind": "link"} if kind == LINK else {"mode": kind})}
                   for path, (kind, content) in b.items() if a.get(path) != (kind, content)]


def text_states(chance, n):
    """States of a tree of text, each made of the one before."""
    names = ["a", "d/b", "d/e/c", "with space/and more", 'quote"back\\slash', "ünïcödé ☃", "-dash", "z.txt", "d2", "UPPER"]
    files = {}
    for number in range(n):
        files = dict(files)
        for _ in range(chance.randrange(1, 5)):
            name = chance.choice(names) + chance.choice(["", ".1", ".2"])
            if any(other.startswith(name + "/") or name.startswith(other + "/") for other in files):
                continue
            do = chance.randrange(7)
            if do == 0 or name not in files:
                ends = chance.choice([b"\n", b"\r\n"])
                body = ends.join(b"line %d of %d" % (i, chance.randrange(9)) for i in range(chance.randrange(0, 40)))
                files[name] = (chance.choice([FILE, EXEC]), body + chance.choice([b"", b"\n"]))
            elif do == 1:
                del files[name]
            elif do == 2:
                files[name] = (LINK, b"to/%d" % number)
            elif do == 3 and name + ".moved" not in files:
                files[name + ".moved"] = files.pop(name)
            elif do == 4 and files[name][0] != LINK:
                files[name] = (EXEC if files[name][0] == FILE else FILE, files[name][1])
            elif files[name][0] != LINK:
                lines = files[name][1].split(b"\n")
                at = chance.randrange(len(lines))
                lines[at:at + chance.randrange(3)] = [b"changed in %d, caf\xe9" % number] * chance.randrange(3)
                files[name] = (files[name][0], b"\n".join(lines))
        yield files


def test_patches_are_what_git_and_patch_take(directory):
    chance = random.Random(int(os.environ.get("MIC_SEED", "7")))
    states = [{}]
    server, ann, ws = begin(directory)
    with server:
        for files in text_states(chance, 60):
            operations = operations_between(states[-1], files)
            if operations:
                lands(server, *operations)
                states.append(files)
        pairs = [(a, a + 1) for a in range(len(states) - 1)]
        pairs += [tuple(chance.sample(range(len(states)), 2)) for _ in range(40)]
        renames = modes = 0
        for number, (a, b) in enumerate(pairs):
            patch = ann.run("diff", str(a), str(b), "-p", "demo").stdout
            renames += patch.count(b"\nrename to ")
            modes += patch.count(b"\nnew mode ")
            assert (patch == b"") == (states[a] == states[b]), (a, b)
            scratch = ann.path(f"scratch{number}")
            tree_write(scratch, states[a])
            if patch:
                done = subprocess.run(["git", "apply", "-"], cwd=scratch, input=patch, capture_output=True)
                assert done.returncode == 0, (a, b, done.stderr, patch)
            assert tree_read(scratch) == states[b], (a, b, patch)
            # The other program knows no links and quotes otherwise.
            plain = [p for p in set(states[a]) | set(states[b])
                     if '"' in p or LINK in (states[a].get(p, " ")[0], states[b].get(p, " ")[0])]
            if patch and not plain and number < 60:
                again = scratch + "-patch"
                tree_write(again, states[a])
                done = subprocess.run(["patch", "-p1", "-s", "--binary"], cwd=again, input=patch, capture_output=True)
                assert done.returncode == 0, (a, b, done.stdout, patch)
                assert tree_read(again) == states[b], (a, b, patch)
        assert renames > 0 and modes > 0, (renames, modes)


def test_diff_of_the_workspace(directory):
    one = {f"d/f{i}": f"{i}\n" for i in range(5)}
    server, ann, ws = begin(directory, {**one, "gone": "text\n", "7": "a number\n"})  # 1
    with server:
        lands(server, write("d/f0", "second\n"), write("new", "n\n"))                # 2
        ann.ok("sync", cwd=ws)
        lands(server, write("d/f1", "third\n"))                                      # 3
        put(ws, "d/f2", text="here\n")
        os.rename(os.path.join(ws, "gone"), os.path.join(ws, "d", "came"))

        def diff(*words, cwd=ws):
            return {c["path"]: c for c in json.loads(ann.ok("--json", "diff", *words, cwd=cwd))["changes"]}

        assert set(diff()) == {"d/f2", "d/came"}
        came = diff()["d/came"]
        assert came["state"] == "renamed" and came["from"] == "gone", came
        assert came["diff"] == ("diff --git a/gone b/d/came\nsimilarity index 100%\nrename from gone\n"
                                "rename to d/came\n"), came
        assert diff("d")["d/came"]["state"] == "added"  # what it was before was not asked for
        # Against a position: what landed until the base, and what is changed here.
        assert set(diff("1")) == {"d/f0", "new", "d/f2", "d/came"} and set(diff("2")) == {"d/f2", "d/came"}
        assert "-third" in diff("3")["d/f1"]["diff"] and "+1" in diff("3")["d/f1"]["diff"]
        assert set(diff("1", "d", "new")) == {"d/f0", "d/f2", "d/came", "new"} and set(diff("3", "d/f2")) == {"d/f2"}
        assert set(diff("0")) == {f"d/f{i}" for i in range(5)} | {"new", "d/came", "7"}
        # A change here that is what a position had is none.
        put(ws, "d/f0", text="0\n")
        assert set(diff("1")) == {"new", "d/f2", "d/came"} and "d/f0" in diff()
        # Two positions know nothing of what is changed here.
        assert set(diff("1", "3")) == set(diff("1..3")) == set(diff("1..")) == {"d/f0", "d/f1", "new"}
        assert set(diff("2..", "-p", "demo", cwd=ann.directory)) == {"d/f1"} and diff("2", "2") == {}
        assert set(diff("1", "3", "f1", cwd=os.path.join(ws, "d"))) == {"d/f1"}
        assert set(diff("1", "3", "d", "d/f0", "d/f1", "d")) == {"d/f0", "d/f1"}
        assert "-third" in diff("3", "1")["d/f1"]["diff"] and diff("3", "1")["new"]["state"] == "deleted"
        assert ann.json("diff", "1..", cwd=ws)["to"] == 3
        # A path that is a number.
        put(ws, "7", text="another\n")
        assert set(diff("--", "7")) == set(diff("./7")) == {"7"} and set(diff("1", "--", "7")) == {"7"}
        for words in (["9"], ["1", "9"], ["9.."]):
            assert "position_ahead" in ann.fails(FAILED, "diff", *words, cwd=ws), words
        ann.fails(USAGE, "diff", "1", "-p", "demo")
        ann.fails(USAGE, "diff", "1", "99999999999999999999", cwd=ws)
        ann.fails(FAILED, "diff", "1", "2", "../x", cwd=ws)


def test_diff_of_what_is_no_text_or_large(directory):
    server, ann, ws = begin(directory, {"bin": b"\0one", "dir/x": "x\n", "file": "f\n"})  # 1
    with server:
        put(ws, "bin", text=b"\0two")
        put(ws, "large", text="line\n" * (2 << 20))
        os.unlink(os.path.join(ws, "dir/x"))
        os.rmdir(os.path.join(ws, "dir"))
        os.symlink("file", os.path.join(ws, "dir"))
        os.unlink(os.path.join(ws, "file"))
        put(ws, "file/below", text="f\n")
        here = ann.ok("diff", cwd=ws)
        ann.ok("land", "-m", "all kinds", cwd=ws)  # 2
        there = ann.ok("diff", "1", "2", cwd=ws)
        assert here == there, (here, there)
        for line in ("Binary files a/bin and b/bin differ", "Files /dev/null and b/large differ: too large to show",
                     "new file mode 120000", "rename from file", "rename to file/below", "deleted file mode 100644"):
            assert "\n" + line + "\n" in there, (line, there)
        scratch = ann.path("scratch")
        tree_write(scratch, {"bin": (FILE, b"\0one"), "dir/x": (FILE, b"x\n"), "file": (FILE, b"f\n")})
        done = subprocess.run(["git", "apply", "-"], cwd=scratch, input=there.encode(), capture_output=True)
        assert done.returncode != 0 and get(scratch, "bin") == b"\0one"
        patch = ann.ok("diff", "1", "2", "dir", "file", cwd=ws)
        subprocess.run(["git", "apply", "-"], cwd=scratch, input=patch.encode(), check=True)
        assert tree_read(scratch) == {"bin": (FILE, b"\0one"), "dir": (LINK, b"file"), "file/below": (FILE, b"f\n")}
        # The large one: a mode or a name is no reason to read it.
        os.rename(os.path.join(ws, "large"), os.path.join(ws, "larger"))
        os.chmod(os.path.join(ws, "larger"), 0o755)
        assert ann.ok("diff", cwd=ws) == ("diff --git a/large b/larger\nold mode 100644\nnew mode 100755\n"
                                          "similarity index 100%\nrename from large\nrename to larger\n")


# ---- blame --------------------------------------------------------------------------------------


class Counter:
    """Stands before a forge, hands on what is asked by GET, and keeps it."""

    def __init__(self, server):
        self.asked = asked = []

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            wbufsize = -1  # an answer goes out in one piece

            def do_GET(self):
                asked.append(self.path)
                answer = request(server.port, "GET", self.path.removeprefix("/api/mic"), author=None)
                self.send_response(answer.status)
                for name, value in answer.headers.items():
                    if name.lower() not in ("connection", "date", "transfer-encoding"):
                        self.send_header(name, value)
                self.end_headers()
                self.wfile.write(answer.body)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def take(self):
        """How often each kind was asked since the last time."""
        found = {}
        for path in self.asked:
            kind = re.match(r"/api/mic/projects/[^/]+/?([^/?]*)", path).group(1)
            found[kind] = found.get(kind, 0) + 1
        self.asked.clear()
        return found

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()


def blame(ann, *words, cwd=None):
    """The positions that the lines came with."""
    return [line["position"] for line in ann.json("blame", *words, cwd=cwd)["lines"]]


def test_blame(directory):
    server, ann, ws = begin(directory, {"d/f": "one\ntwo\nthree\n", "bin": b"\0", "empty": ""})  # 1
    with server:
        ann.ok("session", "start", "-m", "Make it zwei\nbecause of Ben", cwd=ws)
        ann.ok("session", "decide", "German it is", cwd=ws)
        put(ws, "d/f", text="one\nzwei\nthree\n")
        ann.ok("land", cwd=ws)  # 2
        lands(server, write("other", "o\n"))  # 3
        lands(server, write("d/f", "zero\r\none\nzwei\nthree"), goal="Zero, and no end", author="ben")  # 4
        lands(server, write("d/f", "zero\r\none\nzwei\nthree", mode="0755"))  # 5
        assert blame(ann, "d/f", cwd=ws) == [4, 1, 2, 4]
        data = ann.json("blame", "f", cwd=os.path.join(ws, "d"))
        assert data["path"] == "d/f" and data["at"] == 5, data
        assert [line["text"] for line in data["lines"]] == ["zero\r", "one", "zwei", "three"], data
        log = {e["position"]: e for e in ann.json("log", cwd=ws)["entries"]}
        assert all(line["session"] == log[line["position"]]["session"] for line in data["lines"]), data
        landings = {e["position"]: e for e in data["landings"]}
        assert set(landings) == {1, 2, 4} and landings[2]["goal"] == "Make it zwei\nbecause of Ben", landings
        assert landings[4]["author"] == "ben" and landings[4]["hlc"] == log[4]["hlc"] and "decisions" not in landings[2]
        assert blame(ann, "d/f", "--at", "4", cwd=ws) == [4, 1, 2, 4] and blame(ann, "d/f", "--at", "3", cwd=ws) == [1, 2, 1]
        assert blame(ann, "d/f", "--at", "1", "-p", "demo") == [1, 1, 1]
        said = ann.ok("blame", "d/f", cwd=ws).split("\n")
        assert said[0] == f"4  {log[4]['session']}  ben  Zero, and no end  1) zero\r", said
        assert said[2] == f"2  {log[2]['session']}  ann  Make it zwei      3) zwei", said
        assert said[3:] == [f"4  {log[4]['session']}  ben  Zero, and no end  4) three", ""], said
        # Why.
        said = ann.ok("blame", "d/f", "--why", cwd=ws)
        blocks = [block.split("\n") for block in said.rstrip("\n").split("\n\n")]
        assert [block[0].split()[1] for block in blocks] == ["4", "1", "2", "4"], said
        assert blocks[2][1:] == ["    Make it zwei", "    because of Ben", "  decisions", "    German it is", "  3) zwei"], said
        why = {e["position"]: e for e in ann.json("blame", "d/f", "--why", cwd=ws)["landings"]}
        assert why[2]["decisions"][0]["text"] == "German it is" and why[2]["goal"].endswith("of Ben"), why
        assert why[2]["state"] == "landed" and why[2]["operations"][0]["path"] == "d/f", why
        # What has no lines.
        assert ann.ok("blame", "empty", cwd=ws) == "" and ann.json("blame", "empty", cwd=ws)["lines"] == []
        assert "binary" in ann.fails(FAILED, "blame", "bin", cwd=ws)
        assert "directory" in ann.fails(FAILED, "blame", "d", cwd=ws)
        assert "directory" in ann.fails(FAILED, "blame", ".", cwd=ws)
        assert "not_found" in ann.fails(FAILED, "blame", "none", cwd=ws)
        assert "not_found" in ann.fails(FAILED, "blame", "d/f", "--at", "0", cwd=ws)
        assert "position_ahead" in ann.fails(FAILED, "blame", "d/f", "--at", "9", cwd=ws)
        put(ws, "large", text="line\n" * (2 << 20))
        ann.ok("land", "-m", "large", cwd=ann.path("ws"))  # 6
        assert "8 MiB" in ann.fails(FAILED, "blame", "large", cwd=ws)
        lands(server, write("large", "line\nsmall\n"))  # 7
        done = ann.run("blame", "large", cwd=ws)
        assert done.returncode == DONE and "at 6" in done.err and done.out.startswith("7 "), (done.out, done.err)
        # A link's line is where it points.
        lands(server, {"op": "write", "path": "link", "kind": "link", "content": {"text": "d/f"}})  # 8
        assert blame(ann, "link", cwd=ws) == [8]


def test_blame_over_renames_and_deletes(directory):
    server, ann, ws = begin(directory, {"a": "1\n2\n3\n", "x": "x\n"})  # 1
    with server:
        lands(server, write("a", "1\n2b\n3\n"))           # 2
        lands(server, rename("a", "b"))                     # 3
        lands(server, write("b", "1\n2b\n3\n4\n"))        # 4
        lands(server, write("a", "1\nanother\n"))          # 5
        lands(server, rename("b", "x"))                     # 6: over a file that was there
        assert blame(ann, "x", cwd=ws) == [1, 2, 1, 4] and blame(ann, "a", cwd=ws) == [5, 5]
        assert blame(ann, "x", "--at", "5", cwd=ws) == [1] and blame(ann, "b", "--at", "5", cwd=ws) == [1, 2, 1, 4]
        assert {e["position"]: e["path"] for e in ann.json("blame", "x", cwd=ws)["landings"]} == {1: "a", 2: "a", 4: "b"}
        assert "  as a\n" in ann.ok("blame", "x", "--why", cwd=ws)
        lands(server, delete("x"))                          # 7
        lands(server, write("x", "1\n2b\n"))               # 8: what is deleted and made again is new
        assert blame(ann, "x", cwd=ws) == [8, 8]
        lands(server, delete("x"), write("x/below", "1\n"))    # 9
        lands(server, delete("x/below"), write("x", "1\nnew\n"))  # 10
        assert blame(ann, "x", cwd=ws) == [10, 10]
        assert blame(ann, "x/below", "--at", "9", cwd=ws) == [9]


def test_blame_reads_no_more_than_it_needs(directory):
    server, ann, ws = begin(directory, {"quick": "".join(f"{i}\n" for i in range(10)), "slow": "first\n0\n"})  # 1
    with server:
        series = []
        for i in range(1, 1000):
            lines = [f"{k + (i - k) // 10 * 10 + 10 if k <= i else k}\n" for k in range(10)]
            series.append({"goal": f"change {i}", "operations": [write("quick", "".join(lines)), write("slow", f"first\n{i}\n")]})
        answer = request(server.port, "POST", "/projects/demo/land?wait=60s", {"sessions": series}, timeout=120)
        assert answer.status == 200 and answer.json["results"][-1]["position"] == 1000, answer.body[-500:]
        with Counter(server) as counter:
            ann.env["MIC_URL"] = counter.url
            assert blame(ann, "quick", cwd=ws) == [1000 - (999 - k) % 10 for k in range(10)]
            # The text, and ten versions before it: each tells of one line.
            asked = counter.take()
            assert asked == {"head": 1, "files": 11, "log": 1}, asked
            assert blame(ann, "slow", cwd=ws) == [1, 1000]
            asked = counter.take()
            assert asked["files"] == 1000 and asked["head"] == 1 and asked["log"] <= 8, asked
            # Why is asked once of each landing that has a line.
            ann.ok("blame", "quick", "--why", cwd=ws)
            asked = counter.take()
            assert asked == {"head": 1, "files": 11, "log": 1, "sessions": 10}, asked


def test_blame_is_that_of_git(directory):
    chance = random.Random(int(os.environ.get("MIC_SEED", "11")))
    server, ann, ws = begin(directory)
    with server:
        files, serial = {}, 0
        for number in range(150):
            operations, touched = [], set()
            for _ in range(chance.randrange(1, 4)):
                name = chance.choice(sorted(files) or [""])
                do = chance.randrange(20)
                if do == 0 or not name:
                    name, lines = f"file{number}.{len(operations)}", []
                elif name in touched:
                    continue
                elif do == 1 and len(files) > 4:
                    operations.append(delete(name))
                    touched.add(name)
                    del files[name]
                    continue
                elif do in (2, 3) and files[name]:
                    target = f"d{number % 3}/moved{number}.{len(operations)}"
                    operations.append(rename(name, target))
                    files[target] = files.pop(name)
                    touched |= {name, target}
                    continue
                else:
                    lines = list(files[name])
                for _ in range(chance.randrange(1, 5)):
                    at = chance.randrange(len(lines) + 1)
                    new = [f"line {serial + k} {'x' * chance.randrange(30)}" for k in range(chance.randrange(1, 5))]
                    serial += len(new)
                    lines[at:at + chance.randrange(3)] = new
                files[name] = lines
                touched.add(name)
                operations.append(write(name, "\n".join(lines) + ("\n" if lines and len(lines) % 3 else "")))
            if operations:
                lands(server, *operations)
        ann.ok("export", "git", "demo", ann.path("git"))

        def git(*words):
            return subprocess.run(["git", "-C", ann.path("git"), *words], capture_output=True, text=True, check=True).stdout

        position = {commit: n + 1 for n, commit in enumerate(git("rev-list", "--reverse", "HEAD").split())}
        landings, lines = set(), 0
        for name in sorted(files):
            theirs = [position[line.split()[0]] for line in git("blame", "--line-porcelain", "HEAD", "--", name).split("\n")
                      if re.match("[0-9a-f]{40} ", line)]
            assert blame(ann, name, cwd=ws) == theirs, name
            landings |= set(theirs)
            lines += len(theirs)
        assert lines > 50 and len(landings) > 20, (lines, landings)


if __name__ == "__main__":
    wanted = sys.argv[1:]
    forge.main([value for name, value in list(globals().items())
                if name.startswith("test_") and callable(value) and (not wanted or name in wanted)])
