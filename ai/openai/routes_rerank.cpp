// SPDX-License-Identifier: GPL-2.0-or-later
// /v1/rerank in the shapes that llama-server has, Jina's and that of text-embeddings-inference: how
// well each of some documents answers a query, best first.
#include <algorithm>

#include "ai/openai/messages.h"
#include "ai/openai/nine_digits.h"
#include "ai/openai/service.h"

namespace ai::openai {
namespace {

// Returns the text of a document, which is a text or an object that has one.
json::Value text_of(json::Value document) {
  return document.is_object() ? document.find("text") : document;
}

class RerankWork final : public EngineWork {
 public:
  using EngineWork::EngineWork;
  Vector<u32> seconds;     // where the document begins in each of the exchange's prompts
  json::Value documents;   // of the exchange's body
  u32 wanted_results = 0;  // the best ones
  bool raw = false;        // scores as the model gives them, not as shares of 1
  bool with_documents = false;
  bool bare = false;  // the form of Hugging Face's text-embeddings-inference: a list of scores

 private:
  // Ranks one document per piece, so that requests wait for one at most.
  Result<bool> piece(Engine& engine) override {
    usize at = ranked_.size();
    ClientWaits waits(exchange());
    RankScore score = TRY(engine.rank(exchange().prompts[at].view(), seconds[at], &waits));
    TRY(ranked_.push_back({static_cast<u32>(at), raw ? score.raw : score.share}));
    return ranked_.size() == exchange().prompts.size();
  }

  void write(base::Writer& answer) override {
    Backend& backend = exchange().service().backend();
    u64 ms = (backend.now_ns() - exchange().accepted_ns) / 1'000'000;
    u32 tokens = exchange().prompt_tokens();
    char line[120];
    backend.log(base::format_into(line, "ranked {} documents of {} tokens in {} ms", ranked_.size(),
                                  tokens, ms));
    // Equal scores keep the order of the request.
    std::ranges::sort(ranked_.view(), [](const Ranked& a, const Ranked& b) {
      return a.score != b.score ? a.score > b.score : a.index < b.index;
    });
    json::Writer w(answer);
    if (bare) return write_bare(w);
    w.begin_object().field("object", "list").field("model", exchange().lease.model());
    w.key("usage").begin_object();
    w.field("prompt_tokens", tokens).field("total_tokens", tokens).end_object();
    w.key("results").begin_array();
    for (const Ranked& one : ranked_.view().first(wanted_results)) {
      w.begin_object().field("index", one.index);
      w.field("relevance_score", nine_digits(one.score));
      if (with_documents) {
        w.key("document").begin_object();
        w.field("text", text_of(documents.at(one.index)).text()).end_object();
      }
      w.end_object();
    }
    w.end_array().end_object();
  }

  void write_bare(json::Writer& w) {
    w.begin_array();
    for (const Ranked& one : ranked_.view().first(wanted_results)) {
      w.begin_object().field("index", one.index).field("score", nine_digits(one.score));
      if (with_documents) w.field("text", text_of(documents.at(one.index)).text());
      w.end_object();
    }
    w.end_array();
  }

  struct Ranked {
    u32 index;
    float score;
  };
  Vector<Ranked> ranked_;
};

// Makes the tokens of the query with each document.
Result<void> pair_up(Exchange& exchange, std::string_view query, RerankWork& work,
                     ApiError& error) {
  for (json::Value document : work.documents.elements()) {
    json::Value text = text_of(document);
    if (!text.is_string())
      return error.bad("documents", "each of 'documents' must be a text, or an object with 'text'");
    Vector<TokenId> tokens;
    TRY(work.seconds.push_back(
        TRY(exchange.lease.tokenizer().encode_pair(query, text.text(), tokens))));
    TRY(exchange.prompts.push_back(std::move(tokens)));
  }
  return {};
}

}  // namespace

Result<void> Service::rerank(Call& call) {
  ApiError& error = call.error;
  auto exchange = TRY(new_exchange(call, *kLlamaForm));
  TRY(exchange->body_text.append(call.in.body));
  TRY(parse_body(call, exchange->body_text.view(), exchange->body));
  json::Value body = exchange->body.root();
  Lease lease = TRY(lease_for(call, body, ModelUse::kRank));
  TRY(lend(*exchange, std::move(lease)));
  std::string_view query = TRY(text_field(body, "query", error));
  if (query.empty()) return error.bad("query", "'query' must be a text");
  auto work = TRY(base::make<RerankWork>(*exchange));
  work->bare = body.find("documents").is_null() && body.find("texts").is_array();
  work->documents = body.find(work->bare ? "texts" : "documents");
  if (!work->documents.is_array() || work->documents.size() == 0 ||
      work->documents.size() > kMaxEmbedded)
    return error.bad("documents", "'documents' must be a list of 1 to {} texts", kMaxEmbedded);
  u32 count = static_cast<u32>(work->documents.size());
  i64 wanted = TRY(int_field(body, "top_n", 1, kMaxEmbedded, count, error));
  work->wanted_results = std::min(count, static_cast<u32>(wanted));
  work->raw = TRY(bool_field(body, "raw_scores", false, error));
  std::string_view returned = work->bare ? "return_text" : "return_documents";
  work->with_documents = TRY(bool_field(body, returned, false, error));
  TRY(pair_up(*exchange, query, *work, error));
  exchange->work = std::move(work);
  TRY(check_prompts(*exchange, error));
  return begin_work(call, std::move(exchange));
}

}  // namespace ai::openai
