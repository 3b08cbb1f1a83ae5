"""The translator with a recurrent decoder: real weights, the library's encoder, and `generate`."""

import pytest
import torch
from transformers import AutoModelForSeq2SeqLM, AutoTokenizer, MarianConfig
from transformers.models.marian.modeling_marian import MarianEncoder

from utils.assets.models import checkpoint
from utils.models.ssru import Ssru, SsruTranslator, SsruTranslatorConfig, positions

GARDEN = "The children were playing happily in the garden."
AREA = "The agreement on the European Economic Area was signed in August 1992."
TRANSLATIONS = {
    GARDEN: "As crianças estavam brincando alegremente no jardim.",
    AREA: "O acordo sobre o Espaço Económico Europeu foi assinado em Agosto de 1992.",
    "How are you today?": "Como você está hoje?",
}


@pytest.fixture(scope="module")
def translator():
    folder = checkpoint("translator_en_pt")
    model, info = AutoModelForSeq2SeqLM.from_pretrained(folder, output_loading_info=True)
    assert not any(info.values())
    return AutoTokenizer.from_pretrained(folder), model.eval()


def translate(translator, texts, **options):
    tokenizer, model = translator
    inputs = tokenizer(texts, padding=True, return_tensors="pt")
    return tokenizer.batch_decode(model.generate(**inputs, **options), skip_special_tokens=True)


@pytest.mark.parametrize(
    "options", [{}, {"num_beams": 4}, {"use_cache": False}, {"num_beams": 4, "use_cache": False}]
)
def test_sentences_translate_alone_and_in_a_padded_batch(translator, options):
    assert translate(translator, [*TRANSLATIONS], **options) == [*TRANSLATIONS.values()]
    for text, translation in TRANSLATIONS.items():
        assert translate(translator, [text], **options) == [translation]


def test_the_other_direction():
    folder = checkpoint("translator_pt_en")
    back = AutoTokenizer.from_pretrained(folder), AutoModelForSeq2SeqLM.from_pretrained(folder)
    text = "O presidente visitou a cidade ontem e falou com os trabalhadores."
    expected = "The president visited the city yesterday and spoke to the workers."
    assert translate(back, [text]) == [expected]


def test_states_of_the_encoder_are_those_of_the_librarys(translator):
    """With Marian's positions and the epsilon of its norms in place of the library's."""
    tokenizer, model = translator
    config = MarianConfig(
        vocab_size=model.config.vocab_size, d_model=256, encoder_layers=6,
        encoder_attention_heads=8, encoder_ffn_dim=1536, activation_function="relu",
        scale_embedding=True, pad_token_id=0,
    )  # fmt: skip
    library = MarianEncoder(config).eval()
    weights = {"embed_tokens.weight": model.embedding.weight}
    ids = torch.zeros(1, len(library.embed_positions.weight), dtype=torch.long)
    weights["embed_positions.weight"] = positions(256, ids)
    for place, layer in enumerate(model.encoder.layers):
        qkv = layer.attention.query_key_value
        projections = zip(qkv.weight.chunk(3), qkv.bias.chunk(3), "qkv", strict=True)
        modules = {f"self_attn.{name}_proj": (w, b) for w, b, name in projections}
        for name, module in {
            "self_attn.out_proj": layer.attention.output,
            "self_attn_layer_norm": layer.attention_norm,
            "fc1": layer.feed_forward.up,
            "fc2": layer.feed_forward.down,
            "final_layer_norm": layer.feed_forward_norm,
        }.items():
            modules[name] = (module.weight, module.bias)
        for name, (weight, bias) in modules.items():
            weights[f"layers.{place}.{name}.weight"] = weight
            weights[f"layers.{place}.{name}.bias"] = bias
    library.load_state_dict(weights)
    for module in library.modules():
        if isinstance(module, torch.nn.LayerNorm):
            module.eps = 1e-6
    inputs = tokenizer([*TRANSLATIONS], padding=True, return_tensors="pt")
    with torch.no_grad():
        ours = model.encoder(**inputs).last_hidden_state
        theirs = library(**inputs).last_hidden_state
    is_token = inputs["attention_mask"].bool()
    torch.testing.assert_close(ours[is_token], theirs[is_token], atol=1e-5, rtol=0)


def test_a_head_aligns_words_across_their_order(translator):
    tokenizer, model = translator
    inputs = tokenizer(AREA, return_tensors="pt")
    target = model.generate(**inputs)
    with torch.no_grad():
        outputs = model(**inputs, decoder_input_ids=target[:, :-1], output_attentions=True)
    weights = outputs.cross_attentions[1][0, 0]  # (T, S)
    torch.testing.assert_close(weights.sum(dim=-1), torch.ones(len(weights)))
    source = tokenizer.convert_ids_to_tokens(inputs["input_ids"][0])
    written = tokenizer.convert_ids_to_tokens(target[0, 1:])
    aligned = {word: source[place] for word, place in zip(written, weights.argmax(-1), strict=True)}
    assert aligned["▁Espaço"] == "▁Area"
    assert aligned["▁Económico"] == "▁Economic"
    assert aligned["▁Europeu"] == "▁European"


def test_the_recurrence_by_hand():
    torch.manual_seed(0)
    ssru, x = Ssru(4), torch.randn(1, 3, 4)
    state = torch.zeros(4)
    for step in range(3):
        gate = torch.sigmoid(ssru.forget(x[0, step]))
        state = gate * state + (1 - gate) * (ssru.candidate.weight @ x[0, step])
        torch.testing.assert_close(ssru(x)[0][0, step], state.clamp(min=0))
    torch.testing.assert_close(ssru(x)[1][0], state)


def test_a_small_one_learns_and_is_saved(tmp_path):
    """To repeat a source; the loss leaves out what is -100."""
    torch.manual_seed(0)
    config = SsruTranslatorConfig(
        vocab_size=12, hidden_size=32, num_encoder_layers=1, num_decoder_layers=1,
        num_attention_heads=2, intermediate_size=32,
    )  # fmt: skip
    model = SsruTranslator(config)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    ids = torch.cat((torch.randint(1, 12, (16, 4)), torch.zeros(16, 1, dtype=torch.long)), dim=1)
    labels = ids.masked_fill(torch.arange(5) == 1, -100)
    losses = []
    for _ in range(150):
        loss = model(input_ids=ids, labels=labels).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())
    assert losses[-1] < 0.1 * losses[0]
    model.eval().save_pretrained(tmp_path)
    again = AutoModelForSeq2SeqLM.from_pretrained(tmp_path)
    torch.testing.assert_close(
        again(input_ids=ids, labels=ids).logits, model(ids, labels=ids).logits
    )
