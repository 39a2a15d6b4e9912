#!/usr/bin/env python3
"""Makes a git repository with a generated history: the same commits for the same arguments, on every machine.

    ops/bench/make_history.py DIR [--commits N] [--seed N] [--files N]

A commit changes, adds or deletes one to four small text files in a tree of directories, as small commits of
people do; now and then a file moves or becomes executable. Authors and dates are made up, one commit a minute.
The repository at DIR (which must not be there) is bare, has one branch, main, and one pack. The id of its
last commit is printed."""

import argparse
import os
import random
import subprocess
import sys

START = 1_600_000_000
PEOPLE = [("Ada Byron", "ada"), ("Bo Li", "bo"), ("Chidi Eze", "chidi"), ("Dörte Weiß", "doerte"), ("Eve", "eve")]
WORDS = ("the a of to queue landing page head tree session store record hash write read file path guard seen base "
         "client server batch chain footer object blob chunk range cache lease clock order merge split test fix "
         "add move drop keep check limit error value field name count offset length bytes").split()


class History:
    def __init__(self, out, seed, files):
        self.out, self.rng, self.goal = out, random.Random(seed), files
        self.files = []      # [path, lines, executable]
        self.paths = set()

    def text(self, words):
        return " ".join(self.rng.choice(WORDS) for _ in range(words))

    def new_path(self):
        while True:
            depth = self.rng.choice((1, 2, 2, 3, 3, 4))
            parts = [f"{self.rng.choice(WORDS)}{self.rng.randrange(6)}" for _ in range(depth - 1)]
            path = "/".join(parts + [f"{self.rng.choice(WORDS)}_{self.rng.randrange(1000)}.txt"])
            if path not in self.paths:
                return path

    def data(self, data):
        self.out.write(b"data %d\n" % len(data))
        self.out.write(data)
        self.out.write(b"\n")

    def write(self, file):
        path, lines, executable = file
        mode = b"100755" if executable else b"100644"
        self.out.write(b"M %s inline %s\n" % (mode, path.encode()))
        self.data(("\n".join(lines) + "\n").encode())

    def add(self):
        file = [self.new_path(), [self.text(self.rng.randrange(4, 12)) for _ in range(self.rng.randrange(5, 60))], False]
        self.files.append(file)
        self.paths.add(file[0])
        self.write(file)

    def change(self, file):
        lines = file[1]
        for _ in range(self.rng.randrange(1, 5)):
            at = self.rng.randrange(len(lines))
            kind = self.rng.random()
            if kind < 0.5:
                lines[at] = self.text(8)
            elif kind < 0.8 or len(lines) < 4:
                lines.insert(at, self.text(8))
            else:
                del lines[at]
        self.write(file)

    def remove(self, index):
        path = self.files[index][0]
        self.files[index] = self.files[-1]
        self.files.pop()
        self.paths.discard(path)
        self.out.write(b"D %s\n" % path.encode())

    def move(self, index):
        file = self.files[index]
        old, file[0] = file[0], self.new_path()
        self.paths.discard(old)
        self.paths.add(file[0])
        self.out.write(b"D %s\n" % old.encode())
        self.write(file)

    def step(self):
        touched = set()
        for _ in range(self.rng.choice((1, 1, 1, 2, 2, 3, 4))):
            kind = self.rng.random()
            if len(self.files) < 20 or (kind < 0.2 and len(self.files) < self.goal):
                self.add()
                touched.add(self.files[-1][0])
                continue
            index = self.rng.randrange(len(self.files))
            file = self.files[index]
            if file[0] in touched:
                continue
            if kind > 0.97:
                touched.add(file[0])
                self.remove(index)
                continue
            if kind > 0.95:
                self.move(index)
            elif kind > 0.94:
                file[2] = not file[2]
                self.write(file)
            else:
                self.change(file)
            touched.add(file[0])

    def commit(self, number):
        name, mail = self.rng.choice(PEOPLE)
        who = f"{name} <{mail}@example.org> {START + 60 * number} +0{self.rng.randrange(3)}00".encode()
        self.out.write(b"commit refs/heads/main\nauthor %s\ncommitter %s\n" % (who, who))
        body = "" if self.rng.random() < 0.5 else "\n\n" + self.text(30)
        self.data((self.text(6) + body + "\n").encode())
        self.step()
        self.out.write(b"\n")


def main():
    parser = argparse.ArgumentParser(description="Makes a git repository with a generated history.")
    parser.add_argument("dir")
    parser.add_argument("--commits", type=int, default=20000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--files", type=int, default=2000, help="about how many the tree has at most")
    args = parser.parse_args()
    if os.path.exists(args.dir):
        sys.exit(f"{args.dir} is there already")
    subprocess.run(["git", "init", "-q", "--bare", "--initial-branch=main", args.dir], check=True)
    git = subprocess.Popen(["git", "-C", args.dir, "fast-import", "--quiet"], stdin=subprocess.PIPE)
    history = History(git.stdin, args.seed, args.files)
    for number in range(args.commits):
        history.commit(number)
    git.stdin.close()
    if git.wait() != 0:
        sys.exit("git fast-import failed")
    subprocess.run(["git", "-C", args.dir, "rev-parse", "main"], check=True)


if __name__ == "__main__":
    main()
