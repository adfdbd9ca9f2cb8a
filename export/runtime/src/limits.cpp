#include "limits.hpp"

#include <algorithm>
#include <array>
#include <locale>
#include <sstream>

#include "failure.hpp"

namespace segedge {
namespace {

Limits current;

struct Entry {
  const char* name;
  std::size_t Limits::*value;
};

constexpr std::array<Entry, 4> entries{{{"pixels", &Limits::pixels},
                                        {"document_bytes", &Limits::document_bytes},
                                        {"depth", &Limits::depth},
                                        {"digits", &Limits::digits}}};

const Entry* entry(const std::string& name) {
  const auto found = std::find_if(entries.begin(), entries.end(), [&](const Entry& e) { return name == e.name; });
  return found == entries.end() ? nullptr : &*found;
}

}  // namespace

const Limits& limits() { return current; }

void set_limit(const std::string& option) {
  const std::size_t sign = std::min(option.find('='), option.size());
  const std::string name = option.substr(0, sign), text = option.substr(std::min(sign + 1, option.size()));
  const Entry* found = entry(name);
  if (found == nullptr) {
    fail_input("--limit " + option + ": no limit '" + name + "'; there are pixels, document_bytes, depth, digits");
  }
  std::istringstream stream(text);
  stream.imbue(std::locale::classic());
  double value = 0.0;
  if (!(stream >> value) || !stream.eof() || !(value >= 1.0 && value <= 1e15)) {
    fail_input("--limit " + option + ": '" + text + "' is not a positive number; give " + name + "=N");
  }
  current.*(found->value) = static_cast<std::size_t>(value);
}

void fail_limit(const std::string& found, const std::string& name) {
  const Entry* limit = entry(name);
  fail_input(found + ", more than the " + std::to_string(limit == nullptr ? 0 : current.*(limit->value)) +
             " that are read; where you trust it, run segedge-run --limit " + name + "=N ...");
}

}  // namespace segedge
