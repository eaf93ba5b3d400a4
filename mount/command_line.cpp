#include "command_line.h"

#include <boost/program_options.hpp>

#include <algorithm>
#include <cstddef>

namespace topicfs {

namespace {

namespace po = boost::program_options;

constexpr const char* kArguments = "arguments";  // the hidden option that collects what is no option

po::options_description describe(const CommandSpec& spec) {
    po::options_description options;
    for (const OptionSpec& option : spec.options) {
        std::string names = option.name;
        if (option.letter != 0) {
            names += ',';
            names += option.letter;
        }
        if (option.value_name == nullptr) {
            options.add_options()(names.c_str(), option.meaning);
        } else {
            options.add_options()(names.c_str(), po::value<std::vector<std::string>>(), option.meaning);
        }
    }
    options.add_options()("help,h", "show this text");
    options.add_options()(kArguments, po::value<std::vector<std::string>>(), "");
    return options;
}

Error wrong_use(const CommandSpec& spec, const std::string& what) {
    return make_error(ErrorCode::kInvalid, "", "", what + " (see topicfs " + std::string(spec.name) + " --help)");
}

void add_columns(std::string& text, const std::string& left, const char* right) {
    constexpr std::size_t kColumn = 26;
    text += "  " + left;
    text += left.size() + 2 < kColumn ? std::string(kColumn - left.size() - 2, ' ') : "\n" + std::string(kColumn, ' ');
    for (const char* c = right; *c != '\0'; ++c) {
        text += *c;
        if (*c == '\n') {
            text += std::string(kColumn, ' ');
        }
    }
    text += '\n';
}

}  // namespace

std::optional<std::string> CommandLine::value(std::string_view option) const {
    const auto found = options_.find(option);
    if (found == options_.end() || found->second.empty()) {
        return std::nullopt;
    }
    return found->second.back();
}

std::vector<std::string> CommandLine::values(std::string_view option) const {
    const auto found = options_.find(option);
    return found == options_.end() ? std::vector<std::string>{} : found->second;
}

Result<CommandLine> parse_command_line(const CommandSpec& spec, std::span<char* const> words) {
    CommandLine given;
    const std::vector<std::string> texts(words.begin(), words.end());
    try {
        const po::options_description known = describe(spec);
        po::positional_options_description positional;
        positional.add(kArguments, -1);
        // Guessing from a shortened name would make scripts break when an option is added.
        const int style = po::command_line_style::unix_style & ~po::command_line_style::allow_guessing;
        const auto parsed = po::command_line_parser(texts).options(known).positional(positional).style(style).run();
        for (const auto& option : parsed.options) {
            if (option.string_key == kArguments) {
                given.arguments_.insert(given.arguments_.end(), option.value.begin(), option.value.end());
            } else {
                auto& values = given.options_[option.string_key];
                values.insert(values.end(), option.value.begin(), option.value.end());
            }
        }
    } catch (const po::error& error) {
        return wrong_use(spec, error.what());
    }
    if (given.has("help")) {
        return given;
    }
    for (const OptionSpec& option : spec.options) {
        if (!option.is_list && given.values(option.name).size() > 1) {
            return wrong_use(spec, "--" + std::string(option.name) + " is given twice");
        }
    }
    const bool any_number = !spec.arguments.empty() && spec.arguments.back().any_number;
    const bool is_optional = !spec.arguments.empty() && spec.arguments.back().is_optional;
    const std::size_t required = spec.arguments.size() - (any_number || is_optional ? 1 : 0);
    if (given.arguments_.size() < required) {
        return wrong_use(spec, std::string(spec.arguments[given.arguments_.size()].name) + " is missing");
    }
    const bool is_command = !spec.arguments.empty() && spec.arguments.back().is_command;
    if (given.arguments_.size() > spec.arguments.size() && !any_number && !is_command) {
        return wrong_use(spec, "'" + given.arguments_[spec.arguments.size()] + "' is one argument too many");
    }
    return given;
}

std::string help_text(const CommandSpec& spec) {
    std::string text = "Usage: topicfs " + std::string(spec.name) + " [OPTION]...";
    for (const ArgumentSpec& argument : spec.arguments) {
        const std::string name = argument.name;
        text += argument.is_command    ? " -- " + name + "..."
                : argument.any_number  ? " [" + name + "]..."
                : argument.is_optional ? " [" + name + "]"
                                       : " " + name;
    }
    text += "\n\n";
    text += spec.summary;
    text += ".\n\n";
    for (const ArgumentSpec& argument : spec.arguments) {
        add_columns(text, argument.name, argument.meaning);
    }
    text += "\nOptions:\n";
    std::vector<OptionSpec> options = spec.options;
    options.push_back({"help", 'h', nullptr, "show this text"});
    for (const OptionSpec& option : options) {
        std::string left = option.letter != 0 ? std::string("-") + option.letter + ", " : std::string("    ");
        left += std::string("--") + option.name;
        if (option.value_name != nullptr) {
            left += std::string(" ") + option.value_name;
        }
        add_columns(text, left, option.meaning);
    }
    if (*spec.notes != '\0') {
        text += std::string("\n") + spec.notes;
    }
    text += std::string("\nExamples:\n") + spec.examples;
    text += "\nExit status: 0 done, 1 the answer is no, 2 wrong use or it could not be done.\n";
    return text;
}

}  // namespace topicfs
