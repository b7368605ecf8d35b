"""A tiny random checkpoint of every locator's class, saved as transformers saves it. Nothing is downloaded."""

import json
from pathlib import Path

import torch
import transformers as hf
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

WORDS = ["a", "cat", "dog", "red", "box", "photo", "of", "the", "blue", "disc"]
SPECIALS = {101: "[CLS]", 102: "[SEP]", 1012: ".", 1029: "?"}  # the ids that Grounding DINO has in its code
SMALL = {"hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
SAM3_SIDE = 112


def bert_tokenizer():
    vocabulary = {"[PAD]": 0, "[UNK]": 1, "[MASK]": 2}
    vocabulary |= {token: number for number, token in SPECIALS.items()}
    vocabulary |= {word: number for number, word in enumerate(WORDS, start=200)}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 101), ("[SEP]", 102)]
    )
    names = {"pad_token": "[PAD]", "unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]"}
    return hf.PreTrainedTokenizerFast(tokenizer_object=tokenizer, **names)


def clip_tokenizer():
    vocabulary = {token: number for number, token in enumerate(["<pad>", "<unk>", "<s>", "</s>", ".", *WORDS])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", 2), ("</s>", 3)]
    )
    names = {"pad_token": "<pad>", "unk_token": "<unk>", "bos_token": "<s>", "eos_token": "</s>"}
    return hf.PreTrainedTokenizerFast(tokenizer_object=tokenizer, **names), len(vocabulary)


def clip_text(length=16, **others):
    _, size = clip_tokenizer()
    ids = {"pad_token_id": 0, "bos_token_id": 2, "eos_token_id": 3}
    return {"vocab_size": size, "max_position_embeddings": length, **SMALL, **ids, **others}


def saved(folder: Path, model, *parts, sharper: float = 1.0, only: str = "") -> Path:
    """With weights (of a name that holds ``only``) so many times as large, for scores and boxes that differ."""
    model.save_pretrained(folder)
    for part in parts:
        part.save_pretrained(folder)
    if sharper != 1:
        file = folder / "model.safetensors"
        weights = load_file(file)
        larger = {
            name: weight * sharper if weight.ndim > 1 and only in name else weight for name, weight in weights.items()
        }
        save_file(larger, file, metadata={"format": "pt"})
    return folder


def grounding_dino(folder: Path, max_text_len: int = 16) -> Path:
    torch.manual_seed(0)
    backbone = hf.SwinConfig(
        image_size=64, patch_size=4, embed_dim=8, depths=[1] * 4, num_heads=[1] * 4, window_size=4,
        out_features=["stage2", "stage3", "stage4"],
    )  # fmt: skip
    text = hf.BertConfig(
        vocab_size=1040, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16
    )
    config = hf.GroundingDinoConfig(
        backbone_config=backbone, text_config=text, d_model=32, num_queries=8, encoder_layers=1, decoder_layers=2,
        encoder_ffn_dim=16, decoder_ffn_dim=16, encoder_attention_heads=2, decoder_attention_heads=2,
        num_feature_levels=4, max_text_len=max_text_len, disable_custom_kernels=True,
    )  # fmt: skip
    images = hf.GroundingDinoImageProcessorPil(size={"shortest_edge": 128, "longest_edge": 256})
    return saved(folder, hf.GroundingDinoForObjectDetection(config), images, bert_tokenizer(), sharper=4)


def owlv2(folder: Path) -> Path:
    torch.manual_seed(1)
    config = hf.Owlv2Config(
        text_config=clip_text(), vision_config={**SMALL, "image_size": 32, "patch_size": 8}, projection_dim=32
    )
    images = hf.Owlv2ImageProcessorPil(size={"height": 32, "width": 32})
    return saved(folder, hf.Owlv2ForObjectDetection(config), images, clip_tokenizer()[0], sharper=0.1, only="box_head")


