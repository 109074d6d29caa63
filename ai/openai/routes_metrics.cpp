// SPDX-License-Identifier: GPL-2.0-or-later
// /metrics: Prometheus text, after the four lines that SwiftOS's llmd has, or one JSON object.
#include "ai/attention/attend.h"
#include "ai/openai/service.h"

namespace ai::openai {
namespace {

constexpr u64 kNsPerSecond = 1'000'000'000;

struct Row {
  std::string_view name;
  const char* type;
  base::Decimal value;
};

base::Decimal whole(u64 value) {
  return {static_cast<i64>(value), 0};
}

struct Rows {
  StaticVector<Row, 32> list;
  void add(std::string_view name, const char* type, base::Decimal value) {
    ASSERT(list.push_back({name, type, value}));
  }
  void counter(std::string_view name, u64 value) { add(name, "counter", whole(value)); }
  void gauge(std::string_view name, u64 value) { add(name, "gauge", whole(value)); }
};

void write_prometheus(const Metrics& m, const Rows& rows, base::Writer& out) {
  base::format_to(out, "requests {}\ntokens_total {}\nlast_ttft_ms {}\nlast_tok_s {}\n", m.answered,
                  m.tokens_generated, m.last_ttft_ms, m.last_tok_s);
  for (const Row& row : rows.list)
    base::format_to(out, "# TYPE {} {}\n{} {}\n", row.name, row.type, row.name, row.value);
  m.ttft.write(out, "marrow_time_to_first_token_seconds", "From the request to its first token.");
  m.gaps.write(out, "marrow_inter_token_seconds", "Between two tokens of one answer.");
}

void write_json(const Metrics& m, const Rows& rows, base::Writer& out) {
  json::Writer w(out);
  w.begin_object();
  w.field("last_ttft_ms", m.last_ttft_ms).field("last_tok_s", m.last_tok_s);
  for (const Row& row : rows.list) w.field(row.name, row.value);
  w.end_object();
}

}  // namespace

void Histogram::write(base::Writer& out, std::string_view name, std::string_view help) const {
  base::format_to(out, "# HELP {} {}\n# TYPE {} histogram\n", name, help, name);
  u64 below = 0;
  for (usize i = 0; i < std::size(kLatencyBounds); i++) {
    below += buckets[i];
    base::format_to(out, "{}_bucket{{le=\"{}\"}} {}\n", name,
                    base::ratio(kLatencyBounds[i], 1'000'000, 3), below);
  }
  base::format_to(out, "{}_bucket{{le=\"+Inf\"}} {}\n", name, count);
  base::format_to(out, "{}_sum {}\n{}_count {}\n", name, base::ratio(sum_us, 1'000'000, 6), name,
                  count);
}

Result<void> Service::metrics_page(Call& call) {
  const Metrics& m = metrics_;
  EngineFigures now = backend_.figures();
  u64 running = now.running, queued = now.queued;
  u64 pages = now.kv_pages_total, used = now.kv_pages_used;
  Rows rows;
  rows.counter("marrow_requests_total", m.requests);
  rows.counter("marrow_requests_answered_total", m.answered);
  rows.counter("marrow_requests_failed_total", m.failed);
  rows.counter("marrow_requests_refused_total", m.refused);
  rows.counter("marrow_requests_disconnected_total", m.gone);
  rows.counter("marrow_tokens_generated_total", m.tokens_generated);
  rows.counter("marrow_prompt_tokens_total", m.prompt_tokens);
  rows.counter("marrow_cached_tokens_total", m.cached_tokens);
  rows.gauge("marrow_requests_running", running);
  rows.gauge("marrow_requests_queued", queued);
  rows.gauge("marrow_kv_pages", pages);
  rows.gauge("marrow_kv_pages_used", used);
  rows.gauge("marrow_responses_kept", responses_.count());
  rows.gauge("marrow_responses_bytes", responses_.bytes());
  rows.gauge("marrow_memory_used_bytes", backend_.memory_used());
  rows.gauge("marrow_heap_bytes", backend_.heap_bytes());
  rows.gauge("marrow_uptime_seconds", backend_.now_ns() / kNsPerSecond);
  u64 read = m.prompt_tokens - std::min(m.prompt_tokens, m.cached_tokens);
  rows.counter("llamacpp:prompt_tokens_total", read);
  rows.counter("llamacpp:prompt_tokens_cached_total", m.cached_tokens);
  rows.add("llamacpp:prompt_seconds_total", "counter", base::ratio(m.prefill_ns, kNsPerSecond, 6));
  rows.counter("llamacpp:tokens_predicted_total", m.tokens_generated);
  rows.add("llamacpp:tokens_predicted_seconds_total", "counter",
           base::ratio(m.decode_ns, kNsPerSecond, 6));
  rows.gauge("llamacpp:requests_processing", running);
  rows.gauge("llamacpp:requests_deferred", queued);
  rows.add("llamacpp:prompt_tokens_seconds", "gauge",
           base::ratio(read * kNsPerSecond, m.prefill_ns, 3));
  rows.add("llamacpp:predicted_tokens_seconds", "gauge",
           base::ratio(m.decoded_tokens * kNsPerSecond, m.decode_ns, 3));
  rows.add("llamacpp:kv_cache_usage_ratio", "gauge", base::ratio(used, pages, 4));
  rows.gauge("llamacpp:kv_cache_tokens", used * kPagePositions);
  bool as_json = call.in.header("accept").starts_with("application/json");
  String body;
  base::StringWriter out(body);
  if (as_json)
    write_json(m, rows, out);
  else
    write_prometheus(m, rows, out);
  TRY(out.status());
  respond(call.to(), 200, as_json ? "application/json" : "text/plain; version=0.0.4; charset=utf-8",
          body.view());
  return {};
}

}  // namespace ai::openai
