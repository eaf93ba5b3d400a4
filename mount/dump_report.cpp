#include "dump_report.h"

#include "base/json.h"
#include "base/text.h"

#include <algorithm>
#include <cstddef>

namespace topicfs {

namespace {

// A value of a text file may hold any byte.
std::string on_one_line(const std::string& text) {
    constexpr const char* kDigits = "0123456789abcdef";
    std::string line;
    for (const char c : text) {
        const auto byte = static_cast<unsigned char>(c);
        if (byte < 0x20 || byte == 0x7f) {
            line += c == '\n' ? std::string("\\n") : std::string("\\x") + kDigits[byte >> 4] + kDigits[byte & 15];
        } else {
            line += c;
        }
    }
    return line;
}

std::string cell_text(const DumpValue& value) {
    if (const auto* number = std::get_if<std::uint64_t>(&value)) {
        return std::to_string(*number);
    }
    if (const auto* time = std::get_if<DumpTime>(&value)) {
        return human_time(time->unix_ms);
    }
    return on_one_line(std::get<std::string>(value));
}

void write_member(JsonWriter& json, const std::string& name, const DumpValue& value) {
    json.key(name);
    if (const auto* number = std::get_if<std::uint64_t>(&value)) {
        json.value(*number);
    } else if (const auto* time = std::get_if<DumpTime>(&value)) {
        json.value(time->unix_ms);
    } else {
        json.value(std::get<std::string>(value));
    }
}

std::string padded(const std::string& text, std::size_t width) {
    return std::string(width - std::min(width, text.size()), ' ') + text;
}

std::string place(const DumpRow& row) {
    return "bytes " + std::to_string(row.at) + " to " + std::to_string(row.to);
}

void add_table(std::string& text, const DumpReport& report) {
    std::vector<std::size_t> widths;
    for (const std::string& column : report.columns) {
        widths.push_back(column.size());
    }
    std::vector<std::vector<std::string>> lines;
    for (const DumpRow& row : report.rows) {
        std::vector<std::string> line;
        for (std::size_t i = 0; i < row.cells.size() && i < widths.size(); ++i) {
            line.push_back(cell_text(row.cells[i]));
            widths[i] = std::max(widths[i], line.back().size());
        }
        lines.push_back(std::move(line));
    }
    const auto add_line = [&](const std::vector<std::string>& cells) {
        for (std::size_t i = 0; i < cells.size(); ++i) {
            text += (i == 0 ? "" : "  ") + padded(cells[i], widths[i]);
        }
    };
    if (!report.columns.empty()) {
        add_line(report.columns);
        text += '\n';
    }
    for (std::size_t i = 0; i < lines.size(); ++i) {
        const DumpRow& row = report.rows[i];
        add_line(lines[i]);
        if (!row.damage.empty()) {
            text += (lines[i].empty() ? "" : "  ") + ("DAMAGE: " + place(row) + ": " + row.damage);
        }
        text += '\n';
    }
}

}  // namespace

std::string dump_text(const DumpReport& report) {
    std::size_t width = 4;
    for (const auto& [name, value] : report.facts) {
        width = std::max(width, name.size());
    }
    const auto line = [&](const std::string& name, const std::string& value) {
        return name + std::string(width - name.size(), ' ') + "  " + value + "\n";
    };
    std::string text = line("kind", report.kind);
    for (const auto& [name, value] : report.facts) {
        text += line(name, cell_text(value));
    }
    for (const auto& [key, value] : report.values) {
        text += key + " = " + on_one_line(value) + "\n";
    }
    if (!report.rows.empty()) {
        text += '\n';
        add_table(text, report);
    }
    return text;
}

std::string dump_json(const DumpReport& report) {
    JsonWriter json(JsonWriter::Style::kIndented);
    json.begin_object();
    json.member("kind", report.kind);
    json.member("damaged", report.damaged);
    for (const auto& [name, value] : report.facts) {
        write_member(json, name, value);
    }
    if (!report.values.empty()) {
        json.key("values").begin_object();
        for (const auto& [key, value] : report.values) {
            json.member(key, value);
        }
        json.end_object();
    }
    if (!report.rows_name.empty() || !report.rows.empty()) {
        json.key(report.rows_name.empty() ? "rows" : report.rows_name).begin_array();
        for (const DumpRow& row : report.rows) {
            json.begin_object();
            json.member("at", row.at).member("to", row.to);
            for (std::size_t i = 0; i < row.cells.size() && i < report.columns.size(); ++i) {
                write_member(json, report.columns[i], row.cells[i]);
            }
            if (!row.damage.empty()) {
                json.member("damage", row.damage);
            }
            json.end_object();
        }
        json.end_array();
    }
    return json.end_object().text() + "\n";
}

}  // namespace topicfs
