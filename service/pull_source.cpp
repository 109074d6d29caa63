// SPDX-License-Identifier: GPL-2.0-or-later
// Implements the sources of `model pull`: addresses, Hugging Face, Ollama's registry, the
// catalogue.
#include "service/pull_source.h"

#include <version.h>

#include <algorithm>

#include "ai/openai/pulled_name.h"
#include "kernel/base/format.h"
#include "kernel/base/hex.h"
#include "kernel/base/json.h"
#include "kernel/base/text.h"
#include "kernel/fs/file_system.h"
#include "kernel/log.h"
#include "kernel/net/http_challenge.h"
#include "kernel/options.h"
#include "kernel/time/wall_clock.h"
#include "service/catalogue.h"
#include "service/host_path.h"
#include "service/pull_registry.h"

namespace service {
namespace {

constexpr Option kHf{"pull.hf", OptionKind::kText, "https://huggingface.co", "URL",
                     "where hf: sources of `model pull` are; a mirror's address"};
constexpr Option kOllama{"pull.ollama", OptionKind::kText, "https://registry.ollama.ai", "URL",
                         "where ollama: sources of `model pull` are"};
constexpr Option kToken{"pull.token", OptionKind::kText, "", "TOKEN",
                        "Hugging Face's token for models that need one; sent to pull.hf= only"};
constexpr Option kTimeout{"pull.timeout", OptionKind::kNumber, "30", "1..3600",
                          "seconds of silence after which `model pull` gives a connection up"};
constexpr Option kAuthorities{
    "tls.ca", OptionKind::kText, "", "PATH",
    "PEM file of the authorities that https servers are checked with; default /boot/ca.pem"};
KERNEL_OPTION(kAuthorities);
KERNEL_OPTION(kHf);
KERNEL_OPTION(kOllama);
KERNEL_OPTION(kToken);
KERNEL_OPTION(kTimeout);

constexpr u64 kNsPerSecond = 1'000'000'000;
constexpr usize kMostManifestBytes = kMiB, kMostListBytes = 4 * kMiB;

std::string_view without_slash(std::string_view url) {
  while (url.ends_with('/')) url.remove_suffix(1);
  return url;
}

// One of several files, such as x-00001-of-00003, is no model by itself.
bool is_part(std::string_view name) {
  constexpr std::string_view kOf = "-of-";
  constexpr usize kDigits = 5;
  if (name.size() < kDigits + kOf.size()) return false;
  std::string_view end = name.substr(name.size() - kDigits - kOf.size());
  return end.starts_with(kOf) && end.substr(kOf.size()).find_first_not_of("0123456789") == end.npos;
}

// Returns the last part of a path without ".gguf": what people would call the model.
Result<String> model_name(std::string_view path) {
  String name;
  TRY(net::percent_decode(base::base_name(path), net::PlusIsBlank::kNo, name));
  if (name.view().ends_with(".gguf")) name.truncate(name.size() - 5);
  if (name.empty())
    return fail(Errc::kInvalidArgument, "the address names no file: it must end with FILE.gguf");
  return name;
}

Result<RemoteFile> find_url(std::string_view source) {
  net::Url url = TRY(net::parse_url(source));
  RemoteFile file;
  file.url = TRY(String::from(source));
  file.name = TRY(model_name(net::split_target(url.target.view()).path));
  return file;
}

// The path of a file in a repository may have folders, and characters that addresses escape.
Result<void> append_escaped(std::string_view path, String& out) {
  for (;;) {
    usize slash = path.find('/');
    TRY(net::percent_encode(path.substr(0, slash), out));
    if (slash == path.npos) return {};
    TRY(out.push_back('/'));
    path.remove_prefix(slash + 1);
  }
}

Result<String> read_text(net::HttpFetch& fetch, usize limit) {
  TRY(judge_status(fetch.status()));
  String text;
  char piece[4096];
  for (;;) {
    usize n = TRY(fetch.read(piece));
    if (n == 0) return text;
    if (text.size() + n > limit)
      return fail(Errc::kCorrupt, "the answer is too long: is the address that of a registry?");
    TRY(text.append({piece, n}));
  }
}

Result<String> fetch_text(const net::HttpCall& call, usize limit, net::HttpWatcher& watcher) {
  auto fetch = TRY(net::HttpFetch::open(call, watcher));
  return read_text(*fetch, limit);
}

// "MIRROR[/api/models]/owner/repository"
Result<String> hf_address(std::string_view folder, std::string_view repository) {
  String url = TRY(String::from(without_slash(options::text(kHf))));
  TRY(url.append(folder));
  TRY(url.push_back('/'));
  TRY(append_escaped(repository, url));
  return url;
}

// Finds the file that a repository has for "OWNER/REPOSITORY:TAG". Its list says size and SHA-256.
Result<void> find_by_tag(std::string_view place, std::string_view tag, RemoteFile& file,
                         net::HttpWatcher& watcher) {
  String list_url = TRY(hf_address("/api/models", place));
  TRY(list_url.append("/tree/main?recursive=true"));
  net::HttpCall call = pull_call(list_url.view());
  call.authorization = file.authorization.view();
  String text = TRY(fetch_text(call, kMostListBytes, watcher));
  ListedFile found = TRY(find_listed(text.view(), tag));
  file.url = TRY(hf_address("", place));
  TRY(file.url.append("/resolve/main/"));
  TRY(append_escaped(found.path.view(), file.url));
  file.known = true;
  file.sha256 = found.sha256;
  file.bytes = found.bytes;
  return {};
}

// "owner/repository/folder/file.gguf" or "owner/repository:Q4_K_M". The server redirects to the
// bytes, and says their SHA-256 in the header X-Linked-Etag.
Result<RemoteFile> find_hf(std::string_view place, std::string_view token,
                           net::HttpWatcher& watcher) {
  RemoteFile file;
  if (token.empty()) token = options::text(kToken);
  if (!token.empty()) {
    TRY(file.authorization.append("Bearer "));
    TRY(file.authorization.append(token));
  }
  std::string_view rest = place;
  std::string_view owner = base::split_off(rest, '/'), repository = base::split_off(rest, '/');
  std::string_view tag = repository;
  std::string_view plain = base::split_off(tag, ':');
  bool whole = !owner.empty() && !plain.empty();
  if (whole && rest.empty()) {
    file.name = TRY(ai::openai::pulled_name(place));
    TRY(find_by_tag(place.substr(0, owner.size() + 1 + plain.size()), tag, file, watcher));
    return file;
  }
  if (!whole || !rest.ends_with(".gguf"))
    return fail(Errc::kInvalidArgument,
                "hf:OWNER/REPOSITORY/FILE.gguf or hf:OWNER/REPOSITORY:QUANT names a file of "
                "Hugging Face");
  file.url = TRY(hf_address("", place.substr(0, owner.size() + 1 + repository.size())));
  TRY(file.url.append("/resolve/main/"));
  TRY(append_escaped(rest, file.url));
  file.name = TRY(String::from(base::base_name(rest)));
  file.name.truncate(file.name.size() - 5);
  return file;
}

// ---- https -----------------------------------------------------------------------------------

constexpr usize kMostAuthorityBytes = 4 * kMiB;

// They lie in the image, as a module of the loader, or are the host's of the twin.
Result<String> read_authorities() {
  constexpr std::string_view kPlaces[] = {"/boot/ca.pem", "/etc/ssl/certs/ca-certificates.crt"};
  char room[512];
  std::string_view given = options::text(kAuthorities);
  if (!given.empty()) {
    Result<String> text = fs::read_text(service::machine_path(given, room), kMostAuthorityBytes);
    if (!text.has_value()) log::warn("pull", "tls.ca={}: {}", given, text.error());
    return text;
  }
  for (std::string_view place : kPlaces) {
    Result<String> text = fs::read_text(service::machine_path(place, room), kMostAuthorityBytes);
    if (text.has_value()) return text;
  }
  return fail(Errc::kNotFound,
              "https needs the authorities' certificates: tls.ca=FILE.pem, or use http");
}

// A certificate that has expired must not pass because a clock was reset.
Result<void> need_clock() {
  constexpr u64 kDay = 86'400;  // the clock of the building machine may be slightly wrong
  if (timing::unix_time_known() && timing::unix_ns() / kNsPerSecond + kDay >= kMarrowDate)
    return {};
  return fail(Errc::kUnsupported,
              "https needs the time of day: let the machine reach a time server (ntp=)");
}

// Returns the client, which stays for the transfers to come. The file is read once.
Result<net::tls::Client*> secure_client() {
  static constinit net::tls::Client* client = nullptr;
  TRY(need_clock());
  if (client != nullptr) return client;
  String authorities = TRY(read_authorities());
  base::Owner<net::tls::Client> made = TRY(net::tls::Client::create(authorities.view()));
  client = made.release();
  return client;
}

// ---- Ollama's registry ---------------------------------------------------------------------

// "[HOST/][NAMESPACE/]MODEL[:TAG]"
struct OllamaName {
  std::string_view space = "library", model, tag = "latest";
};

bool good_part(std::string_view text) {
  return !text.empty() && text.size() <= 80 && std::ranges::all_of(text, [](char c) {
    char lower = base::lower(c);
    return (lower >= 'a' && lower <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_' ||
           c == '.';
  });
}

Result<OllamaName> parse_ollama(std::string_view text) {
  constexpr std::string_view kHost = "registry.ollama.ai/";  // it may stand before every name
  OllamaName name;
  if (text.starts_with(kHost)) text.remove_prefix(kHost.size());
  usize colon = text.rfind(':');
  if (colon != text.npos) name.tag = text.substr(colon + 1);
  text = text.substr(0, colon);
  usize slash = text.rfind('/');
  name.model = text.substr(slash == text.npos ? 0 : slash + 1);
  if (slash != text.npos) name.space = text.substr(0, slash);
  if (good_part(name.space) && good_part(name.model) && good_part(name.tag)) return name;
  return fail(Errc::kInvalidArgument,
              "ollama:MODEL:TAG or ollama:NAMESPACE/MODEL:TAG names a model of Ollama's registry");
}

// Asks the server that a registry names for a token. It needs no account.
Result<String> ask_token(const net::HttpFetch& refused, net::HttpWatcher& watcher) {
  constexpr usize kMostTokenBytes = 64 * kKiB;
  net::BearerChallenge challenge = TRY(net::parse_bearer(refused.header("www-authenticate")));
  String url = TRY(net::token_address(challenge, refused.url()));
  String text = TRY(fetch_text(pull_call(url.view()), kMostTokenBytes, watcher));
  return find_token(text.view());
}

// Reads a text of a registry.
Result<String> fetch_with_token(const net::HttpCall& call, usize limit, String& authorization,
                                net::HttpWatcher& watcher) {
  auto fetch = TRY(open_with_token(call, authorization, watcher));
  return read_text(*fetch, limit);
}

Result<RemoteFile> find_ollama(std::string_view place, net::HttpWatcher& watcher) {
  OllamaName name = TRY(parse_ollama(place));
  std::string_view registry = without_slash(options::text(kOllama));
  char room[1024];
  std::string_view url = base::format_into(room, "{}/v2/{}/{}/manifests/{}", registry, name.space,
                                           name.model, name.tag);
  const base::HttpHeader kAccept[] = {
      {"Accept", "application/vnd.docker.distribution.manifest.v2+json"}};
  net::HttpCall call = pull_call(url);
  call.headers = kAccept;
  RemoteFile file;
  file.gives_tokens = true;
  String text = TRY(fetch_with_token(call, kMostManifestBytes, file.authorization, watcher));
  WeightsLayer layer = TRY(find_weights(text.view()));
  file.known = true;
  file.sha256 = layer.sha256;
  file.bytes = layer.bytes;
  file.name = TRY(ai::openai::pulled_name(place));
  base::StringWriter out(file.url);
  base::format_to(out, "{}/v2/{}/{}/blobs/sha256:", registry, name.space, name.model);
  base::write_hex(layer.sha256, out);
  TRY(out.status());
  return file;
}

// ---- the catalogue -------------------------------------------------------------------------

Result<RemoteFile> find_named(std::string_view name, std::string_view token,
                              net::HttpWatcher& watcher) {
  const CatalogueModel* row = find_in_catalogue(name);
  if (row == nullptr)
    return fail(Errc::kNotFound,
                "the catalogue has no such model: `model pull` lists it, and how to name others");
  if (!row->source.starts_with("hf:"))
    return fail(Errc::kUnsupported, "this model has no address: `make model` fetches it");
  RemoteFile file = TRY(find_hf(row->source.substr(3), token, watcher));
  file.name = TRY(String::from(row->name));
  file.known = read_sha256(row->sha256, file.sha256);
  file.bytes = row->bytes;
  return file;
}

Result<RemoteFile> find_any(std::string_view source, std::string_view token,
                            net::HttpWatcher& watcher) {
  if (source.contains("://")) return find_url(source);
  for (std::string_view begin : {"hf:", "hf.co/", "huggingface.co/"})
    if (source.starts_with(begin)) return find_hf(source.substr(begin.size()), token, watcher);
  if (source.starts_with("ollama:")) return find_ollama(source.substr(7), watcher);
  return find_named(source, token, watcher);
}

}  // namespace

Result<RemoteFile> find_remote(std::string_view source, std::string_view token,
                               net::HttpWatcher& watcher) {
  RemoteFile file = TRY(find_any(source, token, watcher));
  if (is_part(file.name.view()))
    return fail(Errc::kUnsupported,
                "a model in several files cannot be pulled: copy them with `model import`");
  return file;
}

Result<base::Owner<net::HttpFetch>> open_with_token(net::HttpCall call, String& authorization,
                                                    net::HttpWatcher& watcher) {
  call.authorization = authorization.view();
  auto fetch = TRY(net::HttpFetch::open(call, watcher));
  // A host that a redirect led to has no say in this.
  net::Url asked = TRY(net::parse_url(call.url));
  if (fetch->status() != 401 || !net::same_origin(asked, fetch->url())) return fetch;
  Result<String> token = ask_token(*fetch, watcher);
  if (!token.has_value() && token.error().code == Errc::kNotFound) return fetch;
  authorization = TRY(String::from("Bearer "));
  TRY(authorization.append(TRY(token).view()));
  call.authorization = authorization.view();
  return net::HttpFetch::open(call, watcher);
}

net::HttpCall pull_call(std::string_view url) {
  return {
      .url = url, .secure = secure_client, .silence_ns = options::number(kTimeout) * kNsPerSecond};
}

Result<void> judge_status(int status) {
  struct Meaning {
    int status;
    Errc code;
    const char* what;
  };
  static constexpr Meaning kMeanings[] = {
      {401, Errc::kPermission, "the server wants a token (401): give one with --token"},
      {403, Errc::kPermission, "the server does not allow this (403): does it want a token?"},
      {404, Errc::kNotFound, "the server has no such file (404): check the address"},
      {408, Errc::kBusy, "the server did not wait for the request (408)"},
      {410, Errc::kNotFound, "the server has the file no more (410): look for another"},
      {429, Errc::kBusy, "the server has had too many requests (429)"},
  };
  if (status == 200 || status == 206) return {};
  for (const Meaning& row : kMeanings)
    if (row.status == status) return fail(row.code, row.what);
  if (status >= 500) return fail(Errc::kBusy, "the server is out of order (5xx)");
  return fail(Errc::kUnsupported, "the server answers with a status that no file has");
}

}  // namespace service
