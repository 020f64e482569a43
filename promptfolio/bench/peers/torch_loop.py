"""A plain PyTorch loop: prompts as parameters, autograd, an explicit step, the mean of the uploads.

A prompt holds its coordinates u along the unit directions of the text encoder's rows, so that z = ‖w‖ u is W p
without the matrix W: multiplying by W would only make the loop slower. Gradient descent on u is gradient descent
on the prompt (T5). PyTorch is imported where it is used, so that this module can be read without it.
"""

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING

from promptfolio.bench.peers import Train
from promptfolio.bench.peers.problem import Problem, Prompts

if TYPE_CHECKING:
    import torch


def variants() -> Mapping[str, Train]:
    """The loop's variants: on the GPU if there is one, with torch's own number of threads, and with one thread."""
    import torch

    found: dict[str, Train] = {}
    if torch.cuda.is_available():
        found["CUDA"] = partial(train, device="cuda")
    threads = torch.get_num_threads()
    for count in sorted({threads, 1}, reverse=True):
        found[f"{count} thread{'s' * (count > 1)}"] = partial(train, threads=count)
    return found


def train(
    problem: Problem, theta: float, rounds: int, *, device: str = "cpu", threads: int | None = None
) -> Prompts:
    """Train jointly (T3) at ``theta`` for ``rounds`` rounds, on a CPU with ``threads`` threads; None for
    torch's number."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(threads or before)
    try:
        return _train(problem, theta, rounds, device)
    finally:
        torch.set_num_threads(before)


def _train(problem: Problem, theta: float, rounds: int, device: str) -> Prompts:
    import torch

    def tensor(array: object) -> "torch.Tensor":
        return torch.tensor(array, device=device)

    scale, offset = tensor(problem.scale), tensor(problem.offset)
    clients = [
        (tensor(features), tensor(labels))
        for features, labels in zip(problem.features, problem.labels, strict=True)
    ]

    def encode(prompt: "torch.Tensor") -> "torch.Tensor":
        # σ(z + c) − σ(−z + c) in one piece: faster, and exact for z far below c.
        z = scale * prompt
        return z + torch.clamp(z, -offset, offset)

    server = tensor(problem.along_rows(problem.initial_global))
    local_prompts = [tensor(problem.along_rows(z)) for z in problem.initial_local]
    for _ in range(rounds):
        uploads = torch.zeros_like(server)
        for k, (features, labels) in enumerate(clients):
            own_global = server.clone().requires_grad_()
            own_local = local_prompts[k].requires_grad_()
            for _ in range(problem.local_steps):
                mixture = (1 - theta) * encode(own_global) + theta * encode(own_local)
                loss = torch.nn.functional.softplus(-labels * (features @ mixture)).mean()
                gradients = torch.autograd.grad(loss, (own_global, own_local))
                with torch.no_grad():
                    for prompt, gradient in zip((own_global, own_local), gradients, strict=True):
                        prompt -= problem.learning_rate * gradient
            local_prompts[k] = own_local.detach()
            uploads += problem.client_weights[k] * own_global.detach()
        server = uploads
    z_local = torch.stack(local_prompts) * scale
    return Prompts((server * scale).cpu().numpy(), z_local.cpu().numpy())
