// SPDX-License-Identifier: GPL-2.0-or-later
// Decides who may use which route: by keys, or, on a server without keys, by the name it was called
// by and the web page that called it. Everything is decided from the head of a request.
#pragma once

#include "ai/openai/api.h"
#include "ai/openai/error.h"
#include "kernel/crypto/sha256.h"

namespace ai::openai {

// The key that a route requires. Each row of the table of routes has one.
enum class Access : u8 { kPublic, kKey, kAdmin };
// The kind of body that a route takes.
enum class BodyKind : u8 {
  kNone,
  kJson,
  kText,  // text, or JSON if the route finds that it is
};

class Guard {
 public:
  // Hashes the keys of `options` and zeroes them there. An empty or malformed key is an error. The
  // options must outlive the guard.
  Result<void> take_keys(ServiceOptions& options);
  // Replaces the keys of an earlier call. The keys of the options stay.
  void set_keys(Vector<crypto::Sha256Digest> keys, Vector<crypto::Sha256Digest> admin_keys);
  // Reads "sha256:" and 64 hex digits, or a key as it is.
  static Result<crypto::Sha256Digest> read_key(std::string_view text);

  // Refuses a request that named another host or came from a foreign web page. On a server without
  // keys, such a page could otherwise use this machine through the browser of a person who can
  // reach it.
  Result<void> check_source(const base::HttpRequest& head, ApiError& error) const;
  Result<void> check_body(const base::HttpRequest& head, BodyKind kind, ApiError& error) const;
  Result<void> check_key(const base::HttpRequest& head, Access access, ApiError& error) const;
  // Returns true if the server asks for no key and the request came over the network, so that the
  // sender may be anybody.
  bool is_stranger(std::string_view peer) const;
  // Tells owners of kept answers apart: a hash of the key, or of the address on a server that wants
  // no key. `peer` is an address with its port.
  crypto::Sha256Digest owner_of(const base::HttpRequest& head, std::string_view peer) const;
  // Returns the origin that an answer names as allowed to read it: that of the request, "*", or ""
  // for none. The text lives as long as the head.
  std::string_view allowed_origin(const base::HttpRequest& head) const;

 private:
  struct Shown {
    bool user, admin;  // the key of a request is one of these
  };
  bool open() const;  // no key is needed
  bool has_admin_keys() const { return admin_keys_.size() + more_admin_keys_.size() > 0; }
  Shown shown(const base::HttpRequest& head) const;
  bool knows_host(std::string_view authority) const;
  Result<void> check_admin(const base::HttpRequest& head, Shown key, ApiError& error) const;

  const ServiceOptions* options_ = nullptr;
  Vector<crypto::Sha256Digest> keys_, admin_keys_;            // from the options
  Vector<crypto::Sha256Digest> more_keys_, more_admin_keys_;  // from a key file
};

}  // namespace ai::openai
