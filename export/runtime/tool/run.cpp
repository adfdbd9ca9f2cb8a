#include <cstdio>
#include <map>
#include <string>

#include "commands.hpp"
#include "limits.hpp"

namespace segedge::tool {
namespace {

constexpr const char* usage =
    "segedge-run infer ENGINE IMAGE... --out DIR [--threads N]\n"
    "    one PNG mask an image: 0 and 255 (class indices where the task names more than two classes)\n"
    "segedge-run bench ENGINE [--image IMAGE] [--seconds 10] [--threads N] [--heap-frames N] [--json]\n"
    "    latency of the network alone, from decoded frame to mask, and of what lies around the network, interleaved;\n"
    "    by how much the heap grows over N frames\n"
    "segedge-run verify ENGINE (REFERENCE | BUNDLE) [--min-agreement 0.98 | --exact] [--threads N] [--json]\n"
    "    masks against those of a reference folder or an unpacked bundle; exit code 1 where they differ by more\n"
    "segedge-run info [ENGINE] [--json]\n"
    "    version and backends, or what an engine folder is\n"
    "\n"
    "infer, bench and verify refuse what --trusted-key FILE.pub has not signed (it may be repeated; keys in\n"
    "~/.config/segedge/trusted_keys count as well), unless --allow-unsigned says to take it all the same.\n"
    "--limit NAME=N before the command reads more than is allowed (pixels, document_bytes, depth, digits).\n"
    "IMAGE: PNG or JPEG. Exit codes: 0 done, 1 verify failed, 2 files or arguments at fault,\n"
    "3 this machine lacks something, 70 a bug.\n";

const std::map<std::string, int (*)(const Words&)> commands{
    {"infer", run_infer},
    {"bench", run_bench},
    {"verify", run_verify},
    {"info", run_info},
};

}  // namespace

int run(Words words) {
  try {
    while (words.size() > 1 && words[0] == "--limit") {
      set_limit(words[1]);
      words.erase(words.begin(), words.begin() + 2);
    }
    if (words.empty() || words[0] == "--help" || words[0] == "-h") {
      std::fputs(usage, words.empty() ? stderr : stdout);
      return words.empty() ? static_cast<int>(Fault::input) : 0;
    }
    if (words[0] == "--version") return std::printf("segedge-run %s\n", version()) < 0;
    const auto command = commands.find(words[0]);
    if (command == commands.end()) fail_input(words[0] + ": no such command; see segedge-run --help");
    return command->second({words.begin() + 1, words.end()});
  } catch (...) {
    const Error error = current_error();
    std::fprintf(stderr, "error: %s\n", error.message.c_str());
    return static_cast<int>(error.fault);
  }
}

}  // namespace segedge::tool
