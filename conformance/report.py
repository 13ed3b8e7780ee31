"""What the checks found, for a person to read, or as JSON."""

from collections.abc import Sequence
from typing import Any

from conformance.check import Result
from conformance.exchanges import Exchange

MARKS = {"passed": "passed", "failed": "FAILED", "cannot": "cannot", "not checked": "not checked"}


def line(result: Result) -> str:
    """Return what came of a check, and what to do about it."""
    said = f"{MARKS[result.outcome]:<12} {result.check.name}"
    if result.outcome == "passed":
        return said
    more = reasons(result) if result.outcome == "failed" else [result.detail]
    return "\n".join([said, *(f"{'':<13}{text}" for text in more)])


def reasons(result: Result) -> list[str]:
    """Return what was seen of a check that failed, why it matters, and what to do: a line for each."""
    lines = [result.detail, *(_exchange(operation, one) for operation, one in result.exchanges)]
    lines += [f"Ticket: {address}" for address in result.tickets]
    lines.append(f"Why it matters: {result.check.promise}. {result.check.proves}")
    lines.append(f"Expected: {result.expected}" if result.expected else f"To fix it: {result.remedy}")
    return lines


def _exchange(operation: str, exchange: Exchange) -> str:
    asked = f"{exchange.method} {exchange.path}"
    came = f"{exchange.status or 'no answer'} {exchange.body}".rstrip()
    return f"{operation}: {asked} → {came}".removeprefix(": ")


def cannot_of(results: Sequence[Result], declared: dict[str, str]) -> dict[str, str]:
    """Return what the helpdesk cannot do, and what happens instead: as its adapter says, or as was seen."""
    return {one.cannot.what: one.cannot.instead for one in results if one.cannot} | declared


def summary(results: Sequence[Result], cannot: dict[str, str], tickets: Sequence[str]) -> str:
    """Return what stands below the checks."""
    lines = []
    if cannot:
        lines += ["", "What this helpdesk cannot do, and what happens instead:"]
        lines += [f"  {what}: {instead}." for what, instead in cannot.items()]
    counts = {outcome: sum(one.outcome == outcome for one in results) for outcome in MARKS}
    lines += ["", ", ".join(f"{count} {outcome}" for outcome, count in counts.items()) + "."]
    if tickets:
        lines.append(f"Tickets that were made, and may be deleted: {', '.join(tickets)}.")
    return "\n".join(lines)


def as_json(results: Sequence[Result], cannot: dict[str, str], tickets: Sequence[str]) -> dict[str, Any]:
    """Return everything as JSON has it."""
    return {
        "passed": not any(one.outcome == "failed" for one in results),
        "checks": [_check(one) for one in results],
        "cannot": cannot,
        "tickets": list(tickets),
    }


def _check(result: Result) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "name": result.check.name,
        "outcome": result.outcome,
        "promise": result.check.promise,
        "proves": result.check.proves,
    }
    if result.detail:
        shown["detail"] = result.detail
    if result.outcome == "failed":
        shown |= {"expected": result.expected} if result.expected else {"remedy": result.remedy}
        shown["exchanges"] = [_as_json(operation, one) for operation, one in result.exchanges]
        shown["addresses"] = list(result.tickets)
    return shown


def _as_json(operation: str, exchange: Exchange) -> dict[str, Any]:
    shown = {"operation": operation} if operation else {}
    return shown | {
        "method": exchange.method,
        "path": exchange.path,
        "status": exchange.status,
        "body": exchange.body,
    }
