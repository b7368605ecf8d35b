"""Adapters with random weights for the tiny checkpoints of ``tiny_families``, as PEFT saves them."""

import copy
import json

import torch
from peft import LoraConfig, get_peft_model
from tiny_families import load_copy


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
