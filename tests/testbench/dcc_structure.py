"""What the schema of PTB's DCC 3.1.1 and of D-SI 2.1 asks of the elements that our certificates have; told in our own words.

The schemas are not shipped with anything that can be installed; a stricter reader is the XSD itself (https://ptb.de/dcc/v3.1.1/dcc.xsd).
"""

import re
import xml.etree.ElementTree as ET

DCC, SI = "{https://ptb.de/dcc}", "{https://ptb.de/si}"

CHILDREN = {
    "digitalCalibrationCertificate": "administrativeData measurementResults comment? document?",
    "dccSoftware": "software+",
    "software": "name release type? description?",
    "coreData": "countryCodeISO3166_1 usedLangCodeISO639_1+ mandatoryLangCodeISO639_1+ uniqueIdentifier identifications? "
    "receiptDate? beginPerformanceDate endPerformanceDate performanceLocation previousReport?",
    "identifications": "identification+",
    "identification": "issuer value name?",
    "items": "name? equipmentClass? description? owner? identifications? item+",
    "item": "name equipmentClass? description? installedSoftwares? manufacturer model? identifications",
    "calibrationLaboratory": "calibrationLaboratoryCode? contact",
    "contact": "name eMail phone? fax? location descriptionData?",
    "customer": "name eMail phone? fax? location descriptionData?",
    "person": "name eMail? phone? fax? location? descriptionData?",
    "manufacturer": "name eMail? phone? fax? location? descriptionData?",
    "respPersons": "respPerson+",
    "respPerson": "person description? role? mainSigner? cryptElectronicSeal? cryptElectronicSignature? cryptElectronicTimeStamp?",
    "statements": "statement+",
    "statement": "countryCodeISO3166_1* convention? traceable? norm* reference* declaration? valid? date? period? respAuthority? "
    "conformity? conformityXMLList? data? nonSIDefinition? nonSIUnit?",
    "measurementResults": "measurementResult+",
    "measurementResult": "name description? usedMethods? usedSoftware? measuringEquipments? influenceConditions? results "
    "measurementMetaData?",
    "usedMethods": "usedMethod+",
    "usedMethod": "name description? norm* reference*",
    "measuringEquipments": "name? equipmentClass? description? owner? identifications? measuringEquipment+",
    "measuringEquipment": "name equipmentClass? description? certificate? manufacturer? model? identifications? "
    "measuringEquipmentQuantities?",
    "influenceConditions": "influenceCondition+",
    "influenceCondition": "name description? status? certificate? data",
    "results": "result+",
    "result": "name description? data",
    "list": "name? description? dateTime? dateTimeXMLList? list* quantity* usedMethods? usedSoftware? measuringEquipments? "
    "influenceConditions? measurementMetaData?",
    "quantity": "name? description? noQuantity? real? hybrid? realListXMLList? relativeUncertainty? usedMethods? usedSoftware? "
    "measuringEquipments? influenceConditions? measurementMetaData?",
    "measurementMetaData": "metaData+",
    "name": "content+",
    "realListXMLList": "labelXMLList? quantityTypeQUDTXMLList? valueXMLList unitXMLList dateTimeXMLList? expandedUncXMLList?",
    "hybrid": "real* realListXMLList*",
    "real": "label? quantityTypeQUDT? value unit dateTime? expandedUnc?",
    "expandedUnc": "uncertainty coverageFactor coverageProbability distribution?",
    "expandedUncXMLList": "uncertaintyXMLList coverageFactorXMLList coverageProbabilityXMLList distributionXMLList?",
}
CHILDREN["metaData"] = CHILDREN["statement"]
CHILDREN["respAuthority"] = CHILDREN["contact"]
RICH = "name content file formula"
ANY_ORDER = {
    "administrativeData": "dccSoftware coreData items calibrationLaboratory respPersons customer statements",
    "location": "city countryCode postCode postOfficeBox state street streetNo further positionCoordinates",
    "data": "text formula byteData xml quantity list",
    **dict.fromkeys(("declaration", "description", "further", "noQuantity"), RICH),
}
LISTS = ("valueXMLList", "uncertaintyXMLList", "coverageFactorXMLList")
STATUS = "pass|fail|conditionalPass|conditionalFail|noPass|noFail"
NUMBER = r"[-+]?(\d+(\.\d*)?|\.\d+)([eE][-+]?\d+)?"
TEXTS = {
    "issuer": "manufacturer|calibrationLaboratory|customer|owner|other",
    "performanceLocation": "laboratory|customer|laboratoryBranch|customerBranch|other",
    "conformity": STATUS,
    "conformityXMLList": f"({STATUS})( ({STATUS}))*",
    "mainSigner": "true|false",
    **dict.fromkeys(("countryCodeISO3166_1", "countryCode"), "[A-Z]{2}"),
    **dict.fromkeys(("usedLangCodeISO639_1", "mandatoryLangCodeISO639_1"), "[a-z]{2}"),
    **dict.fromkeys(("beginPerformanceDate", "endPerformanceDate", "receiptDate"), r"\d{4}-\d\d-\d\d"),
    **dict.fromkeys(("valueXMLList", "uncertaintyXMLList", "coverageFactorXMLList"), f"{NUMBER}( {NUMBER})*"),
    "coverageProbabilityXMLList": r"(0?\.\d+|1|0)( (0?\.\d+|1|0))*",
    "unitXMLList": r"(\\[a-z]+(\\tothe\{-?\d+\})?)+( (\\[a-z]+(\\tothe\{-?\d+\})?)+)*",
}


def faults(root: ET.Element) -> list[str]:
    """Where a certificate is not what the schemas ask, one line each."""
    found = [] if root.get("schemaVersion") == "3.1.1" else [f"schemaVersion {root.get('schemaVersion')}"]
    for element in root.iter():
        name = _local(element)
        children = [_local(child) for child in element]
        if name in CHILDREN:
            pattern = "".join(_word(word) for word in CHILDREN[name].split())
            if not re.fullmatch(pattern, "".join(f"{child} " for child in children)):
                found.append(f"{name}: {' '.join(children)} is not {CHILDREN[name]}")
        elif name in ANY_ORDER:
            if not children or set(children) - set(ANY_ORDER[name].split()):
                found.append(f"{name}: {' '.join(children)} is not of {ANY_ORDER[name]}")
        elif children:
            found.append(f"{name}: no element that this knows, with {' '.join(children)}")
        if name in TEXTS and not re.fullmatch(TEXTS[name], element.text or ""):
            found.append(f"{name}: {element.text!r} is not {TEXTS[name]}")
        if "refType" in element.attrib and not element.get("refType", "").strip():
            found.append(f"{name}: empty refType")
        if name == "realListXMLList":
            lengths = {len((part.text or "").split()) for part in element.iter() if _local(part) in LISTS}
            if len(lengths - {1}) > 1:
                found.append(f"realListXMLList: lists of {sorted(lengths)} entries")
    return found


def _word(word: str) -> str:
    many = word[-1] if word[-1] in "?*+" else ""
    return f"({word.rstrip('?*+')} ){many}"


def _local(element: ET.Element) -> str:
    return element.tag.removeprefix(DCC).removeprefix(SI)
