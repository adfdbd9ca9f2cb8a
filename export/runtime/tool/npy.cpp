// NumPy's array files (NEP 1): a magic, a header that reads as a Python literal, then the values.
#include <algorithm>
#include <array>
#include <cstring>
#include <string_view>

#include "codec.hpp"
#include "failure.hpp"
#include "limits.hpp"

namespace segedge::tool {
namespace {

constexpr std::size_t most_values = std::size_t{1} << 30;

struct Kind {
  std::string_view name;
  Dtype dtype;
  std::size_t bytes;
};

constexpr std::array<Kind, 4> kinds{
    {{"|u1", Dtype::uint8, 1}, {"<u2", Dtype::uint16, 2}, {"<i2", Dtype::int16, 2}, {"<f4", Dtype::float32, 4}}};

/// What follows `'key':` in the header, without leading spaces; empty where there is no such key.
std::string_view after(std::string_view header, std::string_view key) {
  const std::size_t at = header.find("'" + std::string(key) + "':");
  if (at == std::string_view::npos) return {};
  header.remove_prefix(at + key.size() + 3);
  header.remove_prefix(std::min(header.find_first_not_of(' '), header.size()));
  return header;
}

/// The numbers of a tuple; empty where it is none.
std::vector<std::size_t> tuple(std::string_view text) {
  std::vector<std::size_t> numbers;
  if (text.empty() || text.front() != '(') return numbers;
  const std::size_t end = text.find(')');
  if (end == std::string_view::npos) return numbers;
  std::size_t value = 0;
  bool inside = false;
  for (const char c : text.substr(1, end - 1)) {
    if (c >= '0' && c <= '9') {
      value = std::min(value * 10 + static_cast<std::size_t>(c - '0'), most_values + 1);
      inside = true;
    } else if (inside) {
      numbers.push_back(value);
      value = 0;
      inside = false;
    }
  }
  if (inside) numbers.push_back(value);
  return numbers;
}

}  // namespace

Image read_npy(const File& file, const std::string& path) {
  const std::string damaged = path + ": is not a sound NumPy array; save it again with numpy.save";
  if (file.size() < 12 || file[6] < 1 || file[6] > 2) fail_input(damaged);
  const std::size_t field = file[6] == 1 ? 2 : 4;
  std::size_t length = 0;
  for (std::size_t i = 0; i < field; ++i) length |= static_cast<std::size_t>(file[8 + i]) << (8 * i);
  const std::size_t start = 8 + field + length;
  if (start > file.size()) fail_input(damaged);
  const std::string_view header(reinterpret_cast<const char*>(file.data()) + 8 + field, length);
  const std::string_view type = after(header, "descr");
  const auto kind = std::find_if(kinds.begin(), kinds.end(), [&](const Kind& known) {
    return type.size() > known.name.size() + 1 && type.substr(1, known.name.size()) == known.name;
  });
  const std::vector<std::size_t> shape = tuple(after(header, "shape"));
  if (kind == kinds.end() || after(header, "fortran_order").substr(0, 5) != "False" || shape.size() < 2 || shape.size() > 3) {
    fail_input(path + ": is no array of [h, w] or [h, w, channels] of uint8, uint16, int16 or float32; save it as one");
  }
  const std::size_t height = shape[0], width = shape[1], channels = shape.size() == 3 ? shape[2] : 1;
  if (height == 0 || width == 0 || channels == 0) fail_input(path + ": holds no values; replace or remove it");
  if (height > most_values || width > most_values / height || channels > most_values / (height * width)) {
    fail_input(path + ": is too large; tile it");
  }
  if (height * width > limits().pixels) {
    within(path, [&]() -> bool { fail_limit("has " + std::to_string(height * width) + " pixels", "pixels"); });
  }
  const std::size_t size = height * width * channels * kind->bytes;
  if (file.size() - start < size) fail_input(damaged);
  const auto first = file.begin() + static_cast<std::ptrdiff_t>(start);
  return {static_cast<int>(height), static_cast<int>(width), static_cast<int>(channels),
          File(first, first + static_cast<std::ptrdiff_t>(size)), kind->dtype};
}

}  // namespace segedge::tool
