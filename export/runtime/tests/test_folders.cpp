// Engine folders that are not what they should be: an error value with a sentence, never a crash.
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <utility>

#include "check.hpp"
#include "segedge/engine.hpp"
#include "sha256.hpp"

namespace fs = std::filesystem;
using segedge::Engine;
using segedge::Fault;

namespace {

std::string read(const fs::path& path) {
  std::ifstream stream(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>()};
}

void write(const fs::path& path, const std::string& text) { std::ofstream(path, std::ios::binary) << text; }

/// A copy of the tiny engine, to be damaged.
class Folder {
 public:
  Folder() : path_(fs::temp_directory_path() / ("segedge-folder-" + std::to_string(getpid()))) {
    fs::remove_all(path_);
    fs::copy(SEGEDGE_TINY, path_);
  }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  ~Folder() { fs::remove_all(path_); }

  fs::path operator/(const char* name) const { return path_ / name; }

  /// Changes a file, and binds engine.json anew, as someone who edits it with care would.
  void replace(const char* file, const std::string& from, const std::string& to) const {
    edit(file, from, to);
    if (std::string(file) == "engine.json") bind();
  }

  /// Changes a file and nothing else.
  void edit(const char* file, const std::string& from, const std::string& to) const {
    std::string text = read(path_ / file);
    const std::size_t at = text.find(from);
    if (at == std::string::npos) check::failed(file, 0, "has no " + from);
    write(path_ / file, text.replace(at, from.size(), to));
  }

  void bind() const {
    std::string text = read(path_ / "engine.json");
    const std::string field = "\"binding\": \"";
    const std::size_t at = text.find(field) + field.size();
    text.replace(at, 64, std::string(64, '0'));
    segedge::Sha256 hash;
    hash.update(text.data(), text.size());
    write(path_ / "engine.json", text.replace(at, 64, hash.hex()));
  }

  /// Puts the artefact's present hash into engine.json.
  void rehash(const char* file) const {
    const std::string now = segedge::sha256_file((path_ / file).string());
    const std::string original = segedge::sha256_file((fs::path(SEGEDGE_TINY) / file).string());
    if (now != original) replace("engine.json", original, now);
  }

  /// The sentence it is refused with, and whose fault that is; "" where it loads.
  std::pair<std::string, Fault> refusal() const {
    const auto engine = Engine::load(path_.string());
    return engine ? std::pair{std::string(), Fault::internal} : std::pair{engine.error().message, engine.error().fault};
  }

 private:
  fs::path path_;
};

bool has_openvino() {
  for (const std::string& name : segedge::backends()) {
    if (name == "openvino") return true;
  }
  return false;
}

}  // namespace

CASE(folders, missing_or_not_an_engine) {
  for (const auto& [path, said] : {std::pair{"/nonexistent", "/nonexistent: no such engine; check the path"},
                                   std::pair{"", "no such engine"},
                                   std::pair{"/tmp", "/tmp: is not an engine folder"},
                                   std::pair{"/dev/null", "is not an engine folder"}}) {
    const auto engine = Engine::load(path);
    CHECK(!engine.ok());
    CHECK(engine.error().fault == Fault::input);
    CHECK(check::contains(engine.error().message, said));
  }
}

CASE(folders, every_truncation_of_the_manifest) {
  const Folder folder;
  const std::string text = read(folder / "engine.json");
  for (std::size_t size = 0; size + 2 < text.size(); size += 7) {
    write(folder / "engine.json", text.substr(0, size));
    const auto [message, fault] = folder.refusal();
    CHECK(check::contains(message, "engine.json: not valid JSON"));
    CHECK(fault == Fault::input);
  }
}

CASE(folders, changed_bytes_of_the_manifest_are_survived) {
  const Folder folder;
  const std::string text = read(folder / "engine.json");
  for (std::size_t at = 0; at < text.size(); at += 17) {
    std::string changed = text;
    changed[at] = static_cast<char>(changed[at] ^ 0x15);
    write(folder / "engine.json", changed);
    (void)Engine::load((folder / "").string());  // some changes are harmless (a name); none may crash
  }
}

CASE(folders, edited_manifests_are_refused) {
  for (const auto& [from, to] : {std::pair{"\"scale\": 255.0", "\"scale\": 1.0"},
                                 std::pair{"\"rest\": \"fp32\"", "\"rest\": \"bf16\""},
                                 std::pair{"\"threshold\": 0.5", "\"threshold\": 0.4"},
                                 std::pair{"2026.4.1", "2025.0.0"},
                                 std::pair{"\"fp32\": 1", "\"fp32\": 2"}}) {
    const Folder folder;
    folder.edit("engine.json", from, to);
    const auto [message, fault] = folder.refusal();
    CHECK(check::contains(message, "engine.json: was changed since it was built"));
    CHECK(fault == Fault::input);
  }
  const Folder folder;
  folder.edit("engine.json", "\"binding\"", "\"bound\"");
  CHECK(check::contains(folder.refusal().first, "is bound by no hash"));
}

