"""Upper layers learn the same from cached states as behind the frozen lower layers themselves."""

import random

import pytest
import torch
import transformers
from datasets import Dataset
from tiny_task import VOCABULARY, tiny_tokenizer

from utils.tagging import EncoderForTokenClassification, TokenClassifierConfig
from utils.training import FrozenStates, freeze_lower

TAGS = ["O", "B", "I"]
DEPTH = 3
IDS = torch.tensor([[2, 7, 15, 9, 3], [2, 16, 3, 0, 0]])
BATCH = {"input_ids": IDS, "attention_mask": (IDS != 0).long()}


def tiny_encoder(family="Bert", depth=DEPTH):
    return getattr(transformers, f"{family}Config")(
        vocab_size=len(VOCABULARY), hidden_size=32, num_hidden_layers=depth, num_attention_heads=4,
        intermediate_size=64, max_position_embeddings=20, initializer_range=0.2, pad_token_id=0,
    )  # fmt: skip


def tiny_tagger(family="Bert"):
    torch.manual_seed(0)
    config = TokenClassifierConfig.from_tags(tiny_encoder(family), TAGS)
    return EncoderForTokenClassification(config)


def tiny_sentences(num_sentences=40, seed=0):
    """Encoded sentences of 2 to 8 words; the tags follow from the words."""
    rng = random.Random(seed)
    words = [rng.choices(VOCABULARY[5:], k=rng.randint(2, 8)) for _ in range(num_sentences)]
    encoded = tiny_tokenizer()(words, is_split_into_words=True)
    labels = [[-100, *(i % 3 for i in ids[1:-1]), -100] for ids in encoded["input_ids"]]
    return Dataset.from_dict({**encoded, "labels": labels, "words": words})


def training_losses(model, batches, seed=0):
    """Losses of a step on each batch, with dropout."""
    optimizer = torch.optim.SGD(
        [weight for weight in model.parameters() if weight.requires_grad], lr=0.2
    )
    torch.manual_seed(seed)
    losses = []
    for batch in batches:
        model.train()
        loss = model(**batch).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())
    return torch.tensor(losses)


def batches_of(cache, dataset, size=8):
    dataset, collator = cache.add(dataset), cache.collator(tiny_tokenizer())
    return [
        collator([dataset[row] for row in range(start, start + size)])
        for start in range(0, len(dataset), size)
    ]


def tiny_trainer(model, cache, dataset, folder, **settings):
    """A trainer that groups sentences by length and saves a checkpoint."""
    defaults = {
        "per_device_train_batch_size": 8, "num_train_epochs": 2, "learning_rate": 1e-3,
        "logging_steps": 1, "train_sampling_strategy": "group_by_length", "use_cpu": True,
        "remove_unused_columns": False, "save_strategy": "epoch", "seed": 0, "disable_tqdm": True,
    }  # fmt: skip
    trainer = transformers.Trainer(
        model,
        transformers.TrainingArguments(str(folder), **defaults | settings),
        train_dataset=dataset,
        data_collator=cache.collator(tiny_tokenizer()),
    )
    trainer.remove_callback(transformers.PrinterCallback)
    trainer.train()
    return trainer


def logged_losses(trainer):
    return torch.tensor([row["loss"] for row in trainer.state.log_history if "loss" in row])


@torch.no_grad()
def logits(model):
    return model(**BATCH).logits


@pytest.fixture(params=["Bert", "XLMRoberta"])
def model(request):
    return tiny_tagger(request.param)


