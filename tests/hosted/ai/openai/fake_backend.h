// SPDX-License-Identifier: GPL-2.0-or-later
// An engine that says what a test wants it to say, a machine around it, and a reply that listens.
#pragma once

#include <vector>

#include "ai/openai/service.h"
#include "ai/text/chat_template.h"
#include "tests/hosted/ai/text/grammar_fake.h"
#include "tests/hosted/fake_engine.h"

class ApiTestEngine final : public FakeEngine {
 public:
  std::string_view script = "Hello world";
  u32 max_running = 4;

  ApiTestEngine() {
    info_.context = 200;
    info_.width = 8, info_.layers = 2, info_.vocabulary = tokenizer_.size();
  }

  void set_context(u32 tokens) { info_.context = tokens; }
  void set_ranks() { info_.ranks = true; }
  void set_encodes() { info_.encodes = true; }
  void begin_texts_with(ai::TokenId id) { tokenizer_.begins = id; }
  void set_fill_tokens(const ai::FillTokens& fill) { tokenizer_.fill = fill; }
  const ai::Tokenizer& tokenizer() const override { return tokenizer_; }
  // Only its text is looked at: the backend renders conversations.
  const ai::ChatTemplate* chat_template() const override { return template_.get(); }
  void set_template(std::string_view source) {
    template_ = std::move(*ai::ChatTemplate::compile(source));
  }

  Result<ai::RequestId> submit(const ai::Request& request, ai::RequestSink& sink) override {
    if (refuse != nullptr) return fail(Errc::kFull, refuse);
    Job job;
    job.id = ++last_id_;
    job.sink = &sink;
    job.prompt = static_cast<u32>(request.prompt.size());
    job.most = request.max_tokens;
    job.logprobs = request.logprobs;
    job.picks = request.report_picks;
    if (request.after_sampling) after_sampling++;
    last_breakers = request.dry_breakers.size();
    job.micro = varied ? -1000 * static_cast<i32>(1 + request.sampling.seed * 2 % 3) : -1000;
    last_sampling = request.sampling;
    last_bias.clear();
    TRY(last_bias.append(request.bias));
    last_slide = request.slide;
    last_stops = request.stop.size();
    last_prompt.clear();
    for (ai::TokenId id : request.prompt) TRY(last_prompt.append(tokenizer_.piece(id)));
    for (std::string_view stop : request.stop) TRY(job.stop.push_back(TRY(String::from(stop))));
    if (request.grammar != nullptr) job.grammar = TRY(ai::GrammarState::create(*request.grammar));
    TRY(jobs_.push_back(std::move(job)));
    return last_id_;
  }

  void cancel(ai::RequestId id) override {
    for (usize i = 0; i < jobs_.size(); i++)
      if (jobs_[i].id == id) return end(i, ai::FinishReason::kCancelled);
  }