def sam(folder: Path) -> Path:
    torch.manual_seed(2)
    config = hf.SamConfig(
        vision_config={
            "hidden_size": 16, "output_channels": 16, "num_hidden_layers": 2, "num_attention_heads": 2,
            "image_size": 64, "patch_size": 16, "window_size": 2, "global_attn_indexes": [1], "num_pos_feats": 8,
            "mlp_dim": 16,
        },
        prompt_encoder_config={"hidden_size": 16, "image_size": 64, "patch_size": 16, "mask_input_channels": 4},
        mask_decoder_config={"hidden_size": 16, "mlp_dim": 16, "num_attention_heads": 2, "iou_head_hidden_dim": 16},
    )  # fmt: skip
    images = hf.SamImageProcessorPil(size={"longest_edge": 64}, pad_size={"height": 64, "width": 64})
    return saved(folder, hf.SamModel(config), images)


def clipseg(folder: Path) -> Path:
    torch.manual_seed(3)
    vision = {**SMALL, "num_hidden_layers": 3, "image_size": 32, "patch_size": 8}
    config = hf.CLIPSegConfig(
        text_config=clip_text(), vision_config=vision, projection_dim=32, extract_layers=[0, 1, 2], reduce_dim=16,
        decoder_num_attention_heads=2, decoder_intermediate_size=16,
    )  # fmt: skip
    images = hf.ViTImageProcessorPil(size={"height": 32, "width": 32})
    return saved(folder, hf.CLIPSegForImageSegmentation(config), images, clip_tokenizer()[0], sharper=2)


def _sam3_config(kind="Sam3", text=None):
    def part(name, **values):
        return getattr(hf, f"{kind}{name}", None)(**values)

    vision = hf.Sam3VisionConfig(
        backbone_config=hf.Sam3ViTConfig(
            hidden_size=16, intermediate_size=16, num_hidden_layers=2, num_attention_heads=2, image_size=SAM3_SIDE,
            pretrain_image_size=SAM3_SIDE, patch_size=14, window_size=4, global_attn_indexes=[1],
        ),
        fpn_hidden_size=16, scale_factors=[2.0, 1.0], backbone_feature_sizes=[[16, 16], [8, 8]],
    )  # fmt: skip
    small = {"hidden_size": 16, "num_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
    return part(
        "Config",
        vision_config=vision,
        text_config=text or hf.CLIPTextConfig(**clip_text(32, projection_dim=16) | {"hidden_size": 16}),
        geometry_encoder_config=part("GeometryEncoderConfig", **small),
        detr_encoder_config=part("DETREncoderConfig", **small),
        detr_decoder_config=part("DETRDecoderConfig", **small, num_queries=5),
        mask_decoder_config=part("MaskDecoderConfig", hidden_size=16, num_upsampling_stages=1, num_attention_heads=2),
    )


def _of_sam3(folder: Path, model, **sharper) -> Path:
    saved(folder, model, clip_tokenizer()[0], **sharper)
    said = {
        "image_processor_type": "Sam3ImageProcessor", "size": {"height": SAM3_SIDE, "width": SAM3_SIDE},
        "image_mean": [0.5, 0.4, 0.6], "image_std": [0.5, 0.25, 0.5],
    }  # fmt: skip
    (folder / "preprocessor_config.json").write_text(json.dumps(said))
    return folder


def sam3(folder: Path) -> Path:
    torch.manual_seed(4)
    return _of_sam3(folder, hf.Sam3Model(_sam3_config()), sharper=4)


def sam3_lite(folder: Path) -> Path:
    torch.manual_seed(5)
    text = hf.Sam3LiteTextTextConfig(
        vocab_size=clip_tokenizer()[1], hidden_size=16, intermediate_size=16, projection_dim=16, num_hidden_layers=2,
        num_attention_heads=2, max_position_embeddings=32,
    )  # fmt: skip
    return _of_sam3(folder, hf.Sam3LiteTextModel(_sam3_config("Sam3LiteText", text)))


def clip(folder: Path) -> Path:
    torch.manual_seed(6)
    config = hf.CLIPConfig(
        text_config=clip_text(24), vision_config={**SMALL, "image_size": 32, "patch_size": 8}, projection_dim=16
    )
    images = CLIPImageProcessorPil(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32})
    return saved(folder, hf.CLIPModel(config), images, clip_tokenizer()[0])


MAKERS = {
    "grounding-dino": grounding_dino,
    "owlv2": owlv2,
    "clipseg": clipseg,
    "sam3": sam3,
    "lowest-similarity": clip,
}
