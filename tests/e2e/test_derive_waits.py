#!/usr/bin/env python3
"""What has to wait for the store, and what does not: over a bucket whose lists of the derive log are held."""

import hashlib
import http.client
import os
import threading

import forge
from forge import Server, wait_until
from openapi import request
from s3_server import Server as S3Server

DERIVE = "/projects/demo/derive"
ASKERS = 40


def use(store):
    os.environ.update(MIC_S3_ENDPOINT=store.url, MIC_S3_REGION="here", MIC_S3_ACCESS_KEY_ID="key", MIC_S3_SECRET_ACCESS_KEY="secret")


def nowhere(i):
    return hashlib.sha256(f"nobody has put this {i}".encode()).hexdigest()


def ask(port, paths):
    """Sends all of them, each on a connection of its own, and gives what reads the answers."""
    connections = []
    for path in paths:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
        connection.request("GET", "/api/mic" + path)
        connections.append(connection)

    def answers():
        statuses = []
        for connection in connections:
            with connection.getresponse() as answer:
                answer.read()
                statuses.append(answer.status)
            connection.close()
        return statuses
    return answers


def test_who_waits_for_a_look_holds_nobody_up(directory):
    """One thread serves HTTP, and the look does not end before all else has been answered."""
    with S3Server() as store:
        use(store)
        with Server("mic-forge", "s3://bucket/forge", "--http-threads", "1", "--derive-dir", directory) as server:
            assert request(server.port, "POST", "/projects", {"handle": "demo"}).status == 201
            data = b"that is there"
            leaf = request(server.port, "POST", f"{DERIVE}/leaves", data).json["address"]
            address = request(server.port, "POST", f"{DERIVE}/recipes",
                              {"function": "identity", "inputs": [leaf], "parameters": {}}).json["address"]
            assert request(server.port, "GET", f"{DERIVE}/{address}").body == data
            assert request(server.port, "GET", f"{DERIVE}/{nowhere('')}/recipe").status == 404
            store.hold = "/derive/"
            begun = sum(n for prefix, n in store.lists.items() if store.hold in prefix)
            answers = [ask(server.port, [f"{DERIVE}/{nowhere((what, i))}{what}" for i in range(ASKERS)])
                       for what in ("/recipe", "/lineage", "")]
            # A bind looks through what lies below the address.
            bind = threading.Thread(target=lambda: bound.append(
                request(server.port, "PUT", "/projects/demo/refs/name", {"address": nowhere("bound")})))
            bound = []
            bind.start()
            wait_until(lambda: sum(n for prefix, n in store.lists.items() if store.hold in prefix) > begun)
            assert request(server.port, "GET", "/health").status == 200
            assert request(server.port, "GET", "/projects/demo/head").status == 200
            assert request(server.port, "GET", f"{DERIVE}/{address}").body == data
            assert request(server.port, "POST", f"{DERIVE}/leaves", b"another").status == 201
            assert not bound
            store.release()
            assert all(statuses() == [404] * ASKERS for statuses in answers)
            bind.join()
            assert bound[0].status == 200, bound[0].body


def test_who_asks_at_once_shares_a_look(directory):
    with S3Server() as store:
        use(store)
        with Server("mic-forge", "s3://bucket/forge", "--http-threads", "1", "--derive-dir", directory) as server:
            assert request(server.port, "POST", "/projects", {"handle": "demo"}).status == 201

            def looks():
                return sum(n for prefix, n in store.lists.items() if "/derive/" in prefix)

            assert request(server.port, "GET", f"{DERIVE}/{nowhere('')}/recipe").status == 404
            begun = looks()
            assert request(server.port, "GET", f"{DERIVE}/{nowhere('')}/recipe").status == 404
            one = looks() - begun
            assert one > 0
            store.hold = "/derive/"
            first = ask(server.port, [f"{DERIVE}/{nowhere('first')}/recipe"])
            wait_until(lambda: looks() > begun + one)
            rest = ask(server.port, [f"{DERIVE}/{nowhere(i)}{what}" for i in range(ASKERS) for what in ("/recipe", "")])
            assert request(server.port, "GET", "/health").status == 200
            store.release()
            assert first() == [404] and rest() == [404] * (2 * ASKERS)
            # The one that was held, and one for all that came meanwhile; a second one for those that the server had not read yet.
            assert looks() - begun - one <= 3 * one, (looks() - begun, one)


def test_a_file_that_has_landed_costs_no_look_each(directory):
    """An input that is named by the SHA-256 of its bytes is looked for in the log, and all of a result's are in one look."""
    with S3Server() as store:
        use(store)
        with Server("mic-forge", "s3://bucket/forge", "--derive-dir", directory) as server:
            assert request(server.port, "POST", "/projects", {"handle": "demo"}).status == 201
            texts = [f"file {i}\n" for i in range(20)]
            landed = forge.land(server.port, "demo", [forge.write(f"f{i}", text, seen=None) for i, text in enumerate(texts)], base=0)
            assert landed.status == 200, landed.body
            inputs = [hashlib.sha256(text.encode()).hexdigest() for text in texts]
            answer = request(server.port, "POST", f"{DERIVE}/recipes", {"function": "concat", "inputs": inputs, "parameters": {}})
            before = dict(store.lists)
            assert request(server.port, "GET", f"{DERIVE}/{answer.json['address']}").body == "".join(texts).encode()
            assert sum(n - before.get(prefix, 0) for prefix, n in store.lists.items() if "/derive/" in prefix) <= 8, store.lists
            # And those of a bind.
            before = dict(store.lists)
            assert request(server.port, "PUT", "/projects/demo/refs/all", {"address": answer.json["address"]}).status == 200
            assert sum(n - before.get(prefix, 0) for prefix, n in store.lists.items() if "/derive/" in prefix) <= 8, store.lists


if __name__ == "__main__":
    forge.main([test_who_waits_for_a_look_holds_nobody_up, test_who_asks_at_once_shares_a_look,
                test_a_file_that_has_landed_costs_no_look_each])
