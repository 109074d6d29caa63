// SPDX-License-Identifier: GPL-2.0-or-later
// The owner of the loaded models. Its thread "engine" is the only one that makes steps, runs jobs
// and destroys engines. Every other thread asks here and sleeps until the answer is there.
//
// Several models may be loaded (options models.max, models.mb). One of them is the current one, of
// which the console speaks. A lease keeps the model it was given for loaded.
//
// Every function may be called from any thread of CPU 0. The functions that load, unload or inspect
// a model sleep, and so do between_steps() and wait_news(); the others do not. Sinks and jobs are
// called on the engine's thread, except that on_end(kCancelled) comes from cancel() on the caller's
// thread. No other code may call step(), score(), embed(), save(), restore() or forget_prompts() of
// an ai::Engine.
#pragma once

#include "ai/engine/lease.h"
#include "kernel/sched/thread.h"
#include "service/holders.h"
#include "service/model_loader.h"

namespace service {

// Tells whether the person who waits has had enough. Called on the waiting thread, about a hundred
// times a second.
class Patience {
 public:
  virtual bool ended() = 0;

 protected:
  ~Patience() = default;
};

// Why a model is loaded or unloaded.
enum class Wish : u8 {
  kChosen,  // by a person or the options: it becomes the current one, and the one for whoever names
            // none
  kNamed,   // by a request that names it, or by the time that it was not asked for
};

// A turn between two steps, given to work that makes no tokens.
class Turn {
 public:
  virtual ai::Engine& engine() = 0;
  // Called by long work between two chunks, so that other requests can make a step. Returns false
  // when nobody waits for this work any longer; it should then end with kCancelled.
  virtual bool go_on() = 0;

 protected:
  ~Turn() = default;
};

class EngineHost final : public ai::LeaseKeeper {
 public:
  constexpr EngineHost() = default;
  EngineHost(const EngineHost&) = delete;
  EngineHost& operator=(const EngineHost&) = delete;

  // ---- leases
  // Leases the loaded model of exactly that name, or the current one if `model` is "". Returns
  // kNotFound if it is not loaded. `holder` is one of holders.h.
  Result<ai::Lease> lease(const Holder& holder, std::string_view model = {});
  // Leases the model that was loaded from this file. Returns kNotFound if it is not loaded.
  Result<ai::Lease> lease_of(const ModelFile& file, const Holder& holder);
  bool loaded() const { return current_ != nullptr; }
  bool is_loaded(u64 load_number) const;

  // ---- requests
  Result<ai::RequestId> submit(const ai::Lease& lease, const ai::Request& request,
                               ai::RequestSink& sink);
  void cancel(const ai::Lease& lease, ai::RequestId id);
  // Sleeps until a step was made or a job ended, but at most about ten milliseconds, so that Ctrl-C
  // is noticed in time. Callers test their own condition in a loop around it.
  void wait_news();
  // Sets a callback that runs on the engine's thread after each step and job. It may only wake a
  // thread. nullptr removes it.
  void on_news(void (*told)()) { told_ = told; }

  // ---- jobs
  void ask(const ai::Lease& lease, ai::EngineJob& job);
  void withdraw(ai::EngineJob& job) { ai::EngineJobs::withdraw(job); }
  // Called by a job that reads a long text, on the engine's thread, between two of its chunks: lets
  // all other requests make one step.
  void let_others_step();
  // Runs `work(Turn&)` on the engine's thread between two steps, and sleeps until it has ended.
  // Returns kCancelled if the patience ends before the work has begun; otherwise returns what the
  // work returns. `patience` may be null.
  template <class Work>
  Result<void> between_steps(const ai::Lease& lease, Patience* patience, Work&& work) {
    auto call = [](void* context, Turn& turn) -> Result<void> {
      return (*static_cast<std::remove_reference_t<Work>*>(context))(turn);
    };
    return run_between_steps(lease, patience, call, &work);
  }

  // ---- models
  // Loads a model and then replaces the old one, which serves until the new one works and stays if
  // it does not. Returns kBusy if a load is under way, or if a command holds a model that would
  // have to go; the error's text names the holder. If memory or models.mb is too small for both,
  // kChosen is refused; kNamed waits until the answers of the old models are complete and unloads
  // them first.
  Result<void> load(const ModelFile& file, ProgressSink* watcher = nullptr,
                    Wish wish = Wish::kChosen);
  // Unloads the model of that name, or the current one. Waits until answers in the making are done.
  Result<void> unload(std::string_view model = {}, Wish wish = Wish::kChosen);
  // Loads the model of the option model=, or the first one found. Does nothing if one is loaded.
  Result<void> load_default(ProgressSink* watcher = nullptr);
  const LoadStage& loading() const { return loading_; }
  bool changing() const { return changing_; }  // a load or unload is under way: others are kBusy
  // Describes a model and what loading it would take, without loading it.
  Result<ModelFacts> inspect(const ModelFile& file);
  // Takes an engine that the caller made. Only tests use it.
  Result<void> adopt(ModelFile file, base::Owner<ai::Engine> engine);

