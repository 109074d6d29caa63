// SPDX-License-Identifier: GPL-2.0-or-later
// The command `support`: a folder of evidence on a disk, for a machine that no network reaches.
//
// It goes further than `report`, whose text is one of the files: it reads the medium that Marrow
// was started from and all bundles, and says whether they are the bytes that they should be.
#include "console/check/report.h"
#include "console/shell/command.h"
#include "console/shell/file_writer.h"
#include "kernel/base/hex.h"
#include "service/bundle/find.h"
#include "service/import.h"
#include "service/install/sums.h"

namespace console {
namespace {

constexpr std::string_view kImageManifest = "/boot/manifest.json";

// Writes a file of the image with its hash, and whether that is the manifest's.
void write_file_state(const service::InstallSource& source, const service::InstallFile& file,
                      base::Writer& out) {
  Result<String> path = source.path_of(file);
  Result<crypto::Sha256Digest> digest =
      path.has_value() ? service::digest_of(path->view())
                       : Result<crypto::Sha256Digest>(std::unexpected(path.error()));
  if (!digest.has_value()) {
    base::format_to(out, "MISSING {}: {}\n", file.from, digest.error());
    return;
  }
  out.write(*digest == file.sha256 ? "right   " : "WRONG   ");
  base::write_hex(*digest, out);
  base::format_to(out, "  {}\n", file.from);
}

Result<void> write_image(base::Writer& out) {
  out.write("# files of the medium that Marrow was started from, compared with its manifest\n");
  Result<service::InstallSource> source = service::find_install_source();
  if (!source.has_value()) {
    base::format_to(out, "not known: {}\n", source.error());
    return {};
  }
  base::format_to(out, "from {}, id {}\n",
                  source->point.empty() ? "the boot modules" : source->point.view(),
                  TRY(service::boot_medium_id()));
  for (const service::InstallFile& file : source->files)
    if (!service::is_boot_code(file)) write_file_state(*source, file, out);
  return {};
}

Result<void> write_image_manifest(base::Writer& out) {
  Result<String> text = fs::read_text(kImageManifest);
  out.write(text.has_value() ? text->view() : "{}\n");
  return {};
}

// Writes what `bundle verify` says of each bundle, and its manifest.
Result<void> write_bundles(base::Writer& out) {
  out.write("# all bundles, read and compared with their manifests\n");
  Vector<service::ModelFile> models = TRY(service::find_models());
  for (const service::ModelFile& model : models) {
    if (model.generation == 0) continue;
    const std::string_view words[] = {"bundle", "verify", model.folder.view()};
    write_command(words, out);
    Result<service::bundle::Bundle> there = service::bundle::read_bundle(model.folder.view());
    if (there.has_value())
      base::format_to(out, "{}\n", there->text);
    else
      base::format_to(out, "{}\n", there.error());
  }
  return {};
}

Result<void> write_whole_report(base::Writer& out) {
  write_report(out, Takes::kTime);
  return {};
}

struct Evidence {
  std::string_view file;
  Result<void> (*write)(base::Writer& out);
};
// The report is last: its log then has what the others met.
constexpr Evidence kEvidence[] = {
    {"image.txt", write_image},
    {"manifest.json", write_image_manifest},
    {"bundles.txt", write_bundles},
    {"report.txt", write_whole_report},
};

// Makes a folder that was not there: what was collected before is evidence, too.
Result<String> make_folder(std::string_view root) {
  constexpr u32 kMost = 99;
  char room[512];
  for (u32 number = 1; number <= kMost; number++) {
    std::string_view path = base::format_into(room, "{}/marrow-support-{}", root, number);
    if (fs::stat(path).has_value()) continue;
    TRY(fs::make_directory(path));
    return String::from(path);
  }
  return fail(Errc::kFull, "the disk has 99 folders marrow-support: remove some (`rm`)");
}

Result<void> write_evidence(std::string_view folder, base::Writer& out) {
  char room[512];
  String sums;
  u64 all = 0;
  for (const Evidence& one : kEvidence) {
    std::string_view path = base::format_into(room, "{}/{}", folder, one.file);
    {
      base::Owner<fs::File> file = TRY(fs::create(path));
      FileWriter writer(*file);
      TRY(one.write(writer));
      all += TRY(writer.finish());
    }
    TRY(service::add_sum(sums, TRY(service::digest_of(path)), one.file));
  }
  base::Owner<fs::File> list =
      TRY(fs::create(base::format_into(room, "{}/{}", folder, service::kSumsFile)));
  FileWriter writer(*list);
  writer.write(sums.view());
  TRY(writer.finish());
  base::format_to(out, "{} files of {} KiB are in {}\n", std::size(kEvidence) + 1,
                  (all + kKiB - 1) / kKiB, folder);
  return {};
}

Result<void> run_support(const Arguments& arguments, base::Writer& out) {
  if (arguments.words.size() != 2) return fail(Errc::kInvalidArgument, "support DISK|FOLDER");
  String root = TRY(service::place_of(arguments.words[1]));
  String folder = TRY(make_folder(root.view()));
  return write_evidence(folder.view(), out);
}

constexpr Command kSupport{
    "support", "support DISK|FOLDER", "writes all evidence about this machine to a disk",
    run_support,
    "support sda1   makes the folder marrow-support-1 there, for who helps and sees only a stick:\n"
    "report.txt     what `report` prints\n"
    "image.txt      the SHA-256 of the kernel and all other files of the medium that Marrow was\n"
    "               started from, and whether it is the manifest's\n"
    "manifest.json  that manifest\n"
    "bundles.txt    what `bundle verify` says of each bundle, and its manifest\n"
    "SHA256SUMS     for `sha256sum -c`\n"
    "All models in bundles are read, which takes a while. No prompts and no secret keys."};
CONSOLE_COMMAND(kSupport);

}  // namespace
}  // namespace console
