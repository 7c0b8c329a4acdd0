"""Where in a row of the file everything stands."""

from collections.abc import Callable, Sequence
from operator import itemgetter

from app.domain.registry_layouts import Column
from app.workflow.imports.faults import Refused
from app.workflow.imports.reader import Read

Getter = Callable[[Sequence[str]], tuple[str, ...]]


class Sheet:
    """The columns by what they hold. What the file does not have is an empty cell at the end."""

    def __init__(self, columns: list[tuple[int, Column]], width: int, pads: bool) -> None:
        self.columns, self.width, self.pads = columns, width, pads
        self.at = {column.target: at for at, column in columns}
        self.names = {column.target: str(column.header) for _, column in columns}
        self.by_target = {column.target: column for _, column in columns}

    def place(self, target: str) -> int:
        return self.at.get(target, self.width)

    def getter(self, targets: Sequence[str]) -> Getter:
        """Takes the cells of some targets out of a row, as they stand there."""
        places = [self.place(target) for target in targets]
        if len(places) > 1:
            found: Getter = itemgetter(*places)
            return found
        return lambda cells: tuple(cells[at] for at in places)

    def whole(self, row: Read) -> list[str]:
        """The cells of a row, one for each column, and the empty one. Raises Refused."""
        cells, width = row.cells, self.width
        if len(cells) > width:
            if any(cells[width:]):
                raise Refused("too_many_columns")
            cells = cells[:width]
        elif len(cells) < width:
            if not self.pads:
                raise Refused("truncated" if row.warning == "no_line_end" else "too_few_columns")
            cells = cells + [""] * (width - len(cells))
        return [*cells, ""]
