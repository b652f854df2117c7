"""A sweep as text: all that it takes to repeat it, or to take it up again."""

from dataclasses import asdict, dataclass
from typing import Any, Final

from simulator.errors import UsageError
from simulator.study.space import METHODS, Method

SCHEMA: Final = 1


@dataclass(frozen=True)
class Study:
    """A sweep as text, all that it takes to repeat it.

    `settings` (`NAME=VALUE`) hold for all points, `vary` are axes (axes.py), `where` formulas that a point must meet,
    `derive` further columns (`NAME=FORMULA`). `method`: the whole grid, or `size` points of it, drawn from `seed`.
    """

    models: tuple[str, ...]
    hardware: tuple[str, ...]
    vary: tuple[str, ...] = ()
    settings: tuple[str, ...] = ()
    where: tuple[str, ...] = ()
    derive: tuple[str, ...] = ()
    method: Method = "grid"
    size: int = 0
    seed: int = 0

    def to_dict(self) -> dict[str, object]:
        """As an object for JSON."""
        return {"schema": SCHEMA, **asdict(self)}

    @classmethod
    def from_dict(cls, data: object) -> "Study":
        """The study that `to_dict` wrote.

        Raises:
            UsageError: it is none, or of another version.
        """
        if not isinstance(data, dict) or data.get("schema") != SCHEMA:
            raise UsageError(f"no study of schema {SCHEMA}")
        lists = {"models", "hardware", "vary", "settings", "where", "derive"}
        given = {key: value for key, value in data.items() if key != "schema"}
        texts = all(isinstance(given.get(key), list | tuple) and all(isinstance(x, str) for x in given[key]) for key in lists)
        numbers = all(type(given.get(key)) is int and given[key] >= 0 for key in ("size", "seed"))
        if set(given) != lists | {"method", "size", "seed"} or not (texts and numbers) or given["method"] not in METHODS:
            raise UsageError("not a study: fields are missing, unknown or of a wrong type")
        fields: dict[str, Any] = {key: tuple(value) if key in lists else value for key, value in given.items()}
        return cls(**fields)
