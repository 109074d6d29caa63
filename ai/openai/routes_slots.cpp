// SPDX-License-Identifier: GPL-2.0-or-later
// /slots: what runs and what was said last, saved, restored and forgotten. As llama-server's.
#include <algorithm>
#include <charconv>

#include "ai/openai/service.h"

namespace ai::openai {
namespace {

constexpr u64 kNsPerMs = 1'000'000;

class SlotWork final : public Work {
 public:
  enum class Action : u8 { kSave, kRestore, kErase };
  Action action = Action::kErase;
  u32 slot = 0;
  String name;

  Result<bool> run(Exchange& exchange, base::Writer& answer) override {
    Service& service = exchange.service();
    Vector<TokenId>& tokens = service.slot(slot).tokens;
    json::Writer w(answer);
    w.begin_object().field("id_slot", slot);
    if (action == Action::kErase) {
      w.field("n_erased", tokens.size()).end_object();
      tokens.clear();
      forget_if_last(service);
      return true;
    }
    u64 bytes = 0, begin = service.backend().now_ns();
    bool saves = action == Action::kSave;
    if (saves) {
      u32 saved = TRY(service.backend().save_text(name.view(), tokens.view(), bytes));
      w.field("filename", name).field("n_saved", saved).field("n_written", bytes);
    } else {
      tokens = TRY(service.backend().restore_text(name.view(), bytes));
      w.field("filename", name).field("n_restored", tokens.size()).field("n_read", bytes);
    }
    u64 ns = service.backend().now_ns() - begin;
    w.key("timings").begin_object();
    w.field(saves ? "save_ms" : "restore_ms", base::ratio(ns, kNsPerMs, 3));
    w.end_object().end_object();
    return true;
  }

 private:
  // The engine keeps pages by what they say: it forgets them once no slot remembers a text.
  static void forget_if_last(Service& service) {
    for (u32 i = 0; i < Service::kSlots; i++)
      if (!service.slot(i).tokens.empty()) return;
    service.backend().engine()->forget_prompts();
  }
};

// "action=save" of "a=b&action=save".
std::string_view query_value(std::string_view query, std::string_view name) {
  while (!query.empty()) {
    std::string_view one = query.substr(0, query.find('&'));
    query.remove_prefix(std::min(query.size(), one.size() + 1));
    if (one.size() > name.size() && one.starts_with(name) && one[name.size()] == '=')
      return one.substr(name.size() + 1);
  }
  return {};
}

bool good_name(std::string_view name) {
  return !name.empty() && name.size() <= 64 && name.front() != '.' &&
         std::ranges::all_of(name, [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                  c == '.' || c == '-' || c == '_';
         });
}

usize common_prefix(std::span<const TokenId> a, std::span<const TokenId> b) {
  usize n = 0;
  while (n < a.size() && n < b.size() && a[n] == b[n]) n++;
  return n;
}

}  // namespace

Exchange* Service::user_of(u32 slot) {
  for (base::Owner<Exchange>& e : exchanges_)
    if (e->slot == slot && e->work == nullptr && !e->finished()) return e.get();
  return nullptr;
}

// The one asked for; else the free one whose text begins most like this prompt, the oldest of
// equals. More requests than slots: the rest are not remembered.
Result<void> Service::choose_slot(Exchange& exchange, ApiError& error) {
  i64 wanted = TRY(int_field(exchange.body.root(), "id_slot", -1, kSlots - 1, -1, error));
  if (wanted >= 0) {
    exchange.slot = static_cast<u32>(wanted);
    return {};
  }
  usize best = 0;
  for (u32 i = 0; i < kSlots; i++) {
    if (user_of(i) != nullptr) continue;
    usize same = common_prefix(slots_[i].tokens.view(), exchange.prompts[0].view());
    bool better = exchange.slot >= kSlots || same > best ||
                  (same == best && slots_[i].used_ns < slots_[exchange.slot].used_ns);
    if (!better) continue;
    exchange.slot = i;
    best = same;
  }
  return {};
}

// A text that finds no memory is forgotten: it can be read again.
void Service::remember(Exchange& exchange) {
  if (exchange.slot >= kSlots || exchange.prompts.empty()) return;
  Slot& slot = slots_[exchange.slot];
  slot.used_ns = backend_.now_ns();
  slot.tokens.clear();
  if (!slot.tokens.append(exchange.prompts[0].view()).has_value() ||
      !slot.tokens.append(exchange.choices()[0]->tokens()).has_value())
    slot.tokens.clear();
}

Result<void> Service::slots(Call& call) {
  String body;
  base::StringWriter sink(body);
  json::Writer w(sink);
  w.begin_array();
  for (u32 i = 0; i < kSlots; i++) {
    Exchange* user = user_of(i);
    w.begin_object().field("id", i).field("n_ctx", context());
    w.field("is_processing", user != nullptr).field("n_past", slots_[i].tokens.size());
    if (user != nullptr) {
      w.field("id_task", user->choices()[0]->id);
      w.field("n_prompt_tokens", user->prompt_tokens());
      w.field("elapsed_ms", (backend_.now_ns() - user->accepted_ns) / kNsPerMs);
    }
    w.end_object();
  }
  w.end_array();
  TRY(sink.status());
  respond_json(call.reply, 200, body.view());
  return {};
}

Result<void> Service::slot_action(Call& call) {
  ApiError& error = call.error;
  TRY(check_load(error));
  std::string_view digits = call.in.path.substr(std::string_view("/slots/").size());
  u32 index = kSlots;
  auto [end, bad] = std::from_chars(digits.data(), digits.data() + digits.size(), index);
  if (bad != std::errc{} || end != digits.data() + digits.size() || index >= kSlots)
    return error.bad("id_slot", "slots have the numbers 0 to {}", kSlots - 1);
  auto exchange = TRY(base::make<Exchange>(*this, call.reply, *kLlamaForm));
  auto work = TRY(base::make<SlotWork>());
  work->slot = index;
  std::string_view action = query_value(call.in.query, "action");
  if (action == "save" || action == "restore") {
    work->action = action == "save" ? SlotWork::Action::kSave : SlotWork::Action::kRestore;
    json::Document body;
    TRY(parse_body(call, call.in.body, body));
    std::string_view name = TRY(text_field(body.root(), "filename", error));
    if (!good_name(name))
      return error.bad("filename", "a name of up to 64 letters, digits, '.', '-' and '_'");
    TRY(work->name.append(name));
    if (action == "save" && slots_[index].tokens.empty())
      return error.bad("id_slot", "slot {} remembers no text", index);
  } else if (action != "erase") {
    return error.bad("action", "'action' must be save, restore or erase");
  }
  if (user_of(index) != nullptr) {
    error.retry_after_ms = 1000;
    return error.refuse(429, "rate_limit_error", "slot_busy", "slot {} is at work", index);
  }
  exchange->work = std::move(work);
  return begin_work(call, std::move(exchange));
}

}  // namespace ai::openai
