"""Faults to plant in how files are written, checked and told apart."""

from promptfolio.checks.mutant import Edited, Mutant

_FILES = "simulate.results.files"
_SEALED = "simulate.results.sealed"
_PROVENANCE = "simulate.results.provenance"

_IN_FILES = "tests/simulate/test_files.py::"
_IN_SEALED = "tests/simulate/test_sealed.py::"
_IN_PROVENANCE = "tests/simulate/test_provenance.py::"

MUTANTS: tuple[Mutant, ...] = (
    Edited(
        "written_in_place",
        _FILES,
        "a file is written under its own name, where a failure leaves half of it",
        (f"{_IN_FILES}test_a_failure_leaves_what_was_there",),
        "temporary = folder / temporary_name()\n",
        "path.write_bytes(content)\n    temporary = folder / temporary_name()\n",
    ),
    Edited(
        "temporary_left",
        _FILES,
        "a failure leaves the temporary file",
        (f"{_IN_FILES}test_a_failure_leaves_what_was_there",),
        "with contextlib.suppress(OSError):\n            temporary.unlink()\n    _flush",
        "with contextlib.suppress(OSError):\n            path.exists()\n    _flush",
    ),
    Edited(
        "leftovers_of_living_processes_removed",
        _FILES,
        "temporary files of processes that are still at work are removed",
        (f"{_IN_FILES}test_only_old_files_of_processes_that_are_gone_are_removed",),
        'and not _alive(int(found["process"]))',
        'and int(found["process"]) > 0',
    ),
    Edited(
        "checksum_not_compared",
        _SEALED,
        "a file whose bytes have changed passes if it ends in a checksum",
        (f"{_IN_SEALED}test_no_damaged_file_is_opened",),
        "if seal(body) == content:",
        "if line.startswith(_MARK):",
    ),
    Edited(
        "missing_checksum_passes",
        _SEALED,
        "a file of ours that has lost its last line passes for an old one",
        (f"{_IN_SEALED}test_no_damaged_file_is_opened",),
        "if content[len(_HDF5) : len(_HDF5) + 1] >= bytes([_SEALED_SUPERBLOCK]):",
        "if content[len(_HDF5) : len(_HDF5) + 1] > bytes([_SEALED_SUPERBLOCK]):",
    ),
    Edited(
        "changed_files_unmarked",
        _PROVENANCE,
        "the commit is not marked when a file differs from it",
        (f"{_IN_PROVENANCE}test_a_changed_file_makes_it_dirty_and_notes_beside_it_do_not",),
        "if changed or new else commit",
        "if new else commit",
    ),
    Edited(
        "new_files_unmarked",
        _PROVENANCE,
        "the commit is not marked when a package has a file that it does not",
        (f"{_IN_PROVENANCE}test_a_new_file_in_a_package_makes_it_dirty",),
        "if changed or new else commit",
        "if changed else commit",
    ),
    Edited(
        "commit_of_another_repository",
        _PROVENANCE,
        "the commit is that of any repository around an installation",
        (f"{_IN_PROVENANCE}test_a_repository_that_does_not_track_this_code_says_nothing",),
        'if _git(here.parent, "ls-files", "--error-unmatch", "--", here.name) is None:',
        'if _git(here.parent, "rev-parse") is None:',
    ),
    Edited(
        "platforms_are_one",
        _PROVENANCE,
        "results of different platforms are taken for results of the same settings",
        (f"{_IN_PROVENANCE}test_results_are_told_apart_by_what_changes_their_numbers",),
        '_ROUNDING = ("device", ',
        '_ROUNDING = ("platform", "device", ',
    ),
    Edited(
        "next_format_read",
        _PROVENANCE,
        "a file of the next format is read as one of this",
        (f"{_IN_PROVENANCE}test_the_next_format_is_refused_and_former_ones_are_not",),
        "if found > FORMAT_VERSION:",
        "if found > FORMAT_VERSION + 1:",
    ),
    Edited(
        "container_limit_ignored",
        "simulate.running.memory",
        "the memory that a container may take is the larger of its limit and the machine's",
        ("tests/simulate/test_memory.py::test_a_container_may_have_less_than_the_machine",),
        "found = min(found, int(",
        "found = max(found, int(",
    ),
    Edited(
        "estimate_without_local_steps",
        "simulate.engines.rows.engine",
        "the estimated work of training forgets the local steps",
        ("tests/simulate/test_cost.py::test_the_work_of_training_is_that_of_its_products",),
        "experiment.training_steps * products",
        "experiment.training_rounds * products",
    ),
    Edited(
        "study_names_rounded",
        "promptfolio.naming",
        "names of studies' files round numbers to 1e-6",
        ("tests/project/test_naming.py::test_the_closest_numbers_and_every_order_have_names_of_their_own",),
        "value.is_integer() else value",
        "value.is_integer() else round(value, 6) if isinstance(value, float) else value",
    ),
    Edited(
        "spellings_of_unicode_told_apart",
        "promptfolio.cli.targets",
        "two outputs may have one name in two spellings of Unicode",
        ("tests/cli/test_targets.py::test_one_name_in_two_spellings_of_unicode_is_one_target",),
        'unicodedata.normalize("NFC", os.path.realpath(path))',
        "os.path.realpath(path)",
    ),
)
