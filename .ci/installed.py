"""What an installation of the wheel holds: four packages, their data files, and nothing else."""

import importlib.metadata
import pathlib

import figures.style
import promptfolio
import simulate
import theory

PACKAGES = {"promptfolio", "theory", "simulate", "figures"}
DATA = {"figures/promptfolio.mplstyle", "promptfolio/checks/mutants/record.json"}
DATA |= {f"{package}/py.typed" for package in PACKAGES}

distribution = importlib.metadata.distribution("promptfolio")
files = {pathlib.PurePosixPath(file) for file in distribution.files or ()}
inside = {file for file in files if file.parts[0] != ".." and not file.parts[0].endswith(".dist-info")}
found = {file.parts[0] for file in inside}
assert found == PACKAGES, f"top-level names are {sorted(found)}, not {sorted(PACKAGES)}"
data = {str(file) for file in inside if file.suffix not in (".py", ".pyc")}
assert data == DATA, f"data files are {sorted(data)}, not {sorted(DATA)}"
assert not any("tests" in file.parts for file in inside), "tests are installed"

for package in (promptfolio, theory, simulate, figures):
    home = pathlib.Path(str(package.__file__)).parents[1]
    assert home == pathlib.Path(str(distribution.locate_file(""))), (
        f"{package.__name__} is imported from {home}"
    )
assert promptfolio.__version__ == distribution.version
with figures.style.in_style():
    pass
print(f"promptfolio {distribution.version}: {len(inside)} files in {', '.join(sorted(found))}")
