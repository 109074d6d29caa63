// SPDX-License-Identifier: GPL-2.0-or-later
// Loads and unloads models, and decides which ones have to go when there are too many.
#include <algorithm>
#include <utility>

#include "kernel/log.h"
#include "kernel/options.h"
#include "kernel/time/clock.h"
#include "service/bundle/find.h"
#include "service/engine_host.h"
#include "service/kv_disk.h"

namespace service {
namespace {

constexpr Option kMostModels{"models.max", OptionKind::kNumber, "1", "1..16",
                             "models loaded at once; the least recently used is unloaded first"};
constexpr Option kModelsMb{"models.mb", OptionKind::kNumber, "0", "0..16777216",
                           "MiB that all loaded models may take together; 0 = no limit"};
KERNEL_OPTION(kMostModels);
KERNEL_OPTION(kModelsMb);

u64 bytes_of(const LoadedModel& model) {
  const ai::MemoryPlan& plan = model.engine->plan();
  return plan.total() - (is_boot_module(model.file) ? plan.weights_bytes : 0);
}

// Returns true if both are generations of one bundle.
bool is_generation_of(const ModelFile& a, const ModelFile& b) {
  return a.generation > 0 && b.generation > 0 && a.name.view() == b.name.view();
}

// Returns true if another file may do better.
bool is_fault_of_file(const Error& error) {
  return error.code != Errc::kOutOfMemory && error.code != Errc::kCancelled &&
         error.code != Errc::kBusy;
}

}  // namespace

// Marks a load or unload as under way. There is at most one.
class EngineHost::Change {
 public:
  explicit Change(EngineHost& host) : host_(host) { host.changing_ = true; }
  Change(const Change&) = delete;
  Change& operator=(const Change&) = delete;
  ~Change() {
    host_.changing_ = false;
    host_.loading_ = {};
  }

