#include "arguments.hpp"

#include <locale>
#include <sstream>

#include "failure.hpp"

namespace segedge::tool {

Arguments::Arguments(const std::vector<std::string>& words, const std::set<std::string>& valued,
                     const std::set<std::string>& flags) {
  bool only_words = false;
  for (std::size_t i = 0; i < words.size(); ++i) {
    const std::string& word = words[i];
    if (only_words || word.size() < 2 || word[0] != '-') {
      words_.push_back(word);
    } else if (word == "--") {
      only_words = true;
    } else if (flags.count(word) > 0) {
      options_[word];
    } else if (valued.count(word) == 0) {
      fail_input(word + ": no such option; see segedge-run --help");
    } else if (i + 1 == words.size()) {
      fail_input(word + ": needs a value; see segedge-run --help");
    } else {
      options_[word].push_back(words[++i]);
    }
  }
}

std::string Arguments::text(const std::string& option, const std::string& otherwise) const {
  const auto found = options_.find(option);
  return found == options_.end() ? otherwise : found->second.back();
}

std::vector<std::string> Arguments::all(const std::string& option) const {
  const auto found = options_.find(option);
  return found == options_.end() ? std::vector<std::string>() : found->second;
}

double Arguments::number(const std::string& option, double otherwise, double low, double high) const {
  const auto found = options_.find(option);
  if (found == options_.end()) return otherwise;
  std::istringstream stream(found->second.back());
  stream.imbue(std::locale::classic());
  double value = 0.0;
  if (!(stream >> value) || !stream.eof() || !(value >= low && value <= high)) {
    std::ostringstream message;
    message << option << " " << found->second.back() << ": give a number from " << low << " to " << high;
    fail_input(message.str());
  }
  return value;
}

}  // namespace segedge::tool
