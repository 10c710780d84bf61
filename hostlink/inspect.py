"""The inspector's visit: identity, software, seal, what happened since the last visit, statements verified on the spot."""

import html
import json
import time as wall
from decimal import Decimal
from pathlib import Path
from typing import Any

from hostlink import events, statements
from hostlink.configure import shown
from hostlink.errors import DataError, ProofError, UsageError
from hostlink.lms import fingerprint
from hostlink.meter import Meter
from protocol import events as kinds
from protocol import status as flags

SCHEMA = 1


def public_key(source: str, serial: str) -> bytes:
    """A meter's public key: as hexadecimal digits, or from a file that `tonne keys show-public` wrote. Raises UsageError."""
    path = Path(source)
    if not path.exists():
        try:
            return bytes.fromhex(source)
        except ValueError:
            raise UsageError(f"expected a public key in hexadecimal, or a file that exists, got {source!r}") from None
    try:
        found = json.loads(path.read_text())["meters"].get(serial)
    except (OSError, ValueError, KeyError, AttributeError):
        raise UsageError(f"expected the JSON of `tonne keys show-public` in {path}") from None
    if found is None:
        raise UsageError(f"expected the public key of {serial} in {path}; it has none")
    return bytes.fromhex(found)


def previous(path: Path) -> dict[str, Any]:
    """The JSON of the last visit. Raises UsageError."""
    try:
        visit = json.loads(path.read_text())
        if visit["schema"] != SCHEMA:
            raise UsageError(f"expected a visit of schema {SCHEMA} in {path}, got {visit['schema']}")
        return visit
    except (OSError, ValueError, KeyError, TypeError):
        raise UsageError(f"expected the JSON of a former `tonne inspect` in {path}") from None


def visit(meter: Meter, public: bytes | None, last: dict[str, Any] | None = None) -> dict[str, Any]:
    """Everything an inspector looks at, as plain values; `findings` in words, empty if nothing is wrong. Raises LinkError."""
    identity = meter.identify()
    trust = meter.trust()
    now = meter.registers()
    logs = {log: list(events.read(meter, log)) for log in kinds.LOGS}
    findings = [f"{kinds.LOGS[log]} log: {text}" for log, found in logs.items() for text in events.breaks(found)]
    verified, said = _statements(meter, public, findings)
    proof = statements.prove(verified, (), logs)
    findings += proof.wrong
    if last is not None:
        findings += _since(last, identity.serial, trust.seal_counter, logs, now.registers)
    if public is not None and trust.public != public:
        findings.append(f"the meter shows key {fingerprint(trust.public)}, expected {fingerprint(public)}")
    if not trust.sealed:
        findings.append("the seal is open")
    if not now.time.valid:
        findings.append("the clock is not set")
    _against_now(verified, identity, trust.seal_counter, findings)
    since = {log: (last or {}).get("events_next", {}).get(name, 0) for log, name in kinds.LOGS.items()}
    shown_events = [e for log, found in logs.items() for e in found if e.sequence >= since[log]]
    return {
        "schema": SCHEMA,
        "made": wall.strftime("%Y-%m-%dT%H:%M:%SZ", wall.gmtime()),
        "serial": identity.serial,
        "hardware": identity.hardware,
        "firmware": identity.firmware,
        "software": identity.software.hex(),
        "profile": identity.fingerprint.hex(),
        "time": f"{now.time.utc:%Y-%m-%dT%H:%M:%SZ}",
        "status": flags.names(now.status),
        "sealed": bool(trust.sealed),
        "seal_counter": trust.seal_counter,
        "failed_proofs": trust.failures,
        "refused_macs": trust.refused_macs,
        "signatures_left": trust.signatures_left,
        "key": fingerprint(trust.public),
        "parameters": {p.name: shown(p) for p in meter.parameters()},
        "registers": [{"name": r.name, "value": str(r.amount.decimal), "unit": r.amount.unit} for r in now.registers],
        "events": [e.as_json() for e in sorted(shown_events, key=lambda e: e.order)],
        "events_next": {name: logs[log][-1].sequence + 1 if logs[log] else 0 for log, name in kinds.LOGS.items()},
        "event_links": {name: logs[log][-1].link.hex() if logs[log] else "" for log, name in kinds.LOGS.items()},
        "statements": said,
        "evidence": proof.evidence,
        "findings": findings,
    }


