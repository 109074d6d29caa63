// SPDX-License-Identifier: GPL-2.0-or-later
// A model of a few lines for tests of the engine.
#include "tests/hosted/fake_model.h"

#include "kernel/base/bytes.h"

std::vector<FakeStep> fake_steps;

namespace {

class NoWorkspace final : public ai::Workspace {};

u64 mix(u64 z) {
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
  z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
  return z ^ (z >> 31);
}

u64 after(u64 state, ai::TokenId token) {
  return mix(state + 0x9e3779b97f4a7c15 * (token + 1));
}

u64& slot(const ai::KvPages& pages, u32 position) {
  constexpr usize kPageBytes = kFakePagePositions * sizeof(u64);
  ai::PageId page = pages.pages[position / kFakePagePositions];
  ASSERT(page != ai::kNoPage);
  return reinterpret_cast<u64*>(pages.pool + page * kPageBytes)[position % kFakePagePositions];
}

}  // namespace

Result<void> FakeTokenizer::encode(std::string_view text, ai::AddSpecial, ai::ParseSpecial,
                                   Vector<ai::TokenId>& out) const {
  for (char c : text) TRY(out.push_back(5 + static_cast<u8>(c) % 59u));
  return {};
}

std::string_view FakeTokenizer::piece(ai::TokenId id) const {
  static constexpr std::string_view kLetters =
      "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyzabcdefghijkl";
  if (id <= kFakeEnd) return "";
  if (id == 2) return "\xe2\x82";
  if (id == 3) return "\xac";
  if (id == 4) return "\xff";
  return kLetters.substr(id - 5, 1 + id % 3);
}

FakeModel::FakeModel(const FakeBehaviour& behaviour, TestPlatform& platform)
    : behaviour_(behaviour), platform_(platform) {
  params_.vocabulary = kFakeVocabulary + 3;  // padding, as real models have
  params_.trained_context = 256;
  params_.width = kFakeWidth;
  params_.window = behaviour.window;
}

Result<base::Owner<ai::Workspace>> FakeModel::create_workspace(const ai::StepLimits&) const {
  return TRY(base::make<NoWorkspace>());
}

u64 FakeModel::advance(const ai::BatchRow& row, const ai::KvView& view) {
  if (behaviour_.recurrent) {
    u64* slot = reinterpret_cast<u64*>(view.state.data());
    return *slot = after(row.position == 0 ? 0 : *slot, row.token);
  }
  u64 state = after(row.position == 0 ? 0 : slot(view.whole, row.position - 1), row.token);
  slot(view.whole, row.position) = state;
  return behaviour_.window == 0 ? state : state ^ look_back(row, view.window);
}

// Writes the row's state to its window page, and mixes those of all positions that it sees. Each
// depends on all positions before it, as in a model of many layers.
u64 FakeModel::look_back(const ai::BatchRow& row, const ai::KvPages& pages) const {
  u64 seen = 0;
  u32 first = row.position + 1 - std::min(row.position + 1, behaviour_.window);
  for (u32 position = first; position < row.position; position++)
    seen = mix(seen ^ slot(pages, position));
  slot(pages, row.position) = after(seen, row.token);
  return seen;
}

Result<void> FakeModel::forward(std::span<const ai::BatchRow> rows,
                                std::span<const ai::KvView> sequences, ai::Workspace&,
                                std::span<float> logits) {
  fake_steps.push_back({static_cast<u32>(rows.size()), static_cast<u32>(sequences.size())});
  platform_.pass_ns(behaviour_.step_ns + behaviour_.row_ns * rows.size());
  bool poisoned = false;
  for (const ai::BatchRow& row : rows) {
    u64 state = advance(row, sequences[row.sequence]);
    poisoned |= row.token == behaviour_.poison;
    if (!row.wants_logits) continue;
    for (u32 id = 0; id < params_.vocabulary; id++)
      logits[id] =
          static_cast<float>(after(state ^ behaviour_.seed, id) >> 40) / (1 << 21);  // [0, 8)
    logits[(row.token & ~7u) | ((row.token + 3) & 7)] += behaviour_.habit;  // round in eights
    if (!behaviour_.may_end) logits[kFakeEnd] = -50;
    logits = logits.subspan(params_.vocabulary);
  }
  platform_.breathe();
  if (poisoned) return fail(Errc::kCorrupt, "a logit is not finite");
  return {};
}

Result<void> FakeModel::forward_hidden(std::span<const ai::BatchRow> rows,
                                       std::span<const ai::KvView> sequences, ai::Workspace&,
                                       std::span<float> hidden) {
  fake_steps.push_back({static_cast<u32>(rows.size()), static_cast<u32>(sequences.size())});
  for (const ai::BatchRow& row : rows) {
    u64 state = advance(row, sequences[row.sequence]);
    if (row.token == behaviour_.poison) return fail(Errc::kCorrupt, "a number is not finite");
    if (!row.wants_logits) continue;
    for (u32 i = 0; i < params_.width; i++)
      hidden[i] = static_cast<float>(after(state, i) >> 40) / (1 << 23) - 1;  // [-1, 1)
    hidden = hidden.subspan(params_.width);
  }
  platform_.breathe();
  return {};
}

void FakeSink::on_prefill(u32 done, u32 total) {
  prefilled = done;
  prompt = total;
  events++;
  if (hook) hook(events);
}

void FakeSink::on_token(const ai::TokenEvent& event) {
  if (event.id != ai::Tokenizer::kNoToken) {
    ids.push_back(event.id);
    hashes.push_back(event.logits_hash);
    logprobs.push_back(event.logprob_micro);
  }
  text += event.text;
  events++;
  if (hook) hook(events);
}

void FakeSink::on_end(ai::FinishReason why, const ai::Timings& figures, const Error* e) {
  ASSERT(!ended);
  ended = true;
  reason = why;
  timings = figures;
  if (e != nullptr) error = e->code;
}

Result<base::Owner<ai::EngineImpl>> fake_engine(TestPlatform& platform,
                                                const ai::EngineOptions& options,
                                                const FakeBehaviour& behaviour) {
  auto parts = TRY(base::make<ai::EngineParts>());
  auto model = TRY(base::make<FakeModel>(behaviour, platform));
  auto tokenizer = TRY(base::make<FakeTokenizer>());
  ai::ModelSizes sizes{
      .state_bytes = model->state_bytes(),
      .page_bytes = model->kv_page_bytes(),
      .window = behaviour.kept_window != 0 ? behaviour.kept_window : behaviour.window,
      .page_positions = kFakePagePositions,
      .vocabulary = model->params().vocabulary,
      .trained_context = model->params().trained_context,
      .workspace_bytes = [](const void*, const ai::StepLimits&, u32) { return u64{0}; }};
  ai::EngineSizes chosen = TRY(ai::choose_sizes(options, sizes, platform, parts->plan));
  parts->model = std::move(model);
  parts->tokenizer = std::move(tokenizer);
  return ai::EngineImpl::create(std::move(parts), platform, chosen);
}

Result<void> give_draft(TestPlatform& platform, ai::EngineImpl& engine,
                        const FakeBehaviour& behaviour) {
  auto parts = TRY(base::make<ai::DraftParts>());
  parts->model = TRY(base::make<FakeModel>(behaviour, platform));
  engine.take_draft(TRY(ai::DraftModel::create(std::move(parts), platform, engine.draft_sizes())));
  return {};
}
