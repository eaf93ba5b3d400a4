// Writes figures in the text exposition format of Prometheus (version 0.0.4).
//
// A family is a name with all its samples in a row; its HELP and TYPE come first, once. A family without samples is
// left out. Names are the program's own and are taken as they are; label values and help texts may be anything and are
// escaped (bytes that are no UTF-8 become U+FFFD, as the format wants UTF-8).
//
// One thread.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>

namespace topicfs {

class MetricsText {
public:
    // A counter's name ends in _total and counts since the start of the process. A gauge goes up and down. A histogram
    // has the samples NAME_bucket (with a label `le`, cumulative, up to +Inf), NAME_sum and NAME_count.
    enum class Type { kCounter, kGauge, kHistogram };

    // `{a="1",b="2"}` without the braces: written once for the many samples that have the same ones.
    using Label = std::pair<std::string_view, std::string_view>;
    static std::string labels(std::initializer_list<Label> labels);

    // What follows belongs to that family.
    MetricsText& family(std::string_view name, Type type, std::string_view help);
    // `labels` as labels() gives them; empty for none. `suffix` is what a histogram's samples end in.
    MetricsText& sample(std::string_view labels, std::uint64_t value, std::string_view suffix = {});
    // Infinities and what is no number are written as the format has them.
    MetricsText& sample(std::string_view labels, double value, std::string_view suffix = {});

    const std::string& text() const& { return text_; }
    std::string text() && { return std::move(text_); }

private:
    void begin_sample(std::string_view labels, std::string_view suffix);

    std::string text_;
    std::string name_;
    std::string head_;  // HELP and TYPE of the family, until it has a sample
};

}  // namespace topicfs
