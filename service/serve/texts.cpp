// SPDX-License-Identifier: GPL-2.0-or-later
// Saves and restores texts with their KV pages as files, for /slots.
#include "ai/engine/kv_file.h"
#include "kernel/options.h"
#include "service/file_stream.h"
#include "service/serve/backend.h"

namespace service {
namespace {

constexpr Option kFolder{"slots.path", OptionKind::kText, "", "FOLDER",
                         "folder where /slots saves texts; by default marrow on a disk"};
KERNEL_OPTION(kFolder);

// Calls use(path) for each place that may hold NAME, until one succeeds.
template <class Use>
auto in_each_place(std::string_view name, Use&& use) -> decltype(use(name)) {
  char path[320];
  std::string_view folder = options::text(kFolder);
  if (!folder.empty()) return use(base::format_into(path, "{}/{}.kv", folder, name));
  decltype(use(name)) result =
      fail(Errc::kUnsupported, "no disk can be written: set slots.path= to a folder that can");
  for (const fs::Mount& mount : fs::mounts()) {
    if (mount.point == "/boot" || mount.point == "/host") continue;
    char directory[128];
    static_cast<void>(  // the folder may exist already
        fs::make_directory(base::format_into(directory, "{}/marrow", mount.point)));
    result = use(base::format_into(path, "{}/marrow/slot-{}.kv", mount.point, name));
    if (result.has_value()) break;
  }
  return result;
}

}  // namespace

Result<u32> ServeBackend::save_text(ai::Engine& engine, std::string_view name,
                                    std::span<const ai::TokenId> tokens, u64& bytes) {
  return in_each_place(name, [&](std::string_view path) -> Result<u32> {
    base::Owner<fs::File> file = TRY(fs::create(path));
    auto sink = TRY(base::make<FileSink>(*file));
    u32 saved = TRY(engine.save(tokens, *sink));
    TRY(sink->flush());
    TRY(file->flush());
    bytes = sink->written();
    return saved;
  });
}

Result<Vector<ai::TokenId>> ServeBackend::restore_text(ai::Engine& engine, std::string_view name,
                                                       u64& bytes) {
  return in_each_place(name, [&](std::string_view path) -> Result<Vector<ai::TokenId>> {
    base::Owner<fs::File> file = TRY(fs::open(path));
    FileSource source(*file);
    Vector<ai::TokenId> tokens = TRY(engine.restore(source));
    bytes = source.taken();
    return tokens;
  });
}

}  // namespace service
