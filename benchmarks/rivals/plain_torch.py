"""PyTorch without Keras: channels last, and a loop of its own."""

import torch
from torch import nn
from torch.nn import functional

SLOPE = 0.2
HIDDEN = 512


class Model(nn.Module):
    def __init__(self, width, static_dim, number):
        super().__init__()
        self.width, self.number = width, number
        self.down = nn.ModuleList(
            nn.Conv2d(inputs, width, 4, stride=2, padding=1)
            for inputs in (3, width, width, width)
        )
        pairs = number * (number - 1) // 2
        self.first, self.second = torch.triu_indices(number, number, 1).tolist()
        self.pair = nn.Conv2d(2 * width, 2 * width, 3, padding=1)
        self.set = nn.Conv2d(pairs * 2 * width, 2 * width, 3, padding=1)
        self.static = nn.Sequential(
            nn.Linear(32 * width, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, 2 * static_dim)
        )
        self.dynamic = self.head(static_dim + 16 * width)
        self.prior = self.head(static_dim)
        self.start = nn.Linear(static_dim + 2, 16 * width)
        self.up = nn.ModuleList(
            nn.ConvTranspose2d(width, outputs, 4, stride=2, padding=1)
            for outputs in (width, width, width, 3)
        )

    @staticmethod
    def head(inputs):
        return nn.Sequential(
            nn.Linear(inputs, HIDDEN),
            nn.ReLU(),
            nn.Linear(HIDDEN, HIDDEN),
            nn.ReLU(),
            nn.Linear(HIDDEN, 4),
        )

    def loss(self, frames):
        """Negative ELBO of `(B, N, 3, 64, 64)` in [0, 1]."""
        batch, number = frames.shape[:2]
        x = frames.flatten(0, 1)
        for convolution in self.down:
            x = functional.leaky_relu(convolution(x), SLOPE)
        maps = x.unflatten(0, (batch, number))
        # All pairs as one batch.
        pairs = torch.cat([maps[:, self.first], maps[:, self.second]], dim=2)
        pairs = torch.relu(
            self.pair(pairs.flatten(0, 1).contiguous(memory_format=torch.channels_last))
        )
        joined = pairs.unflatten(0, (batch, -1)).flatten(1, 2)
        joined = joined.contiguous(memory_format=torch.channels_last)
        joined = torch.relu(self.set(joined))
        f_mean, f_log = bounded(self.static(joined.flatten(1)))
        f = draw(f_mean, f_log)
        repeated = f[:, None].expand(-1, number, -1)
        flat = maps.reshape(batch, number, -1)
        z_mean, z_log = bounded(self.dynamic(torch.cat([repeated, flat], dim=2)))
        z = draw(z_mean, z_log)
        p_mean, p_log = (part[:, None] for part in bounded(self.prior(f)))
        x = functional.leaky_relu(self.start(torch.cat([repeated, z], dim=2)), SLOPE)
        x = x.reshape(-1, self.width, 4, 4)
        x = x.contiguous(memory_format=torch.channels_last)
        for convolution in self.up[:-1]:
            x = functional.leaky_relu(convolution(x), SLOPE)
        logits = self.up[-1](x)
        entropy = functional.binary_cross_entropy_with_logits(
            logits, frames.flatten(0, 1), reduction="sum"
        )
        variance = z_log.exp() + (z_mean - p_mean).square()
        kl_z = 0.5 * (p_log - z_log + variance * (-p_log).exp() - 1).sum()
        kl_f = 0.5 * (f_log.exp() + f_mean.square() - 1 - f_log).sum()
        return (entropy + kl_z + kl_f) / batch


def bounded(x):
    mean, log_variance = x.chunk(2, dim=-1)
    return mean, 7 * torch.tanh(log_variance / 7)


def draw(mean, log_variance):
    return mean + (0.5 * log_variance).exp() * torch.randn_like(mean)


def make(width, static_dim, number):
    torch.manual_seed(0)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    model = Model(width, static_dim, number).to(device)
    model = model.to(memory_format=torch.channels_last)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-4)

    def train(frames, batch):
        for start in range(0, len(frames), batch):
            x = torch.from_numpy(frames[start : start + batch]).to(device)
            x = x.movedim(-1, 2).float().div_(255)
            optimizer.zero_grad(set_to_none=True)
            loss = model.loss(x)
            loss.backward()
            optimizer.step()
        return loss.item()

    return train, sum(weight.numel() for weight in model.parameters())
