"""What a notebook cell shows: HTML and Markdown as strings that display themselves."""

NOT_ATTEMPTED = "not attempted yet"


class Html(str):
    """HTML that a notebook displays as it is; its plain form is a word, so that a page holds pictures once."""

    def _repr_pretty_(self, printer, cycle) -> None:
        printer.text(f"<HTML, {len(self):,} characters>")

    def _repr_html_(self) -> str:
        return str(self)


class Text(str):
    """Markdown that a notebook displays as prose."""

    def _repr_markdown_(self) -> str:
        return str(self)


def bullets(lines, head: str = "") -> Text:
    """Lines as a Markdown list below an optional head; `NOT_ATTEMPTED` where there is none."""
    body = "\n".join(f"- {line}" for line in lines) or NOT_ATTEMPTED
    return Text(f"{head}\n\n{body}" if head else body)
