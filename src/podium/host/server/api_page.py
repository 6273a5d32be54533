"""/docs: the OpenAPI description as one page, without scripts or anything from another site."""

from __future__ import annotations

import html
import re
from typing import Any

STYLE_PATH = "/docs.css"


def api_page(spec: dict[str, Any]) -> str:
    """HTML of an OpenAPI description."""
    by_tag: dict[str, list[str]] = {}
    for path, methods in spec["paths"].items():
        for method, about in methods.items():
            by_tag.setdefault((about.get("tags") or ["other"])[0], []).append(_operation(spec, path, method, about))
    parts = [f"<h2>{html.escape(tag)}</h2>{''.join(items)}" for tag, items in by_tag.items()]
    title = html.escape(spec["info"]["title"])
    return (
        f"<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content='width=device-width'>"
        f"<title>{title}: REST</title><link rel=stylesheet href={STYLE_PATH}><main><h1>{title}: REST</h1>"
        "<p>Machines read <a href=/openapi.json>openapi.json</a>. Who asks is said by "
        "<code>Authorization: Bearer TOKEN</code>, or by the session of a browser with <code>X-CSRF-Token</code>. "
        "An error is <code>{code, message}</code>. <a href=/>All competitions</a></p>"
        + "".join(parts)
        + "</main></html>"
    )


def _operation(spec: dict[str, Any], path: str, method: str, about: dict[str, Any]) -> str:
    first, _, rest = (about.get("description") or about.get("summary", "")).partition("\n\n")
    lines = [f"<p>{_prose(rest)}</p>"] if rest else []
    names = [f"<code>{html.escape(p['name'])}</code> ({p['in']})" for p in about.get("parameters", [])]
    if names:
        lines.append(f"<p>Parameters: {', '.join(names)}</p>")
    for title, content in (("Body", about.get("requestBody", {})), ("Answer", _good(about))):
        fields = _fields(spec, content)
        if fields:
            lines.append(f"<p>{title}: {fields}</p>")
    head = f"<b>{method.upper()}</b> <code>{html.escape(path)}</code>"
    return f"<details><summary>{head} {_prose(first)}</summary>{''.join(lines)}</details>"


def _prose(text: str) -> str:
    """A docstring's text, with what is in backticks as code."""
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", html.escape(text))


def _good(about: dict[str, Any]) -> dict[str, Any]:
    return next((v for code, v in about.get("responses", {}).items() if code.startswith("2")), {})


def _fields(spec: dict[str, Any], content: dict[str, Any]) -> str:
    schema = content.get("content", {}).get("application/json", {}).get("schema", {})
    many = "items" in schema
    name = (schema.get("items", schema)).get("$ref", "").rpartition("/")[2]
    known = spec.get("components", {}).get("schemas", {}).get(name)
    if known is None:
        return ""
    fields = ", ".join(f"<code>{html.escape(f)}</code>" for f in known.get("properties", {}))
    return ("a list of " if many else "") + fields