@pytest.mark.parametrize("num_layers", [1, 2, DEPTH])
def test_learning_on_cached_states_equals_ordinary_freezing(model, num_layers):
    sentences = tiny_sentences()
    cache, no_cache = FrozenStates(model, num_layers), FrozenStates(model, 0)
    upper, full = cache.new_model(seed=3), freeze_lower(no_cache.new_model(seed=3), num_layers)
    losses = training_losses(upper, batches_of(cache, sentences))
    expected = training_losses(full, batches_of(no_cache, sentences))
    assert not torch.allclose(
        upper.classifier.weight, cache.new_model(3).classifier.weight, atol=1e-2
    )
    torch.testing.assert_close(losses, expected, atol=1e-5, rtol=0)
    learned, expected_weights = cache.whole(upper).state_dict(), full.state_dict()
    assert learned.keys() == expected_weights.keys()
    for name, weight in expected_weights.items():
        torch.testing.assert_close(learned[name], weight, atol=1e-5, rtol=0, msg=name)


def test_dropout_in_the_upper_layers_is_on():
    sentences = tiny_sentences()
    cache = FrozenStates(tiny_tagger(), 2)
    batches = batches_of(cache, sentences)
    losses = [training_losses(cache.new_model(seed=3), batches, seed) for seed in (0, 0, 1)]
    assert torch.equal(losses[0], losses[1])
    assert (losses[0] - losses[2]).abs().min() > 1e-4


def test_trainer_learns_the_same_either_way(tmp_path):
    model, sentences = tiny_tagger(), tiny_sentences()
    cache, no_cache = FrozenStates(model, 2), FrozenStates(model, 0)
    with_states = cache.add(sentences)
    assert with_states["words"][:] == sentences["words"][:]
    trained = tiny_trainer(cache.new_model(seed=3), cache, with_states, tmp_path / "upper")
    full = freeze_lower(no_cache.new_model(seed=3), 2)
    expected = tiny_trainer(full, no_cache, sentences, tmp_path / "full")
    torch.testing.assert_close(logged_losses(trained), logged_losses(expected), atol=1e-5, rtol=0)
    torch.testing.assert_close(
        logits(cache.whole(trained.model)), logits(expected.model.eval()), atol=1e-4, rtol=0
    )


@torch.no_grad()
def test_states_are_those_of_each_sentence_alone(model):
    cache = FrozenStates(model, 2)
    for seed in (0, 1):
        sentences = cache.add(tiny_sentences(12, seed=seed))
        for row in sentences:
            ids = torch.tensor([row["input_ids"]])
            expected = model(ids, output_hidden_states=True).hidden_states[2][0]  # (T, D)
            torch.testing.assert_close(cache.states[row["states"]], expected)
    assert len(cache.states) == 24


@torch.no_grad()
def test_bf16_states_are_close_and_float32():
    sentences, model = tiny_sentences(), tiny_tagger()
    exact, rough = FrozenStates(model, 2), FrozenStates(model, 2, bf16=True)
    exact.add(sentences)
    rough.add(sentences)
    differences = [(a - b).abs().max() for a, b in zip(exact.states, rough.states, strict=True)]
    assert all(states.dtype == torch.float32 for states in rough.states)
    assert 0 < max(differences) < 0.1


def test_the_whole_model_after_training_under_autocast_is_float32(tmp_path):
    model = tiny_tagger()
    cache = FrozenStates(model, 2)
    dataset = cache.add(tiny_sentences())
    trainer = tiny_trainer(cache.new_model(seed=3), cache, dataset, tmp_path, bf16=True)
    whole = cache.whole(trainer.model)
    states = model(**BATCH, output_hidden_states=True).hidden_states[2].detach()
    upper = cache.new_model(seed=0)
    upper.load_state_dict(trainer.model.state_dict())
    with torch.no_grad():
        expected = upper(inputs_embeds=states, attention_mask=BATCH["attention_mask"]).logits
    assert not whole.training
    torch.testing.assert_close(logits(whole), expected, atol=1e-6, rtol=0)


@pytest.mark.parametrize("num_layers", [0, 1, DEPTH])
def test_an_untrained_whole_model_is_the_model_under_the_new_head(model, num_layers):
    cache = FrozenStates(model, num_layers)
    upper = cache.new_model(seed=3)
    with torch.no_grad():
        states = model.body(**BATCH).last_hidden_state
        expected = states @ upper.classifier.weight.T + upper.classifier.bias
    whole = cache.whole(upper)
    torch.testing.assert_close(logits(whole), expected, atol=1e-5, rtol=0)
    assert whole.config.encoder.num_hidden_layers == len(whole.body.encoder.layer) == DEPTH


