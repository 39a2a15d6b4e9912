#!/usr/bin/env python3
"""The programs on a bucket: which servers they take and which they refuse, by the environment, with TLS; and what a forge
leaves there."""

import os
import secrets
import subprocess

import forge
from forge import Server, land, request, write
from s3_server import Server as S3Server
from s3_server import TlsProxy

SECRET = "not/the+secret"
PLACE = f"s3://{os.environ.get('MIC_S3_BUCKET', 'bucket')}"


def run(*words, status=0, **env):
    given = {**os.environ, **env}
    done = subprocess.run(words, capture_output=True, text=True, timeout=120, env=given, check=False)
    assert done.returncode == status, (words, done.returncode, done.stdout, done.stderr)
    assert SECRET not in done.stdout + done.stderr, done.stderr
    assert given["MIC_S3_SECRET_ACCESS_KEY"] not in done.stdout + done.stderr, done.stderr
    return done


def probe(place, *words, **more):
    return run(forge.program("mic-store"), "probe", *words, place, **more)


def test_a_real_server_passes(_directory):
    done = probe(PLACE + "/passes")
    assert "passed: of 32 writers that raced one won" in done.stdout, done.stdout
    assert "provider ceph, If-Match with bare etags" in done.stdout, done.stdout
    # Told that it is another, it is refused, for then etags are sent in another form.
    done = probe(PLACE + "/passes", "--s3-provider=aws", status=1)
    assert "no If-Match holds" in done.stderr, done.stderr
    probe(PLACE + "/passes", "--s3-provider=ceph")
    # The bucket in the host's name, which curl takes for loopback.
    probe(PLACE + "/passes", "--s3-addressing=virtual",
          MIC_S3_ENDPOINT=os.environ["MIC_S3_ENDPOINT"].replace("127.0.0.1", "localhost"))


def test_what_is_said_when_it_cannot_be_tried(_directory):
    done = probe("s3://no-such-bucket/x", status=1)
    assert "cannot be tried" in done.stderr and "404 NoSuchBucket" in done.stderr, done.stderr
    done = probe(PLACE, status=1, MIC_S3_SECRET_ACCESS_KEY=SECRET)
    assert "403 SignatureDoesNotMatch" in done.stderr, done.stderr
    done = probe(PLACE, "--s3-tries=1", status=1, MIC_S3_ENDPOINT="http://127.0.0.1:1")
    assert "Couldn't connect to server" in done.stderr, done.stderr
    done = probe("s3://", status=2)
    assert "is not of the form s3://BUCKET" in done.stderr, done.stderr
    done = run(forge.program("mic-land"), PLACE, "--once", status=2, MIC_S3_ACCESS_KEY_ID="")
    assert "there are no credentials" in done.stderr, done.stderr
    done = run(forge.program("mic-store"), "probe", PLACE, "--print-config")
    assert "# s3_secret_access_key: \"***\" # MIC_S3_SECRET_ACCESS_KEY" in done.stdout, done.stdout


def test_servers_that_lie_are_refused(_directory):
    with S3Server() as honest:
        done = probe("s3://bucket", MIC_S3_ENDPOINT=honest.url)
        assert "provider other, If-Match with quoted etags" in done.stdout, done.stdout
        assert list(honest.objects) == ["probe/passed"], honest.objects
    says = {"no conditions": "it ignores If-None-Match", "two winners": "2 were told that they won"}
    for lie, sentence in says.items():
        with S3Server(lie) as server:
            done = probe("s3://bucket/x", status=1, MIC_S3_ENDPOINT=server.url)
            assert "cannot be used" in done.stderr and sentence in done.stderr, done.stderr
            for program in ("mic-api", "mic-land", "mic-append", "mic-rollup", "mic-forge"):
                done = run(forge.program(program), "s3://bucket/x", status=1, MIC_S3_ENDPOINT=server.url)
                assert "cannot be used" in done.stderr and sentence in done.stderr, done.stderr
            assert not [key for key in server.objects if "probe" not in key], server.objects


def test_tls(directory):
    with TlsProxy(directory, os.environ["MIC_S3_ENDPOINT"]) as proxy:
        done = probe(PLACE + "/tls", "--s3-tries=1", status=1, MIC_S3_ENDPOINT=proxy.url)
        assert "certificate" in done.stderr and "cannot be tried" in done.stderr, done.stderr
        assert proxy.connections == 0
        probe(PLACE + "/tls", MIC_S3_ENDPOINT=proxy.url, MIC_S3_CA_FILE=proxy.certificate)
        probe(PLACE + "/tls", MIC_S3_ENDPOINT=proxy.url, AWS_CA_BUNDLE=proxy.certificate)
        assert proxy.connections > 0


def test_a_forge_on_a_bucket(_directory):
    place = f"{PLACE}/forge-{secrets.token_hex(8)}"
    with Server("mic-forge", place) as server:
        assert request(server.port, "POST", "/projects", {"handle": "demo"}).status == 201
        answer = land(server.port, "demo", [write("a", "1")])
        assert answer.json["results"][0]["verdict"] == "landed", answer.body
        assert "bucket_passed" in server.log_text(), server.log_text()
        server.kill()
    with Server("mic-api", place) as api:
        answer = land(api.port, "demo", [write("b", "2")], wait="0")
        assert answer.status == 202, answer.body
        run(forge.program("mic-land"), place, "--once")
        run(forge.program("mic-append"), place, "--once")
        assert request(api.port, "GET", "/projects/demo/head").json["position"] == 2
        assert request(api.port, "GET", "/projects/demo/files/a").body == b"1"
        assert request(api.port, "GET", "/projects/demo/files/b").body == b"2"


if __name__ == "__main__":
    forge.main([test_a_real_server_passes, test_what_is_said_when_it_cannot_be_tried, test_servers_that_lie_are_refused,
                test_tls, test_a_forge_on_a_bucket])