  bool step() override {
    if (jobs_.empty()) return false;
    for (usize i = jobs_.size(); i-- > 0;) advance(i);
    return true;
  }
  // A token's id in thousandths below 0, and the next token half as probable.
  Result<void> score(std::span<const ai::TokenId> tokens, u32 top, ai::ScoreSink& sink) override {
    for (u32 i = 1; i <= tokens.size(); i++) {
      ai::TokenId id = i < tokens.size() ? tokens[i] : ai::Tokenizer::kNoToken;
      i32 micro = -1000 * static_cast<i32>(id);
      const ai::TokenLogprob tops[] = {{id, micro}, {id + 1, micro - 693'147}};
      if (!sink.on_score({i, id, micro, std::span(tops).first(std::min(top, 2u))})) break;
    }
    scored++;
    return {};
  }
  // Answers are the script again, to its end.
  Result<void> replay(const ai::Replay& replay, ai::ReplaySink& sink) override {
    if (refuse != nullptr) return fail(Errc::kFull, refuse);
    u32 most = replay.request.max_tokens, said = 0;
    for (char text : script) {
      ai::TokenId id = static_cast<u8>(text);
      sink.on_pick({id, {}});
      if (said == replay.answer.size() || id != replay.answer[said]) return {};
      sink.on_token(
          {.id = id, .text = {&text, 1}, .logprob_micro = 0, .top = {}, .logits_hash = 0});
      if (++said == most) break;
    }
    sink.on_end(said == most ? ai::FinishReason::kLength : ai::FinishReason::kStop, {}, nullptr);
    return sink.on_chunk(1, 1) ? Result<void>() : fail(Errc::kCancelled, "not wanted");
  }
  u32 running() const override { return static_cast<u32>(jobs_.size()); }

  const char* refuse = nullptr;
  u32 full_at = ~u32{0};  // tokens of prompt and answer that end it
  ai::SamplerParams last_sampling;
  Vector<ai::LogitBias> last_bias;
  bool last_slide = false;
  usize last_stops = 0, last_breakers = 0, scored = 0, after_sampling = 0;
  bool varied = false;  // seeds 0, 1 and 2 get tokens of -1000, -3000 and -2000 millionths
  String last_prompt;

 private:
  struct Job {
    ai::RequestId id = 0;
    ai::RequestSink* sink = nullptr;
    u32 prompt = 0, most = 0, logprobs = 0, said = 0;
    i32 micro = 0;
    bool prefilled = false, picks = false;
    base::Owner<ai::GrammarState> grammar;
    Vector<String> stop;
  };

  void end(usize i, ai::FinishReason reason) {
    ai::RequestSink* sink = jobs_[i].sink;
    ai::Timings t;
    t.prompt_tokens = jobs_[i].prompt;
    t.generated_tokens = jobs_[i].said;
    jobs_.erase(i);
    sink->on_end(reason, t, nullptr);
  }

  void advance(usize i) {
    Job& job = jobs_[i];
    if (!job.prefilled) {
      job.prefilled = true;
      return job.sink->on_prefill(job.prompt, job.prompt);
    }
    if (job.prompt + job.said >= full_at) return end(i, ai::FinishReason::kContextFull);
    if (job.most > 0 && job.said == job.most) return end(i, ai::FinishReason::kLength);
    if (job.grammar != nullptr ? job.grammar->finished() : job.said == script.size())
      return end(i, ai::FinishReason::kStop);
    for (u32 k = 0; k < job.stop.size(); k++)
      if (script.substr(std::min<usize>(job.said, script.size())).starts_with(job.stop[k].view())) {
        job.sink->on_stop_string(k);
        return end(i, ai::FinishReason::kStop);
      }
    ai::TokenId id = static_cast<u8>(job.said < script.size() ? script[job.said] : '"');
    // Under a grammar: the script's byte when it may come, else the first printable one.
    if (job.grammar != nullptr && !job.grammar->accept(id))
      for (id = 0x20; id < 0x7f && !job.grammar->accept(id); id++) {
      }
    job.said++;
    char text = static_cast<char>(id);
    if (job.picks) job.sink->on_pick({id, {}});
    const ai::TokenLogprob top[] = {{id, job.micro}, {id + 1, -7'500'000}};
    job.sink->on_token({.id = id,
                        .text = {&text, 1},
                        .logprob_micro = job.logprobs > 0 ? job.micro : 0,
                        .top = std::span(top).first(std::min(job.logprobs, 2u)),
                        .logits_hash = 0});
  }

  ApiTestTokenizer tokenizer_;
  base::Owner<ai::ChatTemplate> template_;
  Vector<Job> jobs_;
  ai::RequestId last_id_ = 0;
};

// A machine with one model, "tiny", or two: the engine `other` is then loaded as "other/b".
class ApiTestBackend final : public ai::openai::Backend, public ai::LeaseKeeper {
 public:
  ApiTestEngine fake, other;
  bool ready = true, other_is_current = false;
  u32 models = 1, loaded = 1;  // known; of them loaded
  u64 load_number = 7;         // of `fake`; the other's is 100
  u32 leases = 0;
  u64 now = 1'000'000'000;
  String logged, last_variables;  // of the template, as JSON
  String last_calls;              // those of the messages, as JSON
  bool knows_tools = false;

  ~ApiTestBackend() { ASSERT(leases == 0); }

  Result<ai::Lease> lease(std::string_view model) override {
    if (!ready) return fail(Errc::kNotFound, "no model is loaded");
    bool second =
        only_other || (loaded > 1 && (model == "other/b" || (model.empty() && other_is_current)));
    if (!model.empty() && model != (second ? "other/b" : "tiny"))
      return fail(Errc::kNotFound, "not loaded");
    leases++;
    return second ? ai::Lease(*this, 1, other, 100, "other/b")
                  : ai::Lease(*this, 0, fake, load_number, "tiny");
  }
  void lease_ended(u32) override { leases--; }
  Result<ai::RequestId> submit(const ai::Lease& lease, const ai::Request& request,
                               ai::RequestSink& sink) override {
    return ai::EngineAccess::of(lease).submit(request, sink);
  }
  void cancel(const ai::Lease& lease, ai::RequestId id) override {
    ai::EngineAccess::of(lease).cancel(id);
  }
  void ask(const ai::Lease& lease, ai::EngineJob& job) override { jobs_[lease.slot()].add(job); }
  void let_others_step() override { (void)fake.step(); }
  void withdraw(ai::EngineJob& job) override { ai::EngineJobs::withdraw(job); }
  bool is_loaded(u64 number) override {
    return only_other ? number == 100 : number == load_number || (number == 100 && loaded > 1);
  }
  ai::openai::EngineFigures figures() override {
    if (!ready) return {};
    return {fake.running(), fake.queued(), fake.kv_pages_total(), fake.kv_pages_used(), 0};
  }
  // One round of the engine's thread: a step and a job of each model.
  void step() {
    for (u32 i = 0; i < 2; i++) {
      ApiTestEngine& engine = i == 0 ? fake : other;
      (void)engine.step();
      (void)jobs_[i].run_one(engine);
    }
  }
  bool run_job() { return jobs_[0].run_one(fake); }
  ai::openai::LoadState load_state() override { return {ready ? "ready" : "loading", 5, 10, 700}; }
  std::string_view model_id() override { return ready ? model_row(0).name : ""; }
  std::string_view default_model() override { return only_other ? "tiny" : model_id(); }
  u32 model_count() override { return ready ? models : 0; }
  ai::openai::ModelRow model_row(u32 i) override {
    bool tiny = (i == 0) != (other_is_current || only_other);
    if (tiny) {
      ai::openai::ModelRow row{"tiny", 1000, !only_other, path};
      row.verified = verified;
      row.sha256 = file_hash;
      key_id.copy(row.key_id, sizeof row.key_id - 1);
      return row;
    }
    return {"other/b", 2000, only_other || loaded > 1};
  }
  const char* verified = nullptr;  // of "tiny"
  std::string_view key_id, path;
  const crypto::Sha256Digest* file_hash = nullptr;  // of "tiny", where it is known
  bool models_known_since(u64) override { return true; }
  const ai::openai::ModelDetails* details(std::string_view) override { return &known; }
  ai::openai::ModelDetails known;
  // A list that is read after a while.
  const Vector<ai::openai::TensorRow>* tensors(std::string_view) override {
    return tensor_polls > 0 && --tensor_polls > 0 ? nullptr : &tensor_rows;
  }
  u32 tensor_polls = 0;
  Vector<ai::openai::TensorRow> tensor_rows;
  // Names that begin with '-' are not there; the others end as the test has said, after a while.
  // What a request wants is loaded beside "tiny", or in its place where there is room for one.
  Result<u32> change_model(ai::openai::ModelChange change, std::string_view name) override {
    if (load_polls > 0) return fail(Errc::kBusy, "another model is being loaded");
    load_polls = polls_of_a_load;
    end.found = !name.starts_with('-');
    end.result = end.found ? load_result : Result<void>(fail(Errc::kNotFound, "no such model"));
    if (change == ai::openai::ModelChange::kRemove) (void)removed.assign(name);
    bool demand = change == ai::openai::ModelChange::kDemand;
    bool expire = change == ai::openai::ModelChange::kExpire;
    wanted_other = (demand && name == "other/b") || (expire && name == "tiny");
    wanted_tiny = (demand && name == "tiny") || (expire && name == "other/b");
    expired += expire ? 1 : 0;
    demands += demand ? 1 : 0;
    return ++load_numbers;
  }
  const ai::openai::LoadEnd* load_end(u32) override {
    if (load_polls > 0 && --load_polls > 0) return nullptr;
    if (end.result.has_value() && wanted_other) other_loaded(true);
    if (end.result.has_value() && wanted_tiny) other_loaded(false);
    return &end;
  }
  void other_loaded(bool yes) {
    loaded = yes && room_for_two ? 2 : 1;
    only_other = yes && !room_for_two;
    wanted_other = wanted_tiny = false;
  }
  u32 load_polls = 0, polls_of_a_load = 3, load_numbers = 0, demands = 0, expired = 0;
  bool room_for_two = true, wanted_other = false, wanted_tiny = false, only_other = false;
  Result<void> load_result;
  String removed;  // the name that was to be removed last
  ai::openai::LoadEnd end;
  // The test says how far the pull has come.
  Result<u32> pull(const ai::openai::PullWish& wish) override {
    if (pull_refusal.what != nullptr) return std::unexpected(pull_refusal);
    (void)pulled_source.assign(wish.source);
    (void)pulled_source.append(wish.ollama ? " (ollama)" : "");
    pulls++;
    return 5;
  }
  Result<ai::openai::PullState> pull_state(u32) override {
    if (pull_states.size() > 1 && pull_looks++ > 0) pull_states.erase(pull_states.begin());
    return pull_states.front();
  }
  bool stop_pull() override { return pulls > 0; }
  Error pull_refusal{Errc::kBusy, nullptr};
  std::vector<ai::openai::PullState> pull_states{{}};  // one a look; the last one stays
  u32 pulls = 0, pull_looks = 0;
  String pulled_source;
  Result<void> render(const ai::Lease& lease, const ai::openai::ChatPrompt& prompt,
                      Vector<ai::TokenId>& out, String* text, base::Writer& problem) override {
    String plain;
    base::StringWriter sink(plain);
    last_variables.clear();
    base::StringWriter variables(last_variables);
    json::Writer(variables).value(prompt.extra);
    last_calls.clear();
    base::StringWriter calls(last_calls);
    for (json::Value m : prompt.messages.elements()) {
      if (m.find("content").text() == "refuse me") {
        problem.write("roles must alternate");
        return fail(Errc::kInvalidArgument, "template");
      }
      base::format_to(sink, "{}:{}\n", m.find("role").text(), m.find("content").text());
      if (m.find("tool_calls").size() > 0) json::Writer(calls).value(m.find("tool_calls"));
    }
    if (prompt.continue_last) plain.chars().truncate(plain.size() - 1);  // the end of its line
    if (text != nullptr) TRY(text->append(plain.view()));
    return lease.tokenizer().encode(plain.view(), ai::AddSpecial::kYes, ai::ParseSpecial::kYes,
                                    out);
  }
  bool template_knows_tools(const ai::Lease&) override { return knows_tools; }
  std::string_view build() override { return "test"; }
  u64 now_ns() override { return now; }
  u64 unix_ns() override { return 1'234'000'000'000; }
  std::string_view utc(std::span<char> room, u64 ns) override {
    return base::format_into(room, "1970-01-01 00:{:02}:{:02}", ns / 60'000'000'000,
                             ns / 1'000'000'000 % 60);
  }
  u64 random() override { return random_from + ++random_; }
  u64 random_from = 0;
  u64 memory_used() override { return 1; }
  u64 memory_total() override { return 2; }
  u64 heap_bytes() override { return 3; }
  Result<void> report(base::Writer& out) override {
    out.write("all about the machine\n");
    return {};
  }
  // A file: who saves and who restores share it.
  Result<u32> save_text(ai::Engine&, std::string_view name, std::span<const ai::TokenId> tokens,
                        u64& bytes) override {
    if (name == "full") return fail(Errc::kFull, "the disk is full");
    saved.clear();
    TRY(saved.append(tokens));
    bytes = tokens.size_bytes();
    return static_cast<u32>(tokens.size());
  }
  Result<Vector<ai::TokenId>> restore_text(ai::Engine&, std::string_view name,
                                           u64& bytes) override {
    if (name == "none") return fail(Errc::kNotFound, "no such file");
    Vector<ai::TokenId> tokens;
    TRY(tokens.append(saved.view()));
    bytes = saved.size() * sizeof(ai::TokenId);
    return tokens;
  }
  Result<const crypto::Sha256Digest*> model_sha256(const ai::Lease&) override {
    if (hash_polls > 0 && --hash_polls > 0) return nullptr;
    if (hash_problem.what != nullptr) return std::unexpected(hash_problem);
    return &hash;
  }
  const crypto::Ed25519PublicKey* receipt_key() override { return has_key ? &key : nullptr; }
  Result<crypto::Ed25519Signature> sign_receipt(std::span<const Byte> message) override {
    return crypto::ed25519_sign(seed, message);
  }
  u32 hash_polls = 0;  // as often the hash is still being computed
  Error hash_problem{Errc::kUnsupported, nullptr};
  bool has_key = true;
  crypto::Sha256Digest hash{1, 2, 3};
  std::array<Byte, 32> seed{7};
  crypto::Ed25519PublicKey key = *crypto::ed25519_public_key(seed);
  Vector<ai::TokenId> saved;
  void log(std::string_view line) override {
    (void)logged.append(line);
    (void)logged.push_back('\n');
  }

 private:
  u64 random_ = 0;
  ai::EngineJobs jobs_[2];
};

class ApiTestReply final : public ai::openai::Reply {
 public:
  int status = 0;
  bool streaming = false, done = false;
  String type, headers, body;

  void respond(int code, std::string_view content_type, std::string_view text,
               std::span<const base::HttpHeader> list) override {
    begin(code, content_type, list);
    (void)body.append(text);
    done = true;
  }
  void begin_stream(int code, std::string_view content_type,
                    std::span<const base::HttpHeader> list) override {
    begin(code, content_type, list);
    streaming = true;
  }
  void send(std::string_view text) override { (void)body.append(text); }
  void end() override { done = true; }

 private:
  void begin(int code, std::string_view content_type, std::span<const base::HttpHeader> list) {
    ASSERT(status == 0);  // one answer a request
    status = code;
    (void)type.assign(content_type);
    base::StringWriter sink(headers);
    for (const base::HttpHeader& h : list) base::format_to(sink, "{}: {}\n", h.name, h.value);
  }
};
