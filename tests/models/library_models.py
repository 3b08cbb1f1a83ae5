"""Small library models with random weights, far enough from the first ones for texts to vary."""

import torch
import transformers


def bert(architecture, **options):
    sizes = {"vocab_size": 90, "hidden_size": 36, "num_hidden_layers": 3, "intermediate_size": 50}
    others = {"num_attention_heads": 6, "max_position_embeddings": 20, "initializer_range": 1 / 6}
    return stirred(architecture, transformers.BertConfig(**sizes | others | options))


def bart(architecture=transformers.BartForConditionalGeneration, **options):
    sizes = {"vocab_size": 60, "d_model": 32, "encoder_layers": 2, "decoder_layers": 3}
    widths = {"encoder_ffn_dim": 48, "decoder_ffn_dim": 48, "max_position_embeddings": 30}
    heads = {"encoder_attention_heads": 4, "decoder_attention_heads": 4, "init_std": 32**-0.5}
    config = transformers.BartConfig(**sizes | widths | heads | options)
    model = stirred(architecture, config)
    if hasattr(model, "final_logits_bias"):
        model.final_logits_bias.normal_(std=0.1)
    return model


@torch.no_grad()
def stirred(architecture, config):
    """Random norms and biases too, and positions that matter more than the last token."""
    torch.manual_seed(1)
    model = architecture(config)
    for name, weight in model.named_parameters():
        if weight.ndim == 1:
            weight.normal_(float(name.endswith("weight")), 0.1)
        elif "position" in name:
            weight.normal_()
        elif "embed" in name or "shared" in name:
            weight.normal_(std=0.3)
    return model.eval()
