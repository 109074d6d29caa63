// SPDX-License-Identifier: GPL-2.0-or-later
// Implements the engine's thread, requests, jobs and leases. Loading and unloading are in
// engine_host_models.cpp.
#include "service/engine_host.h"

#include "kernel/log.h"
#include "kernel/sched/context.h"
#include "kernel/time/clock.h"
#include "service/kv_disk.h"

namespace service {
namespace {

// jobs run on this stack; they may write a large answer or read a saved text
constexpr usize kStackBytes = 256 * kKiB;
constexpr u64 kLookNs = 10'000'000;  // the longest sleep of a thread that waits for news

// The job behind between_steps(). It lives on the stack of the waiting thread, which may not return
// before the job has run or was withdrawn.
class TurnJob final : public ai::EngineJob, public Turn {
 public:
  TurnJob(EngineHost& host, Result<void> (*work)(void*, Turn&), void* context)
      : host_(host), work_(work), context_(context) {}

  bool run(ai::Engine& engine) override {
    engine_ = &engine;
    result = wanted ? work_(context_, *this) : fail(Errc::kCancelled, "stopped");
    done = true;
    return false;
  }
  ai::Engine& engine() override { return *engine_; }
  bool go_on() override {
    if (wanted) host_.let_others_step();
    return wanted;
  }

  bool wanted = true, done = false;
  Result<void> result;

 private:
  EngineHost& host_;
  Result<void> (*work_)(void*, Turn&);
  void* context_;
  ai::Engine* engine_ = nullptr;
};

}  // namespace

EngineHost& engine_host() {
  static constinit EngineHost host;
  return host;
}

// ---- the engine's thread --------------------------------------------------------------------

Result<void> EngineHost::start_thread() {
  if (thread_ != nullptr) return {};
  thread_ = TRY(sched::spawn(
      "engine", [](void* self) { static_cast<EngineHost*>(self)->run(); }, this, kStackBytes));
  return {};
}

// The loop of the thread "engine". Jobs and steps alternate, so neither waits for longer than one
// of the other.
void EngineHost::run() {
  for (;;) {
    bind_new();
    destroy_retired();
    bool worked = run_jobs();
    worked |= make_steps();
    worked |= visit_home();
    worked |= forget_if_asked();
    if (worked) {
      tell();
      // threads that waited for this step see its result before the next one begins
      sched::yield();
    } else {
      work_.wait();
    }
  }
}

// Runs one piece of a job for each model. run_one() may breathe, and other threads may then append
// to models_; only this thread removes entries, and not in this loop. So an index stays valid where
// an iterator would not.
bool EngineHost::run_jobs() {
  bool worked = false;
  for (usize i = 0; i < models_.size(); i++) {
    Model& model = *models_[i];
    worked |= model.jobs.run_one(model.engine());
  }
  return worked;
}

// Makes one step of each model that has requests. Returns false when none had any.
bool EngineHost::make_steps() {
  bool worked = false;
  for (usize i = 0; i < models_.size(); i++) {
    u64 begin = timing::now_ns();
    if (!models_[i]->engine().step()) continue;
    last_step_ns_ = timing::now_ns() - begin;
    steps_++;
    worked = true;
  }
  return worked;
}

namespace {

// Lets other requests make a step after each time that is as long as a step, so that moving pages
// takes about half of the time. Without other requests it only lets threads run.
class Alternating final : public ai::BetweenPages {
 public:
  explicit Alternating(EngineHost& host) : host_(host), begun_ns_(timing::now_ns()) {}
  bool go_on() override {
    if (timing::now_ns() - begun_ns_ < host_.last_step_ns()) return true;
    host_.let_others_step();
    begun_ns_ = timing::now_ns();
    return true;
  }

