// SPDX-License-Identifier: GPL-2.0-or-later
// The command `update`: makes update files, puts a kernel on an installed disk, and lets a new one
// prove itself.
#include "console/check/question.h"
#include "console/check/self_test.h"
#include "console/shell/command.h"
#include "console/shell/pull_view.h"
#include "console/shell/shell.h"
#include "console/shell/verbs.h"
#include "kernel/arch_contract.h"
#include "kernel/base/hex.h"
#include "kernel/dev/power.h"
#include "kernel/fs/disks.h"
#include "kernel/log.h"
#include "kernel/net/socket.h"
#include "kernel/trial.h"
#include "service/host_path.h"
#include "service/update/fetch.h"

namespace console {
namespace {

using service::update::BootBlock, service::update::Plan, service::update::Report,
    service::update::Slot, service::update::State;
namespace update = service::update;

constexpr const char* kUsage =
    "update FILE|URL | status | rollback | make KERNEL FILE [VERSION] | sign FILE SEED";
constexpr std::string_view kAnyModel = "*";  // in the block: the one that is loaded by default
constexpr u64 kSecondNs = 1'000'000'000;

// ---- what a kernel can do --------------------------------------------------------------------

// Returns a hash of the tokens that a model answers with.
Result<update::BlockText<16>> answer_of(const ai::Lease& model) {
  KnownAnswer answer = TRY(answer_known_question(model, false));
  crypto::Sha256 sha;
  sha.update({reinterpret_cast<const Byte*>(answer.tokens.data()),
              answer.tokens.size() * sizeof(ai::TokenId)});
  String hex = TRY(base::hex_text(std::span<const Byte>(sha.finish()).first(8)));
  return update::BlockText<16>(hex.view());
}

bool has_network() {
  net::Network* network = net::network();
  return network != nullptr && !network->address(0).empty();
}

// Looks at what works now, which the new kernel will have to do, too.
Result<BootBlock> look_around(base::Writer& out) {
  BootBlock expected;
  expected.network = has_network();
  if (service::engine_host().loaded()) {
    ai::Lease model = TRY(service::engine_host().lease(service::kConsoleHolder));
    std::string_view name = service::engine_host().file(model).name.view();
    expected.model = name;
    if (expected.model.view() != name) expected.model = kAnyModel;
    expected.answer = TRY(answer_of(model));
  }
  base::format_to(out, "the new kernel must pass the self-test{}{}{}, within {} minutes\n",
                  expected.model.empty() ? "" : ", load and compute the model ",
                  expected.model.view(), expected.network ? ", get a network address" : "",
                  trial::deadline_ns() / (60 * kSecondNs));
  return expected;
}

// ---- the proof -------------------------------------------------------------------------------

Result<void> prove_model(const BootBlock& block, base::Writer&) {
  if (block.model.empty()) return {};
  Result<void> loaded;
  if (block.model.view() == kAnyModel) {
    loaded = service::engine_host().load_default();
  } else {
    service::ModelFile file = TRY(service::find_model(block.model.view()));
    loaded = service::engine_host().load(file);
  }
  TRY(loaded);
  ai::Lease model = TRY(service::engine_host().lease(service::kConsoleHolder));
  auto answer = TRY(answer_of(model));
  if (answer.view() != block.answer.view())
    return fail(Errc::kCorrupt, "the model answers with other tokens than before");
  return {};
}

Result<void> prove_self_test(const BootBlock&, base::Writer& detail) {
  SelfTestVerdict verdict = run_self_test(self_test_rows(), SelfTestOf::kTrial, io());
  if (verdict.failed == 0) return {};
  base::format_to(detail, "{}: ", verdict.first_failed);
  return std::unexpected(verdict.error);
}

Result<void> prove_network(const BootBlock& block, base::Writer&) {
  constexpr u64 kSpareNs = 5 * kSecondNs;  // to write the reason
  while (block.network && !has_network()) {
    if (timing::now_ns() + kSpareNs > trial::deadline_ns())
      return fail(Errc::kTimeout, "there is no network address, as there was before");
    sched::sleep_ns(kSecondNs / 10);
  }
  return {};
}

struct Proof {
  const char* name;
  // Writes to `detail` which part of it has failed, if it has parts.
  Result<void> (*prove)(const BootBlock& block, base::Writer& detail);
};
constexpr Proof kProofs[] = {
    {"model", prove_model}, {"selftest", prove_self_test}, {"network", prove_network}};

Result<void> prove_all(std::string_view point, base::Writer& detail, base::Writer& out) {
  fs::wait_for_disks(trial::deadline_ns());
  for (const Proof& proof : kProofs) {
    BootBlock block = TRY(update::read_boot_block(point));
    TRY(update::note_step(point, proof.name));
    TRY(proof.prove(block, detail));
    base::format_to(out, "update: {} ok\n", proof.name);
  }
  return update::make_good(point);
}

// A kernel on trial becomes the good one, or the machine restarts with the one before it.
void stand_trial(base::Writer& out) {
  base::format_to(out, "update: this kernel ({}, slot {}) is on trial\n", update::running_version(),
                  trial::slot());
  char room[160];
  base::BufferWriter reason(room);
  base::format_to(reason, "{}: ", update::kCheckCause);
  Result<String> point = update::find_boot_volume();
  Result<void> proved = point.has_value() ? prove_all(point->view(), reason, out)
                                          : Result<void>(std::unexpected(point.error()));
  if (proved.has_value()) {
    base::format_to(out, "update: this kernel has proved itself and starts from now on\n");
    return;
  }
  constexpr u64 kReadingNs = 5 * kSecondNs;  // a person may be there
  reason.write(proved.error().what);
  base::format_to(
      out,
      "update: this kernel has not proved itself: {}\nupdate: the machine restarts with "
      "the kernel before it\n",
      reason.view());
  if (point.has_value()) {
    Result<void> noted = update::note_reason(point->view(), reason.view());
    if (!noted.has_value()) log::error("update", "the reason was not written: {}", noted.error());
  }
  power::save();
  sched::sleep_ns(kReadingNs);
  arch::Cpu::reboot();
}

// ---- what a person sees ----------------------------------------------------------------------

void show_slot(std::string_view point, Slot slot, const Report& report, base::Writer& out) {
  base::format_to(out, "  {:<10}", update::slot_name(slot));
  if (slot == Slot::kInstalled) {
    out.write("of the installation");
  } else if (Result<update::Head> head = update::slot_head(point, slot); head.has_value()) {
    base::format_to(out, "{}", head->manifest.version);
  } else {
    base::format_to(out, "{}", head.error());
  }
  const BootBlock& block = report.block;
  if (slot == report.running) base::format_to(out, ", runs ({})", update::running_version());
  if (slot == block.good) out.write(", starts");
  if (slot == block.old) out.write(", before it");
  if (slot == block.attempt && report.state != State::kNone)
    base::format_to(out, ", {}", update::state_name(report.state));
  out.write("\n");
}

const char* attempt_name(const Report& report) {
  return update::slot_name(report.block.attempt.value_or(Slot::kInstalled));
}

void show_attempt(const Report& report, base::Writer& out) {
  char room[256];
  switch (report.state) {
    case State::kNone:
      return;
    case State::kWaiting:
      base::format_to(out, "`reboot` tries the kernel in slot {}; `update rollback` withdraws it\n",
                      attempt_name(report));
      return;
    case State::kTrial:
      out.write("this kernel has still to prove itself\n");
      return;
    case State::kFailed:
      base::format_to(out, "the kernel in slot {} was tried and has not proved itself: {}\n",
                      attempt_name(report), update::failure_of(report, room));
  }
}

Result<void> run_status(std::span<const std::string_view>, base::Writer& out) {
  String point = TRY(update::find_boot_volume());
  Report report = TRY(update::read_report(point.view()));
  out.write("kernels of this disk:\n");
  for (Slot slot : {Slot::kInstalled, Slot::kA, Slot::kB})
    show_slot(point.view(), slot, report, out);
  show_attempt(report, out);
  return {};
}

// Runs at each start from an installed disk.
Result<void> run_prove(std::span<const std::string_view>, base::Writer& out) {
  if (trial::on()) {
    stand_trial(out);
    return {};
  }
  String point = TRY(update::find_boot_volume());
  Report report = TRY(update::read_report(point.view()));
  if (report.state != State::kFailed) return {};
  if (Result<void> noted = update::note_last_death(point.view()); !noted.has_value())
    log::warn("update", "how the tried kernel ended was not written: {}", noted.error());
  report = update::last_report();
  char room[256];
  log::error("update", "the kernel in slot {} has not proved itself: {}", attempt_name(report),
             update::failure_of(report, room));
  out.write("update: ");
  show_attempt(report, out);
  return {};
}

// ---- updates ---------------------------------------------------------------------------------

// A word of the command as a path of the machine.
class TypedPath {
 public:
  explicit TypedPath(std::string_view typed) : view_(service::machine_path(typed, room_)) {}
  std::string_view view() const { return view_; }

