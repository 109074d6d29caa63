// SPDX-License-Identifier: GPL-2.0-or-later
// Shows the progress of long work on one line.
#include "console/terminal/progress.h"

#include <algorithm>

namespace console {
namespace {

constexpr u64 kNsPerSecond = 1'000'000'000;
constexpr u64 kQuietNs = kNsPerSecond;        // work that takes longer is shown
constexpr u64 kBetweenNs = kNsPerSecond / 4;  // time between two updates

}  // namespace

Progress::Progress(Io* io, const char* what, const char* noun, u64 unit)
    : io_(io), what_(what), noun_(noun), unit_(unit), start_ns_(io == nullptr ? 0 : io->now_ns()) {}

void Progress::update(u64 done, u64 total) {
  if (io_ == nullptr || done >= total) return;
  u64 now = io_->now_ns();
  if (now - start_ns_ < kQuietNs || now - shown_ns_ < kBetweenNs) return;
  if (shown_ns_ != 0 && done == shown_done_) return;
  shown_ns_ = now;
  shown_done_ = done;
  base::format_to(*io_, "\r[{}: {} of {} {}, {} %", what_, done / unit_, total / unit_, noun_,
                  done * 100 / total);
  u64 parts = (done - std::min(skipped_, done)) / unit_;
  u64 left_ns = parts == 0 ? 0 : (now - start_ns_) / parts * ((total - done) / unit_);
  // Bytes have a rate that people compare with their disk's.
  if (parts > 0 && unit_ > 1)
    base::format_to(*io_, ", {} {}/s", parts * kNsPerSecond / (now - start_ns_), noun_);
  if (parts > 0) base::format_to(*io_, ", {} s left", (left_ns + kNsPerSecond - 1) / kNsPerSecond);
  io_->write("]\x1b[K");
}

void Progress::hide() {
  if (io_ != nullptr && shown_ns_ != 0) io_->write("\r\x1b[K");
  shown_ns_ = 0;
}

}  // namespace console
