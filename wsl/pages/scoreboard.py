"""The scoreboard as tables: what `wsl.findings.claims` found, one row a claim."""

from __future__ import annotations

import html
import itertools

from wsl.findings import claims
from wsl.findings import results as report
from wsl.findings.claims import Evidence, Judged
from wsl.findings.results import Cell
from wsl.pages.show import Html, Text

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


def sources(results: str, runs: str, recorded: tuple[str, str], made_here: tuple[str, str], trunk: str):
    """(real, scenes) for `claims.judge_all`; profiles are given as (VOC layout, COCO layout).

    A profile of real photographs that was run here (the user's own data) stands in the recorded run's place.
    """
    real = {k: report.Column(results, name, trunk) for k, name in zip(("voc", "coco"), recorded, strict=True)}
    here = {k: report.Column(runs, name, trunk) for k, name in zip(("voc", "coco"), made_here, strict=True)}
    own = {k: column for k, column in here.items() if not report.is_scenes(column.profile)}
    return real | own, {k: column for k, column in here.items() if k not in own}


def scoreboard(judged: list[Judged]) -> Html:
    """The landing page's table: claim, the paper's words and numbers, evidence, verdict."""
    texts = (("the paper's claim", "src-paper"), ("real photographs", "src-real"), ("scenes", "src-scenes"), ("verdict", ""))
    rows = []
    for one in judged:
        claim = one.claim
        quote = f"“{html.escape(claim.quote)}” " if claim.quote else ""
        title = f'<span id="{claim.id.lower()}">{claim.id}</span> <a href="{claim.page}">{html.escape(claim.short)}</a>'
        rows.append((
            f"{title}<br><small>{quote}{html.escape(claim.cells)}</small>",
            [
                Cell(_evidence(one.real), "left src-real"),
                Cell(_evidence(one.scenes), "left src-scenes"),
                Cell(badge(one.verdict) + (f"<br><small>{html.escape(one.why)}</small>" if one.why else ""), "left"),
            ],
        ))  # fmt: skip
    heads = [[(text, 1, kind) for text, kind in texts]]
    caption = (
        "Each claim of the paper that can be tested. Numbers are differences in percentage points unless a unit says "
        "otherwise, with the 95% interval of a paired bootstrap over test images, and the range over seeds. Real "
        "photographs decide; a number links to its run, a claim to the page that shows it."
    )
    return report.table(heads, rows, caption, "scoreboard")


def badge(verdict: str) -> str:
    kind, sign = BADGES[verdict]
    return f'<span class="verdict verdict-{kind}">{sign} {verdict}</span>'


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
            number = f'<a href="{e.href}" title="{html.escape(e.data)}">{say(e)}</a>'
            parts.append(f"{SIGNS[e.outcome]} {_data(e)}: {number}" + (f"; {html.escape(e.note)}" if e.note else ""))
    return f"<small>{'<br>'.join(parts)}</small>"


def _data(evidence: Evidence) -> str:
    return evidence.layout.upper() if evidence.decides else f"beside it, {evidence.layout.upper()}"


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
        rows.append((f'{claim.id} <a href="index.html#{claim.id.lower()}">{html.escape(claim.short)}</a>', [Cell(text, "left")]))
    caption = "The rule of each claim: “reproduced” if all of it holds, “not reproduced” if one part is contradicted by its "
    caption += "whole interval, else “inconclusive”."
    return report.table([[("claim", 1, ""), ("holds if", 1, "")]], rows, caption, "rules")


def margins() -> list[str]:
    """The sizes on which the rules stand, with their reasons in the paper's own numbers."""
    return [
        f"*No significant benefit* (C6, C15): less than {claims.NO_BENEFIT:g} points; the paper calls 0.7 points (I and J on "
        f"COCO) none. In location {claims.NO_BENEFIT_LOCATION:g}, as its own I is 1.7 above J there.",
        f"*On par*, *comparable* (C9, C14): within {claims.ON_PAR:g} points; the paper's J and L differ by 0.3 in location.",
        f"*Far above* (C8): more than {claims.FAR_ABOVE:g} points; the paper's J is 23.6 and 22.1 above K.",
        f"*About x points* (C4, C5): a gain beyond doubt, of {claims.ABOUT[0]:g} to {claims.ABOUT[1]:g} times x.",
        "*Falls steeply* (C12): less than half is left; in the paper 27%.",
    ]


def verdict_table(judged: list[Judged]) -> Html:
    """Claim, number that decided, verdict: the scoreboard without quotes."""
    rows = []
    for one in judged:
        shown = one.real or one.scenes
        kind = "src-real" if one.real else "src-scenes" if one.scenes else ""
        lines = [f'{_data(e)}, {html.escape(e.label)}: <a href="{e.href}">{say(e)}</a>' for e in shown]
        rows.append((
            f'{one.claim.id} <a href="{one.claim.page}">{html.escape(one.claim.short)}</a>',
            [Cell(f"<small>{'<br>'.join(lines) or html.escape(one.why)}</small>", f"left {kind}".strip()),
             Cell(badge(one.verdict), "left")],
        ))  # fmt: skip
    heads = [[("claim", 1, ""), ("evidence", 1, ""), ("verdict", 1, "")]]
    return report.table(heads, rows, "Verdicts, computed from the runs.", "report-claims")


def effort_table(recorded: list[report.Run], here: list[report.Run]) -> Html:
    """Runs, machine hours and machines, by profile."""
    rows = []
    for made, runs in (("recorded", recorded), ("made here", here)):
        for profile, group in itertools.groupby(sorted(runs, key=lambda run: run.profile), key=lambda run: run.profile):
            manifests = [run.manifest for run in group]
            minutes = sum(m.get("wall_seconds") or 0 for m in manifests) / 60
            machines = sorted({", ".join(str(v) for v in (m.get("hardware") or {}).values()) for m in manifests} - {""})
            texts = (f"{len(manifests)}", f"{minutes:,.0f}", html.escape("; ".join(machines)) or "not recorded")
            kind = report.source_class(profile)
            rows.append((f"{report.data_name(profile)}, {made}", [Cell(text, kind) for text in texts]))
    if not rows:
        return Html("<p>No run is here yet.</p>")
    heads = [[("data", 1, ""), ("runs", 1, ""), ("minutes, all of them", 1, ""), ("machine", 1, "")]]
    return report.table(heads, rows, "What the runs took.", "effort")
