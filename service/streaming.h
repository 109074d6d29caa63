// SPDX-License-Identifier: GPL-2.0-or-later
// Models that are larger than memory: decides whether the experts of one stay in its file, loads
// it, and refuses what would be unusably slow. Any thread of CPU 0; waits for disks.
#pragma once

#include <optional>

#include "ai/byte_stream.h"
#include "service/expert_reader.h"
#include "service/progress_sink.h"

namespace service {

// A model that is to be loaded, and how.
struct StreamWish {
  const ModelFile& file;
  const ai::EngineOptions& options;
  bool grow_chunk;  // nobody chose chunk=
};

// Returns how a model would be loaded whose experts stay in its file; nothing if it is to lie in
// memory. `whole` says what is known of that. Boot modules are in memory as a whole, and the bytes
// of a bundle are checked there, so theirs never stay in the file.
Result<std::optional<ai::StreamPlan>> plan_streaming(const StreamWish& wish,
                                                     const ai::ModelSummary& whole);

// Returns true if nobody needs to look into the file, because it is small.
bool is_surely_whole(const ModelFile& file);

// Refuses a model that is larger than memory and has to lie there. The log says how fast it would
// be if all of it were read for each token.
Result<void> refuse_too_large(const ModelFile& file);

// Loads a model as planned. `done` is kept up to date with the bytes that have been read. `watcher`
// may be null.
Result<base::Owner<ai::Engine>> load_streamed(const StreamWish& wish, ProgressSink* watcher,
                                              u64& done);

// Writes part `index` of a model file.
Result<void> write_part(const ModelFile& file, u32 index, ai::ByteSink& out);

// Prints what became of the experts of the model that was loaded from this file. Prints nothing if
// all of it is in memory.
void print_streaming(base::Writer& out, std::string_view path);
// Prints the experts' part of a plan.
void print_plan(base::Writer& out, const ai::StreamPlan& plan);

}  // namespace service
