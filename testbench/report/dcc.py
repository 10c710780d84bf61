"""The result as a Digital Calibration Certificate (PTB DCC 3.1.1, https://ptb.de/dcc) with D-SI quantities.

Structured as PTB's good-practice certificates are: administrative data, then a measurement result for each suite, in it a table for
each check with nominal conditions, measured values, expanded uncertainty, limits and conformity. XML data by our own hand: no PTB
file is part of this.
"""

import xml.etree.ElementTree as ET
from itertools import groupby
from pathlib import Path
from typing import Any

DCC, SI, XSI = "https://ptb.de/dcc", "https://ptb.de/si", "http://www.w3.org/2001/XMLSchema-instance"
VERSION = "3.1.1"
UNITS = {  # a measured value's unit that is not here is an error; a condition with another is told in words
    "1": r"\one",
    "": r"\one",
    "%": r"\percent",
    "mg": r"\milli\gram",
    "cm³": r"\centi\metre\tothe{3}",
    "s": r"\second",
    "h": r"\hour",
    "d": r"\day",
    "A": r"\ampere",
    "K": r"\kelvin",
    "bar": r"\bar",
    "m³/h": r"\metre\tothe{3}\per\hour",
}
CONFORMITY = {"pass": "pass", "fail": "fail", "inconclusive": "noPass", "incomplete": "noPass"}
PROBABILITY = "0.9545"

Point = dict[str, Any]


def write(result: dict[str, Any], path: Path) -> None:
    """The certificate in `path`; none if nothing was measured."""
    points = [p for p in result["points"] if p["measured"]]
    if not points:
        return
    for prefix, uri in (("dcc", DCC), ("si", SI), ("xsi", XSI)):
        ET.register_namespace(prefix, uri)
    root = ET.Element(f"{{{DCC}}}digitalCalibrationCertificate", schemaVersion=VERSION)
    root.set(f"{{{XSI}}}schemaLocation", f"{DCC} {DCC}/v{VERSION}/dcc.xsd")
    _administrative(root, result)
    results = _add(root, "measurementResults")
    for suite, members in groupby(points, key=lambda p: p["suite"]):
        _suite(results, result, suite, list(members))
    ET.indent(root, "\t")
    ET.ElementTree(root).write(path, encoding="utf-8", xml_declaration=True)


def _administrative(root: ET.Element, result: dict[str, Any]) -> None:
    report, item = result["report"], result["item"]
    data = _add(root, "administrativeData")
    software = _add(_add(data, "dccSoftware"), "software")
    _name(software, "Tonne conformance suite")
    _add(software, "release", f"v{result['version']}")
    core = _add(data, "coreData")
    _add(core, "countryCodeISO3166_1", report["country"] or "DE")
    _add(core, "usedLangCodeISO639_1", "en")
    _add(core, "mandatoryLangCodeISO639_1", "en")
    _add(core, "uniqueIdentifier", identification(result))
    identifications = _add(core, "identifications")
    for name, digest in sorted(result["digests"].items()):
        _identification(identifications, "calibrationLaboratory", digest, f"SHA-256 of {name}")
    _add(core, "beginPerformanceDate", result["started"][:10])
    _add(core, "endPerformanceDate", result["ended"][:10])
    _add(core, "performanceLocation", "laboratory")
    entry = _add(_add(data, "items"), "item")
    _name(entry, report["item"] or "Emissions meter")
    _name(_add(entry, "manufacturer"), report["manufacturer"] or "-")
    _add(entry, "model", report["model"] or item.get("hardware", "-"))
    identifications = _add(entry, "identifications")
    _identification(identifications, "manufacturer", item.get("serial", "-"), "Serial number")
    _identification(identifications, "manufacturer", item.get("firmware", "-"), "Firmware version")
    _identification(identifications, "manufacturer", item.get("software", "-"), "Software identification")
    _identification(identifications, "manufacturer", item.get("fingerprint", "-"), "Profile fingerprint")
    laboratory = _add(_add(data, "calibrationLaboratory"), "contact")
    _contact(laboratory, report["laboratory"], report["email"], report["address"], report["country"])
    person = _add(_add(data, "respPersons"), "respPerson")
    _name(_add(person, "person"), report["authorized"] or "-")
    _add(person, "mainSigner", "true")
    customer = _add(data, "customer")
    _contact(customer, report["customer"], report["customer_email"], report["contact"], report["country"])
    statement = _add(_add(data, "statements"), "statement", refType="basic_conformity")
    declaration = _add(statement, "declaration")
    _content(declaration, f"{result['verdict']}: {result['decision']['rule']}. {result['decision']['text']}")
    _add(statement, "conformity", CONFORMITY[result["verdict"]])


def identification(result: dict[str, Any]) -> str:
    """The report's identification: the laboratory's own, serial number and day, and the journal's begin."""
    own = result["report"]["identification"] or "TONNE"
    return f"{own}-{result['item'].get('serial', 'none')}-{result['started'].replace(':', '').replace('-', '')[:15]}"


