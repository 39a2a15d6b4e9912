#!/usr/bin/env python3
"""Git histories through the forge and out again: `mic import git` and `mic export git` against a running mic-forge.

Repositories are made of raw objects, with fixed dates, so that they can hold what git's own commands would not
write. A linear history that the forge can hold must come out with the ids that it had."""

import base64
import hashlib
import json
import os
import random
import subprocess
import sys
import time
import zlib

import forge
from forge import Server, land, request, write

EMPTY_TREE = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"
FILE, EXEC, LINK, SUBMODULE = "100644", "100755", "120000", "160000"
SEED = int(os.environ.get("MIC_SEED") or random.randrange(1 << 32))


def git(repo, *args, check=True, text=True):
    env = {**os.environ, "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_SYSTEM": "/dev/null"}
    done = subprocess.run(["git", "-C", repo, *args], capture_output=True, text=text, env=env)
    if check and done.returncode != 0:
        raise RuntimeError(f"git {args}: {done.stderr}")
    return done.stdout


class Repo:
    """A bare repository; objects are written as they are given, checked by nobody."""

    def __init__(self, path):
        self.path, self.clock, self.tip = path, 1_500_000_000, None
        subprocess.run(["git", "init", "-q", "--bare", "--initial-branch=main", path], check=True)

    def put(self, kind, data):
        raw = b"%s %d\0" % (kind.encode(), len(data)) + data
        oid = hashlib.sha1(raw).hexdigest()
        path = f"{self.path}/objects/{oid[:2]}/{oid[2:]}"
        if not os.path.exists(path):
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "wb") as out:
                out.write(zlib.compress(raw, 1))
        return oid

    def raw_tree(self, entries):
        """Entries (mode, name, id), in the order given."""
        return self.put("tree", b"".join(mode.encode() + b" " + name + b"\0" + bytes.fromhex(oid)
                                         for mode, name, oid in entries))

    def tree(self, files):
        """Files: {path: (mode, bytes, or an id as str)}."""
        here, below = [], {}
        for path, (mode, content) in files.items():
            path = path if isinstance(path, bytes) else path.encode()
            first, slash, rest = path.partition(b"/")
            if slash:
                below.setdefault(first, {})[rest] = (mode, content)
            else:
                oid = content if isinstance(content, str) else self.put("blob", content)
                here.append((mode, first, oid))
        here += [("40000", name, self.tree(inside)) for name, inside in below.items()]
        here.sort(key=lambda e: e[1] + (b"/" if e[0] == "40000" else b""))
        return self.raw_tree(here)

    def commit(self, files, message=b"a commit\n", parents=None, headers=b"", author=None, committer=None):
        """Files as for tree(), or a tree's id."""
        tree = files if isinstance(files, str) else self.tree(files)
        parents = ([self.tip] if self.tip else []) if parents is None else parents
        self.clock += 61
        author = author or b"Ada Byron <ada@example.org> %d +0230" % self.clock
        committer = committer or b"Bo Li <bo@example.org> %d -0700" % (self.clock + 7)
        raw = b"tree " + tree.encode() + b"\n" + b"".join(b"parent " + p.encode() + b"\n" for p in parents)
        raw += b"author " + author + b"\ncommitter " + committer + b"\n" + headers + b"\n" + message
        self.tip = self.put("commit", raw)
        with open(f"{self.path}/refs/heads/main", "w") as ref:
            ref.write(self.tip + "\n")
        return self.tip

    def first_parents(self):
        return git(self.path, "rev-list", "--first-parent", "--reverse", "main").split()


def mic(server, *args, check=True):
    env = {**os.environ, "MIC_URL": server.url, "MIC_AUTHOR": "importer"}
    done = subprocess.run([forge.program("mic"), *args], capture_output=True, env=env, timeout=300)
    if check and done.returncode != 0:
        raise RuntimeError(f"mic {args} gave {done.returncode}: {done.stderr.decode()}")
    return done


def import_git(server, repo, project, *args):
    return json.loads(mic(server, "--json", "import", "git", repo.path, project, *args).stdout)


def export_git(server, project, directory, *args):
    return json.loads(mic(server, "--json", "export", "git", project, directory, *args).stdout)


def trees(path, ref="HEAD"):
    """The trees of a first-parent history, oldest first."""
    return git(path, "log", "--first-parent", "--reverse", "--format=%T", ref).split()


