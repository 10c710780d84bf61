"""Profiles and certificates for people: formulas with numbers and units put in, bounds in a line each."""

import re
from typing import Any

from hostlink.profile.compiled import Compiled
from hostlink.profile.model import Term
from hostlink.profile.units import text
from protocol import registers as r


def explain(made: Compiled) -> str:
    """Each term with numbers and units, and each constant as the device has it."""
    lines = [f"{made.profile.name}, fingerprint {made.image.fingerprint.hex()[:16]}, {len(made.data)} bytes"]
    if made.valid:
        lines.append(f"in force {made.valid[0]} to {made.valid[1]}")
    for term in made.profile.terms.values():
        lines += ["", *_term(made, term)]
    for name, term in made.profile.baselines.items():
        lines += [
            "",
            f"baseline {name} (derived on the host, in no register)",
            f"    {term.formula}",
            f"  = {_numbers(made, term.formula)}",
        ]
    return "\n".join(lines)


def _term(made: Compiled, term: Term) -> list[str]:
    gas, direction = r.QUANTITIES[term.quantity], r.DIRECTIONS[term.direction]
    lines = [f"{term.name}: {gas} {direction}", f"    {term.formula}", f"  = {_numbers(made, term.formula)}"]
    for row in made.rows:
        if row.term == term.name and made.registers[row.register].quantity == term.quantity:
            unit = "cm³" if term.quantity == r.BASE_VOLUME else "mg"
            inputs = "".join(f" × {_input(made, name)}" for name in row.inputs)
            bits = r.FRACTION_BITS - 32 * row.shift
            channel = list(made.profile.channels)[row.channel]
            lines.append(f"  = {float(row.exact):.12g} {unit} × quanta of {channel}{inputs}")
            lines.append(f"    on the device {row.raw} / 2^{bits}")
    return lines


def _numbers(made: Compiled, formula: str) -> str:
    return re.sub(r"[a-z_][a-z0-9_]*", lambda found: _name(made, found.group()), formula).replace("*", "×")


def _name(made: Compiled, name: str) -> str:
    profile = made.profile
    if name in made.factors:
        f = made.factors[name]
        return f"{f.written} {'' if f.unit == '1' else f.unit}".strip()
    if name in profile.channels:
        quantum = profile.channels[name].quantum
        return f"{name} [{text(quantum)}]"
    return (
        f"{name}(…)"
        if name in made.surfaces or name in made.slots
        else f"{name} [{text(profile.conditions[name].step)}]"
    )


def _input(made: Compiled, name: str) -> str:
    if name in made.surfaces:
        return f"{name} [{float(made.surfaces[name].scale):.6g} /Pa]"
    if name in made.slots:
        return f"{name} [slot of the hour]"
    return f"{name} [{text(made.profile.conditions[name].step)}]"


def render(certificate: dict[str, Any]) -> str:
    """A certificate as text."""
    c = certificate
    lines = [
        f"Certificate of emission profile “{c['profile']}”",
        f"fingerprint  {c['fingerprint']}",
        f"size         {c['bytes']} bytes; life {c['life_years']:g} years; "
        + (f"valid {c['valid'][0]} to {c['valid'][1]}" if c["valid"] else "valid without limit"),
        f"rollover     {c['rollover']}",
        f"power cut    {c['commit']}",
        "",
        c["statement"] + ":",
        *(f"  {x['register']:32} {x['text']}" for x in c["registers"]),
        "",
        "constants",
        *(
            f"  {x['term']:20} {x['register']:20} {x['exact']:>18} {x['unit']}; quantization {x['quantization_ppm']} ppm"
            for x in c["constants"]
        ),
    ]
    if c["surfaces"]:
        lines += ["", "surfaces"]
    for s in c["surfaces"]:
        lines.append(
            f"  {s['surface']}: {s['nodes'][0]} × {s['nodes'][1]} nodes, {s['bytes']} bytes; interpolation"
            f" {s['interpolation_ppm']} ppm (proved over all points), rounding {s['rounding_ppm']} ppm; base {s['base']}"
        )
    if c["tables"]:
        lines += ["", "tables", *(f"  {t['table']}: quantization {t['quantization_ppm']} ppm" for t in c["tables"])]
    tight = sorted(c["ranges"], key=lambda x: x["room_bits"] - x["bits"])[:4]
    lines += ["", f"ranges: {len(c['ranges'])} proved; the tightest"]
    lines += [f"  {x['what']}: {x['bits']} bits of {x['room_bits']}" for x in tight]
    lines += ["", "factors"]
    for f in c["factors"]:
        bounds = f" ({f['bounds95'][0]} … {f['bounds95'][1]})" if f["bounds95"] else ""
        lines.append(f"  {f['factor']} = {f['value']} {f['unit']}{bounds}: {f['source']}, {f['place']}")
        if f["doubt"]:
            lines.append(f"    IN DOUBT: {f['doubt']}")
    lines += ["", "measurement uncertainty, 95 %, relative"]
    for u in c["uncertainty"]:
        gum, mc = u["gum_95_percent"], u["monte_carlo_95_percent"]
        shares = ", ".join(f"{name} {share} %" for name, share in u["shares_percent"].items() if share)
        lines.append(f"  {u['register']}: {gum[0]} / {gum[1]} % (GUM); {mc[0]} / {mc[1]} % (Monte Carlo); of {shares}")
    if not c["uncertainty"]:
        lines.append("  not known: no input states any")
    if c["factors_without_bounds"]:
        lines.append(f"  without bounds in their source: {', '.join(c['factors_without_bounds'])}")
    return "\n".join(lines)
