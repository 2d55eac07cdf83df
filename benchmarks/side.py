"""One side of a comparison, in this process: `python -m benchmarks.side GROUP NUMBER OPTIONS`. Prints JSON on its last line.

Without a number: what sides the group has. GROUP "machine": what the measurements run on.
"""

from __future__ import annotations

import importlib
import json
import resource
import sys
from importlib.metadata import PackageNotFoundError, version

from benchmarks.measure import NotAvailable, Options

PACKAGES = "torch openvino numpy scipy pandas pyarrow pillow scikit-learn torchmetrics pycocotools grad-cam torchcam simplejpeg"


def machine() -> dict:
    """Columns of every row: machine, versions, commit."""
    from wsl.network.trunk import load_trunk
    from wsl.systems.study import code_state, hardware

    found, code = hardware(load_trunk()), code_state()
    versions = [f"python {sys.version.split()[0]}"]
    for name in PACKAGES.split():
        try:
            versions.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            continue
    about = {key: found[key] for key in ("processor", "instruction_set", "arithmetic", "cores")}
    commit = (code.get("commit") or "")[:12] + (" with local changes" if code.get("changed_files") else "")
    return about | {"memory_gib": found["memory_gib"], "versions": ", ".join(versions), "commit": commit}


def measured(group: str, number: int, options: Options) -> dict:
    """Durations, peak memory and note of a side; no durations where it is not available."""
    try:
        seconds, note, memory = importlib.import_module(f"benchmarks.{group}").sides(options)[number].run(options)
    except (NotAvailable, ImportError) as error:
        return {"seconds": [], "note": f"not available: {error}", "memory_mib": None}
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"seconds": seconds, "note": note, "memory_mib": own if memory is None else memory}


def main(group: str, *rest: str) -> None:
    if group == "machine":
        print(json.dumps(machine()))
        return
    options = Options(**json.loads(rest[-1]))
    if len(rest) == 1:
        found = importlib.import_module(f"benchmarks.{group}").sides(options)
        print(json.dumps([{"measure": s.measure, "side": s.name, "size": s.size, "limit": s.limit} for s in found]))
    else:
        print(json.dumps(measured(group, int(rest[0]), options)))


if __name__ == "__main__":
    main(*sys.argv[1:])
