"""junit.xml as pytest writes it, with infrastructure trouble as `error` and not as `failure` of the product."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from pathlib import Path

from needlepen.errors import InfrastructureError


def mark_infrastructure(path: Path) -> None:
    """Turn the failure of each test case whose property `verdict` is `infrastructure` into an error; count again.

    Raises InfrastructureError if the file is not whole, OSError if it cannot be written.
    """
    try:
        tree = ET.parse(path)
    except ET.ParseError as error:
        raise InfrastructureError(
            f"{path.name}: is not whole ({error}); there is no evidence without it"
        ) from None
    for suite in tree.getroot().iter("testsuite"):
        for case in suite.iter("testcase"):
            if case.find("properties/property[@name='verdict'][@value='infrastructure']") is not None:
                for failure in case.findall("failure"):
                    failure.tag = "error"
        for attribute, tag in (("failures", "failure"), ("errors", "error")):
            suite.set(attribute, str(len(suite.findall(f"testcase/{tag}"))))
    tree.write(path, encoding="utf-8", xml_declaration=True)
