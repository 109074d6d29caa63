// SPDX-License-Identifier: GPL-2.0-or-later
// Reads arbitrary bytes as a manifest. Whatever is accepted must be within its bounds, must end its
// signed part where the simplest reader would, and must not depend on what follows the signatures.
#include "service/bundle/manifest.h"

namespace {

using service::bundle::Manifest, service::bundle::Payload;

void look_at(const Payload& file, std::string_view text) {
  ASSERT(service::bundle::name_fault(file.path) == nullptr && file.bytes > 0);
  ASSERT(file.path.data() >= text.data() && file.path.end() <= text.end());
}

void look_at(const Manifest& manifest, std::string_view text) {
  ASSERT(text.size() <= service::bundle::kMostManifestBytes);
  ASSERT(service::bundle::name_fault(manifest.name) == nullptr);
  bool kernel = manifest.format == service::bundle::kKernelFormat;
  ASSERT(kernel == (manifest.generation == 0) && kernel == manifest.kernel.exists());
  ASSERT(kernel != manifest.model.exists() && !(kernel && manifest.tokenizer.exists()));
  look_at(kernel ? manifest.kernel : manifest.model, text);
  if (manifest.tokenizer.exists()) look_at(manifest.tokenizer, text);
  ASSERT(manifest.signed_part == text.substr(0, text.find("[signature")));
  ASSERT(manifest.signatures.empty() == (manifest.signed_part.size() == text.size()));
  // Nothing behind the signed part says anything about the bundle.
  auto alone = service::bundle::parse_manifest(manifest.signed_part);
  ASSERT(alone.has_value() && alone->signatures.empty());
  ASSERT(alone->name == manifest.name && alone->generation == manifest.generation);
  ASSERT(alone->model.path == manifest.model.path && alone->expires == manifest.expires);
  ASSERT(alone->model.sha256 == manifest.model.sha256);
  ASSERT(alone->kernel.sha256 == manifest.kernel.sha256 && alone->version == manifest.version);
  ASSERT(alone->tokenizer.exists() == manifest.tokenizer.exists());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const u8* data, usize size) {
  std::string_view text(reinterpret_cast<const char*>(data), size);
  auto manifest = service::bundle::parse_manifest(text);
  if (manifest.has_value()) look_at(*manifest, text);
  return 0;
}
