// SPDX-License-Identifier: GPL-2.0-or-later
// Finds model files: boot modules first, then /models and the root of every mounted disk. Any
// thread of CPU 0; waits for disks.
#pragma once

#include "kernel/base/containers.h"
#include "service/bundle/trust.h"

namespace service {

struct ModelFile {
  String name;    // the file's name without ".gguf", or the bundle's
  String path;    // path of the file, or of the first part of a split model
  u64 bytes = 0;  // size of all parts together
  u32 parts = 1;
  String tokenizer;  // for a llama2.c checkpoint: the path of its second part
  // For a model of a bundle: the folder of its manifest and its generation, from 1; otherwise 0.
  String folder;
  u64 generation = 0;
  bundle::Verified verified;  // known of a loaded model only

  Result<ModelFile> clone() const;
};

std::string_view default_model();  // the option model=: a name or a path, "" if not given

// A file that is named like a model but is none.
struct BrokenModel {
  String path;
  const char* fault;  // continues a sentence that starts with the path: "is empty: copy it again"
};

// Returns every model that can be found, with the one of model= included. A file named model.gguf
// comes first in its directory, and copies of a model come right behind the first one. `broken`, if
// given, receives the files that were left out.
Result<Vector<ModelFile>> find_models(Vector<BrokenModel>* broken = nullptr);

// Returns true if both have the same name, generation and size: a CD contains the file that the
// loader put into memory.
bool is_same_model(const ModelFile& a, const ModelFile& b);

// Finds a model by path or by any unambiguous part of its name. The name of a bundle means its
// newest generation, and so does the path of its folder. In the hosted twin, a path outside all
// mounts is one of the host. If nothing matches, the log suggests the nearest name.
Result<ModelFile> find_model(std::string_view name_or_path);

// Returns the path of part `index` (from 0): "x-00001-of-00003.gguf" and so on for a split model.
// The second part of a llama2.c checkpoint is its tokenizer: tok512.bin for a vocabulary of 512, or
// tokenizer.bin.
Result<String> part_path(const ModelFile& file, u32 index);

// Calls add() with the name of each model. Used to complete commands.
void complete_model(std::string_view word, void (*add)(void*, std::string_view), void* context);

}  // namespace service
