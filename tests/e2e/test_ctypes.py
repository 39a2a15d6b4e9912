#!/usr/bin/env python3
"""Uses libmic_core from another language: hashes a blob, builds and hashes a tree page, decodes a session.

What the library says is held against what Python computes from the tables in the headers, so this
is a second implementation of these formats, too. MIC_BUILD names the build, build/release if unset.
The last line counts: N passed, N failed, N skipped.
"""
import ctypes
import hashlib
import os
import struct
import sys
import traceback
from ctypes import POINTER, Structure, Union, byref, c_bool, c_char_p, c_int, c_size_t
from ctypes import c_uint8, c_uint16, c_uint32, c_uint64, c_void_p, sizeof

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

ERR_CORRUPT = -3
FILE, LINK, DIR = 1, 2, 3
PLACE_RAW, PLACE_PAGE = 1, 5
START, OPERATION, GUARD, DECISION, CONVERSATION, REBASE = 1, 2, 3, 4, 5, 6


class Bytes(Structure):
    _fields_ = [("data", c_void_p), ("len", c_size_t)]

    def __bytes__(self):
        return ctypes.string_at(self.data, self.len) if self.len else b""


class Hash(Structure):
    _fields_ = [("b", c_uint8 * 32)]

    def __bytes__(self):
        return bytes(self.b)


class Id16(Structure):
    _fields_ = [("b", c_uint8 * 16)]

    def __bytes__(self):
        return bytes(self.b)


class Buf(Structure):
    _fields_ = [("data", c_void_p), ("len", c_size_t), ("cap", c_size_t)]

    def __bytes__(self):
        return ctypes.string_at(self.data, self.len) if self.len else b""


class Arena(Structure):
    _fields_ = [("blocks", c_void_p), ("used", c_size_t)]


class Location(Structure):
    _fields_ = [("place", c_int), ("tree", Hash), ("offset", c_uint32), ("len", c_uint32), ("check", Hash)]


class Entry(Structure):
    _fields_ = [("name", Bytes), ("kind", c_int), ("mode", c_uint16), ("size", c_uint64), ("files", c_uint64),
                ("hash", Hash), ("stamp", c_uint64), ("where", Location)]


class Page(Structure):
    _fields_ = [("level", c_uint8), ("n", c_uint32), ("entries", POINTER(Entry))]


class Seen(Structure):
    _fields_ = [("said", c_bool), ("kind", c_int), ("mode", c_uint16), ("hash", Hash)]


class Content(Structure):
    _fields_ = [("kind", c_int), ("mode", c_uint16), ("size", c_uint64), ("hash", Hash), ("carrier", c_int),
                ("data", Bytes), ("offset", c_uint32), ("len", c_uint32), ("manifest", Hash)]


class Attribute(Structure):
    _fields_ = [("name", Bytes), ("value", Bytes)]


class Start(Structure):
    _fields_ = [("key", Bytes), ("base", c_uint64), ("author", Bytes), ("goal", Bytes),
                ("attributes", POINTER(Attribute)), ("n_attributes", c_uint32)]


class Operation(Structure):
    _fields_ = [("op", c_int), ("base", c_uint64), ("path", Bytes), ("seen", Seen), ("target", Bytes),
                ("target_seen", Seen), ("content", Content)]


class Guard(Structure):
    _fields_ = [("base", c_uint64), ("path", Bytes), ("seen", Seen)]


class Turn(Structure):
    _fields_ = [("role", Bytes), ("text", Bytes)]


class Land(Structure):
    _fields_ = [("whole", c_bool), ("items", c_void_p), ("n", c_uint32)]


class Payload(Union):
    _fields_ = [("start", Start), ("operation", Operation), ("guard", Guard), ("decision", Bytes),
                ("conversation", Turn), ("rebase", c_uint64), ("abandon", Bytes), ("land", Land)]


class Record(Structure):
    _anonymous_ = ["payload"]
    _fields_ = [("id", Id16), ("hlc", c_uint64), ("kind", c_int), ("payload", Payload)]


class Session(Structure):
    _fields_ = [("id", Id16), ("state", c_int), ("project", Id16), ("owner", Id16), ("base", c_uint64),
                ("hlc_created", c_uint64), ("hlc_updated", c_uint64), ("position", c_uint64),
                ("version", c_uint64), ("records", POINTER(Record)), ("n_records", c_size_t)]


