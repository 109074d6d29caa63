// SPDX-License-Identifier: GPL-2.0-or-later
// What the API server asks of this machine: engine, template, models, clock, log.
#pragma once

#include "ai/openai/service.h"
#include "console/model_store.h"

namespace console {

class ServeBackend final : public ai::openai::Backend, public ai::LeaseKeeper {
 public:
  // `wake` is for the thread that steps the engine, `news` for the one that answers. Either may be
  // called when the backend is gone.
  ServeBackend(void (*wake)(), void (*news)()) : wake_(wake), news_(news) {}

  Result<ai::Lease> lease(std::string_view model, const char* holder) override;
  void lease_ended(u32 slot) override;
  Result<ai::RequestId> submit(const ai::Lease& lease, const ai::Request& request,
                               ai::RequestSink& sink) override;
  void cancel(const ai::Lease& lease, ai::RequestId id) override;
  void ask(const ai::Lease& lease, ai::EngineJob& job) override;
  void withdraw(ai::EngineJob& job) override { ai::EngineJobs::withdraw(job); }
  bool is_loaded(u64 load_number) override;
  ai::openai::EngineFigures figures() override;
  ai::openai::LoadState load_state() override;
  std::string_view model_id() override;
  u32 model_count() override;
  std::string_view model_name(u32 index) override;
  Result<u32> load_model(std::string_view name) override;
  const ai::openai::LoadEnd* load_end(u32 number) override;
  Result<void> render(const ai::Lease& lease, const ai::openai::ChatPrompt& prompt,
                      Vector<ai::TokenId>& out, String* text, base::Writer& problem) override;
  bool template_knows_tools(const ai::Lease& lease) override;
  std::string_view build() override;
  u64 now_ns() override;
  u64 unix_seconds() override;
  u64 random() override;
  u64 memory_used() override;
  u64 memory_total() override;
  u64 heap_bytes() override;
  void log(std::string_view line) override;
  Result<u32> save_text(ai::Engine& engine, std::string_view name,
                        std::span<const ai::TokenId> tokens, u64& bytes) override;
  Result<Vector<ai::TokenId>> restore_text(ai::Engine& engine, std::string_view name,
                                           u64& bytes) override;

  // One piece of the first job; with the engine claimed. False: none waits.
  bool run_job();

  // True once after another model has taken the place of the one before.
  bool model_changed();
  // Looks which models there are, once after each change. Waits for disks.
  void refresh_models();

 private:
  void drop_loaded_from_list();

  void (*wake_)();
  void (*news_)();
  ai::EngineJobs jobs_;
  bool list_is_old_ = false;
  Vector<ModelFile> models_;  // others than the loaded one
  String name_;               // of the loaded one
  u64 load_ns_ = 0;           // tells one load from another
  char build_[64] = {};
  usize build_size_ = 0;
  u64 random_state_ = 0;
};

}  // namespace console
