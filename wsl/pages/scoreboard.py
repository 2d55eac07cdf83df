"""The scoreboard as tables: what `wsl.findings.claims` found, one row a claim."""

from __future__ import annotations

import html
import itertools

from wsl.evaluation.runs import GENERATED, REAL, Run
from wsl.findings import claims
from wsl.findings.claims import Evidence, Judged
from wsl.pages import tables
from wsl.pages.show import Html, Text
from wsl.pages.tables import PAPER, Cell

# Verdict -> (CSS class of its badge, sign): never colour alone.
BADGES = {
    claims.REPRODUCED: ("good", "✓"),
    claims.HOLDS: ("good", "✓"),
    claims.NOT_REPRODUCED: ("bad", "✗"),
    claims.DOES_NOT_HOLD: ("bad", "✗"),
    claims.INCONCLUSIVE: ("open", "?"),
    claims.SCENES_INCONCLUSIVE: ("open", "?"),
    claims.NOT_COMPARABLE: ("none", "–"),
    claims.NOT_ATTEMPTED: ("none", "–"),
}
SIGNS = {True: "✓", False: "✗", None: "?"}


def scoreboard(judged: list[Judged]) -> Html:
    """The landing page's table: claim, the paper's words and numbers, evidence, verdict."""
    texts = (("the paper's claim", PAPER), ("real photographs", REAL),
             ("scenes (generated pictures)", GENERATED), ("verdict", ""))  # fmt: skip
    rows = []
    for one in judged:
        claim = one.claim
        quote = f"“{html.escape(claim.quote)}” " if claim.quote else ""
        title = f'<span id="{claim.id.lower()}">{claim.id}</span> <a href="{claim.page}">{html.escape(claim.short)}</a>'
        rows.append((
            f"{title}<br><small>{quote}{html.escape(claim.cells)}</small>",
            [
                Cell(_evidence(one.real), REAL, left=True),
                Cell(_evidence(one.scenes), GENERATED, left=True),
                Cell(badge(one.verdict) + (f"<br><small>{html.escape(one.why)}</small>" if one.why else ""), left=True),
            ],
        ))  # fmt: skip
    heads = [[(text, 1, source) for text, source in texts]]
    caption = (
        "Each claim of the paper that can be tested. Numbers are differences in percentage points unless a unit says "
        "otherwise, with the 95% interval of a paired bootstrap over test images, and the range over seeds. Real "
        "photographs decide; a number links to its run, a claim to the page that shows it."
    )
    return tables.table(heads, rows, caption, "scoreboard")


def badge(verdict: str) -> str:
    css, sign = BADGES[verdict]
    return f'<span class="verdict verdict-{css}">{sign} {verdict}</span>'


def say(evidence: Evidence) -> str:
    """ "+4.1 (2.9 to 5.3), 3 seeds: 3.8 to 4.4", plain text."""
    signed = "+.1f" if evidence.unit == "points" else ".1f"
    unit = "" if evidence.unit == "points" else f" {evidence.unit}"
    text = f"{evidence.value:{signed}}{unit} ({evidence.low:.1f} to {evidence.high:.1f})"
    if evidence.seeds:
        text += f"; {len(evidence.seeds)} seeds: {min(evidence.seeds):.1f} to {max(evidence.seeds):.1f}"
    return text


def _evidence(several: tuple[Evidence, ...]) -> str:
    if not several:
        return "<small>no run</small>"
    parts = []
    for label, group in itertools.groupby(sorted(several, key=lambda e: not e.decides), key=lambda e: e.label):
        parts.append(f"<i>{html.escape(label)}</i>")
        for e in group:
            number = f'<a href="{tables.href(e.run)}" title="{html.escape(e.data)}">{say(e)}</a>'
            parts.append(f"{SIGNS[e.outcome]} {_data(e)}: {number}" + (f"; {html.escape(e.note)}" if e.note else ""))
    return f"<small>{'<br>'.join(parts)}</small>"


def _data(evidence: Evidence) -> str:
    return evidence.layout.upper() if evidence.decides else f"for information, {evidence.layout.upper()}"


