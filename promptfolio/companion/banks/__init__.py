"""Banks of precomputed CLIP features: reading one from a file, checking it, drawing a synthetic one."""

from promptfolio.companion.banks.feature_bank import FeatureBank
from promptfolio.companion.banks.loading import load_bank, load_banks
from promptfolio.companion.banks.synthetic import draw_synthetic_bank

__all__ = ["FeatureBank", "draw_synthetic_bank", "load_bank", "load_banks"]
