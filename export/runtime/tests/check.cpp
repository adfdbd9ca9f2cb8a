#include "check.hpp"

#include <cstdio>
#include <exception>
#include <vector>

namespace check {
namespace {

struct Entry {
  std::string group, name;
  void (*body)();
};

std::vector<Entry>& entries() {
  static std::vector<Entry> all;
  return all;
}

int failures = 0;

}  // namespace

Case::Case(const char* group, const char* name, void (*body)()) { entries().push_back({group, name, body}); }

void failed(const char* file, int line, const std::string& what) {
  ++failures;
  std::fprintf(stderr, "%s:%d: %s\n", file, line, what.c_str());
}

}  // namespace check

int main(int count, char** values) {
  int ran = 0;
  for (const auto& entry : check::entries()) {
    if (count > 1 && entry.group != values[1]) continue;
    ++ran;
    try {
      entry.body();
    } catch (const std::exception& error) {
      check::failed(entry.name.c_str(), 0, std::string("threw: ") + error.what());
    }
  }
  std::printf("%d cases, %d failures\n", ran, check::failures);
  return ran == 0 || check::failures > 0;
}
