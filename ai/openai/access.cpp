// SPDX-License-Identifier: GPL-2.0-or-later
// Implements access control: keys (RFC 6750), names of this machine, origins of web pages (RFC
// 6454).
#include "ai/openai/access.h"

#include <algorithm>
#include <charconv>

#include "kernel/base/wipe.h"

namespace ai::openai {
namespace {

// Visits the words of a list that are separated by blanks or commas.
template <class Use>
bool any_word(std::string_view list, Use&& use) {
  while (!list.empty()) {
    usize end = std::min(list.find_first_of(" ,"), list.size());
    std::string_view word = list.substr(0, end);
    if (!word.empty() && use(word)) return true;
    list.remove_prefix(std::min(end + 1, list.size()));
  }
  return false;
}

// Returns "host" for "host:8080" and "[::1]" for "[::1]:8080".
std::string_view host_of(std::string_view authority) {
  if (authority.starts_with('[')) return authority.substr(0, authority.find(']') + 1);
  return authority.substr(0, authority.find(':'));
}

bool is_ipv4(std::string_view host) {
  for (u32 part = 0; part < 4; part++) {
    u32 value = 256;
    auto [end, bad] = std::from_chars(host.data(), host.data() + host.size(), value);
    usize digits = static_cast<usize>(end - host.data());
    if (bad != std::errc{} || value > 255 || digits > 3) return false;
    host.remove_prefix(digits);
    if (part == 3) break;
    if (!host.starts_with('.')) return false;
    host.remove_prefix(1);
  }
  return host.empty();
}

// A name never begins with a bracket, so an address in brackets need not be parsed.
bool is_address(std::string_view host) {
  return (host.size() > 2 && host.front() == '[' && host.back() == ']') || is_ipv4(host);
}

// Returns true for an origin that a page has which was loaded from the machine its browser runs on.
bool is_of_this_machine(std::string_view origin) {
  constexpr std::string_view kHosts[] = {"localhost", "127.0.0.1", "[::1]"};
  usize scheme = origin.find("://");
  if (scheme == origin.npos) return false;
  std::string_view name = origin.substr(0, scheme), authority = origin.substr(scheme + 3);
  std::string_view host = host_of(authority), port = authority.substr(host.size());
  return (name == "http" || name == "https") && std::ranges::find(kHosts, host) != kHosts + 3 &&
         (port.empty() ||
          (port.size() > 1 && port.find_first_not_of("0123456789", 1) == port.npos));
}

// Returns the key of a request, or "". An authorization scheme other than Bearer has none.
std::string_view key_of(const base::HttpRequest& head) {
  constexpr std::string_view kBearer = "bearer ";
  std::string_view given = head.header("authorization");
  if (given.size() > kBearer.size() &&
      base::equal_ignoring_case(given.substr(0, kBearer.size()), kBearer)) {
    given.remove_prefix(kBearer.size());
    given.remove_prefix(std::min(given.find_first_not_of(' '), given.size()));
    return given;
  }
  return head.header("x-api-key");
}

}  // namespace

Result<crypto::Sha256Digest> Guard::read_key(std::string_view text) {
  constexpr std::string_view kHashed = "sha256:";
  if (text.empty()) return fail(Errc::kInvalidArgument, "a key is empty");
  if (!text.starts_with(kHashed)) return crypto::sha256(text);
  text.remove_prefix(kHashed.size());
  crypto::Sha256Digest digest{};
  if (text.size() != 2 * digest.size())
    return fail(Errc::kInvalidArgument, "sha256: must be followed by 64 hexadecimal digits");
  for (usize i = 0; i < digest.size(); i++) {
    const char* at = text.data() + 2 * i;
    auto [end, error] = std::from_chars(at, at + 2, digest[i], 16);
    if (error != std::errc{} || end != at + 2)
      return fail(Errc::kInvalidArgument, "sha256: must be followed by 64 hexadecimal digits");
  }
  if (digest == crypto::sha256(std::string_view()))
    return fail(Errc::kInvalidArgument, "this is the hash of an empty key");
  return digest;
}

// Keeps only the hashes of the keys, so that a dump of memory shows no key.
Result<void> Guard::take_keys(ServiceOptions& options) {
  options_ = &options;
  auto hash = [](Vector<String>& plain, Vector<crypto::Sha256Digest>& out) -> Result<void> {
    for (String& key : plain) {
      Result<crypto::Sha256Digest> digest = read_key(key.view());
      base::wipe(key);
      TRY(out.push_back(TRY(std::move(digest))));
    }
    plain.clear();
    return {};
  };
  TRY(hash(options.api_keys, keys_));
  return hash(options.admin_keys, admin_keys_);
}

void Guard::set_keys(Vector<crypto::Sha256Digest> keys, Vector<crypto::Sha256Digest> admin_keys) {
  more_keys_ = std::move(keys);
  more_admin_keys_ = std::move(admin_keys);
}

bool Guard::open() const {
  return options_->open && keys_.empty() && more_keys_.empty() && !has_admin_keys();
}

// Compares with every stored key, and each comparison takes the same time, so the time tells
// nothing about the keys.
Guard::Shown Guard::shown(const base::HttpRequest& head) const {
  std::string_view key = key_of(head);
  if (key.empty()) return {};
  crypto::Sha256Digest digest = crypto::sha256(key);
  auto among = [&](const Vector<crypto::Sha256Digest>& keys) {
    bool found = false;
    for (const auto& k : keys) found |= crypto::equal_constant_time(k, digest);
    return found;
  };
  bool user = among(keys_), more_user = among(more_keys_);
  bool admin = among(admin_keys_), more_admin = among(more_admin_keys_);
  return {user || more_user, admin || more_admin};
}

// Accepts addresses, because no foreign name server can make a name of one.
bool Guard::knows_host(std::string_view authority) const {
  std::string_view host = host_of(authority);
  return is_address(host) || base::equal_ignoring_case(host, "localhost") ||
         any_word(options_->hosts.view(),
                  [&](std::string_view name) { return base::equal_ignoring_case(name, host); });
}

bool Guard::is_stranger(std::string_view peer) const {
  return open() && !peer.starts_with("127.") && !peer.starts_with("[::1]");
}

// The zero byte keeps an address from being the owner that a key of the same letters is.
crypto::Sha256Digest Guard::owner_of(const base::HttpRequest& head, std::string_view peer) const {
  if (!open()) return crypto::sha256(key_of(head));
  crypto::Sha256 hash;
  constexpr Byte kAddress[] = {Byte{0}};
  std::string_view address = peer.substr(0, peer.rfind(':'));
  hash.update(kAddress);
  hash.update({reinterpret_cast<const Byte*>(address.data()), address.size()});
  return hash.finish();
}

std::string_view Guard::allowed_origin(const base::HttpRequest& head) const {
  std::string_view origin = head.header("origin"), found;
  if (origin.empty()) return {};
  any_word(options_->cors, [&](std::string_view word) {
    if (word == "*")
      found = word;
    else if (word == "localhost" ? is_of_this_machine(origin) : word == origin)
      found = origin;
    return !found.empty();
  });
  return found;
}

Result<void> Guard::check_source(const base::HttpRequest& head, ApiError& error) const {
  if (!open()) return {};  // with a key needed, a web page without one achieves nothing
  std::string_view host = head.header("host");
  // Browsers always send a host.
  bool unnamed = head.http_1_0 && !head.has("host");
  if (!unnamed && !knows_host(host))
    return error.refuse(403, "permission_error", "host_not_allowed",
                        "this server has no key and does not go by the name '{}': http.host= "
                        "lists its names, api_key= makes them unimportant",
                        host.substr(0, 100));
  if (!head.has("origin") || !allowed_origin(head).empty()) return {};
  std::string_view origin = head.header("origin");
  for (std::string_view scheme : {"http://", "https://"})
    if (!host.empty() && origin.starts_with(scheme) &&
        base::equal_ignoring_case(origin.substr(scheme.size()), host))
      return {};
  return error.refuse(403, "permission_error", "origin_not_allowed",
                      "web pages of '{}' may not use this server: cors= lists those that may",
                      origin.substr(0, 100));
}

// A web page can send text to another origin without the browser asking first, but not JSON.
Result<void> Guard::check_body(const base::HttpRequest& head, BodyKind kind,
                               ApiError& error) const {
  if (!open() || kind != BodyKind::kJson) return {};
  std::string_view type = head.header("content-type");
  type = type.substr(0, type.find(';'));
  while (type.ends_with(' ') || type.ends_with('\t')) type.remove_suffix(1);
  constexpr std::string_view kSuffix = "+json";
  bool json = base::equal_ignoring_case(type, "application/json") ||
              (type.size() > kSuffix.size() &&
               base::equal_ignoring_case(type.substr(type.size() - kSuffix.size()), kSuffix));
  if (json || (type.empty() && !head.has("origin"))) return {};
  return error.refuse(415, "invalid_request_error", "content_type",
                      "{} takes JSON: say so with the header 'Content-Type: application/json'",
                      head.path.substr(0, 100));
}

Result<void> Guard::check_admin(const base::HttpRequest& head, Shown key, ApiError& error) const {
  if (options_->admin == AdminRoutes::kClosed)
    return error.refuse(403, "permission_error", "admin_closed",
                        "admin=closed: no request changes the models and slots of this server");
  if (options_->admin == AdminRoutes::kOpen) return {};
  if (open())
    return error.refuse(403, "permission_error", "admin_key_required",
                        "{} over the network needs a key: set admin_key=, or admin=open if "
                        "everybody may; on this machine itself say `model load NAME`",
                        head.path.substr(0, 100));
  if (key.admin || !has_admin_keys()) return {};
  return error.refuse(403, "permission_error", "admin_key_required",
                      "{} needs an admin key; this key is for requests only",
                      head.path.substr(0, 100));
}

Result<void> Guard::check_key(const base::HttpRequest& head, Access access, ApiError& error) const {
  if (access == Access::kPublic) return {};
  Shown key = shown(head);
  if (!open() && !key.user && !key.admin) {
    error.wants_key = true;
    if (key_of(head).empty())
      return error.refuse(401, "invalid_request_error", "invalid_api_key",
                          "no API key was sent: send one as the header 'Authorization: Bearer "
                          "KEY' or 'x-api-key: KEY'");
    return error.refuse(401, "invalid_request_error", "invalid_api_key",
                        "Invalid API Key: this server does not know the one that was sent");
  }
  if (access == Access::kAdmin) return check_admin(head, key, error);
  return {};
}

}  // namespace ai::openai
