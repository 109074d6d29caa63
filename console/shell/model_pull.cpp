// SPDX-License-Identifier: GPL-2.0-or-later
// Implements `model pull`: shows the catalogue, asks before a model without a known hash is
// fetched, and shows the progress.
#include "console/shell/model_disk.h"
#include "console/shell/model_use.h"
#include "console/shell/pull_view.h"
#include "console/shell/shell.h"
#include "kernel/base/text.h"
#include "service/catalogue.h"
#include "service/import.h"

namespace console {
namespace {

constexpr const char* kUsage =
    "model pull SOURCE [--to DISK] [--name NAME] [--sha256 HEX] [--token TOKEN] [--yes]";
constexpr std::string_view kOptions = "--to --name --sha256 --token --yes ";

void list_catalogue(base::Writer& out) {
  base::format_to(out, "{}\n", kUsage);
  out.write(
      "SOURCE is http://HOST/FILE.gguf, https://…, hf:OWNER/REPOSITORY/FILE.gguf,\n"
      "ollama:MODEL:TAG, or one of these names:\n");
  for (const service::CatalogueModel& model : service::catalogue()) {
    base::format_to(out, "  {:<28}{}, {}", model.name, model.title, model.licence);
    if (model.bytes > 0)
      base::format_to(out, ", {} MiB", base::ratio(model.bytes, kMiB, 1));
    else
      out.write(", not pinned");
    out.write("\n");
  }
}

// The hash of a model that is not pinned comes from the server itself.
Result<void> need_consent(std::string_view source, const Given& given) {
  const service::CatalogueModel* model = service::find_in_catalogue(source);
  if (model == nullptr || !model->sha256.empty() || given.yes || !given.sha256.empty()) return {};
  base::format_to(io(), "{} ({}) comes from {}.\n", model->name, model->title, model->source);
  io().write("Its hash is not pinned: whatever that server sends under this name is taken.\n");
  History none;
  LineEditor editor(io(), none);
  Result<std::string_view> typed = read_line(io(), editor, "Fetch it? (yes) ");
  if (typed.has_value() && base::trim(*typed) == "yes") return {};
  return fail(Errc::kCancelled, "nothing was fetched; --yes or --sha256 HEX answers beforehand");
}

// The lines of progress are gone when it returns.
Result<service::Pulled> pull_shown(const Given& given, std::string_view root, base::Writer& out) {
  PullView view(out);
  return service::pull_model({.source = given.plain[0],
                              .root = root,
                              .name = given.name,
                              .sha256 = given.sha256,
                              .token = given.token},
                             view);
}

}  // namespace

Result<void> pull_model(Words words, base::Writer& out) {
  Given given = TRY(parse_words(words, kOptions, kUsage));
  if (given.plain.empty()) {
    list_catalogue(out);
    return {};
  }
  if (given.plain.size() > 1) return fail(Errc::kInvalidArgument, kUsage);
  String root;
  if (!given.place.empty()) root = TRY(service::place_of(given.place));
  TRY(need_consent(given.plain[0], given));
  u64 start = timing::now_ns();
  service::Pulled done = TRY(pull_shown(given, root.view(), out));
  if (done.present) {
    base::format_to(out, "{} has the same bytes: nothing was fetched\n", done.folder);
    return {};
  }
  u64 ns = std::max<u64>(timing::now_ns() - start, 1);
  const char* state = done.verified ? "complete and verified"
                                    : "complete (no SHA-256 was known to compare it with)";
  base::format_to(out, "{} is {}: {} MiB fetched in {} ms, {} MiB/s\n", done.folder, state,
                  base::ratio(done.fetched, kMiB, 1), base::ratio(ns, 1'000'000, 1),
                  mebibytes_per_second(done.fetched, ns));
  return {};
}

}  // namespace console
