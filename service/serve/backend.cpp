// SPDX-License-Identifier: GPL-2.0-or-later
// Implements what the API service needs from this machine.
#include "service/serve/backend.h"

#include <version.h>

#include <algorithm>
#include <utility>

#include "ai/quant/types.h"
#include "kernel/crypto/random.h"
#include "kernel/fs/file_system.h"
#include "kernel/log.h"
#include "kernel/mm/memory.h"
#include "kernel/sched/thread.h"
#include "kernel/time/clock.h"
#include "kernel/time/wall_clock.h"
#include "service/bundle/find.h"
#include "service/chat_text.h"
#include "service/incoming.h"
#include "service/model_loader.h"
#include "service/remove.h"
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

Result<void> load_by_name(std::string_view name, Wish wish, ai::openai::LoadEnd& end) {
  Result<ModelFile> file = find_model(name);
  end.found = file.has_value() || file.error().code == Errc::kCorrupt;  // there, and damaged
  return engine_host().load(TRY(std::move(file)), nullptr, wish);
}

Result<void> remove_by_name(std::string_view name) {
  Vector<Removed> removed = TRY(remove_models({.name = name}));
  for (const Removed& found : removed)
    log::info("models", "{} {}", found.path,
              found.was == Removed::Was::kOnlyRead ? "stays: its disk is only read" : "is removed");
  return {};
}

void load_in_background(void*) {
  using ai::openai::ModelChange;
  Loads& loads = all_loads();
  ai::openai::LoadEnd end;
  bool unload = loads.change == ModelChange::kUnload || loads.change == ModelChange::kExpire;
  bool chosen = loads.change == ModelChange::kUnload || loads.change == ModelChange::kLoad;
  Wish wish = chosen ? Wish::kChosen : Wish::kNamed;
  bool remove = loads.change == ModelChange::kRemove;
  end.result = remove   ? remove_by_name(loads.name.view())
               : unload ? engine_host().unload(loads.name.view(), wish)
                        : load_by_name(loads.name.view(), wish, end);
  if (!end.result.has_value())
    log::error("models", "{} {}: {}",
               remove   ? "remove"
               : unload ? "unload"
                        : "load",
               loads.name, end.result.error());
  loads.ends[loads.begun % Loads::kKept] = std::move(end);
  loads.running = false;
  loads.news();
}

