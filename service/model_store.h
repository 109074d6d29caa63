// SPDX-License-Identifier: GPL-2.0-or-later
// Where models lie: boot modules first, then /models and the root of every mounted disk.
#pragma once

#include "kernel/base/containers.h"

namespace service {

struct ModelFile {
  String name;    // of the file, without ".gguf"
  String path;    // of the file, or of the first part of a split one
  u64 bytes = 0;  // of all parts
  u32 parts = 1;
  String tokenizer;  // of a llama2.c checkpoint: the path of its second part

  Result<ModelFile> clone() const;
};

std::string_view default_model();  // the option model=: a name or a path, "" when it is not given

// A file that is named like a model and is none.
struct BrokenModel {
  String path;
  const char* fault;  // goes on after the path: "is empty: copy it again"
};

// Every model that can be found, and that of model=; a file named model.gguf comes first in its
// directory, and copies of a model right behind the first one. `broken`: what was left out, too.
Result<Vector<ModelFile>> find_models(Vector<BrokenModel>* broken = nullptr);

// Two files of one name and size: a CD has what the loader has put into memory from it.
bool is_same_model(const ModelFile& a, const ModelFile& b);

// By name (any unambiguous part of it will do) or by path. In the hosted twin a path that no mount
// holds is the host's. Says what there is when nothing fits.
Result<ModelFile> find_model(std::string_view name_or_path);

// The path of part `index` (from 0) of a split model: "x-00001-of-00003.gguf" and so on. A llama2.c
// checkpoint has its tokenizer as a second part: tok512.bin beside it for a vocabulary of 512, or
// else tokenizer.bin.
Result<String> part_path(const ModelFile& file, u32 index);

// Calls add() for each model's name: completion of commands.
void complete_model(std::string_view word, void (*add)(void*, std::string_view), void* context);

}  // namespace service
