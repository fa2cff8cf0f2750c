"""HTML without injection: all text is escaped unless this module made it."""

from __future__ import annotations

import base64
import hashlib
import html
import json
from collections.abc import Iterable
from functools import cache
from importlib.resources import files
from typing import Any

_VOID = {"img", "input", "link", "meta"}  # in HTML; SVG elements are always closed


class Html(str):
    """Finished markup, which is not escaped again."""

    __slots__ = ()


Child = str | Html | None | Iterable[Any]


def h(name: str, attributes: dict[str, Any] | None = None, *children: Child) -> Html:
    """One element. Attributes of None or False are left out, True has no value; text is escaped."""
    opened = f"<{name}{_attributes(attributes or {})}>"
    return Html(opened if name in _VOID and not children else f"{opened}{join(children)}</{name}>")


def join(children: Child) -> Html:
    if children is None:
        return Html()
    if isinstance(children, Html):
        return children
    if isinstance(children, str):
        return Html(html.escape(children, quote=True))
    return Html("".join(join(child) for child in children))


def _attributes(attributes: dict[str, Any]) -> str:
    kept = (
        (key, value)
        for key, value in attributes.items()
        if value is not None and value is not False
    )
    return "".join(
        f" {key}" if value is True else f' {key}="{html.escape(str(value), quote=True)}"'
        for key, value in kept
    )


def data_block(identifier: str, data: Any) -> Html:
    """JSON in a <script>; `<`, `>` and `&` are escaped, so that no text can end the block."""
    text = json.dumps(data, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    text = text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")
    return Html(f'<script type="application/json" id="{identifier}">{text}</script>')


def document(title: str, script: str, body: Html) -> Html:
    """A whole page. Its policy allows only its own script and style, and the media file."""
    style_text, script_text = asset("style.css"), asset(script)
    policy = "; ".join(
        (
            "default-src 'none'",
            f"script-src {allowed(script_text)}",
            f"style-src {allowed(style_text)}",
            "img-src data:",
            "media-src 'self' file: data:",
            "base-uri 'none'",
            "form-action 'none'",
        )
    )
    head = h(
        "head",
        None,
        h("meta", {"charset": "utf-8"}),
        h("meta", {"http-equiv": "Content-Security-Policy", "content": policy}),
        h("meta", {"name": "viewport", "content": "width=device-width, initial-scale=1"}),
        h("meta", {"name": "color-scheme", "content": "light dark"}),
        h("meta", {"name": "referrer", "content": "no-referrer"}),
        h("title", None, title),
        Html(f"<style>{style_text}</style>"),
    )
    end = f"<body>{body}<script>{script_text}</script></body></html>\n"
    return Html(f'<!doctype html>\n<html lang="en">{head}{end}')


@cache
def asset(name: str) -> str:
    return (files("av_tagger") / "resources" / "report" / name).read_text(encoding="utf-8")


def allowed(text: str) -> str:
    digest = base64.b64encode(hashlib.sha256(text.encode("utf-8")).digest()).decode("ascii")
    return f"'sha256-{digest}'"
