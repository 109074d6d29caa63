// SPDX-License-Identifier: GPL-2.0-or-later
// Starts and stops the API server and runs its two threads. "http" moves bytes between sockets and
// the service whenever a socket or the engine has news. "http-files" does what waits for a disk:
// the list of models and the key file. Answers are computed by the engine's own thread
// (service/engine_host.h), which lets "http" run in the middle of a step, so health checks and new
// requests never wait for a long prompt.
#include "service/serve/server.h"

#include <algorithm>

#include "kernel/log.h"
#include "kernel/net/network_list.h"
#include "kernel/net/stack.h"
#include "kernel/net/tls/secure_socket.h"
#include "kernel/options.h"
#include "kernel/sched/thread.h"
#include "kernel/time/clock.h"
#include "service/receipts.h"
#include "service/serve/backend.h"
#include "service/serve/client.h"
#include "service/serve/keys.h"
#include "service/serve/page.h"
#include "service/serve/tls.h"

namespace service {
namespace {

constexpr Option kPort{"http.port", OptionKind::kNumber, "8080", "0..65535",
                       "port of the API server; 0 = any free one"};
constexpr Option kOllamaPort{"ollama.port", OptionKind::kNumber, "0", "0..65535",
                             "a second port for programs that look for Ollama at 11434; 0 = none"};
constexpr Option kAnyModel{
    "model.any", OptionKind::kFlag, "", "",
    "a request for a model that there is not is answered by the default one"};
constexpr Option kAliases{"models.alias", OptionKind::kText, "", "NAME=MODEL[,NAME=MODEL]",
                          "more names by which requests may call models, and lists show them"};
constexpr Option kOllamaTruncate{
    "ollama.truncate", OptionKind::kFlag, "", "",
    "Ollama's routes drop the oldest of what is too long, unless a request forbids it"};
constexpr Option kUnloadIdle{
    "models.unload", OptionKind::kFlag, "", "",
    "unload models that nobody has asked for as long as models.keep_alive"};
constexpr Option kKeepAlive{"models.keep_alive", OptionKind::kText, "-1", "TIME",
                            "how long that is: seconds, 90s, 1h30m; -1 = for ever"};
constexpr Option kBind{"http.bind", OptionKind::kText, "", "ADDRESS",
                       "address to listen on; without a key 127.0.0.1 only, unless auth=none"};
constexpr Option kHosts{"http.host", OptionKind::kText, "", "NAME[,NAME]",
                        "more host names that a server without a key answers to"};
constexpr Option kKeys{"api_key", OptionKind::kText, "", "KEY[,KEY]",
                       "keys, one of which a request must carry; stored as hashes"};
constexpr Option kAdminKeys{"admin_key", OptionKind::kText, "", "KEY[,KEY]",
                            "keys for loading and unloading models, and for slots"};
constexpr Option kAdmin{"admin", OptionKind::kChoice, "key", "key|open|closed",
                        "who may load models and write slots: admin keys, every client, nobody"};
constexpr Option kAuth{"auth", OptionKind::kChoice, "key", "key|none",
                       "none: requests over the network need no key"};
constexpr Option kCors{"cors", OptionKind::kText, "", "ORIGIN[,ORIGIN]|localhost|*",
                       "web pages of other origins that may call the API"};
constexpr Option kConnections{"http.connections", OptionKind::kNumber, "64", "1..1024",
                              "connections at once"};
constexpr Option kHeadKb{"http.head_kb", OptionKind::kNumber, "16", "1..256",
                         "largest head of a request in KiB"};
constexpr Option kBodyMb{"http.body_mb", OptionKind::kNumber, "16", "1..1024",
                         "largest body of a request in MiB"};
constexpr Option kBodiesMb{"http.bodies_mb", OptionKind::kNumber, "0", "0..1048576",
                           "memory for the bodies of all requests in MiB; 0 = four of the largest"};
constexpr Option kResponsesMb{
    "responses.mb", OptionKind::kNumber, "16", "0..65536",
    "memory for answers of /v1/responses that requests may go on from, in MiB; 0 = none is kept"};
constexpr Option kIdle{"http.idle", OptionKind::kNumber, "75", "1..3600",
                       "seconds that a connection may be idle between requests"};
constexpr Option kHeadTime{"http.head_time", OptionKind::kNumber, "10", "1..3600",
                           "seconds that the head of a request may take"};
constexpr Option kBodyTime{"http.body_time", OptionKind::kNumber, "20", "1..3600",
                           "seconds that each 64 KiB of a body may take"};
constexpr Option kHeartbeat{"http.heartbeat_ms", OptionKind::kNumber, "4000", "10..600000",
                            "milliseconds of silence in a stream before progress is sent"};
constexpr Option kQueue{"http.queue", OptionKind::kNumber, "64", "1..4096",
                        "requests running and waiting; more get 429"};
constexpr Option kRate{"http.rate", OptionKind::kNumber, "0", "0..100000",
                       "requests a second; 0 = no limit"};
constexpr Option kClientRate{"http.client_rate", OptionKind::kNumber, "0", "0..100000",
                             "requests a second from one address; 0 = no limit"};
constexpr Option kClientRequests{"http.client_requests", OptionKind::kNumber, "0", "0..4096",
                                 "requests from one address at once; 0 = no limit"};
constexpr Option kClientConnections{"http.client_connections", OptionKind::kNumber, "0", "0..1024",
                                    "connections from one address at once; 0 = no limit"};
constexpr Option kAllow{"http.allow", OptionKind::kText, "", "NETWORK[,NETWORK]",
                        "networks that may connect: 10.0.0.0/8,fe80::/10; all by default"};
constexpr Option kLogForm{"http.log", OptionKind::kChoice, "text", "text|json",
                          "the form of the line for each request"};
constexpr Option kMaxTokens{"http.max_tokens", OptionKind::kNumber, "0", "0..1000000",
                            "longest answer in tokens if the request sets none; 0 = no limit"};
constexpr Option kTokenLimit{"http.token_limit", OptionKind::kNumber, "0", "0..1000000",
                             "longest answer in tokens, whatever its request says; 0 = no limit"};
constexpr Option kSeed{"http.seed", OptionKind::kNumber, "0", "0..9007199254740991",
                       "seed of requests that have none; 0 = a random one for each"};
constexpr Option kSampling{"http.sampling", OptionKind::kText, "", "NAME=NUMBER[,NAME=NUMBER]",
                           "sampling of requests that do not say it, by the names of their fields: "
                           "temperature=0.7,top_k=20"};
constexpr Option kShift{"http.context_shift", OptionKind::kFlag, "", "",
                        "at a full context, answers go on and the oldest tokens are dropped"};
constexpr Option kThink{"http.think", OptionKind::kChoice, "yes", "yes|no",
                        "no: models do not think before they answer unless a request wants it"};
KERNEL_OPTION(kPort);
KERNEL_OPTION(kOllamaPort);
KERNEL_OPTION(kAnyModel);
KERNEL_OPTION(kAliases);
KERNEL_OPTION(kOllamaTruncate);
KERNEL_OPTION(kUnloadIdle);
KERNEL_OPTION(kKeepAlive);
KERNEL_OPTION(kBind);
KERNEL_OPTION(kHosts);
KERNEL_OPTION(kKeys);
KERNEL_OPTION(kAdminKeys);
KERNEL_OPTION(kAdmin);
KERNEL_OPTION(kAuth);
KERNEL_OPTION(kCors);
KERNEL_OPTION(kConnections);
KERNEL_OPTION(kHeadKb);
KERNEL_OPTION(kBodyMb);
KERNEL_OPTION(kBodiesMb);
KERNEL_OPTION(kResponsesMb);
KERNEL_OPTION(kIdle);
KERNEL_OPTION(kHeadTime);
KERNEL_OPTION(kBodyTime);
KERNEL_OPTION(kHeartbeat);
KERNEL_OPTION(kQueue);
KERNEL_OPTION(kRate);
KERNEL_OPTION(kClientRate);
KERNEL_OPTION(kClientRequests);
KERNEL_OPTION(kClientConnections);
KERNEL_OPTION(kAllow);
KERNEL_OPTION(kLogForm);
KERNEL_OPTION(kMaxTokens);
KERNEL_OPTION(kTokenLimit);
KERNEL_OPTION(kSeed);
KERNEL_OPTION(kSampling);
KERNEL_OPTION(kShift);
KERNEL_OPTION(kThink);

// The longest time between two looks at time limits, heartbeats and a changed model: while requests
// are being answered, while clients are connected, and without clients.
constexpr u64 kTickNs = 100'000'000, kCalmNs = 500'000'000, kRestNs = 2'000'000'000;
constexpr u64 kNsPerSecond = 1'000'000'000;
// for schemas and templates, which recurse within their limits
constexpr usize kStackBytes = 256 * 1024;

void wake_network_thread();
void wake_files_thread();
void hear_engine();

// The running server. start_server() allocates it, and drop_server() destroys it after both threads
// have ended. Its fields belong to the thread "http", except for what backend and service allow
// others.
struct Server {
  base::Owner<net::tls::Server> tls;             // null: plain text only; outlives the clients
  Vector<base::Owner<net::Listener>> listeners;  // the first has http.port
  base::Budget bodies;                           // outlives whoever keeps one
  ServeBackend backend{wake_network_thread, wake_files_thread};
  base::Owner<ai::openai::Service> service;
  Vector<base::Owner<ServeClient>> clients;
  KeyFile key_file;
  net::NetworkList allowed;  // empty: everybody may connect
  net::HttpLimits limits;
  net::HttpTimes times;
  bool stopping = false;
  // threads that still use this object
  u32 threads = 0;
  u64 model_changes = 0;  // of the host, as they were noticed
};

// There is at most one server; null means none.
constinit Server* server = nullptr;
constinit sched::WaitQueue network_news, files_news, server_ended;
// The reason why the thread "http" was woken. It clears a flag before it looks, so news that arrive
// while it works are not lost.
constinit bool sockets_have_news = false, engine_has_news = false;
constinit bool files_have_news = false;  // the thread "http-files" is to look again

void wake_network_thread() {
  sockets_have_news = true;
  network_news.wake_all();
}

void wake_files_thread() {
  files_have_news = true;
  files_news.wake_all();
}

void hear_engine() {
  engine_has_news = true;
  network_news.wake_all();
}

// Drops the client that has kept the server waiting longest to make room for a new one, so
// connections that send nothing, or send it slowly, cannot keep others out. Returns false if every
// client is being answered.
bool make_room(Server& s) {
  if (s.clients.size() < options::number(kConnections)) return true;
  usize oldest = 0;
  for (usize i = 1; i < s.clients.size(); i++)
    if (s.clients[i]->waiting_since() < s.clients[oldest]->waiting_since()) oldest = i;
  if (s.clients[oldest]->waiting_since() == ~u64{0}) return false;
  s.clients.erase(oldest);
  return true;
}

// Returns true if this address may open one more connection. A refused peer is not told the reason.
bool may_connect(const Server& s, std::string_view peer) {
  std::string_view host = net::host_of(peer);
  if (!s.allowed.empty()) {
    Result<net::IpAddress> address = net::parse_address(host);
    if (!address.has_value() || !s.allowed.contains(*address)) return false;
  }
  u64 most = options::number(kClientConnections), have = 0;
  for (const base::Owner<ServeClient>& c : s.clients) have += net::host_of(c->peer()) == host;
  return most == 0 || have < most;
}

Result<void> add_client(Server& s, base::Owner<net::Socket> socket, u64 now) {
  if (s.tls != nullptr)
    socket = TRY(base::make<net::tls::SecureSocket>(std::move(socket), *s.tls, timing::now_ns,
                                                    now + s.times.head_ns));
  return s.clients.push_back(TRY(base::make<ServeClient>(std::move(socket), *s.service, s.limits,
                                                         s.times, s.bodies, now, tls_required())));
}

void accept_clients_of(Server& s, net::Listener& listener, u64 now) {
  for (;;) {
    // A client is dropped only after another was accepted, so for a moment there is one more than
    // allowed.
    bool full = s.clients.size() >= options::number(kConnections);
    if (full && std::all_of(s.clients.begin(), s.clients.end(),
                            [](const auto& client) { return client->waiting_since() == ~u64{0}; }))
      return;
    Result<base::Owner<net::Socket>> socket = listener.accept();
    if (!socket.has_value()) {
      if (socket.error().code != Errc::kBusy) log::warn("http", "accept: {}", socket.error());
      return;
    }
    if (!may_connect(s, (*socket)->peer())) continue;
    if (!make_room(s)) return;
    Result<void> kept = add_client(s, std::move(*socket), now);
    if (!kept.has_value()) log::warn("http", "a client was turned away: {}", kept.error());
  }
}

void accept_clients(Server& s, u64 now) {
  for (base::Owner<net::Listener>& listener : s.listeners) accept_clients_of(s, *listener, now);
}

// Accepts, reads and writes on every socket that is ready. Returns true if anything was done.
bool pump_clients(Server& s) {
  u64 now = timing::now_ns();
  accept_clients(s, now);
  bool moved = false;
  for (usize i = s.clients.size(); i-- > 0;) {
    moved |= s.clients[i]->pump(now);
    if (s.clients[i]->finished()) s.clients.erase(i);
  }
  return moved;
}

void end_thread(Server& s) {
  s.threads--;
  server_ended.wake_all();
}

// Returns how long the thread may sleep before it must check time limits and heartbeats, if there
// is no news.
u64 pause(const Server& s) {
  if (!s.service->idle()) return kTickNs;
  return s.clients.empty() ? kRestNs : kCalmNs;
}

// Has the list of models read again after the loaded models have changed.
void notice_models(Server& s) {
  u64 changes = engine_host().changes();
  if (std::exchange(s.model_changes, changes) != changes) wake_files_thread();
}

// After a step only flush() runs, which sends the step's tokens at once. The full round over all
// sockets is made when one of them has news, and now and then for time limits, but not for every
// token.
void network_thread(void* argument) {
  Server& s = *static_cast<Server*>(argument);
  u64 look_at_ns = 0;
  while (!s.stopping) {
    notice_models(s);
    s.service->tick();
    u64 now = timing::now_ns();
    bool moved = false;
    engine_has_news = false;
    if (std::exchange(sockets_have_news, false) || now >= look_at_ns) {
      moved = pump_clients(s);
      look_at_ns = now + pause(s);
    } else {
      for (base::Owner<ServeClient>& client : s.clients) client->flush(now);
    }
    if (moved) {
      sockets_have_news = true;  // one turn reads a bounded amount, so there may be more
      sched::yield();
    } else if (!sockets_have_news && !engine_has_news) {
      network_news.wait(look_at_ns);
    }
  }
  end_thread(s);
}

// Does the work that may wait for a disk, so that the thread "http" never does. It looks at the key
// file every two seconds, and at the models when they change.
void files_thread(void* argument) {
  Server& s = *static_cast<Server*>(argument);
  while (!s.stopping) {
    files_have_news = false;
    s.backend.look_at_disks();
    s.key_file.watch(*s.service);
    if (!files_have_news) files_news.wait(KeyFile::chosen() ? timing::now_ns() + kRestNs : ~u64{0});
  }
  end_thread(s);
}

// Reads a list of keys. An empty entry is refused: it would be a key that everybody has.
Result<void> read_keys(const Option& option, Vector<String>& out) {
  if (!options::given(option)) return {};
  std::string_view text = options::text(option);
  for (bool more = true; more;) {
    std::string_view one = text.substr(0, text.find(','));
    more = one.size() < text.size();
    text.remove_prefix(one.size() + (more ? 1 : 0));
    if (one.empty())
      return fail(
          Errc::kInvalidArgument,
          "a key of api_key= or admin_key= is empty: one comma between two keys, none behind");
    TRY(out.push_back(TRY(String::from(one))));
  }
  return {};
}

bool has_keys() {
  return options::given(kKeys) || options::given(kAdminKeys) || KeyFile::chosen();
}

bool chose_open() {
  return options::text(kAuth) == "none";
}

// Returns the names by which a browser may reach a server without a key. Other names in a Host
// header are refused, against DNS rebinding.
Result<String> own_names() {
  String names;
  base::StringWriter out(names);
  base::format_to(out, "{}.local {}", net::machine_name(), options::text(kHosts));
  TRY(out.status());
  return names;
}

ai::openai::AdminRoutes admin_routes() {
  using ai::openai::AdminRoutes;
  std::string_view chosen = options::text(kAdmin);
  if (chosen == "open") return AdminRoutes::kOpen;
  return chosen == "closed" ? AdminRoutes::kClosed : AdminRoutes::kKey;
}

Result<base::Owner<ai::openai::Service>> make_service(Server& s) {
  ai::openai::ServiceOptions chosen;
  TRY(read_keys(kKeys, chosen.api_keys));
  TRY(read_keys(kAdminKeys, chosen.admin_keys));
  chosen.open = !has_keys();
  chosen.admin = admin_routes();
  chosen.cors = options::text(kCors);
  chosen.hosts = TRY(own_names());
  chosen.bodies = &s.bodies;
  chosen.max_requests = static_cast<u32>(options::number(kQueue));
  chosen.default_max_tokens = static_cast<u32>(options::number(kMaxTokens));
  chosen.token_limit = static_cast<u32>(options::number(kTokenLimit));
  chosen.seed = options::number(kSeed);
  chosen.sampling = options::text(kSampling);
  chosen.shifts = options::flag(kShift);
  chosen.thinks = options::text(kThink) == "yes";
  chosen.heartbeat_ns = options::number(kHeartbeat) * 1'000'000;
  chosen.rate_per_second = static_cast<u32>(options::number(kRate));
  chosen.client_rate = static_cast<u32>(options::number(kClientRate));
  chosen.client_requests = static_cast<u32>(options::number(kClientRequests));
  chosen.json_log = options::text(kLogForm) == "json";
  chosen.any_model = options::flag(kAnyModel);
  chosen.unload_idle = options::flag(kUnloadIdle);
  chosen.ollama_root = options::number(kOllamaPort) != 0;
  chosen.ollama_truncates = options::flag(kOllamaTruncate);
  chosen.aliases = options::text(kAliases);
  chosen.keep_alive_ns = TRY(ai::openai::read_keep_alive(options::text(kKeepAlive)));
  chosen.response_bytes = options::number(kResponsesMb) * kMiB;
  chosen.page = serve_page();
  return ai::openai::Service::create(std::move(chosen), s.backend);
}

bool is_loopback(std::string_view address) {
  return address.starts_with("127.") || address == "::1";
}

// Returns the address to listen on: only the loopback address unless there is a key or auth=none.
Result<std::string_view> bind_address() {
  bool open = has_keys() || chose_open();
  if (!options::given(kBind)) return open ? std::string_view() : "127.0.0.1";
  std::string_view address = options::text(kBind);
  if (!open && !is_loopback(address))
    return fail(Errc::kPermission,
                "http.bind= names a network address: set api_key= or auth=none as well");
  return address;
}

// Sets limits of sizes and times. The budget for bodies must hold two of the largest, because a
// body exists twice for a moment: as received, and as the request keeps it.
Result<void> set_limits(Server& s) {
  u64 body = options::number(kBodyMb) * kMiB, bodies = options::number(kBodiesMb) * kMiB;
  if (bodies == 0) bodies = 4 * body;
  if (bodies < 2 * body)
    return fail(Errc::kInvalidArgument, "http.bodies_mb= must be twice http.body_mb= or more");
  s.bodies.set_limit(bodies);
  s.limits = {.head_bytes = static_cast<u32>(options::number(kHeadKb) * kKiB), .body_bytes = body};
  s.times.idle_ns = options::number(kIdle) * kNsPerSecond;
  s.times.head_ns = options::number(kHeadTime) * kNsPerSecond;
  s.times.body_ns = options::number(kBodyTime) * kNsPerSecond;
  return {};
}

Result<void> listen(Server& s, net::Network& network, std::string_view address, u64 port) {
  return s.listeners.push_back(TRY(network.listen(address, static_cast<u16>(port))));
}

Result<void> open_server(Server& s) {
  net::Network* network = net::network();
  if (network == nullptr)
    return fail(Errc::kNotFound, "this machine has no network: `net` shows why");
  TRY(set_limits(s));
  s.allowed = TRY(net::NetworkList::parse(options::text(kAllow)));
  s.service = TRY(make_service(s));
  TRY(s.key_file.read(*s.service));
  if (Result<void> key = open_receipt_key(); !key.has_value())
    log::error("http", "there are no receipts: {}", key.error());
  StaticVector<std::string_view, 1> addresses;  // a network reports one address at a time
  if (!network->address(0).empty()) static_cast<void>(addresses.push_back(network->address(0)));
  s.tls = open_tls(addresses.view());
  if (s.tls == nullptr && tls_required())
    return fail(Errc::kUnsupported,
                "tls=only is set but TLS could not be started: the log says why");
  std::string_view address = TRY(bind_address());
  if (!has_keys() && !is_loopback(address))
    log::warn("http", "anybody on the network may use this server: set api_key=");
  TRY(listen(s, *network, address, options::number(kPort)));
  if (u64 port = options::number(kOllamaPort); port != 0) TRY(listen(s, *network, address, port));
  network->on_activity([](void*) { wake_network_thread(); }, nullptr);
  engine_host().on_news(hear_engine);
  return {};
}

// Runs after both threads have ended, on the thread that stops the server. Dropping the clients
// cancels their requests; a job that is running ends between two of its chunks. Sleeps until the
// service has nothing left with the engine.
void drop_server() {
  server->listeners.clear();  // nobody new
  server->clients.clear();
  server->service->tick();
  while (!server->service->idle()) {
    engine_host().wait_news();
    server->service->tick();
  }
  engine_host().on_news(nullptr);
  base::Owner<Server> last(server);
  server = nullptr;
}

}  // namespace

Result<void> start_server() {
  if (server != nullptr)
    return fail(Errc::kBusy, "the server is running already (`serve stop` ends it)");
  base::Owner<Server> made = TRY(base::make<Server>());
  TRY(open_server(*made));
  server = made.release();
  struct Row {
    const char* name;
    void (*entry)(void*);
  };
  for (Row row : {Row{"http", network_thread}, Row{"http-files", files_thread}}) {
    server->threads++;
    Result<sched::Thread*> thread = sched::spawn(row.name, row.entry, server, kStackBytes);
    if (thread.has_value()) continue;
    server->threads--;
    stop_server();
    return std::unexpected(thread.error());
  }
  log::info("http",
            "serving on {} (POST /v1/chat/completions, POST /completion, GET /health, "
            "GET /metrics)",
            server->listeners[0]->port());
  return {};
}

// The flag is not enough, because both threads may be asleep: they are woken until they have ended.
void stop_server() {
  if (!server_running()) return;
  server->stopping = true;
  while (server->threads > 0) {
    network_news.wake_all();
    files_news.wake_all();
    server_ended.wait(timing::now_ns() + kTickNs);
  }
  drop_server();
}

// Returns false as soon as the server is being stopped.
bool server_running() {
  return server != nullptr && !server->stopping;
}

void describe_server(base::Writer& out) {
  if (!server_running()) {
    base::format_to(out, "the server is not running (`serve` starts it)\n");
    return;
  }
  const ai::openai::Metrics& m = server->service->metrics();
  base::format_to(out, "port {}, {} connections, {} requests ({} answered, {} failed, {} left)\n",
                  server->listeners[0]->port(), server->clients.size(), m.requests, m.answered,
                  m.failed, m.gone);
  base::format_to(out, "{} tokens, last first token after {} ms, last rate {} tok/s\n",
                  m.tokens_generated, m.last_ttft_ms, m.last_tok_s);
}

void write_server_fingerprint(base::Writer& out) {
  if (server_running() && server->tls != nullptr) write_fingerprint(*server->tls, out);
}

u16 server_port() {
  return server_running() ? server->listeners[0]->port() : u16{0};
}

}  // namespace service
