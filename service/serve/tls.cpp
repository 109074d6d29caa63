// SPDX-License-Identifier: GPL-2.0-or-later
// Obtains the certificate and its key, and writes the log line that shows where they came from.
#include "service/serve/tls.h"

#include "kernel/base/json.h"
#include "kernel/base/wipe.h"
#include "kernel/log.h"
#include "kernel/net/stack.h"
#include "kernel/options.h"
#include "kernel/time/wall_clock.h"
#include "service/storage.h"

namespace service {
namespace {

constexpr Option kTls{"tls", OptionKind::kChoice, "auto", "auto|only|off",
                      "auto: https and http on one port; only: no plain http"};
constexpr Option kIdentity{"tls.identity", OptionKind::kText, "", "PATH",
                           "PEM file of certificate and key; made there when it does not exist"};
KERNEL_OPTION(kTls);
KERNEL_OPTION(kIdentity);

constexpr std::string_view kDrawer = "tls", kName = "identity";
constexpr usize kAroundPem = 64;
constexpr u64 kNsPerSecond = 1'000'000'000;

// Text that is wiped when it is destroyed.
struct Secret {
  String text;
  ~Secret() { base::wipe(text.chars().view()); }
};

struct Identity {
  String pem;
  String kept;  // where it is kept, for the log
  ~Identity() { base::wipe(pem.chars().view()); }
};

// Returns the time of day, or 0 until it is confirmed. One false time reply must neither date a
// certificate nor make an old one look expired: a new certificate would break what clients have
// pinned.
u64 confirmed_seconds() {
  return timing::unix_time_confirmed() ? timing::unix_ns() / kNsPerSecond : 0;
}

Result<void> make(Identity& identity, std::span<const std::string_view> addresses) {
  u64 now = confirmed_seconds();
  identity.pem = TRY(net::tls::make_identity({net::machine_name(), addresses}, now));
  std::string_view path = options::text(kIdentity);
  if (!path.empty()) {
    identity.kept = TRY(store_text(kDrawer, path, identity.pem.view()));
    return {};
  }
  Secret text;
  TRY(text.text.reserve(2 * identity.pem.size() +
                        // reserved at once, or the text would move and leave a copy behind
                        kAroundPem));
  base::StringWriter sink(text.text);
  json::Writer w(sink);
  w.begin_object().field("made", now).field("pem", identity.pem).end_object();
  TRY(sink.status());
  identity.kept = TRY(store_text(kDrawer, kName, text.text.view(), StoreOn::kFixedDisk));
  return {};
}

// Loads the certificate that was kept earlier. Returns false if there is none or it has expired.
Result<bool> load_kept(Identity& identity) {
  constexpr u64 kSeconds = u64{800} * 86'400;  // replaced before its 825 days are over
  Result<String> text = load_text(kDrawer, kName, StoreOn::kFixedDisk);
  if (!text.has_value()) return false;
  Secret kept{std::move(*text)};
  json::Document document = TRY(json::Document::parse(kept.text.view()));
  u64 made = static_cast<u64>(document.root().find("made").integer().value_or(0));
  if (made != 0 && confirmed_seconds() > made + kSeconds) return false;
  identity.pem = TRY(String::from(document.root().find("pem").text()));
  identity.kept = TRY(String::from("the one kept from an earlier start"));
  return true;
}

Result<base::Owner<net::tls::Server>> open(std::span<const std::string_view> addresses) {
  Identity identity;
  std::string_view path = options::text(kIdentity);
  if (!path.empty()) {
    Result<String> given = load_text(kDrawer, path);
    if (given.has_value()) {
      identity.pem = std::move(*given);
      identity.kept = TRY(String::from(path));
    } else if (given.error().code != Errc::kNotFound) {
      return std::unexpected(given.error());
    } else {
      TRY(make(identity, addresses));
    }
  } else if (!TRY(load_kept(identity))) {
    TRY(make(identity, addresses));
  }
  base::Owner<net::tls::Server> server = TRY(net::tls::Server::create(identity.pem.view()));
  char text[3 * 32];
  base::BufferWriter hex(text);
  write_fingerprint(*server, hex);
  log::info("https", "TLS 1.2 and 1.3; certificate: {}", identity.kept.view());
  log::info("https", "SHA-256 fingerprint {}", hex.view());
  return server;
}

}  // namespace

base::Owner<net::tls::Server> open_tls(std::span<const std::string_view> addresses) {
  if (options::text(kTls) == "off") return {};
  Result<base::Owner<net::tls::Server>> server = open(addresses);
  if (server.has_value()) return std::move(*server);
  log::error("https", "no TLS: {}", server.error());
  return {};
}

void write_fingerprint(const net::tls::Server& server, base::Writer& out) {
  for (usize i = 0; i < 32; i++)
    base::format_to(out, "{}{:02x}", i == 0 ? "" : ":", static_cast<u32>(server.fingerprint()[i]));
}

bool tls_required() {
  return options::text(kTls) == "only";
}

}  // namespace service
