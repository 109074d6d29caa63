// SPDX-License-Identifier: GPL-2.0-or-later
// Connects the API service (ai/openai, which knows no operating system) to this machine: engine,
// chat template, models, clock and log. refresh_models(), save_text() and restore_text() wait for
// disks, the other functions do not wait. Called on the threads "http" and "http-files" and, from
// sinks and jobs, "engine".
#pragma once

#include "ai/openai/service.h"
#include "service/engine_host.h"

namespace service {

class ServeBackend final : public ai::openai::Backend {
 public:
  // `news` wakes the thread that answers. It may be called after the backend is gone, by a load
  // that outlives it.
  explicit ServeBackend(void (*news)()) : news_(news) {}

  Result<ai::Lease> lease(std::string_view model) override;
  Result<ai::RequestId> submit(const ai::Lease& lease, const ai::Request& request,
                               ai::RequestSink& sink) override;
  void cancel(const ai::Lease& lease, ai::RequestId id) override;
  void ask(const ai::Lease& lease, ai::EngineJob& job) override;
  void withdraw(ai::EngineJob& job) override { engine_host().withdraw(job); }
  void let_others_step() override { engine_host().let_others_step(); }
  bool is_loaded(u64 load_number) override;
  ai::openai::EngineFigures figures() override;
  ai::openai::LoadState load_state() override;
  std::string_view model_id() override;
  u32 model_count() override;
  std::string_view model_name(u32 index) override;
  Result<u32> change_model(ai::openai::ModelChange change, std::string_view name) override;
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
  Result<void> report(base::Writer& out) override;
  Result<u32> save_text(ai::Engine& engine, std::string_view name,
                        std::span<const ai::TokenId> tokens, u64& bytes) override;
  Result<Vector<ai::TokenId>> restore_text(ai::Engine& engine, std::string_view name,
                                           u64& bytes) override;

  // Returns true once after the current model has changed.
  bool model_changed();
  // Lists the models anew, once after each change. Waits for disks, so it runs on the thread
  // "http-files".
  void refresh_models();

 private:
  void drop_loaded_from_list();

  void (*news_)();
  bool list_is_old_ = false;
  Vector<ModelFile> models_;  // all but the current one
  String name_;               // name of the current one
  u64 load_number_ = 0;       // load number of the current one
  char build_[64] = {};
  usize build_size_ = 0;
};

}  // namespace service
