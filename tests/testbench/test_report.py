"""Every number in every rendering against `results.json`, digit by digit; the certificate read back by an independent reader."""

import csv
import json
import re
import sys
import types
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from testbench import report
from testbench.conformance import plan as plans
from testbench.conformance import runner
from testbench.report.dcc import DCC, SI, identification
from tests.testbench import dcc_structure

PLAN = """
endurance = { years = 1 }
protocol = { bit_errors = ["1e-4", "1e-3"], readouts = 4 }
suites = ["identity", "flow", "load", "conversion", "protocol", "endurance"]
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A finished run with its renderings; one point is made to fail and one to warn, so that every kind is in it."""
    where = tmp_path_factory.mktemp("report")
    path = where / "lab.toml"
    path.write_text(plans.find("demo").read_text().replace("[flow]", PLAN + "[flow]", 1))
    run = runner.DeviceRun("unix", where / "run")
    runner.run(str(path), [run], lambda *_: None)
    assert run.verdict == "pass", run.reason
    result = run.result
    certifying = next(p for p in result["points"] if p["check"] == "flow.error")
    certifying.update(verdict="fail", measured="-3.14", note="made to fail by the test")
    next(p for p in result["points"] if not p["certifies"]).update(verdict="fail", note="made to warn by the test")
    next(p for p in result["points"] if p["check"] == "protocol.framing").update(verdict="inconclusive")
    result["verdict"] = "fail"
    (where / "run/results.json").write_text(json.dumps(result))
    report.write(where / "run")
    yield where / "run"


@pytest.fixture(scope="module")
def result(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "results.json").read_text())


def test_csv(folder: Path, result: dict[str, Any]) -> None:
    with (folder / "points.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == len(result["points"]) > 200
    for row, point in zip(rows, result["points"], strict=True):
        assert all(row[key] == str(point[key]) for key in ("id", "measured", "low", "high", "expanded", "k", "verdict"))
        assert row["status"] == result["requirements"][point["requirement"]]["status"]


def test_junit(folder: Path, result: dict[str, Any]) -> None:
    root = ET.parse(folder / "junit.xml").getroot()
    cases = {case.get("name"): case for case in root.iter("testcase")}
    assert len(cases) == len(result["points"])
    for point in result["points"]:
        got = {p.get("name"): p.get("value") for p in cases[point["id"]].iter("property")}
        assert all(got[key] == point[key] for key in ("measured", "low", "high", "expanded", "k", "verdict"))
        assert (cases[point["id"]].find("failure") is not None) == (point["verdict"] == "fail" and point["certifies"])
    assert sum(int(suite.get("failures", "0")) for suite in root) == 1
    assert "warning" in "".join(e.text or "" for e in root.iter("system-out"))


def test_pdf(folder: Path, result: dict[str, Any]) -> None:
    """Each point's row: its number, then measured value, limits, U, k, unit, verdict, in the page's own order."""
    from pypdf import PdfReader

    reader = PdfReader(folder / "report.pdf")
    pages = [page.extract_text() for page in reader.pages]
    text = re.sub(r"\s+", " ", " ".join(pages))
    at = text.index("Results")
    for check in ("flow.error", "protocol.framing"):
        assert re.compile(re.escape(check) + r" .{3,200}? \d+ \d+ \d+ \d+").search(text, at), f"{check} does not fall short"
    for number, point in enumerate(result["points"], 1):
        limits = _limits(point)
        u, k = (point["expanded"], point["k"]) if point["k"] else ("–", "–")
        tail = [point["measured"] or "–", limits, u, k, point["unit"], point["verdict"]]
        found = re.compile(r"(?<!\d)" + str(number) + r" .{3,400}?" + r"\s*".join(map(re.escape, tail))).search(
            text, at
        )
        assert found, f"{number}: {point['id']}: {tail} not behind {text[at : at + 300]!r}"
        at = found.end()
    name = identification(result)
    assert all(f"Test report {name}" in re.sub(r"\s+", " ", page) for page in pages)
    assert all(f"page {n} of {len(pages)}" in re.sub(r"\s+", " ", page) for n, page in enumerate(pages, 1))
    assert f"End of test report {name}" in re.sub(r"\s+", " ", pages[-1])
    for digest in result["digests"].values():
        assert digest in text.replace(" ", "")
    for clause in (
        "must not be reproduced except in full",
        "relate only to the item tested",
        "Decision rule",
        "traceability",
    ):
        assert clause.lower() in text.lower()


def _limits(point: dict[str, Any]) -> str:
    low, high = point["low"], point["high"]
    if not low and not high:
        return "–"
    if not low:
        return f"≤ {high}"
    if not high:
        return f"≥ {low}"
    return f"= {low}" if low == high else f"{low} … {high}"


def test_certificate_numbers(folder: Path, result: dict[str, Any]) -> None:
    """Lists of the certificate hold the points' numbers, all of them and no other."""
    root = ET.parse(folder / "certificate.xml").getroot()
    names = {"dcc": DCC, "si": SI}
    quantities, metadata = "dcc:data/dcc:list/dcc:quantity", "dcc:measurementMetaData"
    verdict_words = {"inconclusive": "noPass"}
    got = []
    for table in root.iterfind(".//dcc:result", names):
        check = table.findtext("dcc:name/dcc:content", "", names).split(":")[0]
        measured = next(q for q in table.iterfind(quantities, names) if q.find(metadata, names) is not None)
        values = measured.findtext("si:realListXMLList/si:valueXMLList", "", names).split()
        u = measured.findtext(".//si:uncertaintyXMLList", "", names).split() or [""] * len(values)
        k = measured.findtext(".//si:coverageFactorXMLList", "", names).split() or [""] * len(values)
        limits = {}
        for kind in ("Lower", "Upper"):
            path = f".//dcc:quantity[@refType='basic_acceptanceLimit{kind}']//si:valueXMLList"
            limits[kind] = measured.findtext(path, "", names).split() or [""] * len(values)
        verdicts = measured.findtext(".//dcc:conformityXMLList", "", names).split()
        got += list(zip([check] * len(values), values, u, k, limits["Lower"], limits["Upper"], verdicts, strict=True))
    expected = []
    for p in result["points"]:
        if p["measured"]:
            u, verdict = p["expanded"] if p["k"] else "", verdict_words.get(p["verdict"], p["verdict"])
            expected.append((p["check"], p["measured"], u, p["k"], p["low"], p["high"], verdict))
    assert sorted(got) == sorted(expected)


def test_certificate_is_built_as_the_schemas_ask(folder: Path) -> None:
    assert not dcc_structure.faults(ET.parse(folder / "certificate.xml").getroot())


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("<dcc:eMail>-</dcc:eMail>", "", "contact: name location is not"),
        ("<dcc:issuer>manufacturer<", "<dcc:issuer>somebody<", "issuer: 'somebody'"),
        ("</si:valueXMLList>", " much</si:valueXMLList>", "valueXMLList"),
        ('schemaVersion="3.1.1"', 'schemaVersion="3.1"', "schemaVersion 3.1"),
    ],
)
def test_what_the_schemas_do_not_allow_is_seen(folder: Path, old: str, new: str, says: str) -> None:
    text = (folder / "certificate.xml").read_text()
    assert old in text
    assert any(says in fault for fault in dcc_structure.faults(ET.fromstring(text.replace(old, new, 1))))


