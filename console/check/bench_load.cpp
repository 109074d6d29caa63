// SPDX-License-Identifier: GPL-2.0-or-later
// `benchload`: sends the engine the requests that clients of the API server would send. The
// difference to the server's speed is the cost of HTTP, JSON and TCP.
#include <algorithm>

#include "console/check/bench.h"
#include "console/shell/command.h"
#include "kernel/time/clock.h"

namespace console {
namespace {

// One of several clients, each of which makes requests one after another.
struct Place final : ai::RequestSink {
  void on_prefill(u32, u32) override {}
  void on_token(const ai::TokenEvent&) override {}
  void on_end(ai::FinishReason why, const ai::Timings& timings, const Error*) override {
    failed = why == ai::FinishReason::kError;
    tokens += timings.generated_tokens;
    idle = true;
  }
  bool idle = true, failed = false;
  u64 tokens = 0;
  // last, so that its destructor cancels the request while the rest still exists
  service::HeldRequest held;
};

struct Load {
  u32 requests, together, prompt, generate;
};

// Fills a prompt with tokens from the middle of the vocabulary, since the few special ones are at
// its ends. tests/bench/http_load.cpp writes the same prompts.
Result<void> fill_prompt(u32 vocabulary, u32 number, std::span<ai::TokenId> out) {
  u32 half = vocabulary / 2;
  if (half < 2) return fail(Errc::kUnsupported, "the vocabulary is too small");
  for (u32 i = 0; i < out.size(); i++)
    out[i] = static_cast<ai::TokenId>(half / 2 + (u64{number} * 7919 + u64{i} * 31) % half);
  return {};
}

Result<void> ask(const ai::Lease& model, Place& place, const Load& load, u32 number) {
  Vector<ai::TokenId> tokens;
  TRY(tokens.resize(load.prompt));
  TRY(fill_prompt(model.tokenizer().size(), number, tokens.view()));
  ai::Request request;
  request.prompt = tokens.view();
  request.max_tokens = load.generate;
  request.ignore_end = true;
  request.cache_prompt = false;
  place.held = TRY(service::HeldRequest::submit(model, request, place));
  place.idle = false;
  return {};
}

Result<void> run(const ai::Lease& model, const Load& load, std::span<Place> places) {
  u32 asked = 0;
  Result<void> result;
  TRY(wait_until(io(), [&] {
    bool all_idle = true;
    for (Place& place : places) {
      if (place.failed) result = fail(Errc::kIo, "a request failed");
      if (!result.has_value()) return true;
      if (place.idle && asked < load.requests) result = ask(model, place, load, asked++);
      all_idle = all_idle && place.idle;
    }
    return all_idle;
  }));
  return result;
}

Result<void> run_load(const Arguments& arguments, base::Writer& out) {
  u64 numbers[4] = {640, 64, 16, 16};
  for (usize i = 0; i < std::size(numbers); i++)
    numbers[i] = std::clamp<u64>(TRY(number_at(arguments, i + 1, numbers[i])), 1, 1'000'000);
  const Load load{static_cast<u32>(numbers[0]), static_cast<u32>(numbers[1]),
                  static_cast<u32>(numbers[2]), static_cast<u32>(numbers[3])};
  ai::Lease model = TRY(use_model(service::kBenchHolder, io()));
  Vector<Place> places;
  TRY(places.resize(load.together));
  u64 start = timing::now_ns();
  TRY(run(model, load, places.view()));
  u64 taken = timing::now_ns() - start, tokens = 0;
  for (const Place& place : places) tokens += place.tokens;
  constexpr u64 kNsPerSecond = 1'000'000'000;
  base::format_to(
      out, "load: {} requests, {} at once, {} + {} tokens: {} s, {} requests/s, {} tok/s\n",
      load.requests, load.together, load.prompt, load.generate, base::ratio(taken, kNsPerSecond, 2),
      base::ratio(load.requests * kNsPerSecond, taken, 2),
      base::ratio(tokens * kNsPerSecond, taken, 1));
  return {};
}

constexpr Command kLoad{
    "benchload", "benchload [requests [at once [prompt [tokens]]]]",
    "measures the engine alone under a server's load", run_load,
    "Runs that many requests, so many at once, each with its own prompt: the load that\n"
    "tests/system/http_load.py sends over HTTP. By default 640 requests, 64 at once, 16 + 16\n"
    "tokens. The boot option requests= sets how many of them share a step."};
CONSOLE_COMMAND(kLoad);

}  // namespace
}  // namespace console
