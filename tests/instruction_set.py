"""Instruction sets that are chosen by hand, as `.ci/anywhere cpu` does."""

import os

import pytest

WITHOUT_BFLOAT16 = ("SSE41", "AVX", "AVX2", "AVX2_VNNI")
"""For these, oneDNN has no convolution in bfloat16."""

needs_bfloat16 = pytest.mark.skipif(
    os.environ.get("ONEDNN_MAX_CPU_ISA", "").upper() in WITHOUT_BFLOAT16,
    reason="TensorFlow asks the CPU, not oneDNN's limit, whether oneDNN computes in bfloat16",
)
