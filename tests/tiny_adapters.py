"""Adapters with random weights for the tiny checkpoints of ``tiny_families``, as PEFT saves them."""

import copy
import json

import torch
from peft import LoraConfig, get_peft_model
from tiny_families import load_copy

from trifacet.models.adapters import merged, put_on

IDS = torch.tensor([[5, 6, 7, 40, 41, 42, 43, 44]])
FILE = "adapter_model.safetensors"


def base_of(folder, tied=False):
    """A family's model, head and embeddings one weight or two."""
    model = load_copy(folder).model
    embed, head = model.get_input_embeddings(), model.get_output_embeddings()
    head.weight = embed.weight if tied else torch.nn.Parameter(head.weight.detach().clone())
    model.config.tie_word_embeddings = model.config.get_text_config().tie_word_embeddings = tied
    return model


def adapt(base, folder, *, move=0.05, **settings):
    """An adapter with random weights in ``folder``, as PEFT saves it, and the model with it."""
    torch.manual_seed(1)
    model = get_peft_model(copy.deepcopy(base), LoraConfig(r=4, lora_alpha=8, **settings))
    with torch.no_grad():
        for weight in model.parameters():
            if weight.requires_grad:
                weight.add_(torch.randn_like(weight), alpha=move)
    model.save_pretrained(folder)
    return model.eval()


def edit(folder, change, file="adapter_config.json"):
    """Change what a JSON file of a folder holds."""
    whole = json.loads((folder / file).read_text())
    change(whole)
    (folder / file).write_text(json.dumps(whole))


def logits(model):
    """Of a few tokens of text."""
    with torch.no_grad():
        return model(input_ids=IDS, attention_mask=torch.ones_like(IDS), use_cache=False).logits


def check(base, folder, expected):
    """On a model that is as ``base`` was, and merged into it, the adapter of ``folder`` gives the expected logits."""
    on = put_on(copy.deepcopy(base), folder)
    torch.testing.assert_close(logits(on), expected, atol=1e-4, rtol=1e-4)
    whole = merged(on, torch.float32)
    torch.testing.assert_close(logits(whole), expected, atol=1e-3, rtol=1e-3)
    return whole
