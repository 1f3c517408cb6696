"""Stage 2: the tokenizer, and a text encoder that first learns to name the attributes of its captions."""

import random
from collections.abc import Iterator, Sequence

import torch
from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, trainers
from torch import Tensor, nn
from torch.nn import functional
from transformers import AddedToken, CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from engine.builtin.words import same_words

from .captions import Caption, caption, noisy
from .loop import Loop, Place
from .pictures import TRAIN_SEEDS
from .spec import VALUES, random_scene

POSITIONS = 48  # tokens of a prompt, with start and end
WIDTH = 160
MERGES = 768
_START, _END = "<|startoftext|>", "<|endoftext|>"
_PIECES = r"<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"


def make_tokenizer(place: Place, captions: int = 15_000) -> CLIPTokenizer:
    """Byte-level BPE in CLIP's format, learnt from captions; every byte has a token, so no word is unknown."""
    folder = place.work / "tokenizer"
    if not folder.exists():
        build_tokenizer(captions).save_pretrained(folder)
    return CLIPTokenizer.from_pretrained(folder)


def build_tokenizer(captions: int) -> CLIPTokenizer:
    learner = Tokenizer(models.BPE(continuing_subword_prefix="", end_of_word_suffix="</w>"))
    learner.normalizer = normalizers.Sequence([normalizers.NFC(), normalizers.Lowercase()])
    split = pre_tokenizers.Split(Regex(_PIECES), behavior="removed", invert=True)
    learner.pre_tokenizer = pre_tokenizers.Sequence([split, pre_tokenizers.ByteLevel(add_prefix_space=False)])
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    trainer = trainers.BpeTrainer(
        vocab_size=512 + MERGES,
        initial_alphabet=letters,
        end_of_word_suffix="</w>",
        show_progress=False,
        min_frequency=2,
    )
    rng = random.Random(0)
    learner.train_from_iterator((random_caption(rng).text for _ in range(captions)), trainer)
    learnt = sorted(learner.get_vocab(), key=learner.get_vocab().__getitem__)
    alphabet = letters + [f"{letter}</w>" for letter in letters]
    tokens = alphabet + [token for token in learnt if token not in set(alphabet)] + [_START, _END]
    merges = [tuple(pair) for pair in _merges(learner)]
    return CLIPTokenizer(vocab={token: i for i, token in enumerate(tokens)}, merges=merges, model_max_length=POSITIONS)


def _merges(tokenizer: Tokenizer) -> list[list[str]]:
    import json

    pairs: list[list[str]] = json.loads(tokenizer.to_str())["model"]["merges"]
    return pairs


def new_text_encoder(tokenizer: CLIPTokenizer) -> CLIPTextModel:
    return CLIPTextModel(
        CLIPTextConfig(
            vocab_size=len(tokenizer), hidden_size=WIDTH, intermediate_size=4 * WIDTH, projection_dim=WIDTH,
            num_hidden_layers=3, num_attention_heads=4, max_position_embeddings=POSITIONS,
            bos_token_id=tokenizer.bos_token_id, eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        )
    )  # fmt: skip


@torch.no_grad()
def add_same_words(tokenizer: CLIPTokenizer, encoder: CLIPTextModel) -> None:
    """Gives each of `same_words` a token that is embedded as the learnt word's: it encodes to exactly the same.

    What was trained is not touched, so it is done last, and doing it again changes nothing.
    """
    pairs = [(word, f"{learnt}</w>") for learnt, words in same_words().items() for word in words]
    tokenizer.add_tokens([AddedToken(word, single_word=True) for word, _ in pairs])
    encoder.resize_token_embeddings(len(tokenizer), mean_resizing=False)
    rows = encoder.get_input_embeddings().weight
    for word, learnt in pairs:
        rows[tokenizer.convert_tokens_to_ids(word)] = rows[tokenizer.get_vocab()[learnt]]


