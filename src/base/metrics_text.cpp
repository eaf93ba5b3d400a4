#include "base/metrics_text.h"

#include "base/json.h"

#include <array>
#include <charconv>
#include <cmath>

namespace topicfs {

namespace {

constexpr std::string_view kReplacement = "\xEF\xBF\xBD";  // U+FFFD

// How many bytes of `text` at its begin are one character of UTF-8; 0 where they are none.
std::size_t character_bytes(std::string_view text) {
    for (std::size_t bytes = 1; bytes <= 4 && bytes <= text.size(); ++bytes) {
        if (is_valid_utf8(text.substr(0, bytes))) {
            return bytes;
        }
    }
    return 0;
}

void append_escaped(std::string& to, std::string_view text, bool with_quotes) {
    while (!text.empty()) {
        const char c = text.front();
        std::size_t taken = 1;
        if (c == '\\') {
            to += "\\\\";
        } else if (c == '\n') {
            to += "\\n";
        } else if (c == '"' && with_quotes) {
            to += "\\\"";
        } else if (static_cast<unsigned char>(c) < 0x80) {
            to += c;
        } else if (taken = character_bytes(text); taken > 0) {
            to += text.substr(0, taken);
        } else {
            to += kReplacement;
            taken = 1;
        }
        text.remove_prefix(taken);
    }
}

template <typename T>
void append_number(std::string& to, T value) {
    std::array<char, 32> digits{};
    const auto written = std::to_chars(digits.data(), digits.data() + digits.size(), value);
    to.append(digits.data(), written.ptr);
}

std::string_view name_of(MetricsText::Type type) {
    switch (type) {
        case MetricsText::Type::kCounter:
            return "counter";
        case MetricsText::Type::kGauge:
            return "gauge";
        case MetricsText::Type::kHistogram:
            break;
    }
    return "histogram";
}

}  // namespace

std::string MetricsText::labels(std::initializer_list<Label> labels) {
    std::string text;
    for (const auto& [name, value] : labels) {
        if (!text.empty()) {
            text += ',';
        }
        text += name;
        text += "=\"";
        append_escaped(text, value, true);
        text += '"';
    }
    return text;
}

MetricsText& MetricsText::family(std::string_view name, Type type, std::string_view help) {
    name_ = name;
    head_ = "# HELP " + name_ + ' ';
    append_escaped(head_, help, false);
    head_ += "\n# TYPE " + name_ + ' ' + std::string(name_of(type)) + '\n';
    return *this;
}

void MetricsText::begin_sample(std::string_view labels, std::string_view suffix) {
    if (!head_.empty()) {
        text_ += head_;
        head_.clear();
    }
    text_ += name_;
    text_ += suffix;
    if (!labels.empty()) {
        text_ += '{';
        text_ += labels;
        text_ += '}';
    }
    text_ += ' ';
}

MetricsText& MetricsText::sample(std::string_view labels, std::uint64_t value, std::string_view suffix) {
    begin_sample(labels, suffix);
    append_number(text_, value);
    text_ += '\n';
    return *this;
}

MetricsText& MetricsText::sample(std::string_view labels, double value, std::string_view suffix) {
    begin_sample(labels, suffix);
    if (std::isnan(value)) {
        text_ += "NaN";
    } else if (std::isinf(value)) {
        text_ += value > 0 ? "+Inf" : "-Inf";
    } else {
        append_number(text_, value);
    }
    text_ += '\n';
    return *this;
}

}  // namespace topicfs
