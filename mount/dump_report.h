// What `topicfs dump` shows: facts, then a table of what the file holds in the order in which it stands there. As text
// for people or as JSON for programs. One thread.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace topicfs {

// A cell of the table, or the value of a fact. Times are milliseconds since the Unix epoch.
struct DumpTime {
    std::int64_t unix_ms = 0;
};
using DumpValue = std::variant<std::uint64_t, std::string, DumpTime>;

struct DumpRow {
    std::uint64_t at = 0;  // the byte of the file where it stands; rows are shown by it
    std::uint64_t to = 0;  // and where it ends
    std::vector<DumpValue> cells;
    std::string damage;  // why it is damaged; then there may be no cells. Empty: it is good
};

struct DumpReport {
    std::string kind;  // "segment", "head", …
    std::vector<std::pair<std::string, DumpValue>> facts;
    std::map<std::string, std::string> values;  // what a text file holds
    std::string rows_name;                      // the key of the rows in JSON; empty: a file without rows
    std::vector<std::string> columns;           // lower case with underscores
    std::vector<DumpRow> rows;
    bool damaged = false;

    void fact(std::string name, DumpValue value) { facts.emplace_back(std::move(name), std::move(value)); }
    void row(std::uint64_t at, std::uint64_t to, std::vector<DumpValue> cells) {
        rows.push_back({at, to, std::move(cells), {}});
    }
    void damage(std::uint64_t at, std::uint64_t to, std::string why) {
        rows.push_back({at, to, {}, std::move(why)});
        damaged = true;
    }
};

std::string dump_text(const DumpReport& report);
std::string dump_json(const DumpReport& report);

}  // namespace topicfs
