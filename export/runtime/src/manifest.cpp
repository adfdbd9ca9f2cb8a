#include "manifest.hpp"

#include <sys/utsname.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string_view>

#include "failure.hpp"
#include "limits.hpp"
#include "sha256.hpp"

namespace segedge {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view schema = "edge.engine/1";

std::string text_or_empty(const json::Value& table, std::string_view key) {
  const json::Value* value = table.find(key);
  return value != nullptr && value->is_string() ? value->string() : std::string();
}

/// The document says its own hash, taken with the hash's digits as zeros (edge/storage/binding.py).
void require_bound(const std::string& path, const std::string& text, const json::Value& table) {
  if (table.find("binding") == nullptr) {
    fail_input(path + ": is bound by no hash, as older versions wrote it; build the engine again");
  }
  constexpr std::string_view field = "\"binding\": \"";
  constexpr std::size_t digits = 64;
  const std::size_t at = text.find(field);
  bool is_bound = at != std::string::npos && text.find(field, at + 1) == std::string::npos;
  if (is_bound) {
    const std::string said = text.substr(at + field.size(), digits);
    std::string blank = text;
    blank.replace(at + field.size(), said.size(), std::string(said.size(), '0'));
    Sha256 hash;
    hash.update(blank.data(), blank.size());
    is_bound = said.size() == digits && hash.hex() == said;
  }
  if (!is_bound) fail_input(path + ": was changed since it was built; build the engine again");
}

void require_artefacts(const std::string& folder, const EngineInfo& info, const json::Value& hashes) {
  const std::string manifest = (fs::path(folder) / "engine.json").string();
  std::vector<std::string> needed{info.artefact};
  constexpr std::string_view graph = ".xml";
  if (info.artefact.size() > graph.size() && info.artefact.compare(info.artefact.size() - graph.size(), graph.size(), graph) == 0) {
    needed.push_back(info.artefact.substr(0, info.artefact.size() - graph.size()) + ".bin");  // its weights
  }
  for (const std::string& name : needed) {
    if (hashes.find(name) == nullptr) {
      fail_input(manifest + ": no hash for its artefact '" + name + "'; build the engine again");
    }
  }
  for (const auto& [name, digest] : within(manifest, [&] { return hashes.object(); })) {
    const fs::path path = fs::path(folder) / name;
    std::error_code ignored;
    if (name.empty() || fs::path(name).filename() != name || !fs::is_regular_file(path, ignored) ||
        !digest.is_string() || sha256_file(path.string()) != digest.string()) {
      fail_input(path.string() + ": is missing or was changed since it was built; build the engine again");
    }
  }
}

void require_architecture(const std::string& folder, const json::Value& table) {
  const json::Value* runs_on = table.find("runs_on");
  const std::string wanted = runs_on == nullptr ? "" : text_or_empty(*runs_on, "architecture");
  utsname machine{};
  if (wanted.empty() || uname(&machine) != 0 || wanted == machine.machine) return;
  fail_machine(folder + ": was built for " + wanted + ", this machine is " + machine.machine +
               "; build the engine on a machine of its kind");
}

}  // namespace

void require_regular(const std::string& path, const std::string& what) {
  std::error_code fault;
  const fs::file_status status = fs::status(path, fault);
  const auto refuse = [&](const char* kind) { fail_input(path + ": " + kind + "; give a plain file"); };
  switch (status.type()) {
    case fs::file_type::regular: return;
    case fs::file_type::directory: refuse("is a folder"); break;
    case fs::file_type::fifo: refuse("is a pipe"); break;
    case fs::file_type::socket: refuse("is a socket"); break;
    case fs::file_type::block:
    case fs::file_type::character: refuse("is a device"); break;
    case fs::file_type::not_found: fail_input(path + ": no such " + what + "; check the path");
    default: fail_machine(path + ": cannot be read (" + fault.message() + "); check its permissions");
  }
}

std::string read_text(const std::string& path) {
  require_regular(path, "file");
  std::error_code ignored;
  if (const auto size = fs::file_size(path, ignored); !ignored && size > limits().document_bytes) {
    within(path, [&]() -> bool { fail_limit("has " + std::to_string(size) + " bytes", "document_bytes"); });
  }
  std::ifstream stream(path, std::ios::binary);
  if (!stream) fail_machine(path + ": cannot be read; check its permissions");
  return {std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>()};
}

void require_release(const EngineInfo& info, const std::string& package, const std::string& installed) {
  const auto release = [](const std::string& version) { return version.substr(0, version.find_first_of("-+")); };
  for (const auto& [name, version] : info.versions) {
    if (name != package || release(version) == release(installed)) continue;
    fail_machine(info.folder + ": was built and proven with " + package + " " + release(version) + ", this machine has " +
                 release(installed) + ", which may give other masks; build it again here, or install that version");
  }
}

EngineInfo read_manifest(const std::string& folder) {
  const std::string path = (fs::path(folder) / "engine.json").string();
  std::error_code ignored;
  if (!fs::exists(folder, ignored)) fail_input(folder + ": no such engine; check the path, or make one with edge build");
  if (!fs::is_regular_file(path, ignored)) {
    fail_input(folder + ": is not an engine folder (no engine.json); build one with edge build");
  }
  const std::string text = read_text(path);
  const json::Value table = within(path, [&] { return json::parse(text); });
  EngineInfo info;
  info.folder = folder;
  Sha256 digest;
  digest.update(text.data(), text.size());
  info.sha256 = digest.hex();
  within(path, [&] {
    if (text_or_empty(table, "schema") != schema) {
      fail_input("is not of schema " + std::string(schema) + "; build the engine again with this version");
    }
    return true;
  });
  require_bound(path, text, table);
  within(path, [&] {
    info.name = table.at("name").string();
    info.precision = table.at("precision").string();
    info.rest = table.at("rest").string();
    info.backend = table.at("backend").string();
    info.target = table.at("target").string();
    info.artefact = table.at("artefact").string();
    if (const json::Value* versions = table.find("versions")) {
      for (const auto& [package, version] : versions->object()) info.versions.emplace_back(package, version.string());
    }
    return true;
  });
  info.task = read_task(within(path, [&] { return table.at("task"); }), path);
  require_artefacts(folder, info, within(path, [&] { return table.at("artefact_sha256"); }));
  require_architecture(folder, table);
  return info;
}

}  // namespace segedge