def load():
    build = os.path.join(ROOT, os.environ.get("MIC_BUILD", "build/release"))
    path = os.path.join(build, "libmic_core.so")
    if not os.path.exists(path):
        path = os.path.join(build, "lib", "libmic_core.so")
    lib = ctypes.CDLL(path)
    lib.sha256.restype = Hash
    lib.sha256.argtypes = [Bytes]
    lib.page_content_hash.restype = Hash
    lib.page_content_hash.argtypes = [c_uint8, POINTER(Entry), c_size_t]
    lib.page_hash.restype = Hash
    lib.page_hash.argtypes = [Bytes]
    lib.page_encode.argtypes = [POINTER(Page), POINTER(Buf)]
    lib.page_decode.argtypes = [Bytes, POINTER(Hash), POINTER(Arena), POINTER(Page)]
    lib.page_find.restype = POINTER(Entry)
    lib.page_find.argtypes = [POINTER(Page), Bytes]
    lib.session_decode.argtypes = [Bytes, POINTER(Arena), POINTER(Session)]
    lib.session_encode.argtypes = [POINTER(Session), POINTER(Buf)]
    lib.path_check.argtypes = [Bytes, POINTER(c_char_p)]
    for release in (lib.buf_release, lib.arena_release):
        release.argtypes, release.restype = [c_void_p], None
    lib.session_encode.restype = None
    return lib


KEPT = []  # what C points into must live as long


def slice_of(data):
    room = ctypes.create_string_buffer(data, max(len(data), 1))
    KEPT.append(room)
    return Bytes(ctypes.cast(room, c_void_p), len(data))


def hash_of(data):
    return Hash((c_uint8 * 32)(*data))


def sha512_256(prefix, data):
    return hashlib.new("sha512_256", prefix + b"\0" + data).digest()


def golden(noun):
    with open(os.path.join(ROOT, "tests", "golden", noun + ".hex"), encoding="ascii") as f:
        return bytes.fromhex(f.read())


def equal(actual, expected):
    if actual != expected:
        raise AssertionError(f"{actual!r}, not {expected!r}")


def test_blob_hash(lib):
    for data in (b"", b"hello\n", bytes(range(256)) * 4096):
        equal(bytes(lib.sha256(slice_of(data))), hashlib.sha256(data).digest())


def entry(name, kind, mode, size, digest, where, files=0):
    return Entry(slice_of(name), kind, mode, size, files, hash_of(digest), 7, where)


def canonical(level, entries):
    out = struct.pack(">B", level)
    for e in entries:
        name = bytes(e.name)
        out += struct.pack(">BHQ32sB", e.kind, e.mode, e.size, bytes(e.hash), len(name)) + name
    return out


def test_tree_page(lib):
    readme, program = b"# Hello\n", b"#!/bin/sh\n"
    below = (Entry * 1)(entry(b"run", FILE, 0o755, len(program), hashlib.sha256(program).digest(),
                              Location(place=PLACE_RAW, offset=8, len=len(program))))
    sub = lib.page_content_hash(0, below, 1)
    equal(bytes(sub), sha512_256(b"micelio page", canonical(0, below)))
    out = Buf()
    equal(lib.page_encode(byref(Page(0, 1, below)), byref(out)), 0)
    check = lib.page_hash(Bytes(out.data, out.len))
    equal(bytes(check), sha512_256(b"micelio page bytes", bytes(out)))
    root = (Entry * 2)(
        entry(b"README.md", FILE, 0o644, len(readme), hashlib.sha256(readme).digest(),
              Location(place=PLACE_RAW, offset=18, len=len(readme))),
        entry(b"bin", DIR, 0, len(program), bytes(sub),
              Location(place=PLACE_PAGE, offset=26, len=out.len, check=check), files=1))
    top = lib.page_content_hash(0, root, 2)
    equal(bytes(top), sha512_256(b"micelio page", canonical(0, root)))
    lib.buf_release(byref(out))

    equal(lib.page_encode(byref(Page(0, 2, root)), byref(out)), 0)
    encoded = bytes(out)
    lib.buf_release(byref(out))
    equal(encoded[:8], b"MPAG\0\1\0\0")
    arena, page, own = Arena(), Page(), hash_of(b"\x55" * 32)
    equal(lib.page_decode(slice_of(encoded), byref(own), byref(arena), byref(page)), 0)
    equal(page.n, 2)
    found = lib.page_find(byref(page), slice_of(b"bin"))
    equal((found[0].kind, found[0].files, found[0].stamp), (DIR, 1, 7))
    equal(bytes(found[0].where.check), bytes(check))
    equal(bytes(found[0].where.tree), b"\x55" * 32)
    equal(bool(lib.page_find(byref(page), slice_of(b"absent"))), False)
    lib.arena_release(byref(arena))