def attributes_of(server, project, entry):
    """Of a landed session, as bytes."""
    session = request(server.port, "GET", f"/projects/{project}/sessions/{entry['session']}").json
    return {name: base64.b64decode(value["base64"]) if "base64" in value else value["text"].encode()
            for name, value in session["attributes"].items()}


def round_trip(server, repo, directory, project):
    """Imports and exports; the ids must be the same."""
    n = len(repo.first_parents())
    report = import_git(server, repo, project)
    assert report["commits"] == n and report["position"] == n and not report["resumed"], report
    assert sum(report["left_out"].values()) == 0, report
    out = f"{directory}/out-{project}"
    exported = export_git(server, project, out)
    assert exported["commits"] == n and exported["renamed"] == 0, exported
    assert git(out, "rev-parse", "HEAD").strip() == repo.tip
    assert git(out, "rev-list", "--reverse", "HEAD").split() == repo.first_parents()
    fsck = subprocess.run(["git", "-C", out, "fsck", "--no-dangling"], capture_output=True, text=True)
    assert "missing" not in fsck.stdout + fsck.stderr and "broken" not in fsck.stdout, fsck
    assert git(out, "status", "--porcelain") == ""
    return out


# ---- what comes out as it went in ------------------------------------------------------------


def states():
    """Trees one after the other, each change of another kind."""
    every = bytes(range(256))
    files = {"empty": (FILE, b""), "text": (FILE, b"one\ntwo\n"), "binary": (FILE, every * 9 + b"\0"),
             "run.sh": (EXEC, b"#!/bin/sh\n"), "link": (LINK, b"text"), "dangling": (LINK, b"../../else/where")}
    yield dict(files)
    files["d/e/f/deep"] = (FILE, b"deep")
    files["text"] = (FILE, b"one\n2\n")
    yield dict(files)
    files["text"] = (EXEC, b"one\n2\n")                       # only the mode
    yield dict(files)
    files["link"] = (FILE, b"text")                           # a link becomes a file with the same bytes
    yield dict(files)
    files["link"] = (LINK, b"text")
    yield dict(files)
    yield dict(files)                                         # nothing at all
    files["moved/run"] = (FILE, files.pop("run.sh")[1])       # renamed, and not executable any more
    yield dict(files)
    files["empty"], files["text"] = files["text"], files["empty"]  # swapped
    yield dict(files)
    content = files.pop("binary")
    files["binary/now/below"] = content                       # a file becomes a directory that has it
    yield dict(files)
    files["binary"] = files.pop("binary/now/below")           # and back
    yield dict(files)
    files["binary/x"] = (FILE, b"x")
    del files["binary"]
    yield dict(files)
    del files["binary/x"]
    files["binary"] = (LINK, b"d")                            # a directory becomes a link
    yield dict(files)
    del files["text"]
    yield dict(files)
    files["text"] = (FILE, b"one\ntwo\n")                     # deleted and added again
    yield dict(files)
    for name in ("copy1", "copy2", "d/copy3"):
        files[name] = files["text"]
    yield dict(files)
    del files["copy1"], files["copy2"]
    files["copy4"] = files["copy5"] = files["copy6"] = files["text"]  # more come than go
    yield dict(files)
    files["mit Leerzeichen/ünïcode \u2603"] = (FILE, b"snow")
    files["quote\"back\\slash'"] = (FILE, b"q")
    files["n" * 255 + "/" + "m" * 255] = (FILE, b"long names")
    files["-dash"] = files["a.b"] = files["a-b"] = files["a/b"] = files["a0"] = (FILE, b"order")
    yield dict(files)
    files["/".join("x" for _ in range(300))] = (FILE, b"far down")
    yield dict(files)
    files["64k"] = (FILE, b"x" * 65536)
    files["64k+1"] = (FILE, b"y" * 65537)
    files["64k random"] = (FILE, random.Random(1).randbytes(65536))
    yield dict(files)
    files["large"] = (FILE, random.Random(2).randbytes(3_500_000))
    yield dict(files)
    files["large again"] = files["large"]
    files["large"] = (EXEC, files["large"][1])
    yield dict(files)
    files["elsewhere/large"] = files.pop("large again")
    yield dict(files)
    for i in range(3000):
        files[f"many/file{i}"] = (FILE, b"%d\n" % i)
    yield dict(files)
    for i in range(0, 3000, 2):
        files[f"many/file{i}"] = (FILE, b"changed %d\n" % i)
    yield dict(files)
    yield {}                                                  # nothing is left
    yield {}
    yield {k: v for k, v in files.items() if not k.startswith("many")}


