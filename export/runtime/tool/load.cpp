#include "load.hpp"

#include <cstdio>

#include "commands.hpp"

namespace segedge::tool {

std::set<std::string> with_loading(std::set<std::string> valued) {
  valued.insert({"--threads", "--trusted-key"});
  return valued;
}

std::set<std::string> with_loading_flags(std::set<std::string> flags) {
  flags.insert("--allow-unsigned");
  return flags;
}

Engine loaded(const Arguments& arguments) {
  Options options;
  options.threads = static_cast<int>(arguments.number("--threads", 0, 0, 1024));
  options.trusted_keys = arguments.all("--trusted-key");
  options.allow_unsigned = arguments.has("--allow-unsigned");
  return value_of(Engine::load(arguments.words()[0], options));
}

void say_who_vouches(const Engine& engine) {
  if (!engine.info().vouched.empty()) std::fprintf(stderr, "%s\n", engine.info().vouched.c_str());
}

}  // namespace segedge::tool
