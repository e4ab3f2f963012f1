"""The models of the comparison: where each comes from, on which device it lies, and what is true of it.

Definitions and true counts are those of the tests: networks in plain PyTorch, counts recorded operator by operator and
checked against closed forms written from the papers.
"""

import json
import sys
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).resolve().parents[1]
DATA: Final = ROOT / "tests" / "data"
LLAMA3_8B: Final = {
    "vocab_size": 128256, "hidden_size": 4096, "intermediate_size": 14336, "num_hidden_layers": 32,
    "num_attention_heads": 32, "num_key_value_heads": 8, "max_position_embeddings": 8192, "rope_theta": 500000.0,
    "rms_norm_eps": 1e-5, "tie_word_embeddings": False,
}  # fmt: skip
# trace: (configuration, model, sizes), of transformers
TRANSFORMERS: Final[dict[str, tuple[str, str, dict[str, Any]]]] = {
    "bert_sdpa": ("BertConfig", "BertForMaskedLM", {}),
    "gpt2_sdpa": ("GPT2Config", "GPT2LMHeadModel", {}),
    "llama3_8b": ("LlamaConfig", "LlamaForCausalLM", LLAMA3_8B),
    "mixtral_8x7b": ("MixtralConfig", "MixtralForCausalLM", {}),
}


@dataclass(frozen=True)
class Row:
    """One model and what is counted of it: "forward", "train" (forward and backward) or "onnx" (a file)."""

    key: str
    title: str
    source: str
    kind: str = "forward"
    device: str = "cpu"
    zoo: str = ""
    path: Path = ROOT

    @property
    def macs(self) -> int:
        """The true multiply-accumulates."""
        if self.kind == "onnx":
            return int(_expected(self.source)["macs"])
        folder, part = ("counts_train", "train") if self.kind == "train" else ("counts", "forward")
        return int(_golden(self.source, folder)[part]["macs"])

    @property
    def params(self) -> int:
        """The true parameters."""
        if self.kind == "onnx":
            return int(_expected(self.source)["params_trainable"])
        return int(_golden(self.source, "counts")["params"]["total"])

    @property
    def missing(self) -> str:
        """The package that this row needs and that is absent, or nothing."""
        needed = ("onnx",) if self.kind == "onnx" else ("torch", "transformers")[: 1 + (self.source in TRANSFORMERS)]
        return next((name for name in needed if find_spec(name) is None), "")


def _golden(name: str, folder: str) -> dict[str, Any]:
    data: dict[str, Any] = json.loads((DATA / folder / f"{name}.json").read_text(encoding="utf-8"))
    return data


def _expected(name: str) -> dict[str, Any]:
    if name == "mobilenet_v2":
        trace = _golden(name, "counts")
        return {"macs": trace["forward"]["macs"], "params_trainable": trace["params"]["total"]}
    data: dict[str, Any] = json.loads((DATA / "onnx" / "good" / "expected.json").read_text(encoding="utf-8"))[name]
    return data


def build(row: Row, device: str) -> tuple[Any, tuple[Any, ...]]:
    """The live module in the mode that the row needs, and its positional inputs."""
    import torch

    if row.source in TRANSFORMERS:
        module, args = _transformers(row.source, device)
    else:
        sys.path.insert(0, str(ROOT / "tests" / "frontends" / "pytorch"))
        nets = __import__("torch_nets")
        module = nets.build(row.source, device)
        trace = _golden(row.source, "counts")
        args = nets.inputs(row.source, trace.get("inputs") or [trace["input"]], device)
    assert isinstance(module, torch.nn.Module)
    return module.train(row.kind == "train"), args


def _transformers(name: str, device: str) -> tuple[Any, tuple[Any, ...]]:
    import torch
    import transformers

    transformers.logging.set_verbosity_error()
    config_name, model_name, sizes = TRANSFORMERS[name]
    config = getattr(transformers, config_name)(**sizes, use_cache=False)
    config._attn_implementation = "sdpa"
    # On meta, PyTorch multiplies groups of rows in bfloat16 only.
    dtype = torch.bfloat16 if name == "mixtral_8x7b" else torch.float32
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        with torch.device(device):
            module = getattr(transformers, model_name)(config).eval()
    finally:
        torch.set_default_dtype(before)
    shape = _golden(name, "counts")["inputs"][0]
    return module, (torch.zeros(shape, dtype=torch.int64, device=device),)


def no_packing(_: Any) -> None:
    """What transformers' search for packed sequences answers without looking at values, which meta tensors lack."""


def allow_meta() -> None:
    """Lets models of transformers run on meta tensors: without it all peers but one fail there."""
    if "transformers" in sys.modules:
        from transformers import masking_utils

        masking_utils.find_packed_sequence_indices = no_packing


def rows() -> list[Row]:
    """Every row, in the order of the tables."""
    recurrent = ":layers=2:steps=50:head=10"
    forward = [
        Row("alexnet", "AlexNet, two towers", "alexnet_orig", zoo="alexnet-original"),
        Row("vgg16", "VGG-16", "vgg16", zoo="vgg16"),
        Row("resnet50", "ResNet-50", "resnet50", zoo="resnet50"),
        Row("mobilenet_v2", "MobileNet v2", "mobilenet_v2", zoo="mobilenet-v2"),
        Row("unet", "U-Net, 572 pixels", "unet", zoo="unet"),
        Row("lstm2", "LSTM, 2 layers", "lstm2", zoo=f"lstm:128x256{recurrent}"),
        Row("gru2", "GRU, 2 layers", "gru2", zoo=f"gru:128x256{recurrent}"),
        Row("vit_b16_mha", "ViT-B/16, nn.MultiheadAttention", "vit_b16_mha", zoo="vit-b16:mha"),
        Row("vit_b16_sdpa", "ViT-B/16, sdpa", "vit_b16_sdpa", zoo="vit-b16"),
        Row("tied", "tied embedding, a layer used twice", "tied", zoo="tied"),
        Row("bert", "BERT base, 128 tokens", "bert_sdpa", zoo="bert-base"),
        Row("gpt2", "GPT-2, 128 tokens", "gpt2_sdpa", zoo="gpt2"),
        Row("llama3_8b", "Llama 3 8B, 2,048 tokens, on meta", "llama3_8b", device="meta", zoo="llama3-8b"),
        Row("mixtral_8x7b", "Mixtral 8x7B, 2,048 tokens, on meta", "mixtral_8x7b", device="meta", zoo="mixtral-8x7b"),
    ]
    trained = ("alexnet", "resnet50", "mobilenet_v2", "unet", "lstm2", "gru2", "vit_b16_sdpa", "tied", "bert", "gpt2")
    train = [Row(f"{r.key}+", r.title, r.source, kind="train", device=r.device) for r in forward if r.key in trained]
    files = ("attention_decomposed", "cnn_residual", "constant_folding", "depthwise_separable", "einsum",
             "external_data", "grouped_conv", "loop_fixed_trip", "lstm_bidirectional", "no_weights_70b_ffn",
             "qdq_int8", "tied_embedding")  # fmt: skip
    example = ROOT / "examples" / "models" / "mobilenet_v2.onnx"
    onnx = [Row("mobilenet_v2.onnx", "mobilenet_v2.onnx", "mobilenet_v2", "onnx", path=example)]
    onnx += [Row(f"{f}.onnx", f"{f}.onnx", f, "onnx", path=DATA / "onnx" / "good" / f"{f}.onnx") for f in files]
    return [*forward, *train, *onnx]
