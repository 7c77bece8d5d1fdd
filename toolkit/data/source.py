"""What `--data` and the options beside it say: where labelled images come from."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from toolkit.data.manifest import parse_columns

_Path = str | os.PathLike[str]


@dataclass(frozen=True, init=False)
class Source:
    """Labelled images, and how they are to be taken.

    Whatever takes data takes one of these, or its location alone.

    Args:
        location: A folder of class folders; a folder with `train/` and `val/` (or `valid/`,
            `validation/`, `dev/`) or `test/` inside, each with class folders; a manifest (a CSV or
            Parquet file with the columns path and label, and if it likes split and group); a
            TensorFlow data set, "tfds:NAME[/CONFIG][:SPLITS]"; or "sample:digits".
        columns: Other names of a manifest's columns, as {"label": "species"} or "label=species".
        root: The folder that a manifest's paths are relative to, if it is not its own.
        data_dir: Where TensorFlow data sets lie, if not in ~/tensorflow_datasets.
        exclude: A table, CSV or Parquet, whose column path names images to leave out.
        group_by: Keeps images together that must be on one side of the split: a manifest's column,
            or a regular expression on the paths, of which what its groups capture counts.
        group_near_duplicates: Keeps images together that look the same (see
            `toolkit.data.near_duplicates`): each is decoded once more.

    Raises:
        OptionError: `columns` is not of that form.

    Example:
        >>> toolkit.finetune(toolkit.Source("photos.csv", group_by="patient"))
    """

    location: str
    columns: dict[str, str]
    root: str | None
    data_dir: str | None
    exclude: str | None
    group_by: str | None
    group_near_duplicates: bool

    def __init__(
        self,
        location: _Path,
        columns: Mapping[str, str] | str | None = None,
        root: _Path | None = None,
        data_dir: _Path | None = None,
        exclude: _Path | None = None,
        group_by: str | None = None,
        group_near_duplicates: bool = False,
    ) -> None:
        columns = parse_columns(columns) if isinstance(columns, str) else dict(columns or {})
        paths = {"root": root, "data_dir": data_dir, "exclude": exclude}
        values: dict[str, Any] = {
            "location": os.fspath(location),
            "columns": columns,
            **{name: None if path is None else os.fspath(path) for name, path in paths.items()},
            "group_by": group_by,
            "group_near_duplicates": group_near_duplicates,
        }
        for name, value in values.items():
            object.__setattr__(self, name, value)


def as_source(data: _Path | Source | Mapping[str, Any]) -> Source:
    """A source as it is, one of which only the location is given, or one that was recorded."""
    if isinstance(data, Source):
        return data
    return Source(**data) if isinstance(data, Mapping) else Source(data)
