// Rows for people: columns as wide as what is in them, two spaces between.
//
// A value; any thread.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace topicfs {

class TextTable {
public:
    // Columns whose title begins with '>' are aligned to the right, without it.
    explicit TextTable(const std::vector<std::string>& titles);

    // As many cells as there are columns.
    void add(std::vector<std::string> row) { rows_.push_back(std::move(row)); }

    // With the titles, also where there is no row.
    std::string text() const;

private:
    std::vector<bool> is_right_;
    std::vector<std::vector<std::string>> rows_;
};

// `text` in lines of at most `columns` bytes, broken at spaces; a word that is longer has a line of its own.
std::vector<std::string> wrap_text(std::string_view text, std::size_t columns);

}  // namespace topicfs
