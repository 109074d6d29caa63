// SPDX-License-Identifier: GPL-2.0-or-later
// Loads models for commands.
#include "console/shell/model_use.h"

namespace console {

Result<void> load_shown(const service::ModelFile& file, Io& io) {
  ShownProgress progress(io, "loading");
  return service::engine_host().load(file, &progress);
}

Result<ai::Lease> use_model(const service::Holder& holder, Io& io) {
  ShownProgress progress(io, "loading");
  TRY(service::engine_host().load_default(&progress));
  return service::engine_host().lease(holder);
}

}  // namespace console
