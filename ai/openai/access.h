// SPDX-License-Identifier: GPL-2.0-or-later
// Who may ask for what: keys where there are some, and without them the names this machine goes by
// and the web pages that may use it. All of it is decided by the head of a request.
#pragma once

#include "ai/openai/api.h"
#include "ai/openai/error.h"
#include "kernel/crypto/sha256.h"

namespace ai::openai {

// What a route lets in. Each row of the table of routes has one.
enum class Access : u8 { kPublic, kKey, kAdmin };
// What the body of a route is.
enum class BodyKind : u8 {
  kNone,
  kJson,
  kText,  // or JSON, as the route sees it
};

class Guard {
 public:
  // Hashes the keys of `options` and zeroes them there; an empty or broken one is an error. The
  // options outlive it.
  Result<void> take_keys(ServiceOptions& options);
  // Takes the place of the keys that came this way before; those of the options stay.
  void set_keys(Vector<crypto::Sha256Digest> keys, Vector<crypto::Sha256Digest> admin_keys);
  // "sha256:" and 64 hex digits, or the key itself.
  static Result<crypto::Sha256Digest> read_key(std::string_view text);

  // Which server was meant, and by which page: where no key tells, a page of somebody else's could
  // otherwise use this machine through the browser of a person who can reach it.
  Result<void> check_source(const base::HttpRequest& head, ApiError& error) const;
  Result<void> check_body(const base::HttpRequest& head, BodyKind kind, ApiError& error) const;
  Result<void> check_key(const base::HttpRequest& head, Access access, ApiError& error) const;
  // No key was wanted of it, and it came over the network: anybody.
  bool is_stranger(std::string_view peer) const;
  // The origin that an answer names as allowed to read it, "" for none. Lives as long as this.
  std::string_view allowed_origin(const base::HttpRequest& head) const;

 private:
  struct Shown {
    bool user, admin;  // the key of a request is among these
  };
  bool open() const;  // no key is wanted
  bool has_admin_keys() const { return admin_keys_.size() + more_admin_keys_.size() > 0; }
  Shown shown(const base::HttpRequest& head) const;
  bool knows_host(std::string_view authority) const;
  Result<void> check_admin(const base::HttpRequest& head, Shown key, ApiError& error) const;

  const ServiceOptions* options_ = nullptr;
  Vector<crypto::Sha256Digest> keys_, admin_keys_;            // of the options
  Vector<crypto::Sha256Digest> more_keys_, more_admin_keys_;  // of a file
};

}  // namespace ai::openai
