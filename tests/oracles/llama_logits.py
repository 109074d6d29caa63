# SPDX-License-Identifier: GPL-2.0-or-later
"""llama.cpp as an oracle: every token's logits of a text (PyPI: llama-cpp-python 0.3.36, numpy)."""
import os

import llama_cpp
import numpy as np


@llama_cpp.llama_log_callback
def _tell_errors(level, text, _):
    if level == 4:
        print(text.decode(), end="")


llama_cpp.llama_log_set(_tell_errors, None)
llama_cpp.llama_backend_init()


class Llama:
    """A model loaded once. `exact` is an F32 cache without flash attention."""

    def __init__(self, path, context=1024, ubatch=512, threads=0, exact=False, flash=None,
                 repack=True, q8=False):
        params = llama_cpp.llama_model_default_params()
        params.n_gpu_layers, params.use_extra_bufts = 0, repack
        self.model = llama_cpp.llama_model_load_from_file(path.encode(), params)
        if not self.model:
            raise RuntimeError("llama.cpp does not load it")
        self.vocab = llama_cpp.llama_model_get_vocab(self.model)
        self.count = llama_cpp.llama_vocab_n_tokens(self.vocab)
        options = self.options = llama_cpp.llama_context_default_params()
        options.n_ctx, options.n_batch, options.n_ubatch = context, context, min(ubatch, context)
        options.n_threads = options.n_threads_batch = threads or len(os.sched_getaffinity(0))
        if exact:
            options.type_k = options.type_v = llama_cpp.GGML_TYPE_F32
        if q8:
            options.type_k = options.type_v = llama_cpp.GGML_TYPE_Q8_0
        if flash is not None or exact:
            options.flash_attn_type = int(bool(flash))

    def close(self):
        llama_cpp.llama_model_free(self.model)

    def tokens(self, text):
        room = (llama_cpp.llama_token * (len(text) + 8))()
        n = llama_cpp.llama_tokenize(self.vocab, text, len(text), room, len(room), False, False)
        return list(room[:n])

    def logits(self, tokens):
        """(tokens, vocabulary)"""
        ctx = llama_cpp.llama_init_from_model(self.model, self.options)
        batch = llama_cpp.llama_batch_init(len(tokens), 0, 1)
        batch.n_tokens = len(tokens)
        for i, token in enumerate(tokens):
            batch.token[i], batch.pos[i], batch.n_seq_id[i] = token, i, 1
            batch.seq_id[i][0], batch.logits[i] = 0, 1
        if llama_cpp.llama_decode(ctx, batch) != 0:
            raise RuntimeError("llama.cpp does not decode it")
        rows = np.stack([np.ctypeslib.as_array(llama_cpp.llama_get_logits_ith(ctx, i),
                                               (self.count,)).copy() for i in range(len(tokens))])
        llama_cpp.llama_batch_free(batch)
        llama_cpp.llama_free(ctx)
        return rows
