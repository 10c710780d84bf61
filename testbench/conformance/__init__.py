"""Conformance of a meter: from a plan to verdicts that a laboratory can sign (docs/conformance.md).

    plan -> cases of the suites -> measurements on a rig -> budget, decision -> points -> results.json -> renderings

`pytest` is the runner (`plugin`); `suites` are the tests; every point names the check it is and the requirement it serves.
"""