def test_trees_come_out_with_their_ids(directory):
    with Server("mic-forge", f"{directory}/bucket") as server:
        repo = Repo(f"{directory}/repo")
        for number, files in enumerate(states()):
            repo.commit(files, b"state %d\n" % number)
        out = round_trip(server, repo, directory, "states")
        assert os.readlink(f"{out}/link") == "text" and os.path.getsize(f"{out}/elsewhere/large") == 3_500_000
        assert os.access(f"{out}/large", os.X_OK) and not os.access(f"{out}/moved/run", os.X_OK)
        log = request(server.port, "GET", "/projects/states/log?limit=100").json["entries"]
        renames = [e["path"] for entry in log for e in entry["effects"] if e["op"] == "moved"]
        assert "run.sh" in renames and "large again" in renames, renames


MESSAGES = [
    (b"plain\n", "plain"),
    (b"no newline at the end", "no newline at the end"),
    (b"", ""),
    (b"\n", ""),
    (b"\n\nafter blank lines\n\nbody\n", "after blank lines"),
    (b"two lines\nof one subject\n\nbody\n\n\n", "two lines of one subject"),
    (b"carriage return\r\n\r\nbody\r\n", "carriage return"),
    (b"tabs\tand \x01control\n", "tabs and  control"),
    ("ünïcödé ☃\n".encode(), "ünïcödé ☃"),
    (b"latin \xe4\xf6\xfc\n", "latin äöü"),
    (b"#!text that looks like a header: parent deadbeef\ntree abc\n", None),
    (b"x" * 300_000, "x" * 65536),
]


def test_commits_come_out_with_their_ids(directory):
    signature = (b"gpgsig -----BEGIN PGP SIGNATURE-----\n \n iQEzBAABCAAdFiEE\n  indented\n =abcd\n"
                 b" -----END PGP SIGNATURE-----\n")
    with Server("mic-forge", f"{directory}/bucket") as server:
        repo = Repo(f"{directory}/repo")
        for number, (message, _) in enumerate(MESSAGES):
            repo.commit({"f": (FILE, b"%d" % number)}, message)
        encoded = repo.commit({"f": (FILE, b"e")}, b"gr\xfc\xdfe\n", headers=b"encoding ISO-8859-1\n")
        repo.commit({"f": (FILE, b"k")}, b"\xf0\xd2\xc9\n", headers=b"encoding KOI8-R\n")
        repo.commit({"f": (FILE, b"s")}, b"signed\n", headers=signature)
        repo.commit({"f": (FILE, b"t")}, b"signed, and more\n",
                    headers=signature + b"x-unknown some value\n continued\nHG:extra a\0b\n")
        repo.commit({"f": (FILE, b"u")}, b"who\n", author=b"nobody <> 0 +0000", committer=b"  <a@b> <c 12 +9999")
        repo.commit({"f": (FILE, b"v")}, b"a zero \0 in it\n")
        repo.commit({"f": (FILE, b"w")}, b"long\n\n" + b"line of text\n" * 200_000)  # several attributes
        round_trip(server, repo, directory, "messages")
        log = request(server.port, "GET", "/projects/messages/log?limit=100").json["entries"]
        goals = [entry["goal"] for entry in reversed(log)]
        for goal, (_, expected) in zip(goals, MESSAGES):
            assert expected is None or goal == expected, (goal[:99], expected[:99])
        assert goals[len(MESSAGES)] == "grüße" and goals[len(MESSAGES) + 1] == "\ufffd" * 3, goals[len(MESSAGES):]
        assert all(entry["author"] == "importer" for entry in log)
        attributes = attributes_of(server, "messages", log[-1 - len(MESSAGES)])
        assert attributes["git.id"] == encoded.encode() and b"gr\xfc\xdfe\n" in attributes["git.commit"], attributes


