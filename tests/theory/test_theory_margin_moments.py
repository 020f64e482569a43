"""Moments of margins, against their statement read again as loops over clients and classes."""

import numpy as np

from theory.mixing.margin_moments import margin_moments


def test_a_class_is_shrunk_towards_its_own_client() -> None:
    """Two clients of different spread, both with data, and a prior that counts as much as they do."""
    random, prior = np.random.default_rng(4), 6.0
    labels, clients = np.repeat([0, 1, 0, 1], [4, 7, 5, 9]), np.repeat([0, 0, 1, 1], [4, 7, 5, 9])
    spread = np.where(clients == 0, 1.0, 5.0)[:, None]
    logits = random.standard_normal((2, labels.size, 2)) * spread
    margins = (logits[:, :, 0] - logits[:, :, 1]) * np.where(labels == 0, 1, -1)

    def scatter(cell: np.ndarray) -> np.ndarray:
        deviations = margins[:, cell] - margins[:, cell].mean(axis=1, keepdims=True)
        return deviations @ deviations.T

    # Class y has the other one as its only rival, so that each rival's moments are those of one class.
    moments = margin_moments(logits[0], logits[1], labels, clients, prior_samples=prior)
    for index, (client, label) in enumerate(zip(moments.clients, moments.classes, strict=True)):
        everyone = sum(scatter((labels == label) & (clients == k)) for k in (0, 1))
        everyone = everyone / sum(((labels == label) & (clients == k)).sum() - 1 for k in (0, 1))
        own = (labels == label) & (clients == client)
        count = own.sum()
        pooled = (prior * everyone + scatter(own)) / (prior + count - 1)
        within = (prior * pooled + scatter(own)) / (prior + count - 1)
        expected = within * (1 + 1 / count)
        rival = 1 - label
        found = [
            [moments.variance_global[index, rival], moments.covariance[index, rival]],
            [moments.covariance[index, rival], moments.variance_local[index, rival]],
        ]
        np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_three_classes_are_pooled_by_their_degrees_of_freedom() -> None:
    """With two classes a rival meets one class only; with three, a client's scatter is a sum over two of them."""
    random, prior, classes = np.random.default_rng(5), 3.0, range(3)
    sizes = np.array([[4, 7, 1], [5, 2, 6]])  # client, class
    clients = np.repeat([0, 0, 0, 1, 1, 1], sizes.ravel())
    labels = np.repeat([0, 1, 2, 0, 1, 2], sizes.ravel())
    logits = random.standard_normal((2, labels.size, 3)) * np.where(clients == 0, 1.0, 4.0)[:, None]
    moments = margin_moments(logits[0], logits[1], labels, clients, prior_samples=prior)

    def scatter(client: int, label: int, rival: int) -> np.ndarray:
        cell = logits[:, (clients == client) & (labels == label)]
        margins = cell[:, :, label] - cell[:, :, rival]
        deviations = margins - margins.mean(axis=1, keepdims=True)
        return deviations @ deviations.T

    for index, (client, label) in enumerate(zip(moments.clients, moments.classes, strict=True)):
        for rival in classes:
            if rival == label:
                continue
            others = [y for y in classes if y != rival]
            summed = [sum(scatter(k, y, rival) for y in others) for k in (0, 1)]
            freedom = [sum(sizes[k, y] - 1 for y in others) for k in (0, 1)]
            everyone = sum(summed) / sum(freedom)
            pooled = (prior * everyone + summed[client]) / (prior + freedom[client])
            count = sizes[client, label]
            within = (prior * pooled + scatter(client, label, rival)) / (prior + count - 1)
            found = [
                moments.variance_global[index, rival],
                moments.covariance[index, rival],
                moments.variance_local[index, rival],
            ]
            expected = within * (1 + 1 / count)
            np.testing.assert_allclose(found, expected[[0, 0, 1], [0, 1, 1]], rtol=1e-12)
