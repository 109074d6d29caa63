// SPDX-License-Identifier: GPL-2.0-or-later
// The memory that wolfSSL takes on behalf of one session, so that none outlives it: its error paths
// forget some of it when a handshake finds no memory.
#pragma once

namespace net::tls {

struct MemoryHeader;  // shim.cpp

class Ledger {
 public:
  Ledger() = default;
  Ledger(const Ledger&) = delete;
  Ledger& operator=(const Ledger&) = delete;
  ~Ledger();  // frees what is still there

  // While one lives, memory that wolfSSL takes is entered. TLS calls do not give way meanwhile.
  class Use {
   public:
    explicit Use(Ledger& ledger);
    ~Use();
    Use(const Use&) = delete;
    Use& operator=(const Use&) = delete;

   private:
    Ledger* before_;
  };

  MemoryHeader* first = nullptr;  // of the shim
};

}  // namespace net::tls