def tally(judged: list[Judged]) -> Text:
    """ "**16 claims:** 5 reproduced, 1 not reproduced, ..." """
    counts = [(verdict, sum(one.verdict == verdict for one in judged)) for verdict in BADGES]
    words = ", ".join(f"{n} {verdict}" for verdict, n in counts if n)
    return Text(f"**{len(judged)} claims:** {words}.")


def rules(layouts=("voc", "coco")) -> Html:
    """Each claim's test in words, as it was fixed in code before the runs."""
    rows = []
    for claim in claims.CLAIMS:
        lines = [f"{k.upper()}: {html.escape(test.rule)}" for k in layouts for test in claim.tests.get(k, ())]
        text = "<br>".join(lines) or f"not comparable: {html.escape(claim.not_comparable)}"
        title = f'{claim.id} <a href="index.html#{claim.id.lower()}">{html.escape(claim.short)}</a>'
        rows.append((title, [Cell(text, left=True)]))
    caption = "The rule of each claim: “reproduced” if all of it holds, “not reproduced” if one part is contradicted by its "
    caption += "whole interval, else “inconclusive”."
    return tables.table([[("claim", 1, ""), ("holds if", 1, "")]], rows, caption, "rules")


def margins() -> list[str]:
    """The sizes on which the rules stand, with their reasons in the paper's own numbers."""
    return [
        f"*No significant benefit* (C6, C15): less than {claims.NO_BENEFIT:g} points; the paper calls 0.7 points (I and J on "
        f"COCO) none. In localization {claims.NO_BENEFIT_LOCATION:g}, as its own I is 1.7 above J there.",
        f"*On par*, *comparable* (C9, C14): within {claims.ON_PAR:g} points; the paper's J and L differ by 0.3 in localization.",
        f"*Far above* (C8): more than {claims.FAR_ABOVE:g} points of localization mAP; the paper's J is 23.6 and 22.1 above K.",
        f"*About x points* (C4, C5): a gain beyond doubt, of {claims.ABOUT[0]:g} to {claims.ABOUT[1]:g} times x.",
        "*Falls steeply* (C12): less than half is left; in the paper 27%.",
    ]


def verdict_table(judged: list[Judged]) -> Html:
    """Claim, number that decided, verdict: the scoreboard without quotes."""
    rows = []
    for one in judged:
        shown = one.real or one.scenes
        source = REAL if one.real else GENERATED if one.scenes else ""
        lines = [f'{_data(e)}, {html.escape(e.label)}: <a href="{tables.href(e.run)}">{say(e)}</a>' for e in shown]
        rows.append((
            f'{one.claim.id} <a href="{one.claim.page}">{html.escape(one.claim.short)}</a>',
            [Cell(f"<small>{'<br>'.join(lines) or html.escape(one.why)}</small>", source, left=True),
             Cell(badge(one.verdict), left=True)],
        ))  # fmt: skip
    heads = [[("claim", 1, ""), ("evidence", 1, ""), ("verdict", 1, "")]]
    return tables.table(heads, rows, "Verdicts, computed from the runs.", "report-claims")


def effort_table(recorded: list[Run], here: list[Run]) -> Html:
    """Runs, machine hours and machines, by profile."""
    rows = []
    for made, runs in (("recorded", recorded), ("made here", here)):
        for _, group in itertools.groupby(sorted(runs, key=lambda run: run.profile), key=lambda run: run.profile):
            group = list(group)
            manifests = [run.manifest for run in group]
            minutes = sum(m.get("wall_seconds") or 0 for m in manifests) / 60
            machines = sorted({", ".join(str(v) for v in (m.get("hardware") or {}).values()) for m in manifests} - {""})
            texts = (f"{len(manifests)}", f"{minutes:,.0f}", html.escape("; ".join(machines)) or "not recorded")
            rows.append((f"{html.escape(group[0].title)}, {made}", [Cell(text, group[0].source) for text in texts]))
    if not rows:
        return Html("<p>No run is here yet.</p>")
    heads = [[("data", 1, ""), ("runs", 1, ""), ("minutes, all of them", 1, ""), ("machine", 1, "")]]
    return tables.table(heads, rows, "What the runs took.", "effort")
