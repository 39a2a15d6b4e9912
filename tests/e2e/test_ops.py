#!/usr/bin/env python3
"""What lies in ops/ for those who run a forge fits the programs: alarms and their pages, settings, manifests."""

import os
import re

import yaml

import forge
from forge import Server, request

OPS = os.path.join(forge.ROOT, "ops")


def read(*names):
    with open(os.path.join(OPS, *names)) as file:
        return file.read()


def settings():
    with open(os.path.join(forge.ROOT, "config", "micelio.sample.yaml")) as file:
        return set(re.findall(r"^(?:# )?([a-z0-9_]+): ", file.read(), re.M))


def test_every_alarm_has_its_metrics_and_its_page(directory):
    with Server("mic-api", directory) as api:
        metrics = set(re.findall(r"^(mic_\w+)", request(api.port, "GET", "/metrics").body.decode(), re.M))
    rules = [rule for group in yaml.safe_load(read("prometheus", "micelio.rules.yaml"))["groups"]
             for rule in group["rules"]]
    assert rules
    table = read("runbook", "README.md")
    for rule in rules:
        named = set(re.findall(r"\bmic_\w+", rule["expr"]))
        assert named and named <= metrics, (rule["alert"], named - metrics)
        page = rule["annotations"]["runbook"]
        assert os.path.exists(os.path.join(forge.ROOT, page)), page
        assert f"| {rule['alert']} | [{os.path.basename(page)}]" in table, rule["alert"]


def test_pages_name_settings_that_exist(_):
    known = settings()
    for name in os.listdir(os.path.join(OPS, "runbook")):
        for word in re.findall(r"`((?:s3|intake|http|land)_[a-z0-9_]+)`", read("runbook", name)):
            assert word in known, (name, word)


def test_everything_that_the_check_finds_is_in_its_page(_):
    sources = os.path.join(forge.ROOT, "pipeline", "repo", "check")
    page = read("runbook", "damage.md")
    problems = set()
    for name in os.listdir(sources):
        if re.fullmatch(r"fsck.*\.c", name):
            with open(os.path.join(sources, name)) as file:
                problems |= set(re.findall(r'"([a-z]+(?:_[a-z]+)+)"', file.read()))
    assert len(problems) > 40, problems
    for problem in problems | {"dead_letter"}:
        assert f"`{problem}`" in page, problem


def test_kubernetes_example(_):
    documents = list(yaml.safe_load_all(read("kubernetes", "micelio.yaml")))
    kinds = [d["kind"] for d in documents]
    assert "HorizontalPodAutoscaler" in kinds and "Deployment" in kinds, kinds
    config = next(d for d in documents if d["kind"] == "ConfigMap")["data"]
    assert set(yaml.safe_load(config["micelio.yaml"])) <= settings()
    probes = {name: probe["httpGet"]["path"] for d in documents if d["kind"] == "Deployment"
              for container in d["spec"]["template"]["spec"]["containers"]
              for name, probe in container.items() if name.endswith("Probe")}
    assert probes == {"livenessProbe": "/api/mic/health", "readinessProbe": "/api/mic/ready"}, probes
    assert all(f"location = {path} " in config["nginx.conf"] for path in probes.values())
    commands = re.findall(r"command: \[([\w-]+)", read("kubernetes", "micelio.yaml"))
    assert commands and all(os.path.exists(forge.program(c)) for c in commands), commands


if __name__ == "__main__":
    forge.main([test_every_alarm_has_its_metrics_and_its_page, test_pages_name_settings_that_exist,
                test_everything_that_the_check_finds_is_in_its_page,
                test_kubernetes_example])
