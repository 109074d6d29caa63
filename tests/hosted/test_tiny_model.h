// SPDX-License-Identifier: GPL-2.0-or-later
// Makes the tiny random models of tests/oracles/tiny_models.py again from their tensors' names, and
// has llama.cpp's logits for them.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "ai/gguf/writer.h"

struct TinyModel {
  std::vector<Byte> file;  // GGUF
  u32 vocabulary = 0;
  std::vector<u32> tokens;
  std::vector<float> logits;     // (tokens, vocabulary) of llama.cpp
  std::vector<float> reference;  // of llama.cpp on the same weights as F32; may be empty
};

// The names for which tests/goldens/models has a file, sorted.
std::vector<std::string> tiny_model_names();
// False when there is no such golden or it cannot be read.
bool make_tiny_model(const std::string& name, TinyModel& out);
// The same tensors below a new header: the keys that `keeps` takes, then those that `adds` writes.
using KeepsKey = std::function<bool(std::string_view)>;
using AddsKeys = std::function<Result<void>(ai::GgufWriter&)>;
void change_header(TinyModel& tiny, const KeepsKey& keeps, const AddsKeys& adds);
// Adds a tokenizer of letters and pairs of letters (byte-level BPE or SentencePiece) and a chat
// template, so that the engine takes the file.
void give_tokenizer(TinyModel& tiny, bool merges);