def test_damaged_page(lib):
    data = bytearray(golden("page"))
    data[-1] ^= 1
    arena, page, own = Arena(), Page(), Hash()
    equal(lib.page_decode(slice_of(bytes(data)), byref(own), byref(arena), byref(page)), ERR_CORRUPT)
    lib.arena_release(byref(arena))


def test_session(lib):
    data = golden("session")
    arena, session = Arena(), Session()
    equal(lib.session_decode(slice_of(data), byref(arena), byref(session)), 0)
    # By the offsets in the header.
    equal(bytes(session.id), data[16:32])
    equal(bytes(session.project), data[33:49])
    numbers = struct.unpack(">5QI", data[65:109])
    equal((session.base, session.hlc_created, session.hlc_updated, session.position, session.version,
           session.n_records), numbers)
    records = [session.records[i] for i in range(session.n_records)]
    ids = [bytes(r.id) for r in records]
    equal(ids, sorted(set(ids)))
    of = {kind: [r for r in records if r.kind == kind] for kind in range(START, REBASE + 1)}
    equal(sum(len(rs) for rs in of.values()), len(records))

    start = of[START][0].start
    equal((bytes(start.author), bytes(start.goal)), (b"ada", b"Teach the parser about tabs"))
    equal(bytes(start.attributes[0].name), b"git-author")
    operations = {bytes(r.operation.path): r.operation for r in of[OPERATION]}
    write = operations[b"src/parser.c"]
    text = bytes(write.content.data)
    equal(text, b"int parse(void);\n")
    equal(bytes(write.content.hash), hashlib.sha256(text).digest())
    equal((write.seen.said, write.seen.kind, write.seen.mode), (True, FILE, 0o644))
    equal(bytes(operations[b"docs/old.md"].target), b"docs/new.md")
    equal(sorted(bytes(r.guard.path) for r in of[GUARD]), [b"", b"README.md", b"src"])
    equal(sorted(bytes(r.decision) for r in of[DECISION]), [b"No option for it.", b"Tabs count as eight columns."])
    turns = {bytes(r.conversation.role): bytes(r.conversation.text) for r in of[CONVERSATION]}
    equal(turns[b"user"], b"Please make tabs work.")
    equal([r.rebase for r in of[REBASE]], [44])

    out = Buf()
    lib.session_encode(byref(session), byref(out))
    equal(bytes(out), data)
    lib.buf_release(byref(out))
    lib.arena_release(byref(arena))


def test_damaged_session(lib):
    data = golden("session")
    for cut in (0, 1, 16, len(data) - 1):
        arena, session = Arena(), Session()
        equal(lib.session_decode(slice_of(data[:cut]), byref(arena), byref(session)), ERR_CORRUPT)
        lib.arena_release(byref(arena))


def test_path(lib):
    why = c_char_p()
    equal(lib.path_check(slice_of("src/é.c".encode()), byref(why)), 0)
    equal(lib.path_check(slice_of(b"a/../b"), byref(why)), -4)
    equal(why.value, b'has a component "." or ".."')


def main():
    assert sizeof(c_size_t) == 8
    lib = load()
    passed = failed = 0
    for name, test in sorted(globals().items()):
        if not name.startswith("test_"):
            continue
        try:
            test(lib)
            passed += 1
        except Exception:  # pylint: disable=broad-except
            failed += 1
            print(f"test_ctypes: {name} failed", file=sys.stderr)
            traceback.print_exc()
    print(f"{passed} passed, {failed} failed, 0 skipped")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