def page(found: dict[str, Any]) -> str:
    """The visit as a page to print: HTML that needs nothing else."""
    title = f"Inspection of meter {found['serial']}"
    verdict = "Nothing was found wrong." if not found["findings"] else "Found:"
    plain = (
        "serial",
        "hardware",
        "firmware",
        "software",
        "profile",
        "time",
        "sealed",
        "seal_counter",
        "failed_proofs",
        "key",
    )
    parts = [
        f"<h1>{_text(title)}</h1><p>Made {_text(found['made'])} by <code>tonne inspect</code>.</p>",
        f"<p><b>{verdict}</b></p>",
        _list(found["findings"]),
        "<h2>The meter</h2>",
        _table(
            [(name.replace("_", " "), found[name]) for name in plain]
            + [("status", ", ".join(found["status"]) or "good")]
        ),
        "<h2>Registers</h2>",
        _table([(r["name"], f"{r['value']} {r['unit']}") for r in found["registers"]]),
        "<h2>Parameters</h2>",
        _table(list(found["parameters"].items())),
        "<h2>Statements</h2>",
        f"<p>{_text(found['evidence'])}.</p>",
        _table(
            [
                (s["sequence"], f"to {s['end']}, {'verified' if s['verified'] else 'not verified'}")
                for s in found["statements"]
            ]
        ),
        "<h2>Events since the last visit</h2>",
        _table([(f"{e['time']} {e['event']}", f"{e['by']} {e['details']}") for e in found["events"]]),
        "<p class=sign>Place, date, signature:</p>",
    ]
    style = (
        "body{font:10pt/1.4 sans-serif;max-width:18cm;margin:1cm auto}table{border-collapse:collapse;width:100%}"
        "td{border-bottom:1px solid #ccc;padding:2px 6px;vertical-align:top;overflow-wrap:anywhere}td:first-child{width:30%}"
        ".sign{margin-top:2cm;border-top:1px solid #000}"
    )
    return f"<!doctype html><meta charset=utf-8><title>{_text(title)}</title><style>{style}</style>{''.join(parts)}\n"


def _statements(
    meter: Meter, public: bytes | None, findings: list[str]
) -> tuple[list[statements.Statement], list[dict[str, Any]]]:
    verified = []
    said = []
    for data in statements.read(meter):
        try:
            statement = statements.verify(data, public) if public else statements.parse(data)
        except (DataError, ProofError) as error:
            findings.append(str(error))
            continue
        said.append({**statement.as_json(), "verified": public is not None})
        if public:
            verified.append(statement)
    return verified, said


def _since(
    last: dict[str, Any], serial: str, seal_counter: int, logs: dict[int, list[events.Event]], registers: Any
) -> list[str]:
    if last["serial"] != serial:
        return [f"the last visit was to meter {last['serial']}, this is {serial}"]
    wrong = []
    if seal_counter != last["seal_counter"]:
        wrong.append(f"the seal was broken {seal_counter - last['seal_counter']} time(s) since the last visit")
    for log, name in kinds.LOGS.items():
        number = last["events_next"][name] - 1
        found = [event for event in logs[log] if event.sequence == number]
        if found and found[0].link.hex() != last["event_links"][name]:
            wrong.append(f"the {name} log was made anew since the last visit: event {number} is another")
        if number >= 0 and (not logs[log] or logs[log][-1].sequence < number):
            wrong.append(f"the {name} log ends before event {number} that the last visit saw")
    before = {r["name"]: r["value"] for r in last["registers"]}
    wrong += [
        f"{r.name} went down since the last visit"
        for r in registers
        if _lower(str(r.amount.decimal), before.get(r.name))
    ]
    return wrong


def _lower(now: str, before: str | None) -> bool:
    return before is not None and Decimal(now) < Decimal(before)


def _against_now(verified: list[statements.Statement], identity: Any, seal_counter: int, findings: list[str]) -> None:
    if not verified:
        return
    newest = verified[-1]
    if newest.serial != identity.serial:
        findings.append(f"the statements are of meter {newest.serial}, this is {identity.serial}")
    if newest.software != identity.software:
        findings.append("other software runs now than when the newest statement was made")
    if newest.seal_counter > seal_counter:
        findings.append("the seal counter is lower than in a signed statement")


def _text(value: Any) -> str:
    return html.escape(str(value))


def _list(lines: list[str]) -> str:
    return f"<ul>{''.join(f'<li>{_text(line)}</li>' for line in lines)}</ul>" if lines else ""


def _table(rows: list[tuple[Any, Any]]) -> str:
    return f"<table>{''.join(f'<tr><td>{_text(a)}</td><td>{_text(b)}</td></tr>' for a, b in rows)}</table>"


def write(found: dict[str, Any], folder: Path) -> list[Path]:
    """`inspection-SERIAL.json` and `.html` in `folder`. Raises UsageError."""
    stem = "inspection-" + "".join(c if c.isalnum() or c in "-_" else "_" for c in found["serial"])
    paths = [folder / f"{stem}.json", folder / f"{stem}.html"]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        paths[0].write_text(json.dumps(found, indent=2, ensure_ascii=False) + "\n")
        paths[1].write_text(page(found))
    except OSError as error:
        raise UsageError(f"cannot write to {folder}: {error.strerror}") from None
    return paths
