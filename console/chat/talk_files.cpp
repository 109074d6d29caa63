// SPDX-License-Identifier: GPL-2.0-or-later
// Implements /save and /load: the conversation's text, and the model's KV pages of it, so that it
// need not be read again.
#include "console/chat/talk.h"
#include "service/file_stream.h"
#include "service/storage.h"

namespace console {

void Talk::save(std::string_view name) {
  if (name.empty()) return io_.write("/save NAME\n");
  String text;
  base::StringWriter out(text);
  Result<void> done = conversation_.write_json(out);
  if (done.has_value()) done = out.status();
  if (!done.has_value()) return say(done.error());
  Result<String> path = service::store_text(service::kConversations, name, text.view());
  if (!path.has_value()) return say(path.error());
  base::format_to(io_, "saved as {}\n", *path);
  if (!path->view().starts_with('/'))
    io_.write(
        "/load finds it until then; a disk or USB stick with FAT32 or exFAT keeps it for good\n");
  Result<void> cache = save_cache(name);
  // Without a disk, or with a model that has no cache, the text is read again. That is no fault.
  bool expected = !cache.has_value() && (cache.error().code == Errc::kNotFound ||
                                         cache.error().code == Errc::kUnsupported);
  if (!cache.has_value() && !expected) say(cache.error());
}

Result<void> Talk::save_cache(std::string_view name) {
  if (!service::engine_host().loaded() || conversation_.turns() == 0) return {};
  ai::Lease model = TRY(service::engine_host().lease(service::kConsoleHolder));
  Vector<ai::TokenId> tokens;
  TRY(encode_chat(model, conversation_.messages(), tokens));
  auto file = TRY(service::create_kept_file(service::kConversations, name));
  auto sink = TRY(base::make<service::FileSink>(*file));
  u32 kept = 0;
  TRY(service::engine_host().between_steps(model, nullptr,
                                           [&](service::Turn& turn) -> Result<void> {
                                             kept = TRY(turn.engine().save(tokens.view(), *sink));
                                             return sink->flush();
                                           }));
  TRY(file->flush());
  base::format_to(io_, "{} of {} tokens need not be read again after /load\n", kept, tokens.size());
  return {};
}

void Talk::load(std::string_view name) {
  if (name.empty()) {
    struct Row {
      Io& io;
      u32 count;
    } row{io_, 0};
    service::list_texts(
        service::kConversations,
        [](void* context, std::string_view kept) {
          Row& r = *static_cast<Row*>(context);
          base::format_to(r.io, "{}{}", r.count++ == 0 ? "kept: " : ", ", kept);
        },
        &row);
    return io_.write(row.count == 0 ? "nothing is kept yet: /save NAME does\n" : "\n");
  }
  Result<String> text = service::load_text(service::kConversations, name);
  if (!text.has_value()) return say(text.error());
  Result<Conversation> loaded = Conversation::parse_json(text->view());
  if (!loaded.has_value()) return say(loaded.error());
  conversation_ = std::move(*loaded);
  base::format_to(io_, "{} questions loaded\n", conversation_.turns());
  load_cache(name);
}

// If the saved pages cannot be used (another model, no such file), the text is read again with the
// next question.
void Talk::load_cache(std::string_view name) {
  Result<ai::Lease> model = service::engine_host().lease(service::kConsoleHolder);
  if (!model.has_value()) return;
  Result<base::Owner<fs::File>> file = service::open_kept_file(service::kConversations, name);
  if (!file.has_value()) return;
  service::FileSource source(**file);
  Vector<ai::TokenId> tokens;
  Result<void> restored = service::engine_host().between_steps(
      *model, nullptr, [&](service::Turn& turn) -> Result<void> {
        tokens = TRY(turn.engine().restore(source));
        return {};
      });
  if (!restored.has_value()) {
    base::format_to(io_, "the conversation will be read again: {}\n", restored.error());
    return;
  }
  base::format_to(io_, "{} tokens of it are known already\n", tokens.size());
}

}  // namespace console
