// What each FUSE request does, over a Store.
//
// Every member below answers its request through the Reply, or returns an Error that the caller answers (reply.h).
// Nothing here holds a lock while the engine works, so a slow disk under one partition holds up no other.
//
// The kernel checks owners and modes (default_permissions); what is refused here is refused to root too.
#pragma once

#include <topicfs/ioctl.h>
#include <topicfs/store.h>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "io/fd.h"
#include "mount/backings.h"
#include "mount/busy_waits.h"
#include "mount/follow_waits.h"
#include "mount/fuse_api.h"
#include "mount/handles.h"
#include "mount/lock_waits.h"
#include "mount/nodes.h"
#include "mount/passthrough.h"
#include "mount/prepared_topics.h"
#include "mount/reply.h"
#include "mount/request_counts.h"
#include "mount/turned_opens.h"
#include "mount/unlinked_partitions.h"
#include "mount/unused_views.h"
#include "store/view_name.h"

namespace topicfs {

// Any thread.
class Operations {
public:
    // `space_of` is a directory on the file system whose space statfs(2) shows; none: no space. `busy_patience`: see
    // BusyWaits.
    Operations(Store& store, std::string mount_point, Fd space_of, std::chrono::milliseconds busy_patience);

    // For fuse_session_new; the session's user data must be the address of an Operations.
    static const fuse_lowlevel_ops& callbacks();

    bool initialised() const { return initialised_; }
    std::size_t open_handle_count() const { return handles_.size(); }
    void cancel_waiting_locks() { locks_.cancel_all(); }
    void interrupt_lock(LockTable::Waiter waiter) { locks_.interrupt(waiter); }
    void interrupt_read(std::uint64_t number) { follows_.interrupt(number); }
    // Whoever waits for a log to grow gets end-of-file, now and from now on.
    void end_follows() {
        follows_.end();
        busy_waits_.end();
    }
    // end_follows(), and nothing here answers a request any more when this returns. No thread serves any more.
    void end_waits() {
        cancel_waiting_locks();
        follows_.join();
        busy_waits_.join();
    }

    Passthrough& passthrough() { return passthrough_; }
    UnusedViews& unused_views() { return unused_views_; }
    RequestCounts& requests() { return requests_; }
    // To be called every kSweepMs while there is something to sweep.
    static constexpr int kSweepMs = 2000;
    bool needs_sweep() const { return !backings_.empty(); }
    void sweep();

    // operations.cpp
    void initialise(fuse_conn_info& connection);

    // operations_tree.cpp, operations_directory.cpp
    Result<void> look_up(Reply& reply, fuse_ino_t parent, const char* name);
    Result<void> forget(Reply& reply, fuse_ino_t id, std::uint64_t look_ups);
    Result<void> forget_many(Reply& reply, std::size_t count, fuse_forget_data* forgets);
    Result<void> get_attributes(Reply& reply, fuse_ino_t id, fuse_file_info* info);
    Result<void> set_attributes(Reply& reply, fuse_ino_t id, struct stat* wanted, int what, fuse_file_info* info);
    Result<void> make_node(Reply& reply, fuse_ino_t parent, const char* name, mode_t mode, dev_t device);
    Result<void> make_directory(Reply& reply, fuse_ino_t parent, const char* name, mode_t mode);
    Result<void> make_symlink(Reply& reply, const char* target, fuse_ino_t parent, const char* name);
    Result<void> make_link(Reply& reply, fuse_ino_t id, fuse_ino_t new_parent, const char* new_name);
    Result<void> open_directory(Reply& reply, fuse_ino_t id, fuse_file_info* info);
    Result<void> read_directory(Reply& reply, fuse_ino_t id, std::size_t size, off_t cookie, fuse_file_info* info);
    Result<void> sync_directory(Reply& reply, fuse_ino_t id, int data_only, fuse_file_info* info);
    Result<void> show_space(Reply& reply, fuse_ino_t id);

    // operations_trash.cpp
    Result<void> remove_file(Reply& reply, fuse_ino_t parent, const char* name);
    Result<void> remove_directory(Reply& reply, fuse_ino_t parent, const char* name);
    Result<void> rename(Reply& reply, fuse_ino_t parent, const char* name, fuse_ino_t new_parent, const char* new_name,
                        unsigned flags);

    // operations_file.cpp
    Result<void> create(Reply& reply, fuse_ino_t parent, const char* name, mode_t mode, fuse_file_info* info);
    Result<void> open(Reply& reply, fuse_ino_t id, fuse_file_info* info);
    Result<void> read(Reply& reply, fuse_ino_t id, std::size_t size, off_t offset, fuse_file_info* info);
    Result<void> write(Reply& reply, fuse_ino_t id, const char* bytes, std::size_t size, off_t offset,
                       fuse_file_info* info);
    Result<void> sync(Reply& reply, fuse_ino_t id, int data_only, fuse_file_info* info);
    Result<void> allocate(Reply& reply, fuse_ino_t id, int mode, off_t offset, off_t length, fuse_file_info* info);
    Result<void> seek(Reply& reply, fuse_ino_t id, off_t offset, int whence, fuse_file_info* info);
    Result<void> poll(Reply& reply, fuse_ino_t id, fuse_file_info* info, fuse_pollhandle* poll);

    // operations_ioctl.cpp
    Result<void> control(Reply& reply, fuse_ino_t id, unsigned command, void* argument, fuse_file_info* info,
                         unsigned flags, const void* in, std::size_t in_bytes, std::size_t out_bytes_max);