def random_caption(rng: random.Random, objects: int = 0) -> Caption:
    """A training caption of a scene that was never drawn, with at least so many objects; the labels are free."""
    scene = random_scene(rng.randrange(TRAIN_SEEDS, 2**31))
    while len(scene.objects) < objects:
        scene = random_scene(rng.randrange(TRAIN_SEEDS, 2**31))
    told = caption(scene, rng)
    return Caption(noisy(told.text, rng), told.named)


def tokenized(tokenizer: CLIPTokenizer, texts: Sequence[str]) -> Tensor:
    """int64 [B,POSITIONS], as a pipeline of diffusers pads and cuts them."""
    tokens: Tensor = tokenizer(
        list(texts), padding="max_length", max_length=POSITIONS, truncation=True, return_tensors="pt"
    ).input_ids
    return tokens


class AttributeHeads(nn.Module):
    """[B,width] → for every attribute [B, values + 1]; the last value is "not named"."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.heads = nn.ModuleList(nn.Linear(width, len(values) + 1) for values in VALUES.values())

    def forward(self, features: Tensor) -> dict[str, Tensor]:
        return {name: head(features) for name, head in zip(VALUES, self.heads, strict=True)}


def labels(named: list[dict[str, str]], device: torch.device) -> dict[str, Tensor]:
    """For every attribute the index of its value, or of "not named"."""
    return {
        name: torch.tensor([values.index(n[name]) if name in n else len(values) for n in named], device=device)
        for name, values in VALUES.items()
    }


def train_text(place: Place, budget_seconds: float, batch: int = 128) -> tuple[CLIPTokenizer, CLIPTextModel]:
    tokenizer = make_tokenizer(place)
    encoder, heads = new_text_encoder(tokenizer), AttributeHeads(WIDTH)
    loop = Loop("text", place, {"encoder": encoder, "heads": heads}, budget_seconds)
    encoder.to(place.device).train()
    heads.to(place.device)
    parameters = [*encoder.parameters(), *heads.parameters()]
    optimizer = torch.optim.AdamW(parameters, lr=1.5e-3, weight_decay=0.01)
    batches = _caption_batches(batch, loop.step)

    def step() -> Tensor:
        told = next(batches)
        tokens = tokenizer(
            [c.text for c in told], padding="longest", max_length=POSITIONS, truncation=True, return_tensors="pt"
        )
        with place.autocast:
            guesses = heads(encoder(tokens.input_ids.to(place.device)).pooler_output)
        true = labels([c.named for c in told], place.device)
        return torch.stack([functional.cross_entropy(guesses[name].float(), true[name]) for name in VALUES]).mean()

    if loop.share < 1:
        loop.run([optimizer], step)
        loop.measured(share=_understood(place, tokenizer, encoder.eval(), heads))
    return tokenizer, encoder.eval()


@torch.no_grad()
def _understood(place: Place, tokenizer: CLIPTokenizer, encoder: CLIPTextModel, heads: AttributeHeads) -> float:
    """Of the attributes that held-out captions name, the share that the heads read from their features."""
    rng = random.Random("held out")
    told = [caption(random_scene(rng.randrange(TRAIN_SEEDS)), rng, held_out=True) for _ in range(256)]
    tokens = tokenizer([c.text for c in told], padding="longest", return_tensors="pt").input_ids.to(place.device)
    scores, true = heads(encoder(tokens).pooler_output), labels([c.named for c in told], place.device)
    named = {name: true[name] < len(values) for name, values in VALUES.items()}
    right = sum(int((scores[name].argmax(1) == true[name])[named[name]].sum()) for name in VALUES)
    return right / sum(int(each.sum()) for each in named.values())


def _caption_batches(batch: int, start: int) -> Iterator[list[Caption]]:
    """Half of them of several objects: from their share of the scenes it is not learnt which has which colour."""
    rng = random.Random(f"captions {start}")
    while True:
        yield [random_caption(rng, objects=2 if i % 2 == 0 else 0) for i in range(batch)]
