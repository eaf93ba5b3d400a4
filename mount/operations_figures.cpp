// The part of Operations that tells figures: .status and /.metrics. Schema and names are in src/format/FORMAT.md.
#include <utility>
#include <vector>

#include "base/json.h"
#include "base/metrics_text.h"
#include "mount/operations.h"

namespace topicfs {

namespace {

std::string json_text(const std::string& text) {
    JsonWriter json;
    json.value(std::string_view(text));
    return json.text();
}

}  // namespace

Result<std::string> Operations::figures(const Node& node) {
    if (node.kind == NodeKind::kMetrics) {
        return root_metrics();
    }
    return node.topic ? node.topic->status_json() : root_status();
}

Result<std::string> Operations::root_metrics() {
    TOPICFS_TRY_ASSIGN(std::string all, store_.metrics_text());
    MetricsText text;
    requests_.write(text);
    const auto gauge = [&](const char* name, const char* help, std::size_t value) {
        text.family(name, MetricsText::Type::kGauge, help).sample("", std::uint64_t{value});
    };
    gauge("topicfs_passthrough", "1 where appends can stay in the kernel, 0 where all come to the daemon.",
          passthrough_.available() ? 1 : 0);
    gauge("topicfs_open_handles", "Files and directories that are open through the mount.", handles_.size());
    gauge("topicfs_nodes", "Nodes that the kernel knows.", nodes_.size());
    gauge("topicfs_backing_files", "Heads that the kernel may write to.", backings_.size());
    gauge("topicfs_waiting_reads", "Reads that wait for a log to grow.", follows_.waiting());
    all += text.text();
    return all;
}

Result<std::string> Operations::root_status() {
    const bool available = passthrough_.available();
    std::vector<StatusFact> facts = {{"write_path", available ? "\"passthrough\"" : "\"daemon\""}};
    if (!available) {
        facts.push_back({"no_passthrough_because", json_text(passthrough_.refusal())});
    }
    facts.push_back({"requests", requests_.to_json()});
    facts.push_back({"request_errors", requests_.errors_to_json()});
    facts.push_back({"open_handles", std::to_string(handles_.size())});
    facts.push_back({"nodes", std::to_string(nodes_.size())});
    facts.push_back({"backing_files", std::to_string(backings_.size())});
    facts.push_back({"waiting_reads", std::to_string(follows_.waiting())});
    return store_.status_json(facts);
}

}  // namespace topicfs