  // ---- facts
  struct Figures {
    u32 running = 0, queued = 0;
    u64 kv_pages_total = 0, kv_pages_used = 0, kv_pages_cached = 0;
  };
  // Returns true while ended texts wait to be copied to the disk, or one is being copied.
  bool keeps_texts() const;
  // Empties the prefix cache of every model, and the pages' second home. Sleeps until no text is
  // being moved.
  Result<void> forget_texts();
  Figures figures(const ai::Lease& lease) const;
  Figures figures() const;                // of the current model; zeros without one
  const ModelFile* current_file() const;  // null without a model; valid until the next yield
  u64 current_number() const;             // its load number; 0 without one
  // Returns the name of the model that was chosen last, loaded or not; "" if there is none or if it
  // was unloaded by choice. Valid until the next yield.
  std::string_view chosen_name() const { return chosen_.view(); }
  u64 changes() const { return changes_; }  // of what is loaded, since boot
  u64 current_load_ns() const;              // what loading it took
  const ModelFile& file(const ai::Lease& lease) const;
  u64 load_ns(const ai::Lease& lease) const;
  PrefetchChoice prefetch(const ai::Lease& lease) const;
  const DraftState& draft(const ai::Lease& lease) const;
  u64 steps() const { return steps_; }                // made since boot
  u64 last_step_ns() const { return last_step_ns_; }  // what the last one took
  u32 model_count() const;                            // that answer requests
  // Returns the file of a loaded model. 0 is the current one; null behind the last. Valid until the
  // next yield.
  const ModelFile* model_file(u32 index) const;
  u32 leases() const;  // in existence: for tests

  // The first two let other threads of CPU 0 run between two pieces; the third does not sleep.
  Result<void> write_original(const ai::Lease& lease, u32 index, ai::ByteSink& out) const;
  u64 weights_checksum(const ai::Lease& lease) const;
  Result<void> flip_weight_bit(const ai::Lease& lease);

  // ---- ai::LeaseKeeper
  void lease_ended(u32 slot) override;

 private:
  // A loaded model. The engine's thread destroys it once it is retired and has no lease.
  struct Model {
    base::Owner<LoadedModel> loaded;
    u64 number = 0, used_ns = 0;
    u32 leases = 0;
    ai::EngineJobs jobs;
    bool bound = false;    // its engine was bound to the engine's thread
    bool at_home = false;  // its engine was told of the pages' second home
    bool retired = false;  // takes no new lease; destroyed with its last one
    // a boot module that answers no requests but stays in memory, ready to be loaded again
    bool kept = false;
    bool answers() const { return !retired && !kept; }
    ai::Engine& engine() const { return *loaded->engine; }
    const ModelFile& file() const { return loaded->file; }
  };
  struct LeaseRow {
    Model* model = nullptr;  // null: the row is free
    const Holder* holder = nullptr;
  };
  class Change;

  Result<void> load_one(const ModelFile& file, ProgressSink* watcher, Wish wish);
  Result<void> may_change() const;
  Result<void> start_thread();
  [[noreturn]] void run();
  bool run_jobs();
  bool make_steps();
  bool visit_home();
  bool forget_if_asked();
  static void connect(Model& model, ai::KvHome* home);
  void bind_new();
  void destroy_retired();
  void tell();
  Result<void> run_between_steps(const ai::Lease& lease, Patience* patience,
                                 Result<void> (*work)(void*, Turn&), void* context);

  Result<ai::Lease> give(Model& model, const Holder& holder);
  Model* find(const ModelFile& file) const;
  Model* find(std::string_view name) const;
  Model* find_number(u64 load_number) const;
  Model& model_of(const ai::Lease& lease) const;
  const Holder* long_holder(const Model& model) const;
  Result<Vector<Model*>> models_to_retire(const ModelFile& file);
  struct Room;
  Result<void> free_memory_for(const ModelFile& file, Vector<Model*>& going, Wish wish);
  Room room_beside(std::span<Model* const> going, Wish wish) const;
  void retire(Model& model);
  void retire_all(std::span<Model* const> going);
  void wait_until_gone(u64 load_number, bool wait_for_leases);
  void let_answer(Model& model, Wish wish);
  Result<void> add_draft(LoadedModel& loaded, std::span<Model* const> going, Follower follower);
  Result<void> take(base::Owner<LoadedModel> loaded, std::span<Model* const> going, Wish wish);

  Vector<base::Owner<Model>> models_;
  Vector<LeaseRow> rows_;
  Model* current_ = nullptr;
  String chosen_;          // a model's name
  sched::WaitQueue work_;  // the engine's thread sleeps here
  sched::WaitQueue news_;  // everybody who waits for a step or a job
  sched::Thread* thread_ = nullptr;
  void (*told_)() = nullptr;
  u64 steps_ = 0, last_step_ns_ = 0;
  u64 last_number_ = 0, changes_ = 0;
  bool changing_ = false;  // a load or unload is under way
  bool forget_asked_ = false;
  Result<void> forgotten_;  // what became of the last forget_texts()
  bool visiting_ = false;   // pages are being moved from or to their second home
  LoadStage loading_;
};

// Returns the machine's one host. It is never destroyed.
EngineHost& engine_host();

// A request whose owner waits for its end. The destructor cancels it if it has not ended, so its
// sink may live on the same stack frame.
class HeldRequest {
 public:
  static Result<HeldRequest> submit(const ai::Lease& lease, const ai::Request& request,
                                    ai::RequestSink& sink);
  HeldRequest() = default;
  HeldRequest(HeldRequest&& other) noexcept
      : lease_(std::exchange(other.lease_, nullptr)), id_(std::exchange(other.id_, 0)) {}
  HeldRequest& operator=(HeldRequest&& other) noexcept {
    cancel();
    lease_ = std::exchange(other.lease_, nullptr);
    id_ = std::exchange(other.id_, 0);
    return *this;
  }
  ~HeldRequest() { cancel(); }
  ai::RequestId id() const { return id_; }
  // Does nothing if the request has ended.
  void cancel();

 private:
  HeldRequest(const ai::Lease& lease, ai::RequestId id) : lease_(&lease), id_(id) {}
  const ai::Lease* lease_ = nullptr;  // must outlive this object
  ai::RequestId id_ = 0;
};

}  // namespace service
