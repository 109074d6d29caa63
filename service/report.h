// SPDX-License-Identifier: GPL-2.0-or-later
// The support bundle for `GET /report`. The console knows what is in it and registers one row.
#pragma once

#include "kernel/base/format.h"
#include "kernel/base/registry.h"

namespace service {

struct Report {
  // Without the parts that wait for disks or work for seconds. No prompts and no secret keys. A
  // thread of CPU 0.
  void (*write)(base::Writer& out);
};

REGISTRY(support_reports, Report)
#define SUPPORT_REPORT(row) REGISTER_ROW(support_reports, row)

}  // namespace service