def test_merges_become_one_landing(directory):
    with Server("mic-forge", f"{directory}/bucket") as server:
        repo = Repo(f"{directory}/repo")
        files = {"base": (FILE, b"base")}
        root = repo.commit(files)
        side = repo.commit({**files, "side": (FILE, b"side")}, b"side\n", parents=[root])
        other = repo.commit({**files, "other": (FILE, b"other")}, b"other root\n", parents=[])
        files["main"] = (FILE, b"main")
        main = repo.commit(files, b"main\n", parents=[root])
        files.update({"side": (FILE, b"side"), "other": (FILE, b"resolved")})
        sig = b"gpgsig -----BEGIN\n x\n -----END\n"
        tag = b"mergetag object " + side.encode() + b"\n type commit\n tag v1\n \n text\n"
        repo.commit(files, b"octopus\n", parents=[main, side, other], headers=tag + sig + b"x-kept yes\n")
        del files["base"]
        repo.commit(files, b"after\n", headers=sig)
        report = import_git(server, repo, "merges")
        assert report["commits"] == 4 and report["position"] == 4, report
        out = f"{directory}/out"
        assert export_git(server, "merges", out, "--bare", "--branch", "trunk")["renamed"] == 2
        assert git(out, "rev-parse", "--is-bare-repository").strip() == "true"
        assert trees(out, "trunk") == trees(repo.path, "main")
        shown = [git(out, "cat-file", "-p", oid) for oid in git(out, "rev-list", "--reverse", "trunk").split()]
        assert git(out, "rev-list", "--reverse", "trunk").split()[:2] == [root, main]
        assert shown[2].count("parent ") == 1 and "octopus" in shown[2] and "x-kept yes" in shown[2]
        assert not any(word in text for text in shown[2:] for word in ("gpgsig", "mergetag")), shown
        attributes = attributes_of(server, "merges", request(server.port, "GET", "/projects/merges/log").json["entries"][1])
        assert attributes["git.parents"].decode().split() == [main, side, other]
        assert b"gpgsig" in attributes["git.commit"] and b"mergetag" in attributes["git.commit"]


# ---- what the forge cannot hold --------------------------------------------------------------


def test_what_cannot_be_held_is_named(directory):
    with Server("mic-forge", f"{directory}/bucket") as server:
        repo = Repo(f"{directory}/repo")
        blob, other = repo.put("blob", b"a"), repo.put("blob", b"b")
        good = {"kept": (FILE, b"kept")}
        repo.commit(good, b"fine\n")
        repo.commit({**good, "sub": (SUBMODULE, "12" * 20), "d/sub": (SUBMODULE, "13" * 20)}, b"submodules\n")
        repo.commit({**good, "sub": (SUBMODULE, "14" * 20), "d/x": (FILE, b"x")}, b"moved submodule\n")
        repo.commit({**good, "sub": (FILE, b"now a file")}, b"file for submodule\n")
        repo.commit({**good, b".GIT/config": (FILE, b"x"), b"bad\xff": (FILE, b"x"), b"new\nline": (FILE, b"x"),
                     b".mic/x": (FILE, b"x"), b"d/.mic/x": (FILE, b"held"), b"e/..": (FILE, b"x")}, b"paths\n")
        odd = repo.raw_tree([("100664", b"group", blob), ("100600", b"private", blob), ("100744", b"run", blob),
                             ("100755", b"usual", blob)])
        repo.commit(odd, b"modes\n")
        repo.commit({"group": (FILE, b"a"), "private": (FILE, b"a"), "run": (EXEC, b"a"), "usual": (EXEC, b"a")},
                    b"modes set right\n")
        inner = repo.raw_tree([(FILE, b"x", blob)])
        repo.commit(repo.raw_tree([(FILE, b"a", blob), (FILE, b"a-b", blob), ("40000", b"a", inner)]), b"clash\n")
        repo.commit(repo.raw_tree([(FILE, b"a-b", other), ("40000", b"a", inner)]), b"the directory stays\n")
        repo.commit(repo.raw_tree([(FILE, b"a", other), (FILE, b"a", blob)]), b"twice\n")
        repo.commit(repo.raw_tree([("40000", b"empty", EMPTY_TREE), ("140000", b"socket", blob), (FILE, b"z", blob)]),
                    b"empty and unknown\n")
        repo.commit(repo.raw_tree([("040000", b"padded", inner)]), b"padded mode\n")
        repo.commit(repo.raw_tree([(FILE, b"z", blob), (FILE, b"b", other), ("40000", b"c", inner)]), b"not sorted\n")
        repo.commit(good, b"fine again\n")
        done = mic(server, "--json", "import", "git", repo.path, "odd")
        report = json.loads(done.stdout)
        assert report["commits"] == len(repo.first_parents()), report
        assert report["left_out"] == {"submodule": 2, "path": 5, "kind": 1, "clash": 1, "empty_directory": 1,
                                      "mode": 4}, report
        named = {(item["path"], item["why"]) for item in report["left_out_paths"]}
        expected = {("sub", "submodule"), ("d/sub", "submodule"), (".GIT", "path"), ("bad\\377", "path"),
                    ("new\\012line", "path"), (".mic", "path"), ("e/..", "path"), ("group", "mode"),
                    ("private", "mode"), ("run", "mode"), ("padded", "mode"), ("a", "clash"),
                    ("empty", "empty_directory"), ("socket", "kind")}
        assert named == expected, named ^ expected
        first = next(item for item in report["left_out_paths"] if item["path"] == "sub")
        assert first["commit"] == repo.first_parents()[1]
        for path, _ in expected:
            assert path in done.stderr.decode(), (path, done.stderr)
        out = f"{directory}/out"
        export_git(server, "odd", out)
        before, after = trees(repo.path, "main"), trees(out)
        same = [i for i in range(len(before)) if before[i] == after[i]]
        assert same == [0, 3, 6, 8, 13], same
        at = git(out, "rev-list", "--reverse", "HEAD").split()
        assert git(out, "ls-tree", "-r", "--name-only", at[4]).split() == ["d/.mic/x", "kept"]
        assert git(out, "ls-tree", "-r", at[7]).split() == f"100644 blob {blob} a 100644 blob {blob} a-b".split()
        assert git(out, "ls-tree", "-r", "--name-only", at[9]).split() == ["a"]
        assert git(out, "ls-tree", "-r", "--name-only", at[12]).split() == ["b", "c/x", "z"]
        attributes = attributes_of(server, "odd", request(server.port, "GET", "/projects/odd/log?limit=100").json["entries"][-2])
        assert b"sub\tis a submodule" in attributes["git.left-out"], attributes