def test_nothing_measured_is_no_certificate(tmp_path: Path, result: dict[str, Any]) -> None:
    (tmp_path / "certificate.xml").write_text("of an earlier run")
    empty = {**result, "points": [], "verdict": "incomplete", "reason": "no device"}
    (tmp_path / "results.json").write_text(json.dumps(empty))
    assert "certificate.xml" not in [path.name for path in report.write(tmp_path)]
    assert not (tmp_path / "certificate.xml").exists() and (tmp_path / "report.pdf").exists()


def _pydcc(monkeypatch: pytest.MonkeyPatch) -> Any:
    """pydcc's reader. What it does besides reading is left out: its signature check imports oscrypto 1.3.0, which cannot read the
    version of OpenSSL 3.0.10 and later, and its schema check fetches the schemas from a web site."""
    absent: Any = types.ModuleType("certvalidator")
    absent.CertificateValidator = absent.errors = absent.ValidationContext = None
    monkeypatch.setitem(sys.modules, "certvalidator", absent)
    import dcc.dcc

    monkeypatch.setattr(dcc.dcc, "DCCXMLValidator", lambda *_, **__: None)
    return dcc.dcc.DCC


def test_certificate_is_read_by_pydcc(folder: Path, result: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    Certificate = _pydcc(monkeypatch)
    read = Certificate(str(folder / "certificate.xml"))
    assert read.is_loaded() and read.version() == "3.1.1" and read.mandatory_language() == "en"
    assert read.uid() == identification(result)
    assert read.calibration_laboratory_name() == result["report"]["laboratory"]
    assert read.item_id()["identifications"]["identification"][0]["value"] == result["item"]["serial"]
    seen: dict[int, dict[str, Any]] = {}
    for entry in read.get_calibration_results("name", "en"):  # gives an entry again for a quantity without numbers
        name, quantity = entry
        if name.startswith(" Suite flow flow.error"):
            seen[id(entry)] = quantity["realListXMLList"]
    nominal, measured = seen.values()
    points = [p for p in result["points"] if p["check"] == "flow.error"]
    assert nominal["valueXMLList"].split() == [p["conditions"][0][1] for p in points]
    assert measured["valueXMLList"].split() == [p["measured"] for p in points]
    uncertainty = measured["expandedUncXMLList"]
    assert uncertainty["uncertaintyXMLList"].split() == [p["expanded"] for p in points]
    assert uncertainty["coverageFactorXMLList"].split() == [p["k"] for p in points]
