// What an engine is proved against: read to the byte, and refused with a sentence where it was damaged.
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <random>

#include "check.hpp"
#include "failure.hpp"
#include "reference.hpp"
#include "sha256.hpp"

namespace fs = std::filesystem;
using segedge::Fault;
using segedge::tool::Expected;
using segedge::tool::Reference;

namespace {

std::string hash(const std::string& text) {
  segedge::Sha256 digest;
  digest.update(text.data(), text.size());
  return digest.hex();
}

const std::string pixels = "skipABCDEFrest";

std::string table() {
  return R"({"schema": "segedge.reference/1", "images": [{"name": "a", "height": 1, "width": 2, "channels": 3,
 "pixels": {"file": "p.raw", "offset": 4, "order": "bgr", "sha256": ")" +
         hash("ABCDEF") + R"("}, "labels": {"file": "l.raw", "height": 3, "width": 1, "sha256": ")" +
         hash(std::string("\1\0\1", 3)) + R"("}}]})";
}

/// A folder with one reference of one image.
class Folder {
 public:
  Folder() : path(fs::temp_directory_path() / ("segedge-reference-" + std::to_string(getpid()))) {
    fs::remove_all(path);
    fs::create_directories(path / "data");
    write("p.raw", pixels);
    write("l.raw", std::string("\1\0\1", 3));
    write("reference.json", table());
  }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  ~Folder() { fs::remove_all(path); }

  void write(const std::string& name, const std::string& text) const { std::ofstream(path / name, std::ios::binary) << text; }

  /// The sentence that it is refused with, "" where it reads.
  std::string refusal() const {
    try {
      const Reference reference(path);
      for (std::size_t i = 0; i < reference.size(); ++i) reference.read(i);
      return "";
    } catch (const segedge::Failure& failure) {
      CHECK(failure.fault() == Fault::input);
      return failure.what();
    }
  }

  const fs::path path;
};

std::string replaced(std::string text, const std::string& from, const std::string& to) {
  return text.replace(text.find(from), from.size(), to);
}

}  // namespace

CASE(reference, reads_ranges_and_turns_bgr) {
  const Folder folder;
  const Expected image = Reference(folder.path).read(0);
  CHECK_EQUAL(std::string(image.pixels.begin(), image.pixels.end()), "CBAFED");
  CHECK_EQUAL(image.labels.size(), 3U);
  CHECK_EQUAL(image.rows, 3);
  CHECK_EQUAL(image.columns, 1);
  CHECK_EQUAL(image.view().width, 2);
}

CASE(reference, damage_is_one_sentence) {
  const Folder folder;
  const auto with = [&](const std::string& from, const std::string& to) {
    folder.write("reference.json", replaced(table(), from, to));
    return folder.refusal();
  };
  using check::contains;
  CHECK(contains(with("\"offset\": 4", "\"offset\": 5"), "was changed"));
  CHECK(contains(with("\"offset\": 4", "\"offset\": 9"), "too short"));
  CHECK(contains(with("\"offset\": 4", "\"offset\": -4"), "was changed"));
  CHECK(contains(with("\"offset\": 4", "\"offset\": 1e300"), "was changed"));
  CHECK(contains(with("\"offset\": 4", "\"offset\": 0.5"), "was changed"));
  CHECK(contains(with("p.raw", "../p.raw"), "plain file name"));
  CHECK(contains(with("p.raw", "none"), "is missing"));
  CHECK(contains(with("\"height\": 1", "\"height\": 1000000"), "impossible shape"));
  CHECK(contains(with("\"channels\": 3", "\"channels\": 65"), "impossible shape"));
  CHECK(contains(with("\"offset\": 4", "\"dtype\": \"int64\", \"offset\": 4"), "unknown type"));
  CHECK(contains(with("\"offset\": 4", "\"dtype\": \"float32\", \"offset\": 4"), "too short"));
  CHECK(contains(with("reference/1", "reference/2"), "is not of schema"));
  CHECK(contains(with("\"name\": \"a\"", "\"name\": 7"), ""));
  folder.write("reference.json", R"({"schema": "segedge.reference/1", "images": []})");
  CHECK(contains(folder.refusal(), "lists no images"));
}

CASE(reference, a_bundle_vouches_for_it) {
  const Folder folder;
  fs::rename(folder.path / "reference.json", folder.path / "data/reference.json");
  for (const char* name : {"p.raw", "l.raw"}) fs::rename(folder.path / name, folder.path / "data" / name);
  const auto manifest = [&](const std::string& files) {
    const std::string text = "{\"files\": {" + files + "}}\n";
    folder.write("manifest.json", text);
    folder.write("manifest.sha256", hash(text) + "  manifest.json\n");
    return folder.refusal();
  };
  CHECK_EQUAL(manifest("\"data/reference.json\": {\"bytes\": 1, \"sha256\": \"" + hash(table()) + "\"}"), "");
  CHECK(check::contains(manifest("\"data/reference.json\": {\"sha256\": \"0\"}"), "was changed since the bundle was made"));
  CHECK(check::contains(manifest(""), "carries no images to compare on"));
  folder.write("manifest.sha256", "0");
  CHECK(check::contains(folder.refusal(), "differs from its hash"));
}

CASE(reference, garbage_never_crashes) {
  const Folder folder;
  std::mt19937 random(5);
  int refused = 0;
  for (int turn = 0; turn < 1000; ++turn) {
    std::string text = table();
    for (unsigned i = 0; i <= random() % 3; ++i) text[random() % text.size()] = static_cast<char>(random());
    if (turn % 4 == 0) text.resize(random() % text.size());
    folder.write("reference.json", text);
    refused += !folder.refusal().empty();
  }
  CHECK(refused > 900);  // what is left changed a name or a space
}
