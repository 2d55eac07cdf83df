"""What a notebook cell shows: HTML and Markdown as strings that display themselves."""

NOT_ATTEMPTED = "not attempted yet"


def number(value: float, digits: int = 1, sign: bool = False) -> str:
    """A number with a true minus sign: "+1.3", "−0.4"; zero has no sign.

    >>> number(-0.04), number(-0.4), number(0.4, sign=True)
    ('0.0', '−0.4', '+0.4')
    """
    text = f"{value:{'+' if sign else ''}.{digits}f}"
    return text.lstrip("+-") if float(text) == 0 else text.replace("-", "−")


def signed(value: float) -> str:
    """A difference in points: "+1.3"."""
    return number(value, sign=True)


def interval(low: float, high: float) -> str:
    """ "−0.4 to 1.2"."""
    return f"{number(low)} to {number(high)}"


def machine(hardware: dict | None) -> str:
    """A manifest's hardware in words: "AMD EPYC, 2 cores, 24 GiB of memory, openvino"."""
    words = {"cores": "{} cores", "memory_gib": "{} GiB of memory"}
    return ", ".join(words.get(what, "{}").format(value) for what, value in (hardware or {}).items())


class Html(str):
    """HTML that a notebook displays as it is; its plain form is a word, so that a page holds pictures once."""

    def _repr_pretty_(self, printer, cycle) -> None:
        printer.text(f"<HTML, {len(self):,} characters>")

    def _repr_html_(self) -> str:
        return str(self)


def frame(table, digits: int = 2) -> Html:
    """A pandas table as it is, without its row numbers, its numbers as `number` writes them."""
    return Html(table.to_html(index=False, border=0, float_format=lambda value: number(value, digits)))


class Text(str):
    """Markdown that a notebook displays as prose."""

    def _repr_markdown_(self) -> str:
        return str(self)


class Absent(Text):
    """Says that nothing is there to show: what follows in its section is left off the page (`tools.notebook.clean`)."""

    def _repr_mimebundle_(self, include=None, exclude=None) -> tuple[dict, dict]:
        return {"text/markdown": str(self), "text/plain": str(self)}, {"absent": True}


def bullets(lines, head: str = "") -> Text:
    """Lines as a Markdown list below an optional head; `NOT_ATTEMPTED` where there is none."""
    body = "\n".join(f"- {line}" for line in lines) or NOT_ATTEMPTED
    return Text(f"{head}\n\n{body}" if head else body)