CASE(folders, another_release_of_the_compiler_is_named) {
  if (!has_openvino()) return;
  const Folder folder;
  folder.replace("engine.json", "\"openvino\": \"", "\"openvino\": \"1999.");
  const auto [message, fault] = folder.refusal();
  CHECK(check::contains(message, "was built and proven with openvino 1999."));
  CHECK(fault == Fault::machine);
}

CASE(folders, wrong_values_are_named) {
  struct Change {
    const char *from, *to, *said;
  };
  for (const Change& change : {Change{"edge.engine/1", "edge.engine/2", "is not of schema edge.engine/1"},
                               Change{"\"bilinear\"", "\"lanczos\"", "resize = 'lanczos'"},
                               Change{"\"scale\": 255.0", "\"scale\": 0", "scale and std must not be 0"},
                               Change{"\"scale\"", "\"skale\"", "unknown key 'skale'"},
                               Change{"\"scale\": 255.0", "\"scale\": \"x\"", "should be a number"},
                               Change{"   16,", "   -16,", "size must be"},
                               Change{"   16,", "   1e99,", "should be a whole number"},
                               Change{"0.485,", "", "mean needs"},
                               Change{"\"nucleus\"", "\"a\", \"b\"", "sigmoid has one foreground map"},
                               Change{"\"threshold\": 0.5", "\"threshold\": 1.5", "threshold must lie between"},
                               Change{"\"artefact\": \"model.xml\"", "\"artefact\": \"other.xml\"", "no hash for its artefact"},
                               Change{"\"model.bin\":", "\"../model.bin\": \"\", \"model.bin\":", "is missing or was changed"},
                               Change{"\"model.bin\":", "\"/etc/passwd\": \"\", \"model.bin\":", "is missing or was changed"},
                               Change{"\"model.bin\":", "\"model.bim\":", "no hash for its artefact 'model.bin'"},
                               Change{"\"backend\"", "\"frontend\"", "no \"backend\""}}) {
    const Folder folder;
    folder.replace("engine.json", change.from, change.to);
    const auto [message, fault] = folder.refusal();
    if (!check::contains(message, change.said)) check::failed(change.to, 0, "said: " + message);
    CHECK(fault == Fault::input);
  }
}

CASE(folders, changed_artefacts_are_refused) {
  const Folder folder;
  write(folder / "model.bin", std::string(12, '\1'));
  CHECK(check::contains(folder.refusal().first, "model.bin: is missing or was changed"));
  fs::remove(folder / "model.bin");
  CHECK(check::contains(folder.refusal().first, "model.bin: is missing or was changed"));
}

CASE(folders, other_machines_and_backends_are_named) {
  {
    const Folder folder;
    folder.replace("engine.json", "\"device\": \"CPU\"", "\"architecture\": \"pdp11\"");
    const auto [message, fault] = folder.refusal();
    CHECK(check::contains(message, "was built for pdp11"));
    CHECK(fault == Fault::machine);
  }
  const Folder folder;
  folder.replace("engine.json", "\"backend\": \"openvino\"", "\"backend\": \"abacus\"");
  const auto [message, fault] = folder.refusal();
  CHECK(check::contains(message, "backend 'abacus': unknown"));
  CHECK(fault == Fault::input);
}

CASE(networks, damaged_but_with_right_hashes) {
  if (!has_openvino()) return;
  CHECK_EQUAL(Folder().refusal().first, "");
  for (const std::size_t size : {0U, 10U, 700U, 1500U}) {
    const Folder folder;
    write(folder / "model.xml", read(folder / "model.xml").substr(0, size));
    folder.rehash("model.xml");
    const auto [message, fault] = folder.refusal();
    CHECK(check::contains(message, "model.xml: OpenVINO refuses it"));
    CHECK(fault == Fault::input);
  }
  const Folder folder;
  write(folder / "model.bin", "short");
  folder.rehash("model.bin");
  CHECK(check::contains(folder.refusal().first, "OpenVINO refuses it"));
}

CASE(networks, of_another_size_are_refused) {
  if (!has_openvino()) return;
  const Folder folder;
  folder.replace("engine.json", "   24\n", "   25\n");
  CHECK(check::contains(folder.refusal().first, "not of the task's channels and size"));
  const Folder two;
  two.replace("engine.json", "\"nucleus\"", "\"background\", \"nucleus\"");
  two.replace("engine.json", "\"sigmoid\"", "\"softmax\"");
  CHECK(check::contains(two.refusal().first, "one map a class"));
  const Folder rest;
  rest.replace("engine.json", "\"rest\": \"fp32\"", "\"rest\": \"fp8\"");
  CHECK(check::contains(rest.refusal().first, "rest 'fp8'"));
}
