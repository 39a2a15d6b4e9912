#!/usr/bin/env python3
"""The programs on a bucket of a real S3 server; somebody else's client lists and reads what they wrote."""

import forge
import test_programs
from forge import Server, land, request, write


def test_another_client_reads_it(place):
    with Server("mic-forge", place) as server:
        request(server.port, "POST", "/projects", {"handle": "demo"})
        assert land(server.port, "demo", [write("a", "1")]).status == 200
        head = request(server.port, "GET", "/projects/demo/head").json
        project = request(server.port, "GET", "/projects/demo").json["id"]
    names = forge.objects(place)
    bucket, prefix = place[5:].split("/", 1)
    body = forge.s3_client().get_object(Bucket=bucket, Key=f"{prefix}/projects/{project}/head")["Body"].read()
    # The head is position, tree hash and hlc: 48 bytes. It names a tree object that lies there.
    assert len(body) == 48 and int.from_bytes(body[:8], "big") == head["position"] == 1, body
    tree = body[8:40].hex()
    assert f"projects/{project}/trees/{tree[:2]}/{tree}.bin" in names, names
    assert not [name for name in names if name.startswith("queue/")], names


if __name__ == "__main__":
    forge.main([test_another_client_reads_it, *test_programs.TESTS], lambda _: forge.s3_place())