 private:
  char room_[512];
  std::string_view view_;
};

Result<update::Written> write_file(std::string_view typed, const Plan& plan, base::Writer&) {
  TypedPath path(typed);
  return update::write_update(path.view(), plan);
}

Result<update::Written> write_fetched(std::string_view url, const Plan& plan, base::Writer& out) {
  PullView view(out);
  return update::fetch_update(url, plan, view);
}

Result<void> run_source(std::string_view source, base::Writer& out) {
  String point = TRY(update::find_boot_volume());
  BootBlock expected = TRY(look_around(out));
  FreshProgress progress("updating");
  auto write = source.contains("://") ? write_fetched : write_file;
  update::Written written = TRY(write(source, Plan{point.view(), expected, progress}, out));
  base::format_to(out,
                  "{} is in slot {}, signed by {}: `reboot` tries it; if it does not prove itself, "
                  "this kernel comes back\n",
                  written.head.manifest.version, update::slot_name(written.slot),
                  service::bundle::name_of(written.key).view());
  return {};
}

Result<void> run_rollback(std::span<const std::string_view>, base::Writer& out) {
  String point = TRY(update::find_boot_volume());
  BootBlock expected = TRY(look_around(out));
  FreshProgress progress("checking");
  update::Back back = TRY(update::roll_back(Plan{point.view(), expected, progress}));
  if (back.withdrawn)
    out.write("the update is withdrawn: this kernel stays\n");
  else
    base::format_to(out, "`reboot` goes back to the kernel in slot {}\n",
                    update::slot_name(back.slot));
  return {};
}

Result<void> run_make(std::span<const std::string_view> words, base::Writer& out) {
  TypedPath kernel(words[0]), file(words[1]);
  std::string_view version = words.size() > 2 ? words[2] : update::running_version();
  FreshProgress progress("hashing");
  String machine = TRY(update::make_update(kernel.view(), file.view(), version, &progress));
  base::format_to(out, "{}: {} for {}; `update sign` signs it\n", words[1], version, machine);
  return {};
}

Result<void> run_sign(std::span<const std::string_view> words, base::Writer& out) {
  TypedPath file(words[0]), seed(words[1]);
  auto id = TRY(update::sign_update(file.view(), seed.view()));
  base::format_to(out, "{} is signed by {}\n", words[0], service::bundle::name_of(id).view());
  return {};
}

constexpr Verb kVerbs[] = {{"status", 0, 0, run_status},
                           {"rollback", 0, 0, run_rollback},
                           {"make", 2, 3, run_make},
                           {"sign", 2, 2, run_sign},
                           {"prove", 0, 0, run_prove}};

Result<void> run_update(const Arguments& arguments, base::Writer& out) {
  std::span<const std::string_view> words = arguments.words.subspan(1);
  if (words.empty() || words[0].starts_with('-')) return fail(Errc::kInvalidArgument, kUsage);
  if (const Verb* verb = find_verb(kVerbs, words)) return run_verb(verb, words, kUsage, out);
  if (words.size() != 1) return fail(Errc::kInvalidArgument, kUsage);
  return run_source(words[0], out);
}

void complete_verb(std::string_view, void (*add)(void*, std::string_view), void* context) {
  complete_verbs(kVerbs, add, context);
}

constexpr Command kUpdate{
    "update",
    kUsage,
    "puts a new kernel on an installed disk, with a way back",
    run_update,
    "update /disk/sda1/marrow.update   checks the signature, writes the kernel to a slot that is\n"
    "not in use, and reads it back. An address, https://HOST/marrow.update, is fetched first; the\n"
    "same command goes on with what was interrupted. `reboot` then tries the kernel once: it must\n"
    "pass the self-test, find its disk, load the model that is loaded now, answer with the same\n"
    "tokens, and have a network if there is one now, within update.minutes=. Otherwise the "
    "machine\n"
    "restarts with this kernel, which says why. Only a key of this machine (`keys`) can sign an\n"
    "update. An older one is refused. status shows the kernels of the disk. rollback withdraws an\n"
    "update that was not tried yet, or goes back to the kernel before this one. make and sign "
    "make\n"
    "update files, on any computer: marrow update make marrow.elf marrow.update. prove is what "
    "each\n"
    "start from such a disk runs.",
    false,
    complete_verb};
CONSOLE_COMMAND(kUpdate);

}  // namespace
}  // namespace console
