"""What an import came to, as its operation tells it."""

from collections.abc import Mapping
from typing import Any

from app.domain.identifiers import masked_name
from app.workflow.imports.requests import ImportRequest


def result_of(
    request: ImportRequest, state: Mapping[str, Any], found: Mapping[str, int]
) -> dict[str, Any]:
    """The rows by what became of them; `found` is what was wrong among those staged."""
    twice = found["duplicate_row"]
    return {
        "source": request.source, "version": request.version, "dry_run": request.dry_run,
        "rows_read": state["read"], "rows_landed": state["rows"] - twice,
        "rows_refused": state["refused"] + twice,
        "warnings": state["warnings"] + found["household_differs"] + found["national_id_twice"],
        "regions_mapped": {
            how: state["mapped"].get(how, 0) for how in ("former_code", "bps", "name")
        },
    }  # fmt: skip


def masked_example(example: dict[str, Any]) -> dict[str, Any]:
    """A difference as it is shown: names masked, as numbers are already."""
    shown = {name: value for name, value in example.items() if value is not None}
    if "name" in shown:
        shown["name"] = masked_name(shown["name"])
    if (changes := shown.get("changes")) and "name" in changes:
        masked = [None if one is None else masked_name(one) for one in changes["name"]]
        shown["changes"] = changes | {"name": masked}
    return shown