 private:
  EngineHost& host_;
  u64 begun_ns_;
};

}  // namespace

// Moves pages from and to their second home, for one request or text of each model. As in
// run_jobs(), an index stays valid.
bool EngineHost::visit_home() {
  ai::KvHome* home = kv_home();
  if (home == nullptr) return false;
  visiting_ = true;
  bool worked = false;
  for (usize i = 0; i < models_.size(); i++) {
    Alternating between(*this);
    worked |= models_[i]->engine().visit_home(between);
  }
  visiting_ = false;
  return worked;
}

bool EngineHost::forget_if_asked() {
  if (!forget_asked_) return false;
  for (base::Owner<Model>& model : models_) model->engine().forget_prompts();
  ai::KvHome* home = kv_home();
  forgotten_ = home == nullptr ? Result<void>() : home->clear();
  forget_asked_ = false;
  return true;
}

Result<void> EngineHost::forget_texts() {
  TRY(start_thread());
  forget_asked_ = true;
  work_.wake_all();
  while (forget_asked_) wait_news();
  return forgotten_;
}

bool EngineHost::keeps_texts() const {
  u32 texts = 0;
  for (const base::Owner<Model>& model : models_) texts += model->engine().texts_to_keep();
  return visiting_ || texts > 0;
}

// Gives a model's pages their second home, once. Does not wait.
void EngineHost::connect(Model& model, ai::KvHome* home) {
  if (home == nullptr || std::exchange(model.at_home, true)) return;
  Result<void> told = model.engine().set_home(*home);
  // A recurrent model has no pages to keep.
  if (!told.has_value()) log::debug("kv", "{}: {}", model.file().name, told.error());
}

// Models are loaded by other threads. Once bound, an engine asserts that only this thread steps it.
// The pages' second home may appear later than a model, with its disk.
void EngineHost::bind_new() {
  ai::KvHome* home = kv_home();
  for (usize i = 0; i < models_.size(); i++) {
    Model& model = *models_[i];
    if (!std::exchange(model.bound, true)) model.engine().bind_to_this_thread();
    connect(model, home);
  }
}

// Destroys the models that were replaced and that nobody leases any more. Engines are destroyed on
// this thread only.
void EngineHost::destroy_retired() {
  for (usize i = models_.size(); i-- > 0;) {
    if (!models_[i]->retired || models_[i]->leases > 0) continue;
    models_.erase(i);
    tell();
  }
}

void EngineHost::wait_news() {
  news_.wait(timing::now_ns() + kLookNs);
}

// Wakes every thread that waits for news, and the server, which has a callback.
void EngineHost::tell() {
  news_.wake_all();
  if (told_ != nullptr) told_();
}

// Called by a job on the engine's thread. The job's own engine makes no step while the job
// computes, but between two chunks it may.
void EngineHost::let_others_step() {
  sched::assert_owner(thread_);
  if (make_steps()) tell();
  sched::yield();
}

// ---- requests and jobs ----------------------------------------------------------------------

Result<ai::RequestId> EngineHost::submit(const ai::Lease& lease, const ai::Request& request,
                                         ai::RequestSink& sink) {
  ai::RequestId id = TRY(ai::EngineAccess::of(lease).submit(request, sink));
  model_of(lease).used_ns = timing::now_ns();
  work_.wake_all();
  return id;
}

void EngineHost::cancel(const ai::Lease& lease, ai::RequestId id) {
  ai::EngineAccess::of(lease).cancel(id);
}

void EngineHost::ask(const ai::Lease& lease, ai::EngineJob& job) {
  model_of(lease).used_ns = timing::now_ns();
  model_of(lease).jobs.add(job);
  work_.wake_all();
}

// Puts a job into the queue and sleeps until it has ended. If the person loses patience, a job that
// has not begun is withdrawn; one that runs is asked to end (go_on() returns false) and waited for,
// because it uses this stack.
Result<void> EngineHost::run_between_steps(const ai::Lease& lease, Patience* patience,
                                           Result<void> (*work)(void*, Turn&), void* context) {
  ASSERT(sched::current() != thread_);
  TurnJob job(*this, work, context);
  ask(lease, job);
  while (!job.done) {
    wait_news();
    if (job.done || patience == nullptr || !patience->ended()) continue;
    job.wanted = false;
    patience = nullptr;
    if (!job.waiting()) continue;
    withdraw(job);
    return fail(Errc::kCancelled, "stopped");
  }
  return job.result;
}

Result<HeldRequest> HeldRequest::submit(const ai::Lease& lease, const ai::Request& request,
                                        ai::RequestSink& sink) {
  return HeldRequest(lease, TRY(engine_host().submit(lease, request, sink)));
}

void HeldRequest::cancel() {
  if (id_ != 0) engine_host().cancel(*std::exchange(lease_, nullptr), std::exchange(id_, 0));
}

// ---- leases ---------------------------------------------------------------------------------

// Records a lease in a free row. The row's index is the lease's slot.
Result<ai::Lease> EngineHost::give(Model& model, const Holder& holder) {
  usize slot = 0;
  while (slot < rows_.size() && rows_[slot].model != nullptr) slot++;
  if (slot == rows_.size()) TRY(rows_.push_back({}));
  rows_[slot] = {&model, &holder};
  model.leases++;
  model.used_ns = timing::now_ns();
  return ai::Lease(*this, static_cast<u32>(slot), model.engine(), model.number,
                   model.file().name.view());
}

Result<ai::Lease> EngineHost::lease(const Holder& holder, std::string_view model) {
  Model* named = model.empty() ? current_ : find(model);
  if (named == nullptr)
    return fail(Errc::kNotFound, model.empty()
                                     ? "no model is loaded (`model load NAME` loads one)"
                                     : "this model is not loaded (`model load NAME` loads it)");
  return give(*named, holder);
}

Result<ai::Lease> EngineHost::lease_of(const ModelFile& file, const Holder& holder) {
  Model* model = find(file);
  if (model == nullptr) return fail(Errc::kNotFound, "this model is not loaded");
  return give(*model, holder);
}

void EngineHost::lease_ended(u32 slot) {
  LeaseRow row = std::exchange(rows_[slot], {});
  row.model->leases--;
  if (row.model->leases == 0 && row.model->retired) work_.wake_all();
}

EngineHost::Model& EngineHost::model_of(const ai::Lease& lease) const {
  ASSERT(lease.slot() < rows_.size() && rows_[lease.slot()].model != nullptr);
  return *rows_[lease.slot()].model;
}

u32 EngineHost::leases() const {
  u32 count = 0;
  for (const LeaseRow& row : rows_) count += row.model != nullptr ? 1 : 0;
  return count;
}

// ---- facts ----------------------------------------------------------------------------------

namespace {

EngineHost::Figures figures_of(const ai::Engine& engine) {
  return {engine.running(), engine.queued(), engine.kv_pages_total(), engine.kv_pages_used(),
          engine.kv_pages_cached()};
}

}  // namespace

EngineHost::Figures EngineHost::figures(const ai::Lease& lease) const {
  return figures_of(model_of(lease).engine());
}

EngineHost::Figures EngineHost::figures() const {
  return current_ == nullptr ? Figures() : figures_of(current_->engine());
}

const ModelFile* EngineHost::current_file() const {
  return current_ == nullptr ? nullptr : &current_->file();
}

u64 EngineHost::current_number() const {
  return current_ == nullptr ? 0 : current_->number;
}

u64 EngineHost::current_load_ns() const {
  return current_ == nullptr ? 0 : current_->loaded->load_ns;
}

const ModelFile& EngineHost::file(const ai::Lease& lease) const {
  return model_of(lease).file();
}

u64 EngineHost::load_ns(const ai::Lease& lease) const {
  return model_of(lease).loaded->load_ns;
}

PrefetchChoice EngineHost::prefetch(const ai::Lease& lease) const {
  return model_of(lease).loaded->prefetch;
}

const DraftState& EngineHost::draft(const ai::Lease& lease) const {
  return model_of(lease).loaded->draft;
}

Result<void> EngineHost::write_original(const ai::Lease& lease, u32 index,
                                        ai::ByteSink& out) const {
  return service::write_original(*model_of(lease).loaded, index, out);
}

u64 EngineHost::weights_checksum(const ai::Lease& lease) const {
  return service::weights_checksum(*model_of(lease).loaded);
}

Result<void> EngineHost::flip_weight_bit(const ai::Lease& lease) {
  return service::flip_weight_bit(*model_of(lease).loaded);
}

u32 EngineHost::model_count() const {
  u32 count = 0;
  for (const base::Owner<Model>& model : models_) count += model->answers() ? 1 : 0;
  return count;
}

const ModelFile* EngineHost::model_file(u32 index) const {
  if (current_ != nullptr && index-- == 0) return &current_->file();
  for (const base::Owner<Model>& model : models_)
    if (model->answers() && model.get() != current_ && index-- == 0) return &model->file();
  return nullptr;
}

}  // namespace service