# ---- going on --------------------------------------------------------------------------------


def generated(directory, commits, seed=7):
    path = f"{directory}/generated"
    script = os.path.join(forge.ROOT, "ops/bench/make_history.py")
    done = subprocess.run([sys.executable, script, path, "--commits", str(commits), "--seed", str(seed)],
                          capture_output=True, text=True, check=True)
    repo = Repo.__new__(Repo)
    repo.path, repo.tip = path, done.stdout.strip()
    return repo


def check_whole(server, repo, directory, project):
    """Each commit landed once, in order."""
    want = repo.first_parents()
    head = request(server.port, "GET", f"/projects/{project}/head").json
    assert head["position"] == len(want), (head, len(want))
    out = f"{directory}/out"
    report = export_git(server, project, out, "--bare")
    assert report["commit"] == repo.tip and report["renamed"] == 0, report


def start_import(server, repo, project):
    env = {**os.environ, "MIC_URL": server.url, "MIC_AUTHOR": "importer"}
    return subprocess.Popen([forge.program("mic"), "import", "git", repo.path, project], env=env,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def test_killed_import_goes_on(directory):
    rng = random.Random(SEED)
    repo = generated(directory, 4000)
    with Server("mic-forge", f"{directory}/bucket") as server:
        kills, positions = 0, []
        for _ in range(60):
            process = start_import(server, repo, "killed")
            try:
                process.wait(timeout=0.02 + rng.random() * 0.2)
            except subprocess.TimeoutExpired:
                process.kill()
                kills += 1
            _, stderr = process.communicate()
            assert process.returncode in (0, -9), stderr
            if process.returncode == 0:
                break
            answer = request(server.port, "GET", "/projects/killed/head")
            positions.append(answer.json["position"] if answer.status == 200 else 0)
        print(f"killed {kills} times, at positions {positions}")
        assert kills > 0 and positions == sorted(positions)
        import_git(server, repo, "killed")
        check_whole(server, repo, directory, "killed")
        again = import_git(server, repo, "killed")
        assert again["commits"] == 0 and again["resumed"] and again["position"] == 4000, again


def test_killed_forge_comes_back(directory):
    """An import that is under way outlives the forge, and takes up answers that were lost."""
    rng = random.Random(SEED)
    repo = generated(directory, 4000)
    port, kills = forge.free_port(), 0
    server = Server("mic-forge", f"{directory}/bucket", port=port)
    assert request(port, "POST", "/projects", {"handle": "phoenix"}).status == 201
    process = start_import(server, repo, "phoenix")
    while process.poll() is None and request(port, "GET", "/projects/phoenix/head").json["position"] == 0:
        time.sleep(0.01)
    while process.poll() is None and kills < 6:
        server.kill()
        kills += 1
        server = Server("mic-forge", f"{directory}/bucket", port=port)
        time.sleep(0.05 + rng.random() * 0.15)
    with server:
        _, stderr = process.communicate(timeout=120)
        print(f"the forge was killed {kills} times")
        assert process.returncode == 0 and kills > 0, stderr
        check_whole(server, repo, directory, "phoenix")


def test_imports_at_once(directory):
    """Imports that run at the same time land each commit once."""
    repo = generated(directory, 2000)
    with Server("mic-forge", f"{directory}/bucket") as server:
        assert request(server.port, "POST", "/projects", {"handle": "twice"}).status == 201
        for _ in range(3):
            at_once = [start_import(server, repo, "twice") for _ in range(3)]
            for process in at_once:
                _, stderr = process.communicate(timeout=120)
                assert process.returncode == 0, stderr
        check_whole(server, repo, directory, "twice")


def test_history_that_grows(directory):
    with Server("mic-forge", f"{directory}/bucket") as server:
        repo = Repo(f"{directory}/repo")
        files = {"a": (FILE, b"1"), "sub": (SUBMODULE, "12" * 20)}
        for i in range(3):
            files["a"] = (FILE, b"%d" % i)
            repo.commit(files)
        assert import_git(server, repo, "grows")["commits"] == 3
        assert land(server.port, "grows", [write("by-hand", "agent\n")], goal="by hand", author="eve").status == 200
        files["b"], files["a"] = files["a"], (EXEC, files["a"][1])
        repo.commit(files)
        files["a"] = (FILE, b"9")
        repo.commit(files)
        report = import_git(server, repo, "grows")
        assert report["resumed"] and report["commits"] == 2 and report["position"] == 6, report
        assert report["left_out"]["submodule"] == 1, report
        old = repo.tip
        repo.commit(files, parents=[repo.first_parents()[0]])
        done = mic(server, "import", "git", repo.path, "grows", check=False)
        assert done.returncode == 3 and old in done.stderr.decode(), done
        assert request(server.port, "GET", "/projects/grows/head").json["position"] == 6


def test_conflict_and_again(directory):
    """A commit that does not land is named; when the way is free it lands, though its session is closed."""
    with Server("mic-forge", f"{directory}/bucket") as server:
        repo = Repo(f"{directory}/repo")
        commits = [repo.commit({"a": (FILE, b"%d" % i), **({"b": (FILE, b"b%d" % i)} if i > 2 else {})})
                   for i in range(6)]
        assert request(server.port, "POST", "/projects", {"handle": "way"}).status == 201
        assert land(server.port, "way", [write("b", "in the way")], author="eve").status == 200
        for _ in range(3):
            done = mic(server, "import", "git", repo.path, "way", check=False)
            assert done.returncode == 3 and commits[3] in done.stderr.decode() and " b " in done.stderr.decode(), done
            assert request(server.port, "GET", "/projects/way/head").json["position"] == 4
        assert land(server.port, "way", [{"op": "delete", "path": "b"}], author="eve").status == 200
        report = import_git(server, repo, "way")
        assert report["commits"] == 3 and report["position"] == 8, report
        assert import_git(server, repo, "way")["commits"] == 0
        out = f"{directory}/out"
        export_git(server, "way", out)
        assert trees(out)[-1] == trees(repo.path, "main")[-1]
        shown = git(out, "log", "--format=%an|%ae|%s").split("\n")
        assert shown[3] == "eve||a change" and shown[0] == "Ada Byron|ada@example.org|a commit", shown


# ---- the rest --------------------------------------------------------------------------------


def test_landings_of_agents_come_out(directory):
    with Server("mic-forge", f"{directory}/bucket") as server:
        assert request(server.port, "POST", "/projects", {"handle": "agents"}).status == 201
        out = f"{directory}/none"
        assert export_git(server, "agents", out)["commits"] == 0
        assert git(out, "rev-list", "--all") == ""
        land(server.port, "agents", [write("d/a", "1"), write("x", "2")], goal="Goal of two\nlines ü", author="a<b> c")
        land(server.port, "agents", [write("x", "3", base=0, seen=None)], author="loser")  # a conflict: no commit
        land(server.port, "agents", [{"op": "rename", "path": "d/a", "target": "e/b"}], author="m@example.org")
        out = f"{directory}/out"
        assert export_git(server, "agents", out)["commits"] == 2
        assert git(out, "log", "--format=%an|%ae|%B%x00").split("\0\n")[:2] == [
            "m@example.org|m@example.org|a change\n", "a_b_ c||Goal of two\nlines ü\n"]
        assert git(out, "ls-files").split() == ["e/b", "x"]
        assert abs(int(git(out, "log", "-1", "--format=%at")) - time.time()) < 3600
        subprocess.run(["git", "-C", out, "fsck", "--strict"], check=True, capture_output=True)


def test_one_large_commit(directory):
    """More contents than one request can have: the rest goes up by itself."""
    with Server("mic-forge", f"{directory}/bucket") as server:
        repo, rng = Repo(f"{directory}/repo"), random.Random(3)
        files = {f"d{i % 20}/f{i}": (FILE, rng.randbytes(60_000)) for i in range(700)}
        repo.commit(files)
        files["d0/f0"] = (FILE, b"small")
        repo.commit(files)
        round_trip(server, repo, directory, "large")


def test_refusals(directory):
    with Server("mic-forge", f"{directory}/bucket") as server:
        repo = Repo(f"{directory}/repo")
        assert import_git(server, repo, "empty")["commits"] == 0
        assert mic(server, "import", "git", f"{directory}/nowhere", "empty", check=False).returncode == 1
        repo.commit({"a": (FILE, b"a")})
        tip = repo.commit({"b": (FILE, b"b")})
        done = mic(server, "import", "git", repo.path, "empty", "--ref", "no-such-ref", check=False)
        assert done.returncode == 1 and b"no-such-ref" in done.stderr, done
        assert import_git(server, repo, "empty", "--ref", "main~1")["commits"] == 1
        assert import_git(server, repo, "empty", "--ref", tip[:12])["commits"] == 1
        os.makedirs(f"{directory}/full/of")
        done = mic(server, "export", "git", "empty", f"{directory}/full", check=False)
        assert done.returncode != 0 and b"not empty" in done.stderr, done
        assert mic(server, "export", "git", "nobody", f"{directory}/x", check=False).returncode == 1
        assert not os.path.exists(f"{directory}/x")
        # A damaged repository: the blob of a commit is missing.
        repo.commit({"b": (FILE, "ab" * 20)})
        done = mic(server, "import", "git", repo.path, "empty", check=False)
        assert done.returncode == 1 and repo.tip.encode() in done.stderr, done


def test_shallow_clone(directory):
    with Server("mic-forge", f"{directory}/bucket") as server:
        repo = Repo(f"{directory}/repo")
        for i in range(5):
            repo.commit({"a": (FILE, b"%d" % i), f"f{i}": (FILE, b"x")})
        clone = f"{directory}/clone"
        subprocess.run(["git", "clone", "-q", "--depth", "2", f"file://{repo.path}", clone], check=True)
        report = json.loads(mic(server, "--json", "import", "git", clone, "shallow").stdout)
        assert report["commits"] == 2, report
        out = f"{directory}/out"
        export_git(server, "shallow", out)
        assert trees(out) == trees(repo.path, "main")[3:]


def test_long_history(directory):
    if not forge.LONG:
        return "20,000 commits; set MIC_LONG=1"
    repo = generated(directory, 20000, seed=1)
    with Server("mic-forge", f"{directory}/bucket") as server:
        assert import_git(server, repo, "long")["commits"] == 20000
        check_whole(server, repo, directory, "long")
        print(f"mic-forge took {server.rss_peak_kib() >> 10} MiB")


if __name__ == "__main__":
    print(f"seed {SEED} (MIC_SEED)", flush=True)
    forge.main([test_trees_come_out_with_their_ids, test_commits_come_out_with_their_ids,
                test_merges_become_one_landing, test_what_cannot_be_held_is_named, test_killed_import_goes_on,
                test_killed_forge_comes_back, test_imports_at_once, test_history_that_grows,
                test_conflict_and_again, test_landings_of_agents_come_out, test_one_large_commit, test_refusals,
                test_shallow_clone, test_long_history])