@torch.no_grad()
def test_hidden_states_are_there_once_whenever_they_were_asked_for():
    model = tiny_tagger()
    before = FrozenStates(model, 2).new_model(seed=3)
    expected = model(**BATCH, output_hidden_states=True).hidden_states
    cache = FrozenStates(model, 2)
    for upper in (before, cache.new_model(seed=3)):
        states = cache.whole(upper)(**BATCH, output_hidden_states=True).hidden_states
        torch.testing.assert_close(states, expected)


def test_training_changes_neither_the_model_nor_another_fresh_one():
    model = tiny_tagger()
    before = logits(model.eval())
    for num_layers in (0, 2):
        cache = FrozenStates(model, num_layers)
        batches = batches_of(cache, tiny_sentences())
        first, second = (training_losses(cache.new_model(seed=3), batches) for _ in range(2))
        assert torch.equal(first, second)
        assert torch.equal(logits(model), before)


def test_the_seed_draws_the_head_and_leaves_the_generator_alone():
    cache = FrozenStates(tiny_tagger(), 2)
    torch.manual_seed(0)
    heads = [cache.new_model(seed).classifier.weight for seed in (1, 1, 2)]
    drawn = torch.rand(3)
    torch.manual_seed(0)
    assert torch.equal(drawn, torch.rand(3))
    assert torch.equal(heads[0], heads[1])
    assert not torch.equal(heads[0], heads[2])
    assert not torch.equal(heads[0], cache.model.classifier.weight)


def test_without_frozen_layers_all_is_ordinary():
    model, sentences = tiny_tagger(), tiny_sentences()
    cache = FrozenStates(model, 0)
    assert cache.add(sentences) is sentences
    plain = transformers.DataCollatorForTokenClassification(tiny_tokenizer())
    rows = [sentences[row] for row in range(4)]
    expected = plain([{k: v for k, v in row.items() if k != "words"} for row in rows])
    batch = cache.collator(tiny_tokenizer())(rows)
    assert batch["input_ids"].equal(expected["input_ids"])
    assert batch["labels"].equal(expected["labels"])
    assert all(weight.requires_grad for weight in cache.new_model(seed=3).parameters())
    assert freeze_lower(model, 0) is model
    assert all(weight.requires_grad for weight in model.parameters())


@torch.no_grad()
def test_frozen_layers_have_no_dropout_even_in_training(model):
    freeze_lower(model, 2).train()
    outputs = [model(**BATCH, output_hidden_states=True) for _ in range(2)]
    assert torch.equal(outputs[0].hidden_states[2], outputs[1].hidden_states[2])
    assert not torch.equal(outputs[0].hidden_states[3], outputs[1].hidden_states[3])


@pytest.mark.parametrize("make", [FrozenStates, freeze_lower])
@pytest.mark.parametrize("num_layers", [-1, DEPTH + 1])
def test_layers_have_to_be_there_to_be_frozen(make, num_layers):
    with pytest.raises(ValueError, match=f"num_layers={num_layers} .* from 0 to 3"):
        make(tiny_tagger(), num_layers)


@pytest.mark.parametrize("family", ["DistilBert", "MPNet"])
def test_another_kind_of_encoder_is_refused(family):
    config = {
        "DistilBert": transformers.DistilBertConfig(
            vocab_size=32, dim=16, n_layers=2, n_heads=2, hidden_dim=16
        ),
        "MPNet": tiny_encoder("MPNet"),
    }[family]
    model = EncoderForTokenClassification(TokenClassifierConfig.from_tags(config, TAGS))
    with pytest.raises(ValueError, match="is not embeddings and encoder"):
        FrozenStates(model, 1)
