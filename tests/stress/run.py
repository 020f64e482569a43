"""Attack the toolkit: `python -m tests.stress.run --help`."""

import argparse
import os
import pathlib
import sys
import tempfile

# Before anything is imported that reads them.
SETTINGS = {
    "OPENBLAS_NUM_THREADS": "1",  # threads do not survive a fork
    "OMP_NUM_THREADS": "1",
    "NPROC": "1",
    "JAX_PLATFORMS": "cpu",
    "JAX_DISABLE_MOST_OPTIMIZATIONS": "1",  # which compiles faster
    "MPLBACKEND": "Agg",
    "PYTHONFAULTHANDLER": "0",
}


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.stress.run", description=__doc__)
    parser.add_argument("--inputs", type=int, default=10_000, help="bad inputs to generate")
    parser.add_argument("--faults", type=int, default=160, help="faults to cause")
    parser.add_argument("--seed", type=int, default=0, help="of all random choices")
    parser.add_argument("--lanes", type=int, default=os.cpu_count() or 1, help="processes at a time")
    parser.add_argument(
        "--patience",
        type=float,
        default=0.0,
        help="seconds more for every limit of a fault, on a busy machine",
    )
    parser.add_argument("--only", help="one input or fault, such as flags/12; shows all that it says")
    parser.add_argument(
        "--surface", action="append", help="only inputs of this surface, or faults of this kind"
    )
    parser.add_argument("--document", type=pathlib.Path, help="file to write the counts to")
    return parser.parse_args()


def main() -> int:
    """Run what the command line asks for; exit status 1 if anything is wrong."""
    given = arguments()
    with tempfile.TemporaryDirectory(prefix="stress-", ignore_cleanup_errors=True) as scratch:
        cache = {"JAX_COMPILATION_CACHE_DIR": f"{scratch}/compiled", "MPLCONFIGDIR": f"{scratch}/matplotlib"}
        kept = {"JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0"}
        os.environ.update({**SETTINGS, **cache, **kept})
        from tests.stress.session import Session

        session = Session(given, pathlib.Path(scratch))
        session.run()
        session.show()
        return session.exit_status


if __name__ == "__main__":
    sys.exit(main())
