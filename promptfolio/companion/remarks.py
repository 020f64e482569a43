"""What a reader must know about a study's own numbers, beside the notices about its bank and partitions."""

from collections.abc import Iterator

import numpy as np
import xarray as xr

from promptfolio.companion.study_config import ClipStudy


def remarks(data: xr.Dataset, asked: int) -> Iterator[str]:
    """Sentences on replicates that are the same run, on classes that nobody trains on, and on choices of θ that the
    data leave open.

    Args:
        data: the dataset of a study.
        asked: number of replicates that were asked for.
    """
    yield from _about_replicates(data, asked)
    yield from _about_classes(data)
    yield from _about_choices(data)


def _about_replicates(data: xr.Dataset, asked: int) -> Iterator[str]:
    run, distinct = data.sizes["seed"], data.attrs["distinct_replicates"]
    if run < asked:
        study = ClipStudy.from_json(data.attrs["study"])
        fixed = " (partition_seed fixes the partition)" if study.partition_seed is not None else ""
        yield (
            f"nothing differs between the {asked} replicates{fixed}, as init_std = 0 and all clients take part: one"
            " was run, and the spread over replicates is unknown"
        )
    elif distinct == 1 < run:
        yield f"all {run} replicates are the same run, bit for bit: the spread over replicates is unknown"
    elif distinct < run:
        yield f"only {distinct} of {run} replicates differ: the spread over replicates may be too small"


def _about_classes(data: xr.Dataset) -> Iterator[str]:
    images = data.group_samples
    new = int(images.sel(group="untrained").max())
    if new:
        share = float(
            (images.sel(group="untrained") / images.sum("group", skipna=False)).mean("seed", skipna=False)
        )
        yield (
            f"{share:.0%} of the test images are of classes without training images: accuracy is also given for"
            " classes with and without, and θ is chosen on validation images of the former alone"
        )


def _about_choices(data: xr.Dataset) -> Iterator[str]:
    """Choices that are as good as every θ they were made among, or flat ones of (T24)."""
    for scheme in (str(name) for name in data.scheme.values):
        of_scheme = data.sel(scheme=scheme)
        known = of_scheme.accuracy.isel(split=0, seed=0, step=-1, client=0).notnull()
        ends = data.theta.values[known.values][[0, -1]]
        for choice, name in (("predicted", "(T24)"), ("validation", "validation accuracy")):
            low, high = (of_scheme[end].sel(choice=choice).values for end in ("tied_low", "tied_high"))
            if np.isnan(low).all():
                continue
            # At the start both prompts are the same, and every θ is as good as any other.
            trained = data["round"].values > 0
            low, high = low[:, trained], high[:, trained]
            flat = (high > low) if choice == "predicted" else (low == ends[0]) & (high == ends[1])
            # Few validation images often let some θ tie; (T24) does only where nothing tells mixtures apart.
            least = 0.0 if choice == "predicted" else 0.5
            if ends[0] < ends[1] and flat.mean() > least:
                where = (
                    "several θ tie" if choice == "predicted" else "the first and the last θ tie with the best"
                )
                yield (
                    f"θ by {name} is not unique under scheme {scheme} in {flat.sum()} of {flat.size} replicates and"
                    f" recorded rounds, where {where}: the middle is taken"
                )
