#!/usr/bin/env python3
"""The edges of derivation: odd headers, odd questions, and what is said about them; by HTTP and by `mic`."""

import threading

import forge
from forge import Server
from openapi import request
from test_derive import get, leaf, project, recipe


def bind(port, name, address):
    answer = request(port, "PUT", f"/projects/demo/refs/{name}", {"address": address})
    assert answer.status == 200, answer.body
    return answer.json


def test_a_range_with_a_condition(directory):
    """Whether the condition holds is known when the content is; nothing of this was computed before."""
    with Server("mic-forge", directory) as server:
        project(server)
        letters = leaf(server.port, b"abcdefgh")
        for i, (condition, status, body) in enumerate((('"x"', 200, b"abcdefgh"), ("x", 200, b"abcdefgh"), ("", 200, b"abcdefgh"))):
            address = recipe(server.port, "concat", *[letters] * (i + 2))
            answer = get(server.port, address, Range="bytes=2-4", **{"If-Range": condition})
            assert (answer.status, answer.body) == (status, body * (i + 2)), answer.body
        address = recipe(server.port, "slice", letters, start="1")
        tag = get(server.port, address).headers["ETag"]
        answer = get(server.port, address, Range="bytes=2-4", **{"If-Range": tag})
        assert (answer.status, answer.body) == (206, b"def")


def test_a_part_is_named_by_what_it_is_a_part_of(directory):
    """What a name is bound to is part of that: who has the part of an old result is not told that it still is."""
    with Server("mic-forge", directory) as server:
        project(server)
        old, new = leaf(server.port, b"old content"), leaf(server.port, b"the new content")
        bind(server.port, "name", old)
        address = recipe(server.port, "concat", {"ref": "name"}, {"ref": "name"})
        part = get(server.port, address, Range="bytes=0-2")
        assert (part.status, part.body) == (206, b"old")
        again = get(server.port, address, Range="bytes=0-2", **{"If-None-Match": part.headers["ETag"]})
        assert again.status == 304
        bind(server.port, "name", new)
        again = get(server.port, address, Range="bytes=0-2", **{"If-None-Match": part.headers["ETag"]})
        assert (again.status, again.body) == (206, b"the")
        again = get(server.port, address, Range="bytes=3-5", **{"If-Range": part.headers["ETag"]})
        assert (again.status, again.body) == (200, b"the new content" * 2)


def test_ranges_while_a_name_moves(directory):
    """The size that a range is counted by is that of the bytes which come."""
    with Server("mic-forge", directory) as server:
        project(server)
        texts = [b"0123456789" * n for n in (1, 7, 3, 100)]
        leaves = [leaf(server.port, text) for text in texts]
        bind(server.port, "name", leaves[0])
        address = recipe(server.port, "slice", {"ref": "name"}, start="5")
        whole = {len(text) - 5: text[5:] for text in texts}
        stop = []

        def move():
            while not stop:
                for one in leaves:
                    bind(server.port, "name", one)
        mover = threading.Thread(target=move)
        mover.start()
        try:
            for i in range(300):
                wish = ("bytes=0-", "bytes=-4", "bytes=3-", "bytes=2-3")[i % 4]
                answer = get(server.port, address, Range=wish)
                assert answer.status == 206, answer.body
                place, size = answer.headers["Content-Range"].removeprefix("bytes ").split("/")
                first, last = map(int, place.split("-"))
                assert answer.body == whole[int(size)][first:last + 1], (wish, place, size)
        finally:
            stop.append(True)
            mover.join()


if __name__ == "__main__":
    forge.main([test_a_range_with_a_condition, test_a_part_is_named_by_what_it_is_a_part_of, test_ranges_while_a_name_moves])
