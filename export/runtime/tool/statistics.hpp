// Latency of one call, as the toolkit measures it: warm-up until steady, runs timed one by one, interleaved blocks.
#pragma once

#include <functional>
#include <string>
#include <utility>
#include <vector>

namespace segedge::tool {

using Run = std::function<void()>;

/// The fields of `latency_ms` in a report.
struct Latency {
  double p50 = 0, p90 = 0, p95 = 0, p99 = 0, mean = 0, min = 0, cov = 0;
  std::size_t n = 0, warmup = 0;
  double warmup_seconds = 0;
  std::vector<std::string> warnings;
};

/// One thing to time, and what came of it.
struct Timed {
  Run run;
  std::vector<std::vector<double>> blocks;  ///< milliseconds of each uninterrupted stretch
  Latency latency;
};

/// Percentile of ascending samples: sorted[max(n - 1 - floor((1 - p) n), 0)], no interpolation (as trtexec).
double percentile(const std::vector<double>& ascending, double share);

/// Percentiles, spread, and the warnings that the samples themselves give.
Latency summarize(std::vector<double> samples);

/// Times several calls in turn, block by block, in alternating order, each for at least `seconds` and 100 runs.
void interleave(std::vector<Timed>& calls, double seconds);

/// Median over rounds of (median of a's block / median of b's block).
double ratio(const Timed& a, const Timed& b);

/// `latency_ms` as JSON; `conditions` are pairs of a name and a JSON value.
std::string to_json(const Latency& latency, const std::vector<std::pair<std::string, std::string>>& conditions);

}  // namespace segedge::tool
