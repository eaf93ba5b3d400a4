// The part of Operations that removes topics: rmdir, moving them to the trash and back, and what rm -r does there.
#include <fcntl.h>
#include <linux/fs.h>

#include <cerrno>
#include <string>
#include <utility>

#include "mount/names.h"
#include "mount/node_attributes.h"
#include "mount/operations.h"

namespace topicfs {

namespace {

Error name_is_fixed() {
    return refused(EPERM, "names of topics and partitions are made and removed as a whole");
}

Result<bool> is_empty(const Topic& topic) {
    for (std::uint32_t number = 0; number < topic.partition_count(); ++number) {
        TOPICFS_TRY_ASSIGN(const auto partition, topic.partition(number));
        TOPICFS_TRY_ASSIGN(const Position end, partition->end());
        if (end != partition->start()) {
            return false;
        }
    }
    return true;
}

}  // namespace

// Files that the kernel may write to are kept for a while; nobody new is to be given them, and they would count as
// open.
void Operations::let_go_of_backings(const Topic& topic) {
    for (std::uint32_t number = 0; number < topic.partition_count(); ++number) {
        backings_.let_go(partition_inode_number(topic, number));
    }
}

Result<void> Operations::remove_directory(Reply& reply, fuse_ino_t parent, const char* name) {
    TOPICFS_TRY_ASSIGN(const auto directory, find_node(parent));
    TOPICFS_TRY_ASSIGN(const Node found, resolve(*directory, name, 0));
    if (found.kind != NodeKind::kTopic && found.kind != NodeKind::kGroupDirectory) {
        return found.is_directory() ? name_is_fixed() : refused(ENOTDIR, "not a directory");
    }
    if (directory->kind == NodeKind::kTrash) {
        TOPICFS_TRY_ASSIGN(const bool has_no_records, is_empty(*found.topic));
        if (!has_no_records && unlinked_.count(found.topic->id()) < found.topic->partition_count()) {
            return refused(ENOTEMPTY, "it has partitions; rm -r removes it for good");
        }
    }
    const auto remove = [this, directory, topic = found.topic, name = std::string(name)]() -> Result<void> {
        if (directory->kind != NodeKind::kTrash) {
            return directory->topic ? directory->topic->remove_group(name) : store_.remove_topic(name);
        }
        let_go_of_backings(*topic);
        TOPICFS_TRY(store_.purge_topic(name));
        unlinked_.forget(topic->id());
        return {};
    };
    return busy_waits_.hold(reply, "rmdir", [remove](Reply& to) -> Result<bool> {
        const Result<void> removed = remove();
        if (!removed && removed.error().code == ErrorCode::kBusy) {
            return false;
        }
        TOPICFS_TRY(removed);
        to.done();
        return true;
    });
}

Result<void> Operations::remove_file(Reply& reply, fuse_ino_t parent, const char* name) {
    TOPICFS_TRY_ASSIGN(const auto directory, find_node(parent));
    TOPICFS_TRY_ASSIGN(const Node found, resolve(*directory, name, 0));
    if (directory->kind == NodeKind::kTopic && found.is_partition() && !found.follow && directory->topic->removal()) {
        unlinked_.add(directory->topic->id(), found.partition->number());
        reply.done();
        return {};
    }
    reply.error(found.is_directory() ? EISDIR : EPERM);
    return {};
}

Result<void> Operations::rename(Reply& reply, fuse_ino_t parent, const char* name, fuse_ino_t new_parent,
                                const char* new_name, unsigned flags) {
    TOPICFS_TRY_ASSIGN(const auto from, find_node(parent));
    TOPICFS_TRY_ASSIGN(const auto to, find_node(new_parent));
    const bool removes = from->kind == NodeKind::kRoot && to->kind == NodeKind::kTrash;
    const bool brings_back = from->kind == NodeKind::kTrash && to->kind == NodeKind::kRoot;
    if (!removes && !brings_back) {
        return name_is_fixed();
    }
    if ((flags & ~static_cast<unsigned>(RENAME_NOREPLACE)) != 0) {
        return refused(EINVAL, "a topic can only be moved");
    }
    TOPICFS_TRY(check_name_length(new_name));
    TOPICFS_TRY_ASSIGN(const Node moved, resolve(*from, name, 0));
    if (moved.kind != NodeKind::kTopic) {
        return name_is_fixed();
    }
    // Nothing is ever replaced: a topic with that name is EEXIST, whatever the flags say.
    if (removes) {
        TOPICFS_TRY(store_.delete_topic(name, new_name));
        let_go_of_backings(*moved.topic);
    } else {
        TOPICFS_TRY(store_.undelete_topic(name, new_name));
        unlinked_.forget(moved.topic->id());
    }
    reply.done();
    return {};
}

}  // namespace topicfs