    // operations_lock.cpp
    Result<void> flush(Reply& reply, fuse_ino_t id, fuse_file_info* info);
    Result<void> release(Reply& reply, fuse_ino_t id, fuse_file_info* info);
    Result<void> find_lock(Reply& reply, fuse_ino_t id, fuse_file_info* info, struct flock* lock);
    Result<void> set_lock(Reply& reply, fuse_ino_t id, fuse_file_info* info, struct flock* lock, int wait);
    Result<void> set_flock(Reply& reply, fuse_ino_t id, fuse_file_info* info, int operation);

private:
    Result<std::shared_ptr<const Node>> find_node(fuse_ino_t id) const;
    Result<std::shared_ptr<Handle>> find_handle(const fuse_file_info* info) const;

    // What a name in a directory means; the node's id is not set.
    Result<Node> resolve(const Node& directory, std::string_view name, std::uint32_t thread) const;
    Result<Node> resolve_in_topic(const std::shared_ptr<Topic>& topic, std::string_view name,
                                  std::uint32_t thread) const;
    Result<Node> resolve_partition(const std::shared_ptr<Topic>& topic, std::uint32_t number, bool follow,
                                   std::uint32_t thread) const;
    Result<Node> resolve_day(const Node& directory, std::string_view name) const;
    static Result<Node> resolve_in_group(const Node& directory, std::string_view name);
    // `path` is what names it below the topic.
    static Result<Node> view_node(const std::shared_ptr<Topic>& topic, std::optional<std::uint32_t> partition,
                                  std::shared_ptr<LogView> view, std::string path);
    static Result<Node> named_view_node(const std::shared_ptr<Topic>& topic, const ViewName& name, std::string path);
    static Result<Node> partition_node(const std::shared_ptr<Topic>& topic, std::uint32_t number, NodeRole role);
    // What takes this open's writes past the daemon; none where they are to come to it.
    std::shared_ptr<Backing> backing_for(const Topic& topic, Partition& partition, int flags, std::uint32_t thread);
    // Makes a handle of the node, which the caller has noted as open, and answers by `answer`; where that says that the
    // kernel did not take it, undoes all that. Returns whether it did.
    bool answer_open(const std::shared_ptr<Handle>& handle, fuse_file_info& info, const std::function<bool()>& answer);
    void closed(const Handle& handle);
    void let_go_of_backings(const Topic& topic);
    // Counts a look-up, which is the kernel's from then on: it must be told of it, or the look-up taken back.
    Result<fuse_entry_param> make_entry(const Node& found);
    Result<void> answer_entry(Reply& reply, const Node& found);
    // Of a directory, `.` and `..` included; what begins with a dot is found by name but not listed.
    struct DirectoryEntry;
    off_t entry_count(const Handle& handle) const;
    // None where the topic is gone by now.
    std::optional<DirectoryEntry> entry_at(const Handle& handle, off_t index) const;

    // Of what `caller` makes in a directory. A set-group-id directory gives its group on, as on any file system.
    static Attributes new_attributes(const fuse_ctx& caller, mode_t mode, const Attributes& directory);
    Result<void> open_partition(Reply& reply, const std::shared_ptr<const Node>& node, fuse_file_info& info);
    Result<void> open_view_file(Reply& reply, const std::shared_ptr<const Node>& node, fuse_file_info& info);
    Result<void> open_stream(Reply& reply, const std::shared_ptr<const Node>& node, fuse_file_info& info);
    // False where somebody else reads it.
    Result<bool> try_open_stream(Reply& reply, const std::shared_ptr<const Node>& node, fuse_file_info& info);
    void close_stream(const Handle& handle);
    Result<void> open_text(Reply& reply, const std::shared_ptr<const Node>& node, fuse_file_info& info);
    Result<std::uint32_t> creatable_partition(const Node& directory, std::string_view name) const;
    Result<void> read_log(Reply& reply, const std::shared_ptr<Handle>& handle, std::size_t size, off_t offset,
                          int flags);
    Result<void> read_stream(Reply& reply, const std::shared_ptr<Handle>& handle, std::size_t size,
                             std::uint64_t offset, int flags);
    void answer_stream(Reply& reply, const FollowWaits::Read& read);
    static void give(Reply& reply, Handle& handle, std::uint64_t offset, const ByteView& bytes);
    void answer_read(Reply& reply, Handle& handle, Position position, std::size_t size);
    Result<std::string> figures(const Node& node);
    Result<std::string> root_status();
    Result<std::string> root_metrics();
    // Of a setting or a committed offset.
    Result<std::string> text_of(const Node& node) const;
    static void read_text(Reply& reply, Handle& handle, std::size_t size, off_t offset);
    static Result<std::size_t> append(const Handle& handle, int flags, std::span<const std::byte> bytes, off_t offset);
    static Result<std::size_t> append_to_all(Handle& handle, int flags, std::span<const std::byte> bytes, off_t offset);
    Result<void> write_setting(Handle& handle, std::string_view text);
    void prepare_topic(const Handle& directory, const fuse_ctx& caller, topicfs_new_topic& asked);

    Store& store_;
    const std::string mount_point_;
    const Fd space_of_;
    std::atomic<bool> initialised_ = false;
    RequestCounts requests_;
    Passthrough passthrough_;
    Backings backings_{passthrough_};
    std::atomic<std::int64_t> swept_at_ms_ = 0;
    NodeTable nodes_;
    UnusedViews unused_views_{nodes_};
    HandleTable handles_;
    UnlinkedPartitions unlinked_;
    TurnedOpens turned_opens_;
    LockWaits locks_;
    FollowWaits follows_;
    BusyWaits busy_waits_;
    PreparedTopics prepared_topics_;
};

}  // namespace topicfs
