"""The Latent Inpainting Transformer: one pass over a group gives every dropped position a correction to hold.

The method is that of arXiv 2606.06158, section 3.2. Attention is factorised (arXiv 2102.05095, "divided space-time"):
within windows of 8x8 positions of one latent frame, shifted in every other layer (Swin, arXiv 2103.14030), then along
time at one position, over the group and the last filled latent frames before it (C_fill). Features are `(B, T, h, w,
W)`, channels last, so that every projection is a plain matrix product. The correction starts at zero: an untrained LIT
is hold. A gate, where there is one, scales the correction of each position, and closes where hold is as good as it
gets.

Where the camera moves, a latent frame shows only some positions of the group's window on the world grid. What it does
not show is to the LIT as what lies outside of a picture: attention passes it by, convolutions see zero."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from latcomp.inpaint.config import CONTEXT, GROUP, WINDOW, LitConfig

PART_POSITIONS = 2**17  # that go through a branch of a layer at once: a group of 480p and a little more
PART_SERIES = 2**14  # along time: the small products of bf16 take 10 kB each
BLOCKED = -1e4  # added to what attention shall pass by; finite, since all that a row sees may be blocked
OPEN = 2.0  # logit of a gate that has learned nothing


class WindowAttention(nn.Module):
    """Self-attention in windows of 8x8 positions with a learned bias for each relative place."""

    relative: Tensor

    def __init__(self, width: int, heads: int, shifted: bool) -> None:
        super().__init__()
        self.heads, self.shift = heads, WINDOW // 2 if shifted else 0
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.place = nn.Parameter(torch.zeros(heads, (2 * WINDOW - 1) ** 2))
        axis = torch.arange(WINDOW)
        rows, columns = (g.flatten() for g in torch.meshgrid(axis, axis, indexing="ij"))
        relative = (
            (rows[:, None] - rows[None] + WINDOW - 1) * (2 * WINDOW - 1) + columns[:, None] - columns[None] + WINDOW - 1
        )
        self.register_buffer("relative", relative, persistent=False)

    def forward(self, x: Tensor, visible: Tensor | None = None, origin: tuple[int, int] = (0, 0)) -> Tensor:
        """(B, T, h, w, W) from the same; grids of any size, padded inside and masked.

        visible: bool (B, T, h, w), None where all are: others are never attended to, and windows that show nothing are
        left out, which gives zero. origin: world row and column of the grid's corner; windows stand at multiples of 8
        of the world."""
        batch, frames, height, width = x.shape[:4]
        top, left = ((start + self.shift) % WINDOW for start in origin)
        bottom, right = -(height + top) % WINDOW, -(width + left) % WINDOW
        windows = rearrange(
            F.pad(x, (0, 0, left, right, top, bottom)), "b t (r i) (c j) w -> b t r c i j w", i=WINDOW, j=WINDOW
        )
        grid = x.new_ones((1, 1, height, width), dtype=torch.bool) if visible is None else visible
        inside = rearrange(
            F.pad(grid, (left, right, top, bottom)), "b t (r i) (c j) -> b t r c (i j)", i=WINDOW, j=WINDOW
        )
        if visible is None:
            merged = self._attend(windows.flatten(0, 3), inside.flatten(0, 3)).view(windows.shape)
        else:
            some = inside.any(-1)
            merged = _only(some, windows, lambda chosen: self._attend(chosen, inside[some]))
        merged = rearrange(merged, "b t r c i j w -> b t (r i) (c j) w")
        return merged[:, :, top : top + height, left : left + width]

    def _attend(self, windows: Tensor, inside: Tensor) -> Tensor:
        """(n, 8, 8, W) from the same. inside: bool (m, 64), which positions may be attended to, of each window; or m is
        the windows of a latent frame, and all n / m latent frames are alike."""
        alike = len(windows) // len(inside) if len(inside) else 1
        q, k, v = rearrange(self.qkv(windows), "n i j (three a d) -> three n a (i j) d", three=3, a=self.heads)
        bias = self.place[:, self.relative]  # (heads, 64, 64)
        blocked = torch.zeros(inside.shape, dtype=windows.dtype, device=windows.device).masked_fill(
            inside == 0, BLOCKED
        )
        full = (bias[None].to(windows.dtype) + blocked[:, None, None]).to(q.dtype)  # (m, heads, 64, 64)
        if torch.is_grad_enabled():
            # the fused kernel has no gradient for its mask, and its fallback is slower than these two products
            scores = (q @ k.transpose(-1, -2) * q.shape[-1] ** -0.5).unflatten(0, (alike, -1)) + full
            found = torch.softmax(scores, dim=-1).flatten(0, 1).to(v.dtype) @ v
        else:
            full = full if alike == 1 else full.repeat(alike, 1, 1, 1)
            found = F.scaled_dot_product_attention(q, k, v, attn_mask=full)
        merged: Tensor = self.out(rearrange(found, "n a (i j) d -> n i j (a d)", i=WINDOW))
        return merged


class TimeAttention(nn.Module):
    """Self-attention along time at each position, with a learned bias for each distance in latent frames."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.distance = nn.Parameter(torch.zeros(heads, 2 * (GROUP + CONTEXT) - 1))

    def forward(self, x: Tensor, visible: Tensor | None = None) -> Tensor:
        """(B, T, h, w, W) from the same, T at most group and context together. visible: bool (B, T, h, w), None where
        all are: latent frames that do not show a position are never attended to there."""
        batch, frames, height, width = x.shape[:4]
        series = rearrange(x, "b t h w c -> (b h w) t c")
        q, k, v = rearrange(self.qkv(series), "n t (three a d) -> three n a t d", three=3, a=self.heads)
        steps = torch.arange(frames, device=x.device)
        bias = self.distance[:, steps[:, None] - steps[None] + GROUP + CONTEXT - 1].to(q.dtype)
        # sequences are short: two batched products beat the fused kernel
        scores = q @ k.transpose(-1, -2) * q.shape[-1] ** -0.5 + bias
        if visible is not None:
            scores = scores.masked_fill(~rearrange(visible, "b t h w -> (b h w) 1 1 t"), BLOCKED)
        weights = torch.softmax(scores, dim=-1)
        merged = self.out(rearrange(weights @ v, "n a t d -> n t (a d)"))
        found: Tensor = rearrange(merged, "(b h w) t c -> b t h w c", b=batch, h=height, w=width)
        return found