def _suite(results: ET.Element, result: dict[str, Any], suite: str, points: list[Point]) -> None:
    element = _add(results, "measurementResult")
    _name(element, f"Suite {suite}")
    methods = _add(element, "usedMethods")
    for key in dict.fromkeys(p["requirement"] for p in points):
        requirement = result["requirements"][key]
        method = _add(methods, "usedMethod")
        _name(method, f"{requirement['document']} ({requirement['edition']}), {requirement['clause']}")
        _description(method, f"{requirement['text']} (status: {requirement['status']})")
    if result["instruments"]:
        equipments = _add(element, "measuringEquipments")
        for instrument in result["instruments"]:
            equipment = _add(equipments, "measuringEquipment", refType="basic_normalUsed")
            _name(equipment, instrument["name"])
            identifications = _add(equipment, "identifications")
            _identification(identifications, "manufacturer", instrument["serial"], "Serial number")
            _identification(
                identifications,
                "calibrationLaboratory",
                f"{instrument['calibrated']}/{instrument['due']}",
                "Calibrated, due",
            )
    if result["report"]["ambient"]:
        condition = _add(_add(element, "influenceConditions"), "influenceCondition")
        _name(condition, "Ambient conditions")
        quantity = _add(_add(condition, "data"), "quantity")
        _content(_add(quantity, "noQuantity"), result["report"]["ambient"])
    tables = _add(element, "results")
    for _, members in groupby(sorted(points, key=_shape), key=_shape):
        _table(tables, list(members))


def _shape(point: Point) -> tuple[str, ...]:
    """Points of one table have the same check, unit, conditions, and the same of limits and uncertainty."""
    names = ",".join(name for name, _, _ in point["conditions"])
    present = "".join("01"[bool(point[key])] for key in ("low", "high", "k"))
    return point["check"], point["what"], point["unit"], names, present


def _table(results: ET.Element, points: list[Point]) -> None:
    first = points[0]
    result = _add(results, "result", refType="tonne_" + first["check"].replace(".", "_"))
    _name(result, f"{first['check']}: {first['what']}")
    table = _add(_add(result, "data"), "list")
    for n, (name, _, unit) in enumerate(first["conditions"]):
        values = [p["conditions"][n][1] for p in points]
        quantity = _add(table, "quantity", refType="basic_nominalValue")
        _name(quantity, name)
        if unit in UNITS and all(map(_number, values)):
            _reals(quantity, values, unit)
        else:
            shown = [f"{value} {unit}".strip() for value in values]
            _content(_add(quantity, "noQuantity"), " | ".join(shown))
    quantity = _add(
        table,
        "quantity",
        refType="basic_measurementError" if first["check"].endswith(".error") else "basic_measuredValue",
    )
    _name(quantity, first["what"] or first["check"])
    reals = _reals(quantity, [p["measured"] for p in points], first["unit"])
    if first["k"]:
        uncertainty = _add(reals, "expandedUncXMLList", ns=SI)
        _add(uncertainty, "uncertaintyXMLList", " ".join(p["expanded"] for p in points), ns=SI)
        _add(uncertainty, "coverageFactorXMLList", " ".join(p["k"] for p in points), ns=SI)
        _add(uncertainty, "coverageProbabilityXMLList", PROBABILITY, ns=SI)
    metadata = _add(_add(quantity, "measurementMetaData"), "metaData", refType="basic_conformity")
    _name(_add(metadata, "declaration"), "Conformity")
    _add(metadata, "conformityXMLList", " ".join(CONFORMITY[p["verdict"]] for p in points))
    limits = [
        ("low", "basic_acceptanceLimitLower", "Lower limit"),
        ("high", "basic_acceptanceLimitUpper", "Upper limit"),
    ]
    if any(first[key] for key, _, _ in limits):
        data = _add(metadata, "data")
        for key, kind, name in limits:
            if first[key]:
                quantity = _add(data, "quantity", refType=kind)
                _name(quantity, name)
                _reals(quantity, [p[key] for p in points], first["unit"])


def _number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _reals(quantity: ET.Element, values: list[str], unit: str) -> ET.Element:
    reals = _add(quantity, "realListXMLList", ns=SI)
    _add(reals, "valueXMLList", " ".join(values), ns=SI)
    _add(reals, "unitXMLList", UNITS[unit], ns=SI)
    return reals


def _contact(element: ET.Element, name: str, email: str, place: str, country: str) -> None:
    _name(element, name or "-")
    _add(element, "eMail", email or "-")
    location = _add(element, "location")
    _add(location, "countryCode", country or "DE")
    _content(_add(location, "further"), place or "-")


def _identification(parent: ET.Element, issuer: str, value: str, name: str) -> None:
    element = _add(parent, "identification")
    _add(element, "issuer", issuer)
    _add(element, "value", value)
    _name(element, name)


def _name(parent: ET.Element, text: str) -> None:
    _content(_add(parent, "name"), text)


def _description(parent: ET.Element, text: str) -> None:
    _content(_add(parent, "description"), text)


def _content(parent: ET.Element, text: str) -> None:
    _add(parent, "content", text, lang="en")


def _add(parent: ET.Element, tag: str, text: str | None = None, ns: str = DCC, **attributes: str) -> ET.Element:
    element = ET.SubElement(parent, f"{{{ns}}}{tag}", attributes)
    element.text = text
    return element
