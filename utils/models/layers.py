"""The layer that all families share: sublayers, each with a norm and a skip connection."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn
from torch.nn import functional as F

from utils.models.attention import CrossAttention, Rotation, SelfAttention
from utils.models.cache import LayerCache

Activation = Callable[[Tensor], Tensor]


class FeedForward(nn.Module):
    """Two linear maps with an activation between, the same at every position."""

    def __init__(
        self, hidden_size: int, intermediate_size: int, activation: Activation = F.gelu
    ) -> None:
        super().__init__()
        self.up = nn.Linear(hidden_size, intermediate_size)
        self.down = nn.Linear(intermediate_size, hidden_size)
        self.activation = activation

    def forward(self, hidden_states: Tensor) -> Tensor:
        """(B, T, D) -> (B, T, D)."""
        return self.down(self.activation(self.up(hidden_states)))


class GatedFeedForward(nn.Module):
    """SwiGLU, as in Llama: one linear map, activated, gates another (Shazeer 2020).

    Two matrix products are as fast as one for both, or faster on a CPU.
    """

    def __init__(self, hidden_size: int, intermediate_size: int) -> None:
        super().__init__()
        self.gate = nn.Linear(hidden_size, intermediate_size, bias=False)
        self.up = nn.Linear(hidden_size, intermediate_size, bias=False)
        self.down = nn.Linear(intermediate_size, hidden_size, bias=False)

    def forward(self, hidden_states: Tensor) -> Tensor:
        """(B, T, D) -> (B, T, D)."""
        return self.down(F.silu(self.gate(hidden_states)) * self.up(hidden_states))


class TransformerLayer(nn.Module):
    """Self-attention, cross-attention where there is one, and a feed-forward layer.

    Post-LN, the original: x = norm(x + f(x)). Pre-LN: x = x + f(norm(x)), which trains without
    warm-up (Xiong et al. 2020). `norm` is called once per sublayer; `dropout` acts on the output
    of each sublayer in training.
    """

    def __init__(
        self,
        attention: SelfAttention,
        feed_forward: nn.Module,
        norm: Callable[[], nn.Module],
        *,
        norm_first: bool,
        dropout: float = 0.0,
        cross_attention: CrossAttention | None = None,
    ) -> None:
        super().__init__()
        self.attention = attention
        self.attention_norm = norm()
        if cross_attention is not None:
            self.cross_attention = cross_attention
            self.cross_attention_norm = norm()
        self.feed_forward = feed_forward
        self.feed_forward_norm = norm()
        self.norm_first = norm_first
        self.dropout = nn.Dropout(dropout)

    def forward(
        self,
        hidden_states: Tensor,
        mask: Tensor | None = None,
        *,
        is_causal: bool = False,
        rotation: Rotation | None = None,
        cache: LayerCache | None = None,
        memory: tuple[Tensor, Tensor] | None = None,
        memory_mask: Tensor | None = None,
    ) -> Tensor:
        """(B, T, D) -> (B, T, D); all but `memory` as for `SelfAttention`.

        Args:
            memory: keys and values from `cross_attention.project_memory`.
            memory_mask: broadcast to (B, H, T, S), True where the memory is a token.
        """

        def attend(states: Tensor) -> Tensor:
            return self.attention(states, mask, is_causal=is_causal, rotation=rotation, cache=cache)

        def attend_memory(states: Tensor) -> Tensor:
            return self.cross_attention(states, memory, memory_mask)

        hidden_states = self._sublayer(hidden_states, attend, self.attention_norm)
        if memory is not None:
            norm = self.cross_attention_norm
            hidden_states = self._sublayer(hidden_states, attend_memory, norm)
        return self._sublayer(hidden_states, self.feed_forward, self.feed_forward_norm)

    def _sublayer(self, states: Tensor, sublayer: Activation, norm: nn.Module) -> Tensor:
        if self.norm_first:
            return states + self.dropout(sublayer(norm(states)))
        return norm(states + self.dropout(sublayer(states)))


def init_normal(model: nn.Module, std: float) -> None:
    """Linear and embedding weights from N(0, std²), biases 0, in place (BERT, GPT-2, Llama)."""
    for module in model.modules():
        if isinstance(module, nn.Linear | nn.Embedding):
            nn.init.normal_(module.weight, std=std)
        if isinstance(module, nn.Linear) and module.bias is not None:
            nn.init.zeros_(module.bias)
