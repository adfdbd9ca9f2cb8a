#include "reference.hpp"

#include <array>
#include <cmath>
#include <fstream>
#include <utility>

#include "failure.hpp"
#include "manifest.hpp"
#include "sha256.hpp"

namespace segedge::tool {
namespace {

namespace fs = std::filesystem;

constexpr const char* schema = "segedge.reference/1";
constexpr const char* bundled = "data/reference.json";
constexpr int largest_side = 1 << 15;
constexpr int most_channels = 64;

struct Type {
  const char* name;
  Dtype dtype;
  std::size_t bytes;
};

constexpr std::array<Type, 4> types{
    {{"uint8", Dtype::uint8, 1}, {"uint16", Dtype::uint16, 2}, {"int16", Dtype::int16, 2}, {"float32", Dtype::float32, 4}}};

std::string sha256_text(const std::string& text) {
  Sha256 digest;
  digest.update(text.data(), text.size());
  return digest.hex();
}

/// `data/` of an unpacked bundle, once its manifest vouches for the reference; any other folder as it is.
fs::path located(const fs::path& folder) {
  std::error_code ignored;
  if (!fs::is_regular_file(folder / "manifest.json", ignored)) return folder;
  const std::string manifest = read_text((folder / "manifest.json").string());
  const std::string digest = read_text((folder / "manifest.sha256").string());
  if (digest != sha256_text(manifest) + "  manifest.json\n") {
    fail_input((folder / "manifest.json").string() + ": differs from its hash; unpack the bundle again");
  }
  const json::Value table = json::parse(manifest);
  const json::Value* listed = table.at("files").find(bundled);
  if (listed == nullptr) {
    fail_input(folder.string() + ": this bundle carries no images to compare on; make one with images, or give a folder " +
               "with reference.json");
  }
  if (listed->at("sha256").string() != sha256_text(read_text((folder / bundled).string()))) {
    fail_input((folder / bundled).string() + ": was changed since the bundle was made; unpack it again");
  }
  return (folder / bundled).parent_path();
}

const Type& type_of(const json::Value& pixels, const fs::path& where) {
  const json::Value* name = pixels.find("dtype");
  if (name == nullptr) return types[0];
  for (const Type& type : types) {
    if (name->string() == type.name) return type;
  }
  fail_input(where.string() + ": lists an image of an unknown type; make the reference again");
}

int side(const json::Value& table, const char* key, const fs::path& where) {
  const int value = table.at(key).integer();
  if (value < 1 || value > largest_side) {
    fail_input(where.string() + ": lists an image of an impossible shape; make the reference again");
  }
  return value;
}

/// `size` bytes of a file, from `offset` on if there is one, compared with their hash.
std::vector<std::uint8_t> read_bytes(const fs::path& folder, const json::Value& entry, std::size_t size) {
  const std::string& name = entry.at("file").string();
  const fs::path path = folder / name;
  if (name.empty() || fs::path(name).filename() != name) {
    fail_input(path.string() + ": is not a plain file name; make the reference again");
  }
  const json::Value* given = entry.find("offset");
  const double offset = given == nullptr ? 0.0 : given->number();
  std::error_code ignored;
  const auto length = static_cast<double>(fs::is_regular_file(path, ignored) ? fs::file_size(path, ignored) : 0);
  const bool whole = offset >= 0.0 && offset == std::floor(offset) && offset + static_cast<double>(size) <= length;
  std::vector<std::uint8_t> bytes(whole ? size : 0);
  if (whole) {
    std::ifstream stream(path, std::ios::binary);
    stream.seekg(static_cast<std::streamoff>(offset));
    stream.read(reinterpret_cast<char*>(bytes.data()), static_cast<std::streamsize>(size));
  }
  Sha256 digest;
  digest.update(bytes.data(), bytes.size());
  if (!whole || digest.hex() != entry.at("sha256").string()) {
    fail_input(path.string() + ": is missing, was changed since it was made, or is too short; copy the reference again");
  }
  return bytes;
}

}  // namespace

Reference::Reference(const fs::path& folder) : folder_(located(folder)) {
  const fs::path path = folder_ / "reference.json";
  table_ = json::parse(read_text(path.string()));
  if (table_.at("schema").string() != schema) fail_input(path.string() + ": is not of schema " + schema);
  if (rows().empty()) fail_input(path.string() + ": lists no images; make the reference again");
}

Expected Reference::read(std::size_t index) const {
  const json::Value& row = rows()[index];
  const json::Value &pixels = row.at("pixels"), &labels = row.at("labels");
  Expected image;
  image.name = row.at("name").string();
  image.height = side(row, "height", folder_);
  image.width = side(row, "width", folder_);
  image.channels = row.at("channels").integer();
  const Type& type = type_of(pixels, folder_);
  image.dtype = type.dtype;
  image.maps = labels.find("maps") == nullptr ? 1 : labels.at("maps").integer();
  if (image.channels < 1 || image.channels > most_channels || image.maps < 1 || image.maps > most_channels) {
    fail_input(folder_.string() + ": lists an image of an impossible shape; make the reference again");
  }
  image.rows = labels.find("height") == nullptr ? image.height : side(labels, "height", folder_);
  image.columns = labels.find("width") == nullptr ? image.width : side(labels, "width", folder_);
  const auto area = [](int a, int b) { return static_cast<std::size_t>(a) * static_cast<std::size_t>(b); };
  image.pixels = read_bytes(folder_, pixels, area(image.height, image.width) * static_cast<std::size_t>(image.channels) * type.bytes);
  image.labels = read_bytes(folder_, labels, area(image.rows, image.columns) * static_cast<std::size_t>(image.maps));
  const json::Value* order = pixels.find("order");
  if (order != nullptr && order->string() == "bgr" && image.channels == 3) {
    for (std::size_t i = 0; i + 2 < image.pixels.size(); i += 3) std::swap(image.pixels[i], image.pixels[i + 2]);
  }
  return image;
}

}  // namespace segedge::tool
