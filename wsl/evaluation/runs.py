"""A run's folder: `<root>/<profile>/<trunk>/<system>/seed<k>/` with `predictions.parquet` and `manifest.json`.

The manifest says where the run comes from (version, commit, command, parameters, hashes of data and weights, hardware,
time), what its data are called (`title`) and whether they are generated or photographs (`source`). Nothing of this is
told from the name of a folder or of a profile.
"""

from __future__ import annotations

import glob
import json
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from pydantic import BaseModel, ConfigDict, ValidationError

from wsl.errors import StudyError
from wsl.evaluation import predictions
from wsl.files import check_regular, sha256, whole_file
from wsl.schema import STRICT, Seed, in_words

# What of a manifest is the same whenever a run is made again, and so lies in the table itself: its bytes are then the same, too
IDENTITY = (
    "profile", "title", "source", "trunk", "system", "seed", "locates", "parameters", "data", "weights_sha256", "head_sha256"
)  # fmt: skip
GENERATED, REAL = "generated", "photographs"  # the two sources of our own numbers


class _Data(BaseModel):
    model_config = STRICT | ConfigDict(extra="ignore")

    name: str | None = None
    digest: str | None = None
    n_images: int | None = None


class _Manifest(BaseModel):
    """The keys of a manifest that pages and comparisons use; others may stand beside, and each may be absent."""

    model_config = STRICT | ConfigDict(extra="ignore")

    profile: str | None = None
    title: str = ""
    source: str | None = None
    trunk: str | None = None
    system: str | None = None
    seed: Seed | None = None
    command: str | None = None
    commit: str | None = None
    created: str | None = None
    parameters: dict = {}
    data: _Data | None = None
    weights_sha256: str | None = None
    head_sha256: str | None = None
    predictions_sha256: str | None = None
    training: dict = {}
    hardware: dict[str, str | int | float] | None = None
    software: dict[str, str] | None = None
    wall_seconds: float | None = None


@dataclass(frozen=True)
class Run:
    """One run, by its folder."""

    folder: Path
    profile: str
    trunk: str
    system: str
    seed: int

    @property
    def manifest(self) -> dict:
        return read_manifest(self.folder)

    @property
    def source(self) -> str:
        """`GENERATED` or `REAL`, as the manifest says."""
        source = self.manifest.get("source")
        if source not in (GENERATED, REAL):
            raise StudyError(
                f'{self.folder / "manifest.json"}: "source" is {source!r}, expected "{GENERATED}" or "{REAL}"; '
                f"make the run again, or add the line if you know what its data are"
            )
        return source

    @property
    def title(self) -> str:
        """What the data are called: "VOC 2007 sample"."""
        return self.manifest.get("title", "").removesuffix(" (real photographs)") or f"profile {self.profile}"

    @property
    def recorded(self) -> bool:
        """Whether the run belongs to the recorded results (`wsl record`), not to the runs made here."""
        return self.folder.parents[3].name == "results"


def run_folder(root: str | Path, profile: str, trunk: str, system: str, seed: int = 0) -> Path:
    return Path(root) / profile / trunk / system / f"seed{seed}"


def run_at(folder: str | Path) -> Run | None:
    """The run in `folder`, or None where there is no whole one."""
    folder = Path(folder)
    whole = (folder / "manifest.json").is_file() and (folder / "predictions.parquet").is_file()
    if not whole or len(folder.parts) < 4 or not (folder.name.startswith("seed") and folder.name[4:].isdigit()):
        return None
    profile, trunk, system, seed = folder.parts[-4:]
    return Run(folder, profile, trunk, system, int(seed[4:]))


def find_runs(root: str | Path, profile: str = "", trunk: str = "", system: str = "") -> list[Run]:
    """The whole runs below `root`, all or those of the names given, sorted; none where it is absent."""
    pattern = "/".join([*(glob.escape(name) or "*" for name in (profile, trunk, system)), "seed*"])
    found = filter(None, map(run_at, Path(root).glob(pattern)))
    return sorted(found, key=lambda run: (run.profile, run.trunk, run.system, run.seed))


def write_run(folder: str | Path, df: pd.DataFrame, manifest: dict) -> None:
    """Write predictions.parquet, with the manifest's `IDENTITY` in its metadata, and manifest.json. The manifest comes
    last: a run without one is not whole."""
    folder = Path(folder)
    (folder / "manifest.json").unlink(missing_ok=True)
    identity = {key: manifest[key] for key in IDENTITY if key in manifest}
    manifest = {**manifest, "predictions_sha256": predictions.write(df, folder / "predictions.parquet", identity)}
    with whole_file(folder / "manifest.json") as temporary:
        temporary.write_text(json.dumps(manifest, indent=2) + "\n")


def read_run(folder: str | Path) -> tuple[pd.DataFrame, dict]:
    """(table, manifest) of a run; the table must be the one that the manifest was written for."""
    return predictions.read(table_of(folder)), read_manifest(folder)


def table_of(folder: str | Path) -> Path:
    """The file of a run's table, if it is the one that the manifest was written for, to the last byte."""
    path, manifest = Path(folder) / "predictions.parquet", read_manifest(folder)
    if manifest.get("predictions_sha256", sha256(path)) != sha256(path):
        raise StudyError(f"{path}: is not the table that manifest.json was written for; make the run again")
    return path


def read_manifest(folder: str | Path) -> dict:
    path = Path(folder) / "manifest.json"
    check_regular(path, "make the run again")
    try:
        text = path.read_bytes()
        _Manifest.model_validate_json(text)
        return json.loads(text)
    except FileNotFoundError:
        raise StudyError(f"{path}: no such file: the run was not finished; make it again") from None
    except ValidationError as error:
        raise StudyError(f"{path}: cannot be read ({in_words(error)}); make the run again") from None
    except (OSError, ValueError) as error:
        raise StudyError(f"{path}: cannot be read ({error}); make the run again") from None
