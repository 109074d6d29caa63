// SPDX-License-Identifier: GPL-2.0-or-later
// The command `serve`: runs the API server in the foreground or in the background.
#include "console/shell/command.h"
#include "console/shell/model_use.h"
#include "service/serve/server.h"

#include "kernel/base/json.h"
#include "kernel/sched/thread.h"

namespace console {
namespace {

// Prints one line of JSON for supervisors: "ready" when requests will be answered, "listening"
// while they get 503 because there is no model. Returns whether it was "ready".
bool print_state(base::Writer& out) {
  auto model = service::engine_host().lease(service::kConsoleHolder);
  json::Writer w(out);
  w.begin_object().field("event", model.has_value() ? "ready" : "listening");
  w.field("port", service::server_port());
  if (model.has_value()) {
    w.field("model", model->model());
    w.field("context", model->info().context);
    w.field("load_ms", service::engine_host().load_ns(*model) / 1'000'000);
  }
  char text[3 * 32];
  base::BufferWriter print(text);
  service::write_server_fingerprint(print);
  if (!print.view().empty()) w.field("tls_sha256", print.view());
  w.end_object();
  out.write("\n");
  return model.has_value();
}

Result<void> run_serve(const Arguments& arguments, base::Writer& out) {
  std::string_view verb = arguments.words.size() > 1 ? arguments.words[1] : "";
  if (verb == "status") {
    service::describe_server(out);
    return {};
  }
  if (verb == "stop") {
    service::stop_server();
    return {};
  }
  if (!verb.empty() && verb != "start")
    return fail(Errc::kInvalidArgument, "serve [start|stop|status]");
  TRY(service::start_server());  // listens first: /health answers while the model loads
  ShownProgress progress(io(), "loading");
  Result<void> loaded = service::engine_host().load_default(&progress);
  if (!loaded.has_value())
    base::format_to(out, "no model: {}; requests get 503 until one is loaded\n", loaded.error());
  bool ready = print_state(out);
  if (verb == "start") return {};
  // The end of input (a service without a terminal) does not stop the server.
  while (!io().interrupted() && service::server_running()) {
    constexpr u64 kLookNs = 200'000'000;
    constexpr int kCtrlC = 3;
    int c = io().read_until(io().now_ns() + kLookNs);
    // A request may have loaded one.
    if (!ready && service::engine_host().loaded()) ready = print_state(out);
    if (c == kCtrlC) break;
    if (c >= 0) sched::sleep_ns(kLookNs);
  }
  service::stop_server();
  return {};
}

constexpr Command kServe{
    "serve", "serve [start|stop|status]", "the OpenAI-compatible API server", run_serve,
    "serve alone runs until Ctrl-C; `serve start` leaves the prompt free.\n"
    "Options: http.port= http.bind= api_key= cors= and others (`help boot`).\n"};
CONSOLE_COMMAND(kServe);

}  // namespace
}  // namespace console
