"""A small network that CKKS can run as it was trained: a convolution, squares and dense layers.

Trained in the plain with squares for activations, so that nothing has to be approximated later.
"""

from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from catch11.baselines.fhe import Client, Parameters, Server, linear_circuit
from catch11.baselines.library import library
from catch11.errors import InvalidArgument

# Convolution, square, dense, square, dense; packing the channels into one ciphertext is one more.
NET_DEPTH = 6
NET_PARAMETERS = Parameters(degree=8192, bits=(31, *([26] * NET_DEPTH), 31), scale=26)
FINE_PARAMETERS = Parameters(degree=16384, bits=(60, *([45] * NET_DEPTH), 60), scale=45)


class Square(nn.Module):
    """x²: the one nonlinearity that is a single encrypted multiplication."""

    def forward(self, values: Tensor) -> Tensor:
        return values.square()


class SquareNet(nn.Module):
    """Pictures of one channel, (batch, 1, side, side), to logits."""

    def __init__(
        self,
        side: int,
        classes: int,
        *,
        channels: int = 4,
        kernel: int = 3,
        stride: int = 1,
        hidden: int = 32,
    ) -> None:
        super().__init__()
        if min(side, classes, channels, kernel, stride, hidden) < 1 or kernel > side:
            raise InvalidArgument(
                "kernel", expected="sizes of at least 1, the kernel within the picture",
                found=(side, kernel),
            )  # fmt: skip
        self.side, self.kernel, self.stride = side, kernel, stride
        places = ((side - kernel) // stride + 1) ** 2
        self.convolution = nn.Conv2d(1, channels, kernel, stride=stride)
        # No bias: TenSEAL adds one to the first copy of a vector alone, and the next product reads
        # the other copies as well.
        self.first = nn.Linear(channels * places, hidden, bias=False)
        self.second = nn.Linear(hidden, classes)
        self.square = Square()

    def forward(
        self, images: Float[Tensor, "batch 1 height width"]
    ) -> Float[Tensor, "batch classes"]:
        seen = self.square(self.convolution(images)).flatten(1)
        return self.second(self.square(self.first(seen)))

    @property
    def products(self) -> int:
        """Multiply-and-adds of one picture in the plain."""
        convolved = self.first.in_features * self.kernel**2
        return convolved + sum(one.weight.numel() for one in (self.first, self.second))

    def circuit(self) -> Callable[[Any], Any]:
        """The same function on a ciphertext of `Client.encrypt_windows`."""
        places = self.first.in_features // self.convolution.out_channels
        kernels = self.convolution.weight[:, 0].double().tolist()
        assert self.convolution.bias is not None
        offsets = self.convolution.bias.double().tolist()
        first = self.first.weight.T.double().tolist()
        second = linear_circuit(self.second.weight, self.second.bias)
        vector = library("tenseal", package="tenseal").CKKSVector

        def run(windows: Any) -> Any:
            maps = [
                windows.conv2d_im2col(kernel, places) + offset
                for kernel, offset in zip(kernels, offsets, strict=True)
            ]
            seen = vector.pack_vectors(maps)
            seen.square_()
            hidden = seen.mm(first)
            hidden.square_()
            return second(hidden)

        return run


def train_square_net(
    images: Float[Tensor, "batch 1 height width"],
    labels: Int[Tensor, " batch"],
    *,
    classes: int,
    generator: torch.Generator,
    epochs: int = 30,
    rate: float = 3e-3,
) -> SquareNet:
    """Train a net in the plain; gradients are clipped, for squares grow fast."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(int(torch.randint(2**31, (1,), generator=generator)))
        net = SquareNet(images.shape[-1], classes)
    optimiser = torch.optim.AdamW(net.parameters(), lr=rate, weight_decay=1e-3)
    for _ in range(epochs):
        for index in torch.randperm(len(images), generator=generator).split(64):
            loss = nn.functional.cross_entropy(net(images[index]), labels[index])
            optimiser.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(net.parameters(), 1.0)
            optimiser.step()
    return net.eval().requires_grad_(False)


def encrypted_logits(
    net: SquareNet, image: Float[Tensor, "height width"], client: Client, server: Server
) -> Float[Tensor, " classes"]:
    """One picture the whole way: encrypted, answered, decrypted. Raises InvalidArgument where the
    client's parameters are too shallow."""
    client.parameters.check_depth(NET_DEPTH, "the convolutional net")
    asked = client.encrypt_windows(image, kernel=net.kernel, stride=net.stride)
    return client.decrypt(server.answer(asked, net.circuit()))[: net.second.out_features].float()
