// SPDX-License-Identifier: GPL-2.0-or-later
// Sends any body to any endpoint: there must be an answer, and no request may be left in progress.
#include "tests/hosted/ai/openai/fake_backend.h"

extern "C" int LLVMFuzzerTestOneInput(const u8* data, usize size) {
  static constexpr std::string_view kPaths[] = {"/v1/chat/completions",
                                                "/v1/completions",
                                                "/completion",
                                                "/v1/responses",
                                                "/v1/messages",
                                                "/tokenize",
                                                "/detokenize",
                                                "/v1/messages/count_tokens",
                                                "/apply-template",
                                                "/chat",
                                                "/v1/models/x",
                                                "/v1/embeddings",
                                                "/slots/1",
                                                "/api/chat",
                                                "/api/generate",
                                                "/api/embed",
                                                "/api/embeddings",
                                                "/api/show",
                                                "/infill",
                                                "/v1/receipts/verify"};
  if (size < 2) return 0;
  ApiTestBackend backend;
  ai::openai::ServiceOptions options;
  options.open = true;
  options.admin = ai::openai::AdminRoutes::kOpen;
  auto service = std::move(*ai::openai::Service::create(std::move(options), backend));
  std::string_view text(reinterpret_cast<const char*>(data) + 2, size - 2);
  backend.fake.script = text.substr(0, 60);
  backend.models = 1 + data[1] / 128;  // a second one that is not loaded
  const base::HttpHeader headers[] = {
      {"Host", "localhost"},
      {"Content-Type", data[1] % 4 == 0 ? "text/plain" : "application/json"}};
  ApiTestReply reply;
  service->handle({.method = "POST",
                   .path = kPaths[data[0] % std::size(kPaths)],
                   .query = data[1] % 8 == 0 ? text : "",
                   .headers = headers,
                   .body = text},
                  "fuzz", reply);
  for (u32 i = 0; i < 300 && !service->idle(); i++) {
    backend.step();
    service->tick();
  }
  ASSERT(reply.done || !service->idle());
  ASSERT(reply.status != 0 && reply.status < 500);
  return 0;
}
