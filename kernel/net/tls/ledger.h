// SPDX-License-Identifier: GPL-2.0-or-later
// Records the memory that wolfSSL allocates for one session, so that none of it outlives the
// session: wolfSSL's error paths leak some of it when a handshake runs out of memory.
#pragma once

namespace net::tls {

struct MemoryHeader;  // defined in shim.cpp

class Ledger {
 public:
  Ledger() = default;
  Ledger(const Ledger&) = delete;
  Ledger& operator=(const Ledger&) = delete;
  ~Ledger();  // frees what is left

  // While one exists, memory that wolfSSL allocates is recorded. TLS calls do not yield meanwhile.
  class Use {
   public:
    explicit Use(Ledger& ledger);
    ~Use();
    Use(const Use&) = delete;
    Use& operator=(const Use&) = delete;

   private:
    Ledger* before_;
  };

  MemoryHeader* first = nullptr;  // maintained by the shim
};

}  // namespace net::tls
