// SPDX-License-Identifier: GPL-2.0-or-later
// Implements what the API service needs from this machine.
#include "service/serve/backend.h"

#include <version.h>

#include <algorithm>

#include "kernel/crypto/random.h"
#include "kernel/log.h"
#include "kernel/mm/memory.h"
#include "kernel/sched/thread.h"
#include "kernel/time/clock.h"
#include "kernel/time/wall_clock.h"
#include "service/chat_text.h"
#include "service/report.h"

namespace service {
namespace {

// The load under way and the results of the last ones. It is static because a load outlives a
// server that is stopped.
struct Loads {
  static constexpr u32 kKept = 8;
  u32 begun = 0;
  bool running = false;
  ai::openai::ModelChange change = ai::openai::ModelChange::kLoad;
  String name;
  void (*news)() = nullptr;
  ai::openai::LoadEnd ends[kKept];  // indexed by the load's number, modulo kKept
};
Loads& all_loads() {
  static constinit Loads loads;
  return loads;
}

Result<void> load_by_name(std::string_view name, ai::openai::LoadEnd& end) {
  Result<ModelFile> file = find_model(name);
  // a damaged file was found, too
  end.found = file.has_value() || file.error().code == Errc::kCorrupt;
  return engine_host().load(TRY(std::move(file)));
}

void load_in_background(void*) {
  Loads& loads = all_loads();
  ai::openai::LoadEnd end;
  bool unload = loads.change == ai::openai::ModelChange::kUnload;
  end.result =
      unload ? engine_host().unload(loads.name.view()) : load_by_name(loads.name.view(), end);
  if (!end.result.has_value())
    log::error("models", "{} {}: {}", unload ? "unload" : "load", loads.name, end.result.error());
  loads.ends[loads.begun % Loads::kKept] = end;
  loads.running = false;
  loads.news();
}

}  // namespace

Result<ai::Lease> ServeBackend::lease(std::string_view model) {
  return engine_host().lease(kRequestHolder, model);
}

Result<ai::RequestId> ServeBackend::submit(const ai::Lease& lease, const ai::Request& request,
                                           ai::RequestSink& sink) {
  return engine_host().submit(lease, request, sink);
}

void ServeBackend::cancel(const ai::Lease& lease, ai::RequestId id) {
  engine_host().cancel(lease, id);
}

void ServeBackend::ask(const ai::Lease& lease, ai::EngineJob& job) {
  engine_host().ask(lease, job);
}

bool ServeBackend::is_loaded(u64 load_number) {
  return engine_host().is_loaded(load_number);
}

ai::openai::EngineFigures ServeBackend::figures() {
  EngineHost::Figures f = engine_host().figures();
  return {f.running, f.queued, f.kv_pages_total, f.kv_pages_used, f.kv_pages_cached};
}

ai::openai::LoadState ServeBackend::load_state() {
  const LoadStage& loading = engine_host().loading();
  ai::openai::LoadState state;
  if (engine_host().loaded()) state.stage = "ready";
  if (loading.stage == nullptr) return state;
  state.stage = loading.stage;
  state.bytes_done = loading.bytes_done;
  state.bytes_total = loading.bytes_total;
  constexpr u64 kNsPerMs = 1'000'000;
  u64 ms = (timing::now_ns() - loading.start_ns) / kNsPerMs;
  // Assumes that the rest arrives at the same speed.
  if (state.bytes_done > 0)
    state.eta_ms =
        ms * (state.bytes_total - std::min(state.bytes_done, state.bytes_total)) / state.bytes_done;
  return state;
}

bool ServeBackend::model_changed() {
  u64 number = engine_host().current_number();
  if (number == load_number_) return false;
  load_number_ = number;
  const ModelFile* file = engine_host().current_file();
  std::string_view name = file == nullptr ? "" : file->name.view();
  // If memory runs out, the name is shown as empty and read again next time.
  if (!name_.assign(name).has_value()) {
    name_.clear();
    load_number_ = 0;
  }
  drop_loaded_from_list();
  list_is_old_ = true;
  return true;
}

void ServeBackend::drop_loaded_from_list() {
  for (usize i = models_.size(); i-- > 0;)
    if (models_[i].name.view() == name_.view()) models_.erase(i);
}

// If memory runs out, the list stays as it was.
void ServeBackend::refresh_models() {
  if (!std::exchange(list_is_old_, false)) return;
  Result<Vector<ModelFile>> found = find_models();
  if (!found.has_value()) return;
  models_ = std::move(*found);
  drop_loaded_from_list();
}

std::string_view ServeBackend::model_id() {
  return name_.view();
}

u32 ServeBackend::model_count() {
  return static_cast<u32>(models_.size()) + (name_.empty() ? 0 : 1);
}

std::string_view ServeBackend::model_name(u32 index) {
  if (!name_.empty()) {
    if (index == 0) return name_.view();
    index--;
  }
  return index < models_.size() ? models_[index].name.view() : "";
}

Result<u32> ServeBackend::change_model(ai::openai::ModelChange change, std::string_view name) {
  Loads& loads = all_loads();
  if (loads.running)
    return fail(Errc::kBusy,
                "another model is being loaded or unloaded: try again when it is done");
  TRY(loads.name.assign(name));
  loads.change = change;
  loads.news = news_;
  loads.begun++;
  loads.running = true;
  Result<sched::Thread*> thread =
      sched::spawn("model-load", load_in_background, nullptr, 256 * 1024);
  if (thread.has_value()) return loads.begun;
  loads.running = false;
  return std::unexpected(thread.error());
}

const ai::openai::LoadEnd* ServeBackend::load_end(u32 number) {
  Loads& loads = all_loads();
  bool runs = loads.running && number == loads.begun;
  return runs ? nullptr : &loads.ends[number % Loads::kKept];
}

std::string_view ServeBackend::build() {
  if (build_size_ == 0)
    build_size_ = base::format_into(build_, "marrow {} ({})", kMarrowVersion, kMarrowCommit).size();
  return {build_, build_size_};
}

u64 ServeBackend::now_ns() {
  return timing::now_ns();
}

// Returns seconds since boot until the network has told the time of day, so the value always grows.
u64 ServeBackend::unix_seconds() {
  return (timing::unix_time_known() ? timing::unix_ns() : timing::now_ns()) / 1'000'000'000;
}

u64 ServeBackend::random() {
  return crypto::random_u64();
}

// Leaves out memory that the firmware keeps, or, in the hosted twin, the host.
u64 ServeBackend::memory_used() {
  mm::Usage usage = mm::usage();
  return usage.total - usage.of(mm::Purpose::kFree) - usage.of(mm::Purpose::kFirmware);
}

u64 ServeBackend::heap_bytes() {
  return mm::heap_usage().live_bytes;
}

u64 ServeBackend::memory_total() {
  return mm::usage().total;
}

void ServeBackend::log(std::string_view line) {
  log::info("http", "{}", line);
}

Result<void> ServeBackend::report(base::Writer& out) {
  if (support_reports_rows().empty()) return fail(Errc::kUnsupported, "no report in this program");
  for (const Report* row : support_reports_rows()) row->write(out);
  return {};
}

// ---- chat -----------------------------------------------------------------------------------

bool ServeBackend::template_knows_tools(const ai::Lease& lease) {
  return lease.chat_template() != nullptr && lease.chat_template()->knows_tools();
}

Result<void> ServeBackend::render(const ai::Lease& lease, const ai::openai::ChatPrompt& prompt,
                                  Vector<ai::TokenId>& out, String* text, base::Writer& problem) {
  Vector<ai::ChatMessage> views;
  for (json::Value message : prompt.messages.elements()) {
    ai::ChatMessage view;
    view.role = message.find("role").text();
    view.content = message.find("content").text();
    view.tool_calls = message.find("tool_calls");
    view.name = message.find("name").text();
    view.tool_call_id = message.find("tool_call_id").text();
    view.reasoning = message.find("reasoning_content").text();
    TRY(views.push_back(view));
  }
  ai::ChatInput input;
  input.messages = views.view();
  input.tools = prompt.tools;
  input.extra = prompt.extra;
  input.add_generation_prompt = prompt.add_generation_prompt;
  return encode_chat(lease, input, text, &out, problem);
}

}  // namespace service
