"""Points as JUnit XML, for whoever runs the suites in CI."""

import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

PROPERTIES = ("measured", "unit", "low", "high", "expanded", "k", "verdict", "requirement")


def write(result: dict[str, Any], path: Path) -> None:
    """One test case a point; what is missing from an incomplete run is an error, a failed warning is told but no failure."""
    root = ET.Element("testsuites", name=result["title"])
    points: dict[str, list[dict[str, Any]]] = {}
    for point in result["points"]:
        points.setdefault(point["suite"], []).append(point)
    for suite, members in points.items():
        failures = sum(p["verdict"] == "fail" and p["certifies"] for p in members)
        skipped = sum(p["verdict"] in ("inconclusive", "inapplicable") for p in members)
        element = ET.SubElement(
            root,
            "testsuite",
            name=suite,
            tests=str(len(members)),
            failures=str(failures),
            skipped=str(skipped),
            errors="0",
        )
        for point in members:
            _case(element, point)
    if result["missing"] or result["reason"]:
        missing = result["missing"] or ["run"]
        element = ET.SubElement(
            root, "testsuite", name="incomplete", tests=str(len(missing)), failures="0", errors=str(len(missing))
        )
        reasons = {row["item"]: row["reason"] for row in result["stopped"]}
        for name in missing:
            case = ET.SubElement(element, "testcase", classname="incomplete", name=name)
            ET.SubElement(case, "error", message=reasons.get(name) or result["reason"] or "not run")
    ET.indent(root)
    ET.ElementTree(root).write(path, encoding="utf-8", xml_declaration=True)


def _case(suite: ET.Element, point: dict[str, Any]) -> None:
    case = ET.SubElement(suite, "testcase", classname=point["check"], name=point["id"])
    properties = ET.SubElement(case, "properties")
    for key in PROPERTIES:
        ET.SubElement(properties, "property", name=key, value=point[key])
    if point["verdict"] == "fail":
        limits = f"{point['low'] or '-'} … {point['high'] or '-'}"
        text = f"{point['what']}: {point['measured']} {point['unit']}, limits {limits}; {point['note']}"
        if point["certifies"]:
            ET.SubElement(case, "failure", message=text)
        else:
            ET.SubElement(case, "system-out").text = f"warning (limit from memory): {text}"
    elif point["verdict"] != "pass":
        ET.SubElement(case, "skipped", message=f"{point['verdict']}: {point['note']}")