 private:
  EngineHost& host_;
};

EngineHost::Model* EngineHost::find(const ModelFile& file) const {
  for (const base::Owner<Model>& model : models_)
    if (model->file().path.view() == file.path.view()) return model.get();
  return nullptr;
}

EngineHost::Model* EngineHost::find(std::string_view name) const {
  for (const base::Owner<Model>& model : models_)
    if (model->answers() && model->file().name.view() == name) return model.get();
  return nullptr;
}

EngineHost::Model* EngineHost::find_number(u64 load_number) const {
  for (const base::Owner<Model>& model : models_)
    if (model->number == load_number) return model.get();
  return nullptr;
}

bool EngineHost::is_loaded(u64 load_number) const {
  const Model* model = find_number(load_number);
  return model != nullptr && !model->retired;
}

// Returns the command that has worked on the model for a long time, or null.
const Holder* EngineHost::long_holder(const Model& model) const {
  for (const LeaseRow& row : rows_)
    if (row.model == &model && row.holder->hold == Hold::kMeasure) return row.holder;
  return nullptr;
}

// Returns the models that must be retired so that `file` may be loaded: the least recently used
// ones, and preferably none that a command works on.
Result<Vector<EngineHost::Model*>> EngineHost::models_to_retire(const ModelFile& file) {
  Vector<Model*> answering, going;
  for (base::Owner<Model>& model : models_)
    if (model->answers() && model->file().path.view() != file.path.view())
      TRY(answering.push_back(model.get()));
  // Two generations of a bundle would have one name, so the other one goes in any case.
  auto replaced = [&](const Model* model) { return is_generation_of(model->file(), file); };
  auto certain = static_cast<usize>(std::ranges::count_if(answering, replaced));
  std::ranges::sort(answering, [&](const Model* a, const Model* b) {
    if (replaced(a) != replaced(b)) return replaced(a);
    bool a_held = long_holder(*a) != nullptr, b_held = long_holder(*b) != nullptr;
    return a_held != b_held ? b_held : a->used_ns < b->used_ns;
  });
  usize most = options::number(kMostModels);
  for (usize i = 0; i < certain || i + most <= answering.size(); i++) {
    if (const Holder* holder = long_holder(*answering[i]); holder != nullptr)
      return fail(Errc::kBusy, holder->busy);
    TRY(going.push_back(answering[i]));
  }
  return going;
}

// The memory that is used beside the models of `going`, and the model that may go next.
struct EngineHost::Room {
  u64 taken = 0;          // bytes
  u64 to_be_had = 0;      // bytes, if all that may go went
  Model* next = nullptr;  // null: none may go any more
};

// Says which memory is taken and which model may be unloaded next. For a model that a person chose,
// only models go that nobody uses. For one that a request names, models whose answers are not
// complete go, too, after the others.
EngineHost::Room EngineHost::room_beside(std::span<Model* const> going, Wish wish) const {
  Room room;
  for (const base::Owner<Model>& model : models_) {
    if (!model->answers()) continue;
    bool goes = std::ranges::find(going, model.get()) != going.end();
    u64 bytes = bytes_of(*model->loaded);
    if (!goes) room.taken += bytes;
    if (is_boot_module(model->file())) continue;  // it would stay in memory
    bool idle = model.get() != current_ && model->leases == 0;
    bool may_go = wish == Wish::kNamed ? long_holder(*model) == nullptr : idle && !goes;
    if (!may_go) continue;
    room.to_be_had += bytes;
    auto rank = [&](const Model& m) {
      bool first = std::ranges::find(going, &m) != going.end();
      return std::pair(first ? 0 : m.leases == 0 ? 1 : 2, m.used_ns);
    };
    if (room.next == nullptr || rank(*model) < rank(*room.next)) room.next = model.get();
  }
  return room;
}

// Unloads models that nobody uses until the new one fits. The models of `going` serve until the new
// one works, so their memory counts as taken. If a model that a request names needs it, they are
// unloaded first and leave `going`.
Result<void> EngineHost::free_memory_for(const ModelFile& file, Vector<Model*>& going, Wish wish) {
  u64 budget = options::number(kModelsMb) * kMiB;
  if (wish == Wish::kChosen && options::number(kMostModels) == 1 && budget == 0) return {};
  u64 needed = TRY(inspect(file)).needed_bytes;
  if (budget != 0 && needed > budget)
    return fail(Errc::kOutOfMemory, "the model alone takes more than models.mb allows");
  bool first = true;
  for (;;) {
    Room room = room_beside(going.view(), wish);
    u64 free = mm::usage().of(mm::Purpose::kFree);
    bool over = budget != 0 && room.taken + needed > budget;
    if (!over && free >= needed) return {};
    // No model is unloaded for one that would not fit even then.
    bool in_vain = free + room.to_be_had < needed;
    if (wish == Wish::kNamed && std::exchange(first, false) && in_vain)
      return fail(Errc::kOutOfMemory, "the memory that can be freed does not hold it");
    if (room.next == nullptr) {
      if (over)
        return fail(Errc::kOutOfMemory,
                    "models.mb leaves no room for it: unload a model, or raise models.mb");
      return {};  // loading will report what is missing
    }
    log::info("models", "{} is unloaded: its memory is wanted", room.next->file().name);
    for (usize i = going.size(); i-- > 0;)
      if (going[i] == room.next) going.erase(i);
    u64 number = room.next->number;
    retire(*room.next);
    wait_until_gone(number, true);
  }
}

// Stops a model from taking requests. It is destroyed when its last lease ends. A boot module stays
// in memory, because there is no file to read it from again.
void EngineHost::retire(Model& model) {
  (is_boot_module(model.file()) ? model.kept : model.retired) = true;
  changes_++;
  if (current_ == &model) {
    current_ = nullptr;
    for (base::Owner<Model>& other : models_)
      if (other->answers() && (current_ == nullptr || other->used_ns > current_->used_ns))
        current_ = other.get();
  }
  work_.wake_all();
}

// Sleeps until the model has been destroyed. Without `wait_for_leases` it returns at once if
// somebody still holds a lease; the model then goes with that lease.
void EngineHost::wait_until_gone(u64 load_number, bool wait_for_leases) {
  ASSERT(sched::current() != thread_);
  for (;;) {
    const Model* model = find_number(load_number);
    if (model == nullptr || (model->kept && (model->leases == 0 || !wait_for_leases))) return;
    if (model->leases > 0 && !wait_for_leases) return;
    wait_news();
  }
}

void EngineHost::retire_all(std::span<Model* const> going) {
  for (Model* old : going) {
    u64 number = old->number;
    retire(*old);
    wait_until_gone(number, false);
  }
}

void EngineHost::let_answer(Model& model, Wish wish) {
  model.kept = model.retired = false;
  model.used_ns = timing::now_ns();
  changes_++;
  bool chosen = wish == Wish::kChosen || model.file().name.view() == chosen_.view();
  if (chosen || current_ == nullptr) current_ = &model;
}

Result<void> EngineHost::take(base::Owner<LoadedModel> loaded, std::span<Model* const> going,
                              Wish wish) {
  auto model = TRY(base::make<Model>());
  model->loaded = std::move(loaded);
  model->number = ++last_number_;
  connect(*model, open_kv_home());  // before its first request
  TRY(models_.push_back(std::move(model)));
  work_.wake_all();
  let_answer(*models_.back(), wish);
  retire_all(going);
  return {};
}

Result<void> EngineHost::may_change() const {
  if (!changing_) return {};
  return fail(Errc::kBusy, "another model is being loaded or unloaded: try again when it is done");
}

Result<void> EngineHost::load(const ModelFile& file, ProgressSink* watcher, Wish wish) {
  Result<void> loaded = load_one(file, watcher, wish);
  if (file.generation == 0 || loaded.has_value()) return loaded;
  ModelFile tried = TRY(file.clone());
  while (!loaded.has_value() && is_fault_of_file(loaded.error())) {
    Result<ModelFile> older = bundle::older_generation(tried);
    if (!older.has_value()) {
      if (older.error().code != Errc::kNotFound) return std::unexpected(older.error());
      log::error("bundle", "{}: no verifiable model bundle generation", file.name);
      break;
    }
    tried = std::move(*older);
    loaded = load_one(tried, watcher, wish);
  }
  return loaded;
}

Result<void> EngineHost::load_one(const ModelFile& file, ProgressSink* watcher, Wish wish) {
  TRY(may_change());
  Change change(*this);
  TRY(start_thread());
  String name = TRY(file.name.clone());  // before anything has changed
  Model* there = find(file);
  bool answers = there != nullptr && there->answers();
  Vector<Model*> going;
  if (!answers) going = TRY(models_to_retire(file));
  if (there != nullptr) {  // else a boot module, or one that was retired and still serves somebody
    let_answer(*there, wish);
    retire_all(going.view());
  } else {
    TRY(free_memory_for(file, going, wish));
    Result<base::Owner<LoadedModel>> loaded = open_model(file, {watcher, loading_});
    if (!loaded.has_value()) {
      log::error("model", "{} was not loaded: {}", file.path.view(), loaded.error().what);
      return std::unexpected(loaded.error());
    }
    TRY(add_draft(**loaded, going.view(), {watcher, loading_}));
    TRY(take(std::move(*loaded), going.view(), wish));
  }
  if (wish == Wish::kChosen) chosen_ = std::move(name);
  return {};
}

// Gives a model that was just loaded its draft model, in what models.mb leaves for it.
Result<void> EngineHost::add_draft(LoadedModel& loaded, std::span<Model* const> going,
                                   Follower follower) {
  u64 budget = options::number(kModelsMb) * kMiB;
  u64 taken = room_beside(going, Wish::kChosen).taken + bytes_of(loaded);
  Vector<std::string_view> rearranged;
  for (const base::Owner<Model>& model : models_)
    if (is_boot_module(model->file())) TRY(rearranged.push_back(model->file().path.view()));
  DraftRoom room{.bytes = budget == 0 ? ~u64{0} : budget - std::min(budget, taken),
                 .rearranged = rearranged.view()};
  return open_draft(loaded, room, follower);
}

Result<void> EngineHost::adopt(ModelFile file, base::Owner<ai::Engine> engine) {
  TRY(may_change());
  Change change(*this);
  TRY(start_thread());
  String name = TRY(file.name.clone());
  auto loaded = TRY(base::make<LoadedModel>());
  loaded->file = std::move(file);
  loaded->engine = std::move(engine);
  Vector<Model*> going = TRY(models_to_retire(loaded->file));
  TRY(take(std::move(loaded), going.view(), Wish::kChosen));
  chosen_ = std::move(name);
  return {};
}

Result<void> EngineHost::unload(std::string_view name, Wish wish) {
  TRY(may_change());
  Model* model = name.empty() ? current_ : find(name);
  if (model == nullptr) return fail(Errc::kNotFound, "no model is loaded");
  if (const Holder* holder = long_holder(*model); holder != nullptr)
    return fail(Errc::kBusy, holder->busy);
  Change change(*this);
  u64 number = model->number;
  if (wish == Wish::kChosen && model->file().name.view() == chosen_.view()) chosen_.clear();
  retire(*model);
  wait_until_gone(number, true);
  return {};
}

Result<void> EngineHost::load_default(ProgressSink* watcher) {
  if (current_ != nullptr) return {};
  if (std::string_view wanted = default_model(); !wanted.empty()) {
    Result<ModelFile> file = find_model(wanted);
    if (!file.has_value()) log::error("model", "option model={}: {}", wanted, file.error().what);
    return load(TRY(std::move(file)), watcher);
  }
  Vector<ModelFile> models = TRY(find_models());
  if (models.empty()) return fail(Errc::kNotFound, "no model was found (`help models` says where)");
  Result<void> loaded;
  for (usize i = 0; i < models.size(); i++) {
    const ModelFile& file = models[i];
    if (i > 0 && is_generation_of(file, models[i - 1])) continue;  // load() has tried it
    loaded = load(file, watcher);
    // Where one is too large, is not permitted or is a bundle without a good generation, another
    // one may still do.
    bool another = !loaded.has_value() && loaded.error().code != Errc::kCancelled &&
                   (file.generation > 0 || loaded.error().code == Errc::kOutOfMemory ||
                    loaded.error().code == Errc::kPermission);
    if (!another) break;
  }
  return loaded;
}

Result<ModelFacts> EngineHost::inspect(const ModelFile& file) {
  Model* model = find(file);
  if (model != nullptr && !fs::stat(file.path.view()).has_value()) return facts_of(model->engine());
  ModelFacts facts = TRY(inspect_model(file));
  if (model != nullptr) facts.needed_bytes = 0;
  return facts;
}

}  // namespace service
