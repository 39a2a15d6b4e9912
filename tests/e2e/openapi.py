"""Holds answers of a live server against api/openapi.yaml: the route, the status, the media type, the JSON, field by field."""

import json
import os
import re

import yaml

import forge

with open(os.path.join(forge.ROOT, "api/openapi.yaml"), encoding="utf-8") as file:
    SPEC = yaml.safe_load(file)

TYPES = {"object": dict, "array": list, "string": str, "boolean": bool, "integer": int}


# What any operation may be refused with.
COMMON = {404: ["not_found"], 413: ["request_too_large"], 422: ["bad_value", "out_of_range"]}
NAMES = {id(operation): (method, path) for path, methods in SPEC["paths"].items() for method, operation in methods.items()}
came = set()  # method, path, status, code or None: of all answers that were checked


def resolve(schema):
    while "$ref" in schema:
        at = SPEC
        for part in schema["$ref"].removeprefix("#/").split("/"):
            at = at[part]
        schema = at
    return schema


def complaint(value, schema, place=""):
    """None, or what about the value does not fit."""
    schema = resolve(schema)
    if "oneOf" in schema:
        wrong = [complaint(value, s, place) for s in schema["oneOf"]]
        return None if wrong.count(None) == 1 else f"{place}: not one of: {wrong}"
    if value is None:
        return None if schema.get("nullable") else f"{place}: null"
    kind = schema.get("type")
    if kind and (not isinstance(value, TYPES[kind]) or (kind == "integer" and isinstance(value, bool))):
        return f"{place}: {value!r:.80} is no {kind}"
    if "enum" in schema and value not in schema["enum"]:
        return f"{place}: {value!r:.80} is not among {schema['enum']}"
    if "pattern" in schema and not re.search(schema["pattern"], value):
        return f"{place}: {value!r:.80} is not as {schema['pattern']}"
    if "minimum" in schema and value < schema["minimum"]:
        return f"{place}: {value} is under {schema['minimum']}"
    if kind == "array":
        return next((c for i, v in enumerate(value) if (c := complaint(v, schema["items"], f"{place}[{i}]"))), None)
    if kind == "object":
        return object_complaint(value, schema, place)
    return None


def object_complaint(value, schema, place):
    properties, more = schema.get("properties", {}), schema.get("additionalProperties", True)
    for name in schema.get("required", []):
        if name not in value:
            return f"{place}: there is no {name!r}"
    for name, inner in value.items():
        if name not in properties and more is False:
            return f"{place}: {name!r} is not described"
        want = properties.get(name, more if isinstance(more, dict) else {})
        if wrong := complaint(inner, want, f"{place}.{name}"):
            return wrong
    return None


def operation_of(method, path):
    """The description of what a request asks for; None when there is none. A literal goes before a parameter."""
    path = path.split("?")[0]
    for pattern in sorted(SPEC["paths"], key=lambda p: (p.count("{"), -p.count("/"), p)):
        shape = re.sub(r"\\{(\w+)\\}", lambda m: "(/.*)?" if m[1] == "path" else "[^/]+", re.escape(pattern))
        if re.fullmatch(shape.replace("/(/.*)?", "(/.*)?"), path, re.S):
            return SPEC["paths"][pattern].get("get" if method == "HEAD" else method.lower())
    return None


def check(method, path, answer):
    """Asserts that the answer is one that the description has."""
    said = f"{method} {path} → {answer.status}"
    assert int(answer.headers["Mic-Hlc"]) > 0, f"{said}: no Mic-Hlc"
    assert answer.status != 503 or int(answer.headers["Retry-After"]) > 0, f"{said}: no Retry-After"
    assert answer.status < 500 or answer.status == 503, f"{said}: {answer.body[:200]}"
    operation = operation_of(method, path)
    responses = operation["responses"] if operation else {"default": {"$ref": "#/components/responses/error"}}
    response = responses.get(str(answer.status))
    assert response or answer.status >= 400, f"{said}: not described"
    code = answer.json.get("error", {}).get("code") if answer.status >= 400 and answer.body else None
    if operation:
        came.add((*NAMES[id(operation)], answer.status, code))
    if operation and code and "x-codes" in operation and answer.status in COMMON.keys() | {409, 416}:
        described = operation["x-codes"].get(str(answer.status), []) + COMMON.get(answer.status, [])
        assert code in described, f"{said}: {code} is not among {described}"
    content = resolve(response or responses["default"]).get("content")
    media = answer.headers.get("Content-Type", "").split(";")[0]
    if answer.status == 304 or content is None:
        assert not answer.body, f"{said}: described without a body"
        return
    if answer.status >= 400 and "application/json" not in content:
        content = resolve({"$ref": "#/components/responses/error"})["content"]
    assert media in content or not media.startswith("application/json"), f"{said}: {media} is not described"
    if media == "application/json" and method != "HEAD":
        wrong = complaint(json.loads(answer.body), content[media].get("schema", {}))
        assert wrong is None, f"{said}: {wrong}"


def request(port, method, path, *args, **more):
    """As forge.request, with the answer checked."""
    answer = forge.request(port, method, path, *args, **more)
    check(method, path, answer)
    return answer


def land(port, project, operations, goal="a change", author="ann", wait="30s", **session):
    """As forge.land, with the answer checked."""
    body = {"session": {"goal": goal, "operations": operations, **session}}
    return request(port, "POST", f"/projects/{project}/land?wait={wait}", body, author=author)