// Takes the hash from the manifest of a bundle, as far as it can be read.
void read_hash(const ModelFile& file, bool& known, crypto::Sha256Digest& out) {
  if (file.generation == 0) return;
  Result<bundle::Bundle> bundle = bundle::read_bundle(file.folder.view());
  known = bundle.has_value();
  if (known) out = bundle->manifest.model.sha256;
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

std::string_view ServeBackend::model_id() {
  const ModelFile* file = engine_host().current_file();
  return file == nullptr ? std::string_view() : file->name.view();
}

// ---- what there is ----------------------------------------------------------------------------

void ServeBackend::look_at_disks() {
  u64 changes = engine_host().changes();
  if (std::exchange(changes_, changes) != changes) list_wanted_ = true;
  if (std::exchange(list_wanted_, false)) read_list();
  if (std::exchange(details_wanted_, false)) read_details();
  if (!tensors_wanted_.empty()) read_tensors();
}

// Finds the models on the disks, and those that a person loaded from elsewhere, if they still
// exist.
Result<Vector<ModelFile>> ServeBackend::find_all() {
  Vector<ModelFile> found = TRY(find_models());
  auto add = [&](const ModelFile& file) -> Result<void> {
    bool known = std::any_of(found.begin(), found.end(), [&](const ModelFile& other) {
      return other.path.view() == file.path.view();
    });
    if (known || !fs::stat(file.path.view()).has_value()) return {};
    return found.push_back(TRY(file.clone()));
  };
  for (u32 i = 0; const ModelFile* file = engine_host().model_file(i); i++) {
    ModelFile loaded = TRY(file->clone());  // looking for the file may wait
    TRY(add(loaded));
  }
  for (const Installed& old : installed_) TRY(add(old.file));
  return found;
}

// Reads the list of files again. If memory runs out, the old list stays. Details of files that are
// still there are kept.
void ServeBackend::read_list() {
  u64 begin = timing::now_ns();
  if (Result<Vector<ModelFile>> found = find_all(); found.has_value()) {
    Vector<Installed> list;
    bool whole = true;
    for (ModelFile& file : *found) {
      Installed row{.file = std::move(file), .details = {}};
      for (Installed& old : installed_)
        if (old.looked_at && is_same_model(old.file, row.file)) {
          row.details = std::move(old.details);
          row.looked_at = std::exchange(old.looked_at, false);
        }
      read_hash(row.file, row.hashed, row.sha256);
      whole = whole && list.push_back(std::move(row)).has_value();
    }
    if (whole) installed_ = std::move(list);
  }
  list_ns_ = begin;
  news_();
}

// A file that cannot be read has no details. It is listed all the same: its load says what is
// wrong.
void ServeBackend::read_details() {
  for (usize i = 0; i < installed_.size(); i++) {
    if (installed_[i].looked_at) continue;
    if (Result<ModelFacts> facts = engine_host().inspect(installed_[i].file); facts.has_value()) {
      ai::ModelInfo& from = facts->model.info;
      ai::openai::ModelDetails& to = installed_[i].details;
      to.architecture = std::move(from.architecture);
      to.quantization = std::move(from.quantization);
      to.licence = std::move(from.licence);
      to.parameters = from.parameters;
      to.context = from.context, to.trained_context = from.trained_context;
      to.width = from.width, to.layers = from.layers, to.ffn_width = from.ffn_width;
      to.heads = from.heads, to.kv_heads = from.kv_heads, to.vocabulary = from.vocabulary;
      to.has_template = facts->model.has_template, to.ranks = from.ranks;
      to.encodes = from.encodes;
    }
    installed_[i].looked_at = true;
  }
  news_();
}

bool ServeBackend::models_known_since(u64 ns) {
  if (list_ns_ != 0 && list_ns_ >= std::max(ns, bundles_changed_ns())) return true;
  list_wanted_ = true;
  look_();
  return false;
}

const ai::openai::ModelDetails* ServeBackend::details(std::string_view model) {
  for (const Installed& row : installed_) {
    if (row.file.name.view() != model) continue;
    if (row.looked_at) return &row.details;
    details_wanted_ = true;
    look_();
    return nullptr;
  }
  return nullptr;
}

namespace {

class TensorList final : public TensorSink {
 public:
  Result<void> on_tensor(const ai::GgufTensor& tensor) override {
    ai::openai::TensorRow row{.name = TRY(String::from(tensor.name)),
                              .type = ai::quant_info(tensor.view.type).name,
                              .dimension_count = tensor.dimension_count};
    std::copy(tensor.dimensions, tensor.dimensions + 4, row.dimensions);
    return rows.push_back(std::move(row));
  }
  Vector<ai::openai::TensorRow> rows;
};

}  // namespace

// A file that cannot be read has no tensors. Reading waits, so what is wanted may change meanwhile.
void ServeBackend::read_tensors() {
  String path = std::exchange(tensors_wanted_, String());
  TensorList list;
  for (const Installed& row : installed_) {
    if (row.file.path.view() != path.view()) continue;
    Result<ModelFile> file = row.file.clone();
    if (!file.has_value() || !list_tensors(*file, list).has_value()) list.rows.clear();
    break;
  }
  tensors_ = std::move(list.rows);
  tensors_of_ = std::move(path);
  news_();
}

const Vector<ai::openai::TensorRow>* ServeBackend::tensors(std::string_view model) {
  for (const Installed& row : installed_) {
    if (row.file.name.view() != model) continue;
    if (row.file.path.view() == tensors_of_.view()) return &tensors_;
    if (!tensors_wanted_.assign(row.file.path.view()).has_value()) tensors_wanted_.clear();
    look_();
    return nullptr;
  }
  return nullptr;
}

// Returns true if the model is loaded, and so listed already, or is a copy of one before it.
bool ServeBackend::is_listed_before(usize index) const {
  std::string_view name = installed_[index].file.name.view();
  for (u32 i = 0; const ModelFile* file = engine_host().model_file(i); i++)
    if (file->name.view() == name) return true;
  return std::any_of(installed_.begin(), installed_.begin() + index,
                     [&](const Installed& row) { return row.file.name.view() == name; });
}

const crypto::Sha256Digest* ServeBackend::hash_of(const ModelFile& file) const {
  for (const Installed& row : installed_)
    if (row.hashed && is_same_model(row.file, file)) return &row.sha256;
  return nullptr;
}

u32 ServeBackend::model_count() {
  u32 count = engine_host().model_count();
  for (usize i = 0; i < installed_.size(); i++) count += is_listed_before(i) ? 0 : 1;
  return count;
}

ai::openai::ModelRow ServeBackend::model_row(u32 index) {
  if (const ModelFile* file = engine_host().model_file(index); file != nullptr) {
    ai::openai::ModelRow row{file->name.view(), file->bytes, true, file->path.view()};
    row.verified = bundle::verified_name(file->verified.by);
    if (file->verified.by == bundle::Verified::By::kSignature)
      bundle::name_of(file->verified.key).view().copy(row.key_id, sizeof row.key_id - 1);
    row.sha256 = hash_of(*file);
    Result<ai::Lease> lease = engine_host().lease(kRequestHolder, row.name);
    if (row.sha256 == nullptr && lease.has_value())
      row.sha256 = computed_model_hash(lease->load_number());
    return row;
  }
  index -= engine_host().model_count();
  for (usize i = 0; i < installed_.size(); i++)
    if (!is_listed_before(i) && index-- == 0) {
      const ModelFile& file = installed_[i].file;
      ai::openai::ModelRow row{file.name.view(), file.bytes, false, file.path.view()};
      row.sha256 = installed_[i].hashed ? &installed_[i].sha256 : nullptr;
      return row;
    }
  return {};
}

Result<u32> ServeBackend::change_model(ai::openai::ModelChange change, std::string_view name) {
  Loads& loads = all_loads();
  if (loads.running || engine_host().changing())
    return fail(Errc::kBusy, "another model is being loaded or unloaded");
  TRY(loads.name.assign(name));
  // A name that was listed means the file that the list has it from.
  for (const Installed& row : installed_)
    if (change == ai::openai::ModelChange::kDemand && row.file.name.view() == name) {
      TRY(loads.name.assign(row.file.path.view()));
      break;
    }
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

// Returns the time since boot until the network has told the time of day, so it always grows.
u64 ServeBackend::unix_ns() {
  return timing::unix_time_known() ? timing::unix_ns() : timing::now_ns();
}

std::string_view ServeBackend::utc(std::span<char> room, u64 unix_ns) {
  return timing::format_utc(room, unix_ns);
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
  if (prompt.continue_last && !views.empty()) {
    input.continued = views.back().content;
    input.messages = input.messages.first(views.size() - 1);
  }
  input.tools = prompt.tools;
  input.extra = prompt.extra;
  input.add_generation_prompt = prompt.add_generation_prompt;
  return encode_chat(lease, input, text, &out, problem);
}

}  // namespace service
