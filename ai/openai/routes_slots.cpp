// SPDX-License-Identifier: GPL-2.0-or-later
// /slots: shows what runs and which texts are remembered; saves, restores and forgets them, as
// llama-server's does.
#include <algorithm>
#include <charconv>

#include "ai/openai/service.h"

namespace ai::openai {
namespace {

constexpr u64 kNsPerMs = 1'000'000;

class SlotWork final : public EngineWork {
 public:
  enum class Action : u8 { kSave, kRestore, kErase };
  using EngineWork::EngineWork;
  Action action = Action::kErase;
  u32 slot = 0;
  String name;

 private:
  Result<bool> piece(Engine& engine) override {
    Backend& backend = exchange().service().backend();
    u64 begin = backend.now_ns();
    Vector<TokenId>& tokens = exchange().memory->slots[slot].tokens;
    if (action == Action::kErase) {
      count_ = tokens.size();
      base::wipe(tokens);
      forget_if_last(engine);
    } else if (action == Action::kSave) {
      TRY(backend.save_text(engine, name.view(), tokens.view(), bytes_));
      count_ = tokens.size();
    } else {
      tokens = TRY(backend.restore_text(engine, name.view(), bytes_));
      count_ = tokens.size();
    }
    ns_ = backend.now_ns() - begin;
    return true;
  }

  void write(base::Writer& answer) override {
    json::Writer w(answer);
    w.begin_object().field("id_slot", slot);
    if (action == Action::kErase) {
      w.field("n_erased", count_).end_object();
      return;
    }
    bool saves = action == Action::kSave;
    w.field("filename", name).field(saves ? "n_saved" : "n_restored", count_);
    w.field(saves ? "n_written" : "n_read", bytes_).key("timings").begin_object();
    w.field(saves ? "save_ms" : "restore_ms", base::ratio(ns_, kNsPerMs, 3));
    w.end_object().end_object();
  }

  // The engine finds pages by their tokens, not by slot. It is told to forget them once no slot
  // remembers a text.
  void forget_if_last(Engine& engine) {
    for (const ModelMemory::Slot& other : exchange().memory->slots)
      if (!other.tokens.empty()) return;
    engine.forget_prompts();
  }

  usize count_ = 0;  // tokens
  u64 bytes_ = 0, ns_ = 0;
};

// Returns the value of `name` in a query such as "a=b&action=save".
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

Exchange* Service::user_of(u64 load_number, u32 slot) {
  for (base::Owner<Exchange>& e : exchanges_)
    if (e->slot == slot && e->lease.load_number() == load_number && e->work == nullptr &&
        !e->finished())
      return e.get();
  return nullptr;
}

// Chooses the slot that was asked for, otherwise the free one whose text shares the longest
// beginning with this prompt, the oldest of equals. If there are more requests than slots, the rest
// are not remembered.
Result<void> Service::choose_slot(Exchange& exchange, ApiError& error) {
  i64 wanted =
      TRY(int_field(exchange.body.root(), "id_slot", -1, ModelMemory::kSlots - 1, -1, error));
  if (wanted >= 0) {
    exchange.slot = static_cast<u32>(wanted);
    return {};
  }
  const ModelMemory::Slot* slots = exchange.memory->slots;
  usize best = 0;
  for (u32 i = 0; i < ModelMemory::kSlots; i++) {
    if (user_of(exchange.lease.load_number(), i) != nullptr) continue;
    usize same = common_prefix(slots[i].tokens.view(), exchange.prompts[0].view());
    bool better = exchange.slot >= ModelMemory::kSlots || same > best ||
                  (same == best && slots[i].used_ns < slots[exchange.slot].used_ns);
    if (!better) continue;
    exchange.slot = i;
    best = same;
  }
  return {};
}

// If memory runs out the text is forgotten, since it can be read again.
void Service::remember(Exchange& exchange) {
  if (exchange.slot >= ModelMemory::kSlots || exchange.prompts.empty()) return;
  ModelMemory::Slot& slot = exchange.memory->slots[exchange.slot];
  slot.used_ns = backend_.now_ns();
  slot.forget();
  if (!slot.tokens.append(exchange.prompts[0].view()).has_value() ||
      !slot.tokens.append(exchange.choices()[0]->tokens()).has_value())
    slot.forget();
}

Result<void> Service::slots(Call& call) {
  Lease lease = TRY(take_lease(call.error));
  const ModelMemory& memory = *TRY(memory_of(lease));
  String body;
  base::StringWriter sink(body);
  json::Writer w(sink);
  w.begin_array();
  for (u32 i = 0; i < ModelMemory::kSlots; i++) {
    Exchange* user = user_of(lease.load_number(), i);
    w.begin_object().field("id", i).field("n_ctx", lease.info().context);
    w.field("is_processing", user != nullptr).field("n_past", memory.slots[i].tokens.size());
    if (user != nullptr) {
      w.field("id_task", user->choices()[0]->id);
      w.field("n_prompt_tokens", user->prompt_tokens());
      w.field("elapsed_ms", (backend_.now_ns() - user->accepted_ns) / kNsPerMs);
      w.key("params").begin_object();
      write_sampling(user->parameters.sampling, w);
      w.end_object();
    }
    w.end_object();
  }
  w.end_array();
  TRY(sink.status());
  respond_json(call.to(), 200, body.view());
  return {};
}

Result<void> Service::slot_action(Call& call) {
  ApiError& error = call.error;
  std::string_view digits = call.in.path.substr(std::string_view("/slots/").size());
  u32 index = ModelMemory::kSlots;
  auto [end, bad] = std::from_chars(digits.data(), digits.data() + digits.size(), index);
  if (bad != std::errc{} || end != digits.data() + digits.size() || index >= ModelMemory::kSlots)
    return error.bad("id_slot", "slots have the numbers 0 to {}", ModelMemory::kSlots - 1);
  auto exchange = TRY(new_exchange(call, *kLlamaForm));
  Lease lease = TRY(take_lease(error));
  TRY(lend(*exchange, std::move(lease)));
  auto work = TRY(base::make<SlotWork>(*exchange));
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
    if (action == "save" && exchange->memory->slots[index].tokens.empty())
      return error.bad("id_slot", "slot {} remembers no text", index);
  } else if (action != "erase") {
    return error.bad("action", "'action' must be save, restore or erase");
  }
  if (user_of(exchange->lease.load_number(), index) != nullptr) {
    error.retry_after_ms = 1000;
    return error.refuse(429, "rate_limit_error", "slot_busy", "slot {} is at work", index);
  }
  exchange->work = std::move(work);
  return begin_work(call, std::move(exchange));
}

}  // namespace ai::openai
