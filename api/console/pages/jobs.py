"""Jobs: upload with a preview of the mapping, progress, results. The page asks the service's own endpoints, as any client does."""

from typing import get_args

import msgspec
from nicegui import ui

from api.access import Principal
from api.console import shell, words
from api.console.visitor import Visitor
from api.jobs import upload
from api.routes.jobs import Kind
from screening.readers.files import FORMATS


@shell.page("/jobs", "jobs", "jobs", styles=("jobs.css",))
async def page(visitor: Visitor, principal: Principal) -> None:
    """The page; `?kind=` narrows the list."""
    t = visitor.words
    given = {
        "words": words.section(visitor.language, "jobs_script")
        | {f"error.{key}": text for key, text in words.section(visitor.language, "error").items()},
        "limit": visitor.service.settings.max_upload_bytes,
        "suffixes": sorted(FORMATS),
        "formats": upload.KNOWN,
        "may_upload": "ingest" in principal.actions,
    }
    ui.add_head_html(shell.template("scripts.html", modules=[shell.asset("jobs.js")]))
    shell.heading(t("jobs.title"), t("jobs.about"))
    content = shell.template(
        "jobs.html",
        t=t,
        given=msgspec.json.encode(given).decode(),
        may_upload=given["may_upload"],
        kinds=get_args(Kind),
    )
    ui.html(content, sanitize=False)
