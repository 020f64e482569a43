"""One table of letters: symbol, name in code, shape and meaning."""

from typing import NamedTuple


class Entry(NamedTuple):
    """A letter of the theory and what it is called in code.

    `code` lists its names, separated by commas: `Class.field` where a description or a result holds it, otherwise
    the name of the function that computes it or of the argument that passes it.
    """

    symbol: str
    code: str
    shape: str
    meaning: str


NOTATION: tuple[Entry, ...] = (
    # section 1: data, encoder, federation
    Entry("K", "Federation.clients, EqualClients.clients, Experiment.clients", "()", "number of clients"),
    Entry(
        "n_k, n",
        "Federation.sample_counts, EqualClients.samples, Experiment.samples",
        "(clients,)",
        "training samples of client k; n where all clients have as many",
    ),
    Entry("N", "Federation.sample_counts", "()", "all training samples, the sum Σ n_k"),
    Entry("p_k", "Federation.client_weights", "(clients,)", "weight of client k in the average, n_k/N"),
    Entry("S", "Experiment.group_count", "()", "number of feature groups"),
    Entry("s(k)", "Federation.groups, Experiment.groups", "(clients,)", "feature group of client k"),
    Entry(
        "χ_k, χ",
        "Federation.group_sizes, EqualClients.group_size",
        "(clients,)",
        "Σ_j ⟨ν_s(k), ν_s(j)⟩/‖ν‖²; size of k's group if the ν are orthogonal",
    ),
    Entry("y", "labels", "(samples,)", "labels, ±1"),
    Entry(
        "g", "features", "(samples, rows)", "image features: one global, S group and L irrelevant coordinates"
    ),
    Entry("x", "noise", "(samples, noise_dim)", "irrelevant coordinates of the features"),
    Entry("L", "Features.noise_dim, Experiment.noise_dim", "()", "number of irrelevant coordinates"),
    Entry(
        "σ_p",
        "Features.noise_std, Experiment.noise_std",
        "()",
        "standard deviation of an irrelevant coordinate",
    ),
    Entry("m", "Experiment.rows", "()", "rows of W, 1 + S + L"),
    Entry("W", "weights", "(rows, dim)", "frozen weights of the text encoder; rows μ_G, ν_s, ξ_l"),
    Entry(
        "a",
        "Features.global_feature_sq, Experiment.global_feature_sq",
        "()",
        "squared norm of the shared feature, ‖μ_G‖²",
    ),
    Entry(
        "b",
        "Features.local_feature_sq, Experiment.local_feature_sq",
        "()",
        "squared norm of a client's own feature, ‖ν‖²",
    ),
    Entry(
        "e",
        "Features.noise_feature_sq, Experiment.noise_feature_sq",
        "()",
        "squared norm of an irrelevant row, ‖ξ‖²",
    ),
    Entry("ν̄", "Features.noise_energy", "()", "L σ_p² e"),
    Entry(
        "c_r",
        "offset, Experiment.signal_offset, Experiment.noise_offset",
        "(rows,)",
        "offset of the class name; the linear band is |z_r| < c_r",
    ),
    Entry("σ", "Experiment.activation", "function", "activation of the text encoder"),
    Entry("p", "prompt", "(dim,)", "a prompt; p_G the global one, p_L,k the local one of client k"),
    Entry("z_r", "z", "(rows,)", "⟨w_r, p⟩"),
    Entry("h_r", "encode", "(rows,)", "encoder output σ(z_r + c_r) − σ(−z_r + c_r)"),
    Entry("h'_r", "slope", "(rows,)", "derivative of h_r; 2 in the linear band"),
    Entry("θ", "theta, Experiment.theta", "()", "weight of the local prompt in the mixture, from 0 to 1"),
    Entry("H", "mixture", "(clients, rows)", "mixed encoder output (1−θ) h(p_G) + θ h(p_L)"),
    Entry("η", "learning_rate, Experiment.learning_rate", "()", "step size of local training"),
    Entry("E", "local_steps, Experiment.local_steps", "()", "local gradient steps per round"),
    Entry("T", "rounds, Experiment.rounds", "()", "number of rounds"),
    Entry("t", "step", "()", "number of steps taken"),
    # section 2: decomposition
    Entry("a^(t)", "coefficients", "(rows,)", "coefficients of p^(t) − p^(0) along w_r/‖w_r‖²"),
    Entry("β", "Coefficients.beta", "()", "coefficient of the shared feature"),
    Entry("γ_s", "Coefficients.gamma", "(groups,)", "coefficient of a group's feature"),
    Entry("φ_l", "phi_norm", "(noise_dim,)", "coefficients of the irrelevant rows; their norm"),
    Entry("ω", "weight", "()", "weight of a prompt in the mixture: 1−θ, θ, or 1 when trained alone"),
    Entry("q", "residual", "(samples,)", "1/(1+e^M), minus the derivative of the logistic loss"),
    Entry("M", "margin, Batch.margins", "(samples,)", "y f(g), the margin of a training sample"),
    # sections 3 and 4: accuracy and dynamics
    Entry("s", "signal", "(clients,)", "task-relevant output H_μ + H_ν"),
    Entry("‖H_ξ‖", "noise_norm", "(clients,)", "length of the task-irrelevant output"),
    Entry("R", "ratio", "(clients,)", "s/(σ_p ‖H_ξ‖); accuracy is Φ(R)"),
    Entry(
        "κ_G, κ_L", "global_rate, local_rate", "()", "growth of a margin per unit of τ, prompt trained alone"
    ),
    Entry("κ(θ)", "joint_rate", "()", "(1−θ)² κ_G + rθ² κ_L"),
    Entry(
        "τ",
        "Accumulated.global_prompt, Accumulated.local_prompt",
        "()",
        "accumulated residual η Σ q, in units of learning rate times steps",
    ),
    Entry("ηκt", "scaled_time", "()", "time without unit"),
    Entry("M_0", "initial_margin", "()", "margin at the start"),
    Entry("c", "c", "()", "ηκ, the step of the discrete recursion of the margin"),
    Entry("𝒦_ij", "kernel", "(samples, samples)", "growth of sample i's margin per unit of η q_j"),
    Entry("Δ", "spread", "()", "bound on the difference of two samples' margins over a run"),
    Entry("κ_i^±", "rates", "(samples,)", "largest and smallest rate of a sample's margin, given Δ"),
    Entry("δ_k", "accumulated", "(clients,)", "residual added up inside a round, before averaging"),
    Entry("π_kc", "fractions", "(clients, types)", "share of client k's samples that are of type c"),
    # section 5: the portfolio
    Entry("s_G, s_L", "Moments.signal_global, Moments.signal_local", "()", "signal of each prompt alone"),
    Entry(
        "A, B, C",
        "Moments.noise_global, Moments.noise_local, Moments.noise_cross",
        "()",
        "‖u_G‖², ‖u_L‖² and ⟨u_G, u_L⟩, of the task-irrelevant outputs u_G and u_L of each prompt alone",
    ),
    Entry("ρ", "Moments.correlation", "()", "C/√(AB)"),
    Entry("R_G, R_L", "Moments.ratio_global, Moments.ratio_local", "()", "ratio of each prompt alone"),
    Entry("w_G, w_L", "effective_weights", "()", "weights of prompts trained with full weight"),
    Entry("θ*", "optimal_mixing, best_mixing", "()", "mixing with the largest ratio"),
    Entry("odds", "odds", "()", "θ*/(1−θ*)"),
    Entry("Σ", "gram", "(assets, assets)", "inner products of several prompts' noise vectors"),
    Entry("w", "weights", "(assets,)", "weights of several prompts in the mixture, summing to 1"),
    Entry("Q", "cluster_size", "()", "clients in a cluster"),
    # beyond: label noise, class priors, participation
    Entry(
        "ε_k, ε",
        "Federation.label_noise, Experiment.label_noise",
        "(clients,)",
        "chance that a training label is flipped",
    ),
    Entry(
        "π_k",
        "Federation.class_prior, Experiment.class_prior",
        "(clients,)",
        "chance that a sample of client k is of class +1",
    ),
    Entry(
        "c_0",
        "Federation.prior_feature_sq, Experiment.prior_feature_sq",
        "()",
        "squared norm of the constant coordinate, ‖w_0‖²",
    ),
    Entry("bias", "bias", "()", "output on the constant coordinate"),
    Entry(
        "r", "participation, Experiment.participation", "()", "share of the clients that take part in a round"
    ),
    Entry("τ_F", "Stopping.tau", "()", "accumulated residual of what fine-tuning adds to the global prompt"),
    Entry("s*", "Stopping.step", "()", "steps of fine-tuning at the best mixture"),
    Entry("λ", "noise_share", "()", "share of the margin rate that is a sample's own noise"),
    Entry("ψ", "progress", "()", "part of its final effect that training has had, from 0 to 1"),
)
"""Every letter of the theory, in the order in which it appears."""
