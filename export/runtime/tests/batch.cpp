// segedge-run over and over in one process: a command line each line, its words between tabs; after each, its exit code
// on a line of its own that begins with a record separator. tests/fuzz sends it damaged files by the thousand.
#include <cstdio>
#include <iostream>
#include <sstream>

#include "commands.hpp"

int main() {
  std::string line;
  while (std::getline(std::cin, line)) {
    segedge::tool::Words words;
    std::istringstream stream(line);
    for (std::string word; std::getline(stream, word, '\t');) words.push_back(word);
    const int code = segedge::tool::run(words);
    std::printf("\x1e%d\n", code);
    std::fflush(stdout);
  }
  return 0;
}
