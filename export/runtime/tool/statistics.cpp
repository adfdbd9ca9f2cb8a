#include "statistics.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <numeric>

#include "json.hpp"
#include "watch.hpp"

namespace segedge::tool {
namespace {

using Clock = std::chrono::steady_clock;

constexpr double cov_limit = 0.025, drift_limit = 0.025;
constexpr std::size_t drift_runs = 30, min_runs = 100, min_rounds = 10;
constexpr double window_s = 0.1, steady_spread = 0.03, shortest_warmup_s = 1.0;
constexpr std::size_t window_runs = 3, steady_windows = 3;

double since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const std::size_t n = values.size();
  return n % 2 == 1 ? values[n / 2] : (values[n / 2 - 1] + values[n / 2]) / 2.0;
}

std::vector<double> timed_block(const Run& run, double seconds, std::size_t fewest) {
  std::vector<double> samples;
  const Clock::time_point begin = Clock::now();
  while (since(begin) < seconds || samples.size() < fewest) {
    const Clock::time_point start = Clock::now();
    run();
    samples.push_back(since(start) * 1e3);
  }
  return samples;
}

/// Runs until three windows have medians within 3 %, or the limit is reached. True where steady.
bool warm_up(Timed& call, double limit_s) {
  std::vector<double> medians;
  const Clock::time_point start = Clock::now();
  for (;;) {
    const std::vector<double> window = timed_block(call.run, window_s, window_runs);
    call.latency.warmup += window.size();
    medians.push_back(median(window));
    call.latency.warmup_seconds = since(start);
    if (medians.size() < steady_windows) continue;
    const auto [low, high] = std::minmax_element(medians.end() - steady_windows, medians.end());
    if (*high <= *low * (1.0 + steady_spread)) return true;
    if (call.latency.warmup_seconds >= limit_s) return false;
  }
}

std::vector<double> joined(const std::vector<std::vector<double>>& blocks) {
  std::vector<double> all;
  for (const auto& block : blocks) all.insert(all.end(), block.begin(), block.end());
  return all;
}

bool has_enough(const Timed& call, double seconds) {
  std::size_t runs = 0;
  double spent = 0.0;
  for (const auto& block : call.blocks) {
    runs += block.size();
    spent += std::accumulate(block.begin(), block.end(), 0.0);
  }
  return runs >= min_runs && spent >= 1e3 * seconds;
}

template <class... Values>
std::string format(const char* pattern, Values... values) {
  char text[256];
  std::snprintf(text, sizeof text, pattern, values...);
  return text;
}

}  // namespace

double percentile(const std::vector<double>& ascending, double share) {
  const auto n = static_cast<double>(ascending.size());
  // Rounding first: (1 - 0.9) * 100 is 9.999... in binary, and means 10.
  const double above = std::floor(std::round((1.0 - share) * n * 1e9) / 1e9);
  return ascending[static_cast<std::size_t>(std::max(n - 1.0 - above, 0.0))];
}

Latency summarize(std::vector<double> samples) {
  Latency latency;
  const std::size_t n = samples.size();
  latency.n = n;
  latency.mean = std::accumulate(samples.begin(), samples.end(), 0.0) / static_cast<double>(n);
  double squares = 0.0;
  for (const double sample : samples) squares += (sample - latency.mean) * (sample - latency.mean);
  latency.cov = latency.mean > 0.0 ? std::sqrt(squares / static_cast<double>(n)) / latency.mean : 0.0;
  if (latency.cov > cov_limit) {
    latency.warnings.push_back(format("CoV %.1f %% is above 2.5 %%: run times scatter; quiet the machine or fix its clocks",
                                      100.0 * latency.cov));
  }
  if (n >= drift_runs) {
    const auto third = static_cast<std::ptrdiff_t>(n / 3);
    const double first = median({samples.begin(), samples.begin() + third}), last = median({samples.end() - third, samples.end()});
    const double drift = first > 0.0 ? last / first - 1.0 : 0.0;
    if (std::abs(drift) > drift_limit) {
      latency.warnings.push_back(format("drift: the last third ran %.1f %% %s than the first; clocks or load changed",
                                        100.0 * std::abs(drift), drift > 0.0 ? "slower" : "faster"));
    }
  }
  std::sort(samples.begin(), samples.end());
  latency.min = samples.front();
  latency.p50 = percentile(samples, 0.50);
  latency.p90 = percentile(samples, 0.90);
  latency.p95 = percentile(samples, 0.95);
  latency.p99 = percentile(samples, 0.99);
  return latency;
}

void interleave(std::vector<Timed>& calls, double seconds) {
  std::vector<bool> steady;
  for (Timed& call : calls) steady.push_back(warm_up(call, std::max(seconds, shortest_warmup_s)));
  const Snapshot before = snapshot();
  const double block = std::min(window_s, seconds / static_cast<double>(min_rounds));
  for (std::size_t turn = 0;; ++turn) {
    const bool done = std::all_of(calls.begin(), calls.end(), [&](const Timed& call) { return has_enough(call, seconds); });
    if (turn >= min_rounds && done) break;
    for (std::size_t i = 0; i < calls.size(); ++i) {
      Timed& call = calls[turn % 2 == 0 ? i : calls.size() - 1 - i];
      call.run();  // finds the other call's data in the caches; not counted
      call.blocks.push_back(timed_block(call.run, block, 1));
    }
  }
  const std::vector<std::string> seen = differences(before, snapshot());
  for (std::size_t i = 0; i < calls.size(); ++i) {
    Latency latency = summarize(joined(calls[i].blocks));
    latency.warmup = calls[i].latency.warmup;
    latency.warmup_seconds = calls[i].latency.warmup_seconds;
    if (!steady[i]) {
      latency.warnings.push_back(
          format("not steady: times still moved by over 3 %% after %.1f s of warm-up", latency.warmup_seconds));
    }
    latency.warnings.insert(latency.warnings.end(), seen.begin(), seen.end());
    calls[i].latency = std::move(latency);
  }
}

double ratio(const Timed& a, const Timed& b) {
  std::vector<double> ratios;
  for (std::size_t i = 0; i < std::min(a.blocks.size(), b.blocks.size()); ++i) {
    ratios.push_back(median(a.blocks[i]) / median(b.blocks[i]));
  }
  return median(ratios);
}

std::string to_json(const Latency& latency, const std::vector<std::pair<std::string, std::string>>& conditions) {
  std::string out = "{";
  for (const auto& [name, value] : std::vector<std::pair<const char*, double>>{{"p50", latency.p50},
                                                                              {"p90", latency.p90},
                                                                              {"p95", latency.p95},
                                                                              {"p99", latency.p99},
                                                                              {"mean", latency.mean},
                                                                              {"min", latency.min},
                                                                              {"cov", latency.cov}}) {
    out += format("\"%s\": %.9g, ", name, value);
  }
  out += format("\"n\": %zu, \"warmup\": %zu, \"conditions\": {", latency.n, latency.warmup);
  for (const auto& [name, value] : conditions) out += json::quoted(name) + ": " + value + ", ";
  out += format("\"warmup_seconds\": %.3f}, \"trustworthy\": %s, \"warnings\": [", latency.warmup_seconds,
                latency.warnings.empty() ? "true" : "false");
  for (std::size_t i = 0; i < latency.warnings.size(); ++i) out += (i > 0 ? ", " : "") + json::quoted(latency.warnings[i]);
  return out + "]}";
}

}  // namespace segedge::tool