class PositionNorm(nn.LayerNorm):
    """Layer norm over the features of each position, in the precision of its input: autocast would make it fp32 and
    copy twice.
    """

    def forward(self, x: Tensor) -> Tensor:
        """(..., W) from the same."""
        with torch.autocast(x.device.type, enabled=False):
            if x.device.type == "cpu" or x.dtype == torch.float32:
                return F.layer_norm(x, self.normalized_shape, self.weight, self.bias, self.eps)
            return F.layer_norm(x, self.normalized_shape, self.weight.to(x.dtype), self.bias.to(x.dtype), self.eps)


class LitLayer(nn.Module):
    """Local convolution, window attention, time attention and an MLP, each a residual on a per-position norm."""

    def __init__(self, config: LitConfig, shifted: bool) -> None:
        super().__init__()
        width = config.width
        self.local = nn.Conv2d(width, width, 3, padding=1, groups=width)
        self.norm_space, self.norm_time, self.norm_mlp = (PositionNorm(width) for _ in range(3))
        self.space = WindowAttention(width, config.heads, shifted)
        self.time = TimeAttention(width, config.heads)
        self.expand = nn.Linear(width, config.expansion * width)
        self.project = nn.Linear(config.expansion * width, width)
        for last in (self.space.out, self.time.out, self.project):
            nn.init.normal_(last.weight, std=0.02)
            nn.init.zeros_(last.bias)

    def forward(self, x: Tensor, visible: Tensor | None = None, origin: tuple[int, int] = (0, 0)) -> Tensor:
        """(B, T, h, w, W) from the same; visible, origin: as `WindowAttention` takes them."""
        seen = x if visible is None else x * visible.unsqueeze(-1).to(x.dtype)
        flat = rearrange(seen, "b t h w c -> (b t) c h w")
        x = x + rearrange(self.local(flat), "(b t) c h w -> b t h w c", b=x.shape[0])
        frames, height, width = x.shape[1:4]
        space = PART_POSITIONS // (height * width)
        x = _in_parts(x, visible, 1, space, lambda part, shown: self.space(self.norm_space(part), shown, origin))
        x = _in_parts(x, visible, 2, PART_SERIES // width, lambda part, shown: self.time(self.norm_time(part), shown))
        return _in_parts(x, visible, 2, PART_POSITIONS // (frames * width), self._mlp)

    def _mlp(self, x: Tensor, visible: Tensor | None) -> Tensor:
        """(B, T, h, w, W) from the same; zero where nothing is visible."""
        if visible is not None:
            return _only(visible, x, lambda chosen: self._mlp(chosen, None))
        found: Tensor = self.project(F.silu(self.expand(self.norm_mlp(x))))
        return found


def _only(chosen: Tensor, values: Tensor, branch: Callable[[Tensor], Tensor]) -> Tensor:
    """What a branch makes of the chosen of values (n, ..., W), given as (m, ..., W) without the others; zero for those.
    chosen: bool over the leading dimensions."""
    made = branch(values[chosen])
    found = torch.zeros_like(values, dtype=made.dtype)
    found[chosen] = made
    return found


def _in_parts(
    x: Tensor, visible: Tensor | None, dim: int, slices: int, branch: Callable[[Tensor, Tensor | None], Tensor]
) -> Tensor:
    """x + branch(x, visible) of features (B, T, h, w, W) and visible (B, T, h, w) or None, where the branch takes a
    bounded number of slices along `dim` at a time.

    A branch holds many times what it is given, and all at once of a large picture that would be gigabytes; of each
    slice it gives the same whatever stands next to it."""
    if torch.is_grad_enabled() or slices >= x.shape[dim]:
        return x + branch(x, visible)
    parts = x.split(max(1, slices), dim)
    shown = [None] * len(parts) if visible is None else visible.split(max(1, slices), dim)
    return torch.cat([part + branch(part, here) for part, here in zip(parts, shown, strict=True)], dim)


class Lit(nn.Module):
    """Held latents and what is known about them in, filled latents out."""

    latent_scale: Tensor

    def __init__(self, config: LitConfig) -> None:
        super().__init__()
        self.config = config
        scale = torch.tensor(config.latent_scale or (1.0,) * config.channels)
        self.register_buffer("latent_scale", scale, persistent=False)
        self.enter = nn.Linear(config.inputs, config.width)
        self.layers = nn.ModuleList(LitLayer(config, shifted=i % 2 == 1) for i in range(config.layers))
        self.norm = PositionNorm(config.width)
        self.leave = nn.Linear(config.width, config.channels)
        self.gate = nn.Linear(config.width, 1) if config.gated else None
        if self.gate is not None:
            nn.init.zeros_(self.gate.weight)
            nn.init.constant_(self.gate.bias, OPEN)
        for parameter in self.leave.parameters():
            nn.init.zeros_(parameter)

    def forward(
        self,
        held: Tensor,
        mask: Tensor,
        age: Tensor,
        step_scale: Tensor,
        context: Tensor | None,
        visible: Tensor | None = None,
        origin: tuple[int, int] = (0, 0),
        context_visible: Tensor | None = None,
        halvings: Tensor | None = None,
    ) -> Tensor:
        """Filled latents (B, C, T, h, w); kept tokens, and positions that are not visible, come back unchanged.

        held: (B, C, T, h, w) latents filled by hold; mask: (B, T, h, w) bool, true where kept; age: (B, T, h, w) latent
        frames since the held value was kept; step_scale: (B,) of the quantiser; context: C_fill, (B, C, K, h, w) the
        last filled latent frames before the group, or None at the start of a segment; visible: bool (B, T, h, w), the
        positions that each latent frame shows, None for all; origin: world row and column of the window's corner;
        context_visible: bool (B, K, h, w), the positions of the same window that C_fill has, None for all; halvings:
        (B, T, h, w) how many times the step behind each held value was halved, None for never.

        What is not visible has no influence on what is, whatever stands there."""
        shown = mask if visible is None else mask & visible
        seen = _visible_or_zero(held, visible)
        before = None if context is None else _visible_or_zero(context, context_visible)
        x = self.enter(self.inputs(seen, shown, age, step_scale, before, halvings))
        everywhere = _joined(visible, mask, context_visible, context)
        for layer in self.layers:
            x = layer(x, everywhere, origin)
        found = self.norm(x[:, -held.shape[2] :])
        correction = self.leave(found) * self.latent_scale
        if self.gate is not None:
            correction = correction * torch.sigmoid(self.gate(found))
        correction = rearrange(correction.float(), "b t h w c -> b c t h w")
        unchanged = mask if visible is None else mask | ~visible
        return torch.where(unchanged.unsqueeze(1), held, held + correction)

    def inputs(
        self,
        held: Tensor,
        mask: Tensor,
        age: Tensor,
        step_scale: Tensor,
        context: Tensor | None,
        halvings: Tensor | None = None,
    ) -> Tensor:
        """What the network sees, (B, K + T, h, w, inputs): held latents, the way to the next kept value, and facts
        about both.
        """
        batch, _, frames, height, width = held.shape
        ahead, distance, known = next_kept(held, mask)
        log_step = torch.log2(step_scale).view(batch, 1, 1, 1).expand(batch, frames, height, width) / 2
        told = [mask.float(), age.clamp(max=32) / 8, distance / 8, known, log_step, torch.zeros_like(log_step)]
        if self.config.told_halvings:
            told.append(torch.zeros_like(log_step) if halvings is None else halvings.to(log_step.dtype) / 2)
        facts = torch.stack(told, dim=-1)
        scale = self.latent_scale
        latents = rearrange(held, "b c t h w -> b t h w c") / scale
        change = rearrange((ahead - held) * known.unsqueeze(1), "b c t h w -> b t h w c") / scale
        found = torch.cat([latents, change, facts], dim=-1)
        if context is None:
            return found
        steps = context.shape[2]
        before = rearrange(context, "b c t h w -> b t h w c") / scale
        facts = torch.zeros(batch, steps, height, width, facts.shape[-1], dtype=held.dtype, device=held.device)
        facts[..., 4], facts[..., 5] = log_step[:, :1], 1.0
        return torch.cat([torch.cat([before, torch.zeros_like(before), facts], dim=-1), found], dim=1)


def _visible_or_zero(latents: Tensor, visible: Tensor | None) -> Tensor:
    """Latents (B, C, T, h, w), zero where visible (B, T, h, w) is not."""
    return latents if visible is None else latents.masked_fill(~visible.unsqueeze(1), 0)


def _joined(
    visible: Tensor | None, mask: Tensor, context_visible: Tensor | None, context: Tensor | None
) -> Tensor | None:
    """bool (B, K + T, h, w): what is visible in C_fill and in the group; None where all is, which costs nothing."""
    given = [visible] if context is None else [context_visible, visible]
    if all(one is None or bool(one.all()) for one in given):
        return None
    group = torch.ones_like(mask) if visible is None else visible
    if context is None:
        return group
    if context_visible is None:
        context_visible = torch.ones_like(context[:, 0], dtype=torch.bool)
    return torch.cat([context_visible, group], dim=1)


def next_kept(held: Tensor, mask: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """For every position the next kept value later in the group, how many latent frames ahead it is, and 1 where there
    is one.

    held: (B, C, T, h, w); mask: (B, T, h, w). Returns (B, C, T, h, w), (B, T, h, w) and (B, T, h, w); a kept position
    points at itself."""
    frames = held.shape[2]
    index = torch.arange(frames, device=held.device).view(1, -1, 1, 1).expand(mask.shape)
    later = torch.where(mask, index, frames)
    later = torch.flip(torch.cummin(torch.flip(later, [1]), dim=1).values, [1])
    known = (later < frames).to(held.dtype)
    target = torch.minimum(later, torch.full_like(later, frames - 1))
    ahead = torch.gather(held, 2, target.unsqueeze(1).expand(held.shape))
    return ahead, (target - index).to(held.dtype) * known, known
