"""Example answers as a mock server would make them of Klaviyo's own OpenAPI documents."""

from __future__ import annotations

from typing import Any, Iterator


def answers(document: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """(path, body) of the 200 answer of each GET."""
    for path, methods in document["paths"].items():
        content = methods.get("get", {}).get("responses", {}).get("200", {}).get("content", {})
        for media in content.values():
            yield path, example(document, media["schema"])


def example(document: dict[str, Any], schema: dict[str, Any], depth: int = 0) -> Any:
    """The schema's `example` values, and something of the right type where there is none."""
    if "$ref" in schema:
        target: Any = document
        for step in schema["$ref"].removeprefix("#/").split("/"):
            target = target[step]
        return example(document, target, depth)
    if "example" in schema:
        return schema["example"]
    if "allOf" in schema:
        merged: dict[str, Any] = {}
        for part in schema["allOf"]:
            merged |= example(document, part, depth + 1)
        return merged
    if "enum" in schema:
        return schema["enum"][0]
    if schema.get("type") == "array":
        return [example(document, schema["items"], depth + 1)]
    if "properties" in schema:
        return {name: example(document, part, depth + 1) for name, part in schema["properties"].items()} if depth < 12 else {}
    return {"string": "text", "integer": 1, "boolean": True}.get(schema.get("type", ""), None)
