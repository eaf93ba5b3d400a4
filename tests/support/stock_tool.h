// Programs that a user has anyway, to show that files of ours need none of ours.
#pragma once

#include "support/bytes.h"

#include <filesystem>
#include <optional>
#include <string>

namespace topicfs::test {

// Whether PATH has the program. Where not, says on stderr that `what` is skipped.
bool has_tool(const std::string& program, const std::string& what);

// What `command` writes, run by the shell with `file` as its last argument; nothing where it does not exit with 0.
std::optional<std::string> output_of(const std::string& command, const std::filesystem::path& file);

}  // namespace topicfs::test
