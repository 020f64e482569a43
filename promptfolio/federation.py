"""An experiment in the theory's letters."""

from simulate.experiment import Experiment
from theory.model.federation import Federation


def federation_of(experiment: Experiment) -> Federation:
    """The clients, features and labels of an experiment, as the theory's functions take them.

    Raises:
        ValueError: what the simulator allows and the theory does not, such as noise of no strength.

    Example:
        >>> federation_of(Experiment(clients=2, samples=(3, 5))).sample_counts.tolist()
        [3.0, 5.0]
    """
    return Federation(
        global_feature_sq=experiment.global_feature_sq,
        local_feature_sq=experiment.local_feature_sq,
        noise_feature_sq=experiment.noise_feature_sq,
        noise_std=experiment.noise_std,
        noise_dim=experiment.noise_dim,
        sample_counts=experiment.samples,
        groups=experiment.groups,
        label_noise=experiment.label_noise,
        class_prior=experiment.class_prior,
        prior_feature_sq=experiment.prior_feature_sq,
    )
