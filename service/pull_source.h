// SPDX-License-Identifier: GPL-2.0-or-later
// Finds out which address a source of `model pull` means, and what is known of its bytes. For
// threads of CPU 0; asks a registry where the source is one's, so it waits for the network.
#pragma once

#include "kernel/crypto/sha256.h"
#include "kernel/net/http_client.h"

namespace service {

// A file that can be pulled.
struct RemoteFile {
  String url;
  String name;                // that the bundle gets if nobody names it
  String authorization;       // "Bearer …" for the origin of `url`, or ""
  bool gives_tokens = false;  // the origin may name a server that gives a token to everybody
  bool known = false;         // `sha256` is what the bytes must have
  crypto::Sha256Digest sha256{};
  u64 bytes = 0;  // 0 = unknown
};

// `source` is http://…, https://…, hf:OWNER/REPOSITORY/FILE, ollama:NAME:TAG, or a name of the
// catalogue. `token` is for Hugging Face; "" takes that of pull.token=.
Result<RemoteFile> find_remote(std::string_view source, std::string_view token,
                               net::HttpWatcher& watcher);

// A call with the times that the options say.
net::HttpCall pull_call(std::string_view url);

// Opens `call`. If the server wants a token and says who gives it, gets one, keeps it in
// `authorization`, and opens the call again.
Result<base::Owner<net::HttpFetch>> open_with_token(net::HttpCall call, String& authorization,
                                                    net::HttpWatcher& watcher);

// Turns the status of an answer into what it means for a person; nothing for 200 and 206. kBusy
// means that it may be different later.
Result<void> judge_status(int status);

}  // namespace service
