"""A profile's data on disk, before anything is trained. Needs no torch."""

from __future__ import annotations

from pathlib import Path

from wsl.errors import StudyError
from wsl.profile import Profile


def make_data(profile: Profile, runs: Path) -> Path:
    """Draw the scenes of a profile that generates its data; check that the folder is there for any other."""
    root = profile.data_root(runs)
    if profile.generate:
        from wsl.scenes import generate as scenes

        g = profile.generate
        scenes.generate(root, profile.layout, g.train, g.val, g.seed, g.size)
    elif not root.is_dir():
        raise StudyError(f"{root}: no such folder; give the data root with --{profile.layout}-root")
    return root
