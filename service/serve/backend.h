// SPDX-License-Identifier: GPL-2.0-or-later
// Connects the API service (ai/openai, which knows no operating system) to this machine: engine,
// chat template, models, clock and log. refresh_models(), save_text() and restore_text() wait for
// disks, the other functions do not wait. Called on the threads "http" and "http-files" and, from
// sinks and jobs, "engine".
#pragma once

#include "ai/openai/service.h"
#include "service/engine_host.h"
#include "service/pull_job.h"
#include "service/receipts.h"

namespace service {

class ServeBackend final : public ai::openai::Backend {
 public:
  // `news` wakes the thread that answers; it may be called when the backend is gone. `look` wakes
  // the one that calls look_at_disks().
  ServeBackend(void (*news)(), void (*look)()) : news_(news), look_(look) {}

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
  std::string_view default_model() override { return engine_host().chosen_name(); }
  u32 model_count() override;
  ai::openai::ModelRow model_row(u32 index) override;
  bool models_known_since(u64 ns) override;
  const ai::openai::ModelDetails* details(std::string_view model) override;
  const Vector<ai::openai::TensorRow>* tensors(std::string_view model) override;
  Result<u32> change_model(ai::openai::ModelChange change, std::string_view name) override;
  const ai::openai::LoadEnd* load_end(u32 number) override;
  Result<u32> pull(const ai::openai::PullWish& wish) override { return begin_pull(wish, news_); }
  Result<ai::openai::PullState> pull_state(u32 number) override {
    return service::pull_state(number);
  }
  bool stop_pull() override { return service::stop_pull(); }
  Result<void> render(const ai::Lease& lease, const ai::openai::ChatPrompt& prompt,
                      Vector<ai::TokenId>& out, String* text, base::Writer& problem) override;
  bool template_knows_tools(const ai::Lease& lease) override;
  std::string_view build() override;
  u64 now_ns() override;
  u64 unix_ns() override;
  std::string_view utc(std::span<char> room, u64 unix_ns) override;
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
  Result<const crypto::Sha256Digest*> model_sha256(const ai::Lease& lease) override {
    return known_model_hash(lease, news_);
  }
  const crypto::Ed25519PublicKey* receipt_key() override { return service::receipt_key(); }
  Result<crypto::Ed25519Signature> sign_receipt(std::span<const Byte> message) override {
    return service::sign_receipt(message);
  }

  // Looks which models there are where that was asked for or what is loaded has changed, and what
  // their files say where that was asked for. Waits for disks.
  void look_at_disks();

 private:
  struct Installed {
    ModelFile file;
    bool looked_at = false;  // `details` are as the file has them, or it cannot be read
    ai::openai::ModelDetails details;
    bool hashed = false;  // its manifest says what the file's hash must be
    crypto::Sha256Digest sha256{};
  };
  Result<Vector<ModelFile>> find_all();
  void read_list();
  void read_details();
  void read_tensors();
  const crypto::Sha256Digest* hash_of(const ModelFile& file) const;
  bool is_listed_before(usize index) const;

  void (*news_)();
  void (*look_)();
  bool list_wanted_ = true, details_wanted_ = false;
  String tensors_wanted_, tensors_of_;  // paths of models; "" = none
  Vector<ai::openai::TensorRow> tensors_;
  u64 list_ns_ = 0;              // when it was read last; 0 = never
  u64 changes_ = 0;              // of the host, when it was read
  Vector<Installed> installed_;  // changed by look_at_disks() alone
  char build_[64] = {};
  usize build_size_ = 0;
};

}  // namespace service
