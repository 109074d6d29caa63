// SPDX-License-Identifier: GPL-2.0-or-later
// Implements exchanges and choices: tokens come in from the engine, text goes out in the API's
// form.
#include "ai/openai/exchange.h"

#include <algorithm>

#include "ai/openai/service.h"
#include "ai/text/chat_template.h"

namespace ai::openai {

// ---- choice ---------------------------------------------------------------------------------

// Keeps the first failure. If memory runs out in the middle of an answer, the answer ends with an
// error and the server goes on.
void Choice::keep(Result<void> result) {
  if (!result.has_value()) exchange_.choice_ended(*this, &result.error());
}

void Choice::on_prefill(u32 done, u32 total) {
  exchange_.prefill(*this, done, total);
}

void Choice::on_token(const TokenEvent& event) {
  if (exchange_.parameters.says_nothing) return;
  if (receipt_maker != nullptr) receipt_maker->said(event.text);
  // An event without a token has text that an earlier token began.
  if (event.id != Tokenizer::kNoToken) count_token(event);
  if (event.text.empty()) return;
  if (thoughts != nullptr) {
    keep(thoughts->feed(event.text));
    thought_tokens += thoughts->thinking() ? 1 : 0;
  } else {
    on_said(event.text);
  }
}

void Choice::on_pick(const Pick& pick) {
  if (receipt_maker != nullptr) keep(receipt_maker->picked(pick));
}

Result<void> Choice::finish_receipt(FinishReason reason) {
  Backend& backend = exchange_.service().backend();
  Receipt& receipt = receipt_maker->finish(reason, *backend.receipt_key());
  base::Wiped<String> text;
  TRY(write_signed_text(receipt, text));
  std::string_view view = text.view();
  receipt.signature =
      TRY(backend.sign_receipt({reinterpret_cast<const Byte*>(view.data()), view.size()}));
  base::StringWriter sink(receipt_text_);
  json::Writer w(sink);
  openai::write_receipt(receipt, ReceiptPart::kWhole, w);
  receipt_maker.reset();
  return sink.status();
}

void Choice::on_said(std::string_view text) {
  if (reader != nullptr)
    keep(reader->feed(text));
  else
    on_content(text);
}

void Choice::on_thought(std::string_view text) {
  bool items = exchange_.form().needs_items();
  usize begin = thought_.size();
  if (items || !exchange_.streaming()) keep(thought_.append(text));
  if (items) add_item(Item::Kind::kThought, begin, thought_.size());
  if (exchange_.streaming() && exchange_.has_reply())
    exchange_.form().thought(exchange_, *this, text);
}

// Lengthens the last item if it is of that kind; calls are always items of their own.
void Choice::add_item(Item::Kind kind, usize begin, usize end) {
  usize seen = logprobs_.size();
  if (!items_.empty() && items_.back().kind == kind && kind != Item::Kind::kCall) {
    items_.back().end = end;
    items_.back().last_logprob = seen;
    return;
  }
  usize first = items_.empty() ? 0 : items_.back().last_logprob;
  keep(items_.push_back({kind, begin, end, first, seen}));
}

void Choice::need_item() {
  if (items_.empty()) add_item(Item::Kind::kText, 0, 0);
}

std::string_view Choice::text_of(const Item& item) const {
  std::string_view all = item.kind == Item::Kind::kThought ? thought() : content();
  return all.substr(std::min(item.begin, all.size()), item.end - item.begin);
}

void Choice::count_token(const TokenEvent& event) {
  Service& service = exchange_.service();
  u64 now = service.backend().now_ns();
  if (exchange_.first_token_ns == 0) exchange_.first_token_ns = now - exchange_.accepted_ns;
  if (last_token_ns_ != 0) service.metrics().gap(now - last_token_ns_);
  if (counted_++ == 0) first_token_ns_ = now;
  last_token_ns_ = now;
  service.metrics().tokens_generated++;
  micro_sum_ += event.logprob_micro;
  if (exchange_.parameters.want_logprobs) {
    u32 first = static_cast<u32>(tops_.size());
    keep(tops_.append(event.top));
    keep(logprobs_.push_back(
        {event.id, event.logprob_micro, first, static_cast<u32>(event.top.size())}));
  }
  if (exchange_.parameters.return_tokens || index_ == 0) keep(tokens_.push_back(event.id));
}

void Choice::on_content(std::string_view text) {
  bool items = exchange_.form().needs_items();
  usize begin = content_.size();
  if (items || !exchange_.streaming()) keep(content_.append(text));
  if (items) add_item(Item::Kind::kText, begin, content_.size());
  if (exchange_.streaming() && exchange_.has_reply()) exchange_.form().text(exchange_, *this, text);
}

void Choice::on_call(std::string_view name) {
  Result<base::Owner<ToolCall>> call = base::make<ToolCall>();
  if (!call.has_value()) return keep(std::unexpected(call.error()));
  keep((*call)->name.append(name));
  base::format_into((*call)->id, "call_{:016x}", exchange_.service().backend().random());
  keep(calls_.push_back(std::move(*call)));
  if (exchange_.form().needs_items() && !calls_.empty())
    add_item(Item::Kind::kCall, calls_.size() - 1, calls_.size());
  if (exchange_.streaming() && exchange_.has_reply() && !calls_.empty())
    exchange_.form().call(exchange_, *this, *calls_.back());
}

void Choice::on_arguments(std::string_view json_text) {
  if (calls_.empty()) return;
  keep(calls_.back()->arguments.append(json_text));
  if (exchange_.streaming() && exchange_.has_reply())
    exchange_.form().arguments(exchange_, *this, json_text);
}

void Choice::on_end(FinishReason reason, const Timings& timings, const Error* error) {
  if (done_) return;
  if (thoughts != nullptr) thoughts->finish();
  if (reader != nullptr) keep(reader->finish());
  timings_ = timings;
  reason_ = reason;
  done_ = true;
  if (exchange_.parameters.says_nothing) timings_.generated_tokens = 0;
  bool failed = reason == FinishReason::kError ||
                (reason == FinishReason::kContextFull && timings.generated_tokens == 0);
  if (receipt_maker != nullptr && !failed && reason != FinishReason::kCancelled)
    keep(finish_receipt(reason));
  exchange_.choice_ended(*this, failed ? error : nullptr);
}

bool Choice::is_better(const Choice& other) const {
  i64 mine = std::max<i64>(counted_, 1), theirs = std::max<i64>(other.counted_, 1);
  return micro_sum_ * theirs > other.micro_sum_ * mine;
}

const char* Choice::finish_reason() const {
  if (reason_ == FinishReason::kLength || reason_ == FinishReason::kContextFull) return "length";
  return calls_.empty() ? "stop" : "tool_calls";
}

std::string_view Choice::stopped_by() const {
  std::span<const std::string_view> stop = exchange_.parameters.stop.view();
  return stop_string_ < stop.size() ? stop[stop_string_] : std::string_view();
}

bool Choice::truncated() const {
  u32 size = timings_.prompt_tokens + timings_.generated_tokens;
  return exchange_.truncated || (exchange_.parameters.slide && size > exchange_.context());
}

Timings Choice::running_timings() const {
  Timings t;
  t.prompt_tokens = static_cast<u32>(exchange_.prompts[prompt].size());
  t.generated_tokens = counted_;
  t.decode_ns = last_token_ns_ - first_token_ns_;
  return t;
}

// ---- work of the engine ---------------------------------------------------------------------

bool EngineWork::wanted() const {
  return exchange_.has_reply();
}

bool ClientWaits::on_read(u32, u32) {
  exchange_.service().backend().let_others_step();
  return exchange_.has_reply();
}

bool EngineWork::run(Engine& engine) {
  if (!wanted()) return false;
  Result<bool> last = piece(engine);
  if (last.has_value() && !*last) return true;
  if (!last.has_value()) result_ = std::unexpected(last.error());
  over_ = true;
  return false;
}

Result<bool> EngineWork::look(Exchange&, base::Writer& answer) {
  if (!over_ || running()) return false;
  TRY(result_);
  write(answer);
  return true;
}

// ---- exchange -------------------------------------------------------------------------------

Exchange::Exchange(Service& service, Reply& reply, const Form& form, base::Budget& bodies)
    : service_(service), form_(form), body_share_(bodies) {
  reply_.join(reply.exchange_);
}

// Cancels what is still in the engine first, then zeroes what the peer has sent.
Exchange::~Exchange() {
  if (ending_ == Ending::kNone) ending_ = Ending::kGone;  // it never began, so nothing is counted
  stop();
  base::wipe(body_text);
  base::wipe(scratch_);
  base::wipe(grammar_source.text);
  for (Vector<TokenId>& prompt : prompts) base::wipe(prompt);
  for (String& text : prompt_texts) base::wipe(text);
}

Result<void> Exchange::count_body(usize bytes) {
  if (body_share_.take(bytes)) return {};
  return fail(Errc::kFull, "the memory for requests is in use: try again later");
}

Result<void> Exchange::make_choices(ApiError& error) {
  Backend& backend = service_.backend();
  u64 random = backend.random();
  // The id of a kept answer must not be guessed, so it has nothing of the seed.
  u64 high = backend.random(), low = backend.random();
  id_ = base::format_into(id_store_, "{}{:016x}{:016x}", id_prefix, high, low);
  created_ = service_.backend().unix_ns() / 1'000'000'000;
  // The answer tells the seed, and a client may send it back. Many clients keep only 53 bits of a
  // number. One bit more is left free, because choice i adds i to the seed.
  constexpr u32 kBitsLost = 12;
  u64 seed = service_.options().seed;
  if (!parameters.seed_given) parameters.sampling.seed = seed != 0 ? seed : random >> kBitsLost;
  GrammarRef grammar = TRY(service_.make_grammar(*this, error));
  for (u32 p = 0; p < prompts.size(); p++)
    for (u32 i = 0; i < per_prompt(); i++) {
      TRY(choices_.push_back(TRY(make_choice(p, grammar))));
      choices_.back()->leads = i == 0;
    }
  answered_ = choices_.size();
  return {};
}

Result<base::Owner<Choice>> Exchange::make_choice(u32 prompt, const GrammarRef& grammar) {
  auto choice = TRY(base::make<Choice>(*this, static_cast<u32>(choices_.size())));
  choice->prompt = prompt;
  choice->grammar = grammar.share();
  if (tools.mode != ToolChoice::Mode::kNone)
    choice->reader =
        TRY(base::make<ToolCallReader>(tools.mode == ToolChoice::Mode::kRequired, *choice));
  if (parameters.split_thought && grammar.get() == nullptr)
    choice->thoughts = TRY(base::make<ThoughtReader>(prompt_opens_thought(prompt), *choice));
  return choice;
}

// Some templates begin the thought themselves.
bool Exchange::prompt_opens_thought(u32 prompt) const {
  constexpr std::string_view kOpen = "<think>", kBlanks = " \r\n\t";
  constexpr usize kTokens = 8;  // of the mark and the blanks behind it
  char room[128];
  base::BufferWriter end(room);
  std::span<const TokenId> tokens = prompts[prompt].view();
  for (TokenId id : tokens.last(std::min(tokens.size(), kTokens)))
    end.write(lease.tokenizer().is_control(id) ? lease.tokenizer().spelling(id) : token_text(id));
  std::string_view text = end.view();
  return text.substr(0, text.find_last_not_of(kBlanks) + 1).ends_with(kOpen);
}

void Exchange::start() {
  if (parameters.stream) start_stream();
  if (ending_ != Ending::kNone) return;
  if (work == nullptr) return submit_all();
  if (EngineJob* job = work->job(); job != nullptr)
    service_.backend().ask(lease, *job);
  else
    look_at_work();
}

void Exchange::start_stream() {
  Reply* reply = reply_.get();
  if (reply == nullptr) return;
  ReplyHeaders headers(service_.backend(), origin.view());
  if (tells_context) headers.add_context(context());
  reply->begin_stream(200, form_.stream_type(), headers.view());
  stream_open_ = true;
  last_send_ns_ = service_.backend().now_ns();
  form_.begin(*this);
}

void Exchange::submit_all() {
  for (base::Owner<Choice>& choice : choices_) {
    if (ending_ != Ending::kNone) return;
    if (parameters.says_nothing && !scores.empty()) {  // the prompt has been read
      Timings t;
      t.prompt_tokens = static_cast<u32>(prompts[choice->prompt].size());
      choice->on_end(FinishReason::kLength, t, nullptr);
      continue;
    }
    Result<void> taken = submit(*choice);
    if (!taken.has_value()) return fail_with(taken.error());
  }
}

Result<void> Exchange::submit(Choice& choice) {
  Request request;
  request.prompt = prompts[choice.prompt].view();
  request.sampling = parameters.sampling;
  // Each choice for a prompt has its own seed. The first one's answer is the one that this prompt
  // alone would get.
  request.sampling.seed += choice.index() % per_prompt();
  request.bias = parameters.bias.view();
  request.max_tokens = parameters.says_nothing ? 1 : parameters.max_tokens;
  request.stop = parameters.stop.view();
  request.ignore_end = parameters.ignore_end;
  bool compares = per_prompt() > parameters.n;
  request.logprobs = parameters.want_logprobs || compares ? std::max(parameters.logprobs, 1u) : 0;
  request.grammar = choice.grammar.get();
  request.slide = parameters.slide;
  request.cache_prompt = parameters.cache_prompt;
  request.report_picks = parameters.receipt;
  request.after_sampling = parameters.after_sampling;
  request.dry_breakers = parameters.dry_breakers.view();
  if (parameters.receipt) choice.receipt_maker = TRY(make_receipt(request));
  // The other choices of a prompt share the pages that the first one has read.
  const Choice& first = *choices_[choice.index() / per_prompt() * per_prompt()];
  if (&first != &choice && !first.done()) request.fork_of = first.id;
  choice.id = TRY(service_.backend().submit(lease, request, choice));
  choice.submitted = true;
  return {};
}

// Notes what the engine is asked for. The text of the grammar is in grammar_source.
Result<base::Owner<ReceiptMaker>> Exchange::make_receipt(const Request& request) {
  const ModelInfo& info = lease.info();
  Receipt r;
  TRY(r.model.assign(lease.model()));
  r.model_sha256 = model_sha256;
  r.fingerprint = info.fingerprint;
  r.cache = info.kv_type;
  r.context = info.context;
  if (const ChatTemplate* chat = lease.chat_template(); chat != nullptr) {
    r.has_template = true;
    r.template_sha256 = crypto::sha256(chat->source());
  }
  TRY(r.prompt.append(request.prompt));
  r.sampling = request.sampling;
  for (std::string_view breaker : request.dry_breakers)
    TRY(r.dry_breakers.push_back(TRY(String::from(breaker))));
  TRY(r.bias.append(request.bias));
  r.max_tokens = request.max_tokens;
  r.ignore_end = request.ignore_end;
  for (std::string_view stop : request.stop) TRY(r.stop.push_back(TRY(String::from(stop))));
  r.grammar.kind = grammar_source.kind;
  TRY(r.grammar.text.assign(grammar_source.text.view()));
  return ReceiptMaker::create(std::move(r));
}

void Exchange::gone() {
  reply_.part();
  if (settle(Ending::kGone)) stop();
}

// Cancels what is left in the engine, because the peer has closed the connection or the answer has
// failed.
void Exchange::stop() {
  Backend& backend = service_.backend();
  for (base::Owner<Choice>& choice : choices_)
    if (choice->submitted && !choice->done()) backend.cancel(lease, choice->id);
  if (work != nullptr && work->job() != nullptr) backend.withdraw(*work->job());
}

// Sets how the exchange ended. This is the only place that does so and counts it. Returns false if
// it has ended already.
bool Exchange::settle(Ending ending) {
  if (ending_ != Ending::kNone) return false;
  ending_ = ending;
  service_.count(ending);
  return true;
}

bool Exchange::finished() const {
  if (ending_ == Ending::kNone) return false;
  for (const base::Owner<Choice>& choice : choices_)
    if (choice->submitted && !choice->done()) return false;
  const EngineJob* job = work == nullptr ? nullptr : work->job();
  return job == nullptr || (!job->waiting() && !job->running());
}

void Exchange::look_at_work() {
  scratch_.clear();
  base::StringWriter sink(scratch_);
  Result<bool> done = work->look(*this, sink);
  if (done.has_value() && !sink.status().has_value()) done = std::unexpected(sink.status().error());
  if (!done.has_value()) return fail_with(done.error());
  if (!*done) return;
  if (!scratch_.empty()) return answer(scratch_.view());
  work.reset();
  submit_all();
}

void Exchange::choice_ended(Choice& choice, const Error* error) {
  if (ending_ != Ending::kNone) return;
  if (error != nullptr) return fail_with(*error);
  if (!choice.done()) return;
  if (streaming()) form_.end_choice(*this, choice);
  if (++ended_ < choices_.size() || ending_ != Ending::kNone) return;
  finish();
}

void Exchange::finish() {
  if (!has_reply()) return gone();
  if (per_prompt() > parameters.n) choose_best();
  if (store) store = service_.keep_response(*this);
  if (ending_ != Ending::kNone) return;
  if (streaming()) {
    form_.end(*this);
  } else {
    scratch_.clear();
    base::StringWriter sink(scratch_);
    json::Writer w(sink);
    form_.whole(*this, w);
    if (!sink.status().has_value()) return fail_with(sink.status().error());
  }
  if (ending_ != Ending::kNone) return;
  service_.log_done(*this);
  answer(scratch_.view());
}

// Brings the n best choices of each prompt to the front. The others stay until the exchange ends,
// because this may run inside one of them.
void Exchange::choose_best() {
  auto better = [](const auto& a, const auto& b) { return a->is_better(*b); };
  answered_ = 0;
  for (usize begin = 0; begin < choices_.size(); begin += per_prompt()) {
    auto first = choices_.begin() + begin;
    for (u32 taken = 0; taken < parameters.n; taken++) {
      // A tie goes to the one that was begun first.
      auto best = std::min_element(first + taken, first + per_prompt(), better);
      std::rotate(first + taken, best, best + 1);
      std::swap(choices_[answered_], first[taken]);
      choices_[answered_]->set_index(static_cast<u32>(answered_));
      answered_++;
    }
  }
}

// Sends the end of a stream, or the whole answer.
void Exchange::answer(std::string_view json_text) {
  Reply* reply = reply_.get();
  if (reply == nullptr) return gone();
  settle(Ending::kAnswered);
  reply_.part();
  if (stream_open_) return reply->end();
  ReplyHeaders headers(service_.backend(), origin.view());
  if (tells_context) headers.add_context(context());
  reply->respond(200, "application/json", json_text, headers.view());
}

void Exchange::describe_failure(const Error& error, ApiError& out) {
  bool generating = work == nullptr || !choices_.empty();
  if (generating && error.code == Errc::kContextFull)
    service_.context_error(*this, static_cast<u32>(prompts[0].size()), out);
  else if (generating && (error.code == Errc::kCorrupt || error.code == Errc::kNotFound))
    (void)out.refuse(500, "server_error", "generation_failed", "{}", error.what);
  else if (work != nullptr)
    work->refuse(error, out);
  else
    out.take(error);
}

// The service's next tick() cancels the other choices, because this may run inside the engine.
void Exchange::fail_with(const Error& error) {
  if (!settle(Ending::kFailed)) return;
  ApiError api;
  describe_failure(error, api);
  service_.log_failed(*this, error);
  Reply* reply = reply_.get();
  if (reply == nullptr) return;
  if (stream_open_) form_.error(*this, api);
  reply_.part();
  if (stream_open_)
    reply->end();
  else
    service_.respond_error({*reply, origin.view()}, api, error_form);
}

void Exchange::prefill(Choice& choice, u32 done, u32 total) {
  prefill_done_ = done;
  prefill_total_ = total;
  if (parameters.return_progress && stream_open_ && has_reply())
    form_.progress(*this, choice, done, total);
}

void Exchange::tick(u64 now_ns) {
  if (ending_ == Ending::kNone && !has_reply()) return gone();
  if (ending_ != Ending::kNone) return stop();
  if (work != nullptr) return look_at_work();
  if (!stream_open_ || now_ns - last_send_ns_ < service_.options().heartbeat_ns) return;
  char room[64];
  std::string_view sign = form_.heartbeat(room, prefill_done_, prefill_total_);
  if (!sign.empty()) send_text(sign);
}

void Exchange::send_text(std::string_view text) {
  Reply* reply = reply_.get();
  if (reply == nullptr) return;
  last_send_ns_ = service_.backend().now_ns();
  reply->send(text);
}

// Sends the event unless memory ran out while it was written: a client must not get half an event,
// so it gets the error.
void Exchange::end_event(const Result<void>& written) {
  if (written.has_value())
    send_text(scratch_.view());
  else
    fail_with(written.error());
}

std::string_view Exchange::fingerprint() const {
  return memory == nullptr ? std::string_view("fp_none") : memory->fingerprint_text();
}

u32 Exchange::total_generated() const {
  u32 sum = 0;
  for (const base::Owner<Choice>& c : choices_) sum += c->timings().generated_tokens;
  return sum;
}

u32 Exchange::thought_tokens() const {
  u32 sum = 0;
  for (const base::Owner<Choice>& c : choices_) sum += c->thought_tokens;
  return sum;
}

u32 Exchange::prompt_tokens() const {
  u32 sum = 0;
  for (const Vector<TokenId>& p : prompts) sum += static_cast<u32>(p.size());
  return sum;
}

u32 Exchange::cached_tokens() const {
  u32 sum = 0;
  for (const base::Owner<Choice>& c : choices_)
    if (c->leads) sum += c->timings().cached_tokens;
  return sum;
}

}  // namespace ai::openai
