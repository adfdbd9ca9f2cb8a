// What one input may ask for: those of edge/safety/limits.py that the runtime reads files by. They belong to the process.
#pragma once

#include <cstddef>
#include <string>

namespace segedge {

struct Limits {
  std::size_t pixels = 178956970;                      ///< of one picture, before it is decoded
  std::size_t document_bytes = std::size_t{64} << 20;  ///< of one JSON file
  std::size_t depth = 64;                              ///< of tables and lists inside each other
  std::size_t digits = 300;                            ///< of one number
};

/// The limits in force.
const Limits& limits();

/// Changes one, as `pixels=5e8` names it. Throws Failure(Fault::input): no such limit, or not a positive number.
void set_limit(const std::string& option);

/// The refusal of what asks for more, with the option that raises it; the file's name goes in front.
[[noreturn]] void fail_limit(const std::string& found, const std::string& name);

}  // namespace segedge
