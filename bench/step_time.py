"""Time and memory of a training step: Trifacet beside TRL's DPOTrainer and beside the released MCM-DPO's way.

    python bench/step_time.py                        # the demo's size, two minutes on two cores
    python bench/step_time.py --shape small          # 576 image tokens, vocabulary 32,064; a quarter of an hour
    python bench/step_time.py --shape long-prompt    # post of 1,024 words, response of 64; long-response: 256, 1,024
    python bench/step_time.py --shape gpu            # 1.6 G parameters in bfloat16; needs a GPU
    python bench/step_time.py --shape gpu-7b         # LLaVA-1.5-7B's size, by LoRA; needs a GPU
    python bench/step_time.py --shape small --contestants trl-dpo,mcm-dpo --json out.json
    python bench/growth.py --vary terms --plot terms.png    # how the cost grows; see there

All run on the same checkpoint, pairs, batch, type of weights and optimizer (AdamW, gradients clipped to 1, all weights
trained; at ``gpu-7b`` adapters and projector, in mixed precision, the reference being the model with its adapter off),
each in a process of its own. They take turns: only one works at a time, another one begins each round, and
a ratio compares turns of the same round. The machine's best matrix multiplication is measured in the same rounds.

Contestants
    trl-dpo              TRL's newest DPOTrainer: its collator, its ``training_step``. The baseline. Settings: no
                         gradient checkpointing (TRL's default is with), no mixed precision, attention by SDPA, no
                         padding (all texts are of one length, which suits it). What else TRL 1.16 has to save work
                         cannot be used with images: ``precompute_ref_log_probs`` is refused for vision data, so its
                         reference runs in each step; ``padding_free`` is switched off by TRL itself; Liger needs
                         Triton, hence a GPU; ``use_logits_to_keep`` is gone, the head now runs in tiles without
                         storing logits, over response tokens on a GPU and over all tokens on a CPU.
    dpo, mdpo, mcm-dpo   Trifacet, one trie per batch (on a GPU a row per sample, as a recipe gets there)
    mcm-dpo-released     what the released code does, as a plain loop over the transformers model: eight policy and
                         eight reference sequences in each step, logits of all positions, the joint loss; on a GPU
                         one or two samples at a time, since a batch of them does not fit
    mcm-dpo-one-by-one   Trifacet's fallback: the same scores, a row per cell
    only when named      trl-dpo-checkpointing (TRL's default: less memory, more time), trl-dpo-response-only (TRL
                         patched to run its head on response tokens on a CPU as well); and mcm-dpo with one of its
                         savings off: mcm-dpo-dense-rows (a row per sample under a dense mask),
                         mcm-dpo-whole-last-layer, mcm-dpo-keeping-all (nothing is made again going backwards);
                         dpo-, mdpo- and mcm-dpo-made-again (of all layers but the last only what they are given is
                         kept: the least that ``model.memory`` can ask for), -keeping (``--frozen-encoder``: what it
                         makes is kept), and mcm-dpo-flex (FlexAttention, a row per batch; needs a GPU)

Before any step the run checks that all of them give the same log-probs to the same sequences (of the first batch), and
after the last that those with the same objective had the same losses. If not, it ends without a table.

Columns, and keys of the JSON (times are medians over the rounds)
    step        ``seconds_per_sample``: forward, backward and update, without the reference; with it what the step would
                wait for one worker that makes the batches meanwhile, which is nothing unless a batch takes longer
    reference   ``reference_seconds_per_sample`` per pass over a sample. "/3": one pass, made before training and spread
                over the epochs (``--epochs``, the paper's recipe has 3). "/step": a pass in every step
    with it     ``with_reference_seconds_per_sample``: step + reference / epochs, or step + reference; ``ratio`` of this
    memory      ``peak_memory_bytes`` of its process, with Python and libraries (``start_memory_bytes``); on a GPU what
                torch allocated there
    tokens, of  ``unique_tokens`` that a sample puts through the language model in one forward, padding included, of
                ``total_tokens`` that its sequences have one by one
    multiply    ``matmul_share``: share of the machine's best multiplication that the step achieves, counting only what
                the distinct tokens need (``least_work`` in contest/sequences.py has the formula)
    shares      of a step: waiting for data, vision encoder with projector, language model, head with log-probs and
                loss, reference, update; from one more step with hooks, which is not timed
    kernels     of a step: attention, matrix products, other operations, and Python between them; from another step
                under PyTorch's profiler, which makes more of what is small

On the CPU a contestant that waits hands its free memory back to the system, so that all fit into the machine; a step
then begins by getting it anew, which costs each of them some per cent. Timings on a shared machine move by a factor;
read the ratios, and the spread of ``rounds`` in the JSON.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

from contest.contestants import CONTESTANTS, lacking
from contest.inputs import SHAPES, make_inputs
from contest.machine import facts
from contest.results import DifferentWorkError, document, measure, table
from contest.turns import FailedError


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shape", choices=SHAPES, default="demo")
    parser.add_argument("--rounds", type=int, default=5, help="timed steps per contestant")
    parser.add_argument("--epochs", type=int, default=3, help="epochs that share one reference pass")
    parser.add_argument("--threads", type=int, default=2)
    default = [name for name, entry in CONTESTANTS.items() if entry.by_default]
    parser.add_argument("--contestants", default=",".join(default), help=f"some of {', '.join(CONTESTANTS)}")
    parser.add_argument("--in-batch", action="store_true", help="rejected images and contexts: those of batch mates")
    parser.add_argument("--frozen-encoder", action="store_true", help="the vision encoder trains in none")
    parser.add_argument("--bf16", action="store_true", help="arithmetic in bfloat16 over weights of float32, in all")
    parser.add_argument("--json", metavar="PATH", help="also write the figures as JSON")
    options = parser.parse_args()
    trained = {"frozen": options.frozen_encoder, "bf16": options.bf16}
    shape, names = replace(SHAPES[options.shape], **trained), options.contestants.split(",")
    if problem := lacking(names, shape):
        parser.error(problem)
    if min(options.rounds, options.epochs, options.threads) < 1:
        parser.error("--rounds, --epochs and --threads are at least 1")
    with tempfile.TemporaryDirectory() as folder:
        inputs = make_inputs(Path(folder), shape, in_batch=options.in_batch)
        try:
            records, best = measure(names, inputs, rounds=options.rounds, threads=options.threads)
        except DifferentWorkError as error:
            sys.exit(f"the contestants do not do the same work: {error}")
        except FailedError as error:
            sys.exit(str(error))
    run = document(inputs, records, best, epochs=options.epochs, facts=facts(shape.device, options.threads))
    print(table(run))
    if options.json:
        Path(options.json).write_text(json.dumps(run, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
