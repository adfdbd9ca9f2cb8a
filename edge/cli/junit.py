"""A check as a JUnit file, which CI systems show as tests."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING
from xml.etree import ElementTree as Xml

from edge.files import write_text

if TYPE_CHECKING:
    from edge.api.check_result import CheckResult


def write_junit(result: CheckResult, path: Path) -> None:
    """One suite an engine, one case a criterion of the gate; what has no criterion of its own is one more case.

    Raises:
        MachineError: the file cannot be written.
    """
    root = Xml.Element("testsuites", name="edge check")
    for row in result.engines:
        checks, gate = row.gate.checks, row.gate
        failed = [check for check in checks if not check.passed]
        unnamed = [] if gate.passed or failed else list(gate.reasons)
        own = iter(gate.reasons if len(gate.reasons) == len(failed) else ["\n".join(gate.reasons)] * len(failed))
        suite = Xml.SubElement(
            root,
            "testsuite",
            name=row.engine,
            tests=str(len(checks) + len(unnamed) or 1),
            failures=str(len(failed) + len(unnamed)),
        )
        for check in checks:
            case = Xml.SubElement(suite, "testcase", classname=row.engine, name=check.criterion)
            if not check.passed:
                message = f"{check.value:.6g}, asked {check.bar:.6g}"
                Xml.SubElement(case, "failure", message=message).text = next(own)
        for reason in unnamed or ([] if checks else [""]):
            case = Xml.SubElement(suite, "testcase", classname=row.engine, name=f"gate {gate.preset}")
            if reason:
                Xml.SubElement(case, "failure", message=reason)
    Xml.indent(root)
    write_text(path, Xml.tostring(root, encoding="unicode", xml_declaration=True) + "\n")
