// What stat(2) shows of a node.
#pragma once

#include <topicfs/result.h>

#include <sys/stat.h>

#include <string>
#include <string_view>
#include <vector>

#include "mount/nodes.h"

namespace topicfs {

// Errors are the engine's.
Result<struct stat> node_attributes(Store& store, const Node& node);

// O_TRUNC, or a truncation to nothing, of what can be written: as chattr +a has it, EPERM where it holds something.
Result<void> check_truncation(const Node& node);

// For how long the kernel may answer without asking: directories' own attributes change only through the kernel,
// everything else can change at any time.
double attribute_seconds(const Node& node);
double entry_seconds(const Node& node);

// Owner and mode of the directory that the node belongs to: its topic's, or the root's.
Attributes owning_attributes(const Store& store, const Node& node);

// The keys of a `.config` directory, by the numbers that Node::setting and inode numbers are made of: first the
// settings of topics, then, in the root's only, from kStoreSettingsFrom on those of the store; in a group's its own.
inline constexpr std::uint32_t kStoreSettingsFrom = 0x700;
inline constexpr std::uint32_t kGroupSettingsFrom = 0x780;
std::vector<std::uint32_t> config_settings(const Node& directory);
const SettingInfo& config_info(std::uint32_t setting);

// Sets what the node stands for; as Topic::set() and its like in Store.
Result<void> set_setting(Store& store, const Node& node, std::string_view text);
// What that would refuse at present, without setting it.
Result<void> check_setting(const Store& store, const Node& node, std::string_view text);

// As written to a group's `N.offset`; see Group::reset().
Result<void> reset_offset(const Node& node, std::string_view text);
// Where that would lead; see Group::find().
Result<Offset> find_offset(const Node& node, std::string_view text);
// The text of a group's `N.offset`: the committed offset and a newline.
Result<std::string> offset_text(const Node& node);

// The text of a `.config` file: the value and a newline.
Result<std::string> setting_text(const Store& store, const Node& node);

}  // namespace topicfs
